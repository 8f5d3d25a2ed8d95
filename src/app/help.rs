//! Help texts: what each verb is for, with examples.

/// The verbs, in the order of the help, each with its first line.
pub(super) const VERBS: &[(&str, &str)] = &[
    ("run", "Run the master here, with local workers, to the end"),
    ("master", "Run the master only; workers are started elsewhere"),
    ("worker", "Run one worker until there is nothing left to do"),
    ("status", "Show what is in the store"),
    ("stop", "Ask the master and all workers to stop"),
    ("reclaim", "Give up attempts of dead or silent workers at once"),
    ("audit", "Check that nothing was lost and nothing was done twice"),
];

const SIGNALS: &str = "\
Signals (INT, TERM, HUP, USR2, XCPU): the first stops in an orderly way, the second at once. USR1 tells what runs now;
in a batch job it is a warning like the others.";

/// The exit codes, as the help tells them.
pub const CODES: &str = "\
Exit codes:
  0    all that was asked for is ok; a worker left because it was told to, or was idle
  1    the run ended and some tasks are not ok; or another error
  2    the command line, a setting or the inputs make no sense
  3    stopped by the stop file, with work left
  4    the store is missing, damaged, or of a newer format
  5    another master holds the store
  7    no worker could be started, or none stayed alive
  130  INT, 143 TERM: 128 + the number of the signal";

/// Returns the examples of a verb; of the whole program for the empty verb.
///
/// `more` are the names of the program's own positional arguments, which stand after the store.
pub(super) fn examples(verb: &str, program: &str, more: &str) -> String {
    let lines: &[(&str, &str)] = match verb {
        "run" => &[
            ("run x.flock --workers 4", "four worker processes on this machine"),
            ("run x.flock", "again: goes on where it ended"),
            ("run x.flock --batch 64", "for tasks of some milliseconds"),
            (
                "run x.flock --workers 2 -- --my-flag",
                "arguments for the workers after `--`",
            ),
        ],
        "master" => &[
            (
                "master /proj/x.flock",
                "then start workers on any machine that mounts /proj",
            ),
            (
                "master /proj/x.flock --sharing group",
                "workers of other users of the group",
            ),
        ],
        "worker" => &[
            (
                "worker /proj/x.flock --slots 4",
                "four tasks at a time in one process",
            ),
            (
                "worker /proj/x.flock --idle-exit 1h",
                "wait longer for the store, and for work",
            ),
            (
                "worker /proj/x.flock --scratch /tmp",
                "scratch directories on a local disk",
            ),
        ],
        "status" => &[
            ("status x.flock", "how much is done, and who works"),
            ("status x.flock --format json", "the same for programs"),
        ],
        "stop" => &[
            ("stop x.flock", "running tasks are finished"),
            (
                "stop x.flock --now --why 'wrong inputs'",
                "running tasks are given back",
            ),
        ],
        "reclaim" => &[
            ("reclaim x.flock", "attempts that were silent for the lease"),
            ("reclaim x.flock --silent 5m", "for five minutes"),
            ("reclaim x.flock 0000012", "this one, whoever holds it"),
        ],
        "audit" => &[
            ("audit x.flock", "exit code 1 if a promise is broken"),
            ("audit x.flock --format json", "the figures for programs"),
        ],
        _ => &[
            ("run x.flock --workers 4", "everything on this machine"),
            ("master /proj/x.flock", "the master here ..."),
            (
                "worker /proj/x.flock",
                "... and a worker on every machine that mounts /proj",
            ),
            ("status x.flock", "how far it is"),
        ],
    };
    let lines: Vec<_> = lines
        .iter()
        .map(|(line, what)| (line.replacen(".flock", &format!(".flock{more}"), 1), what))
        .collect();
    let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let mut text = String::from("Examples:");
    for (line, what) in lines {
        text.push_str(&format!("\n  {program} {line:width$}  # {what}"));
    }
    text
}

/// Returns what stands at the end of `--help`.
pub(super) fn long(verb: &str, program: &str, more: &str) -> String {
    let examples = examples(verb, program, more);
    let about = match verb {
        "run" => {
            "Local workers are processes of their own; one that dies is named and started again. If this program is \
             killed, they give their tasks back and leave. The settings of the store count when it is made; later the \
             store's own are used."
        }
        "master" => {
            "A master that died is simply started again: outcomes that are there are handed over once more. The \
             settings of the store count when it is made; later the store's own are used."
        }
        "worker" => {
            "A worker may be started before the master: it waits for the store as long as for work (--idle-exit)."
        }
        "status" => "Counts by names alone. It is safe at any time, and changes nothing.",
        "stop" => "Starting a master again withdraws the request.",
        "reclaim" => {
            "If a worker that was given up lives after all, nothing is damaged: the first outcome wins."
        }
        "audit" => "Reads the whole store. Meant for a store at rest.",
        _ => "",
    };
    let about = match about {
        "" => String::new(),
        about => format!("{about}\n\n"),
    };
    match verb {
        "run" | "master" | "worker" | "" => format!("{about}{examples}\n\n{SIGNALS}\n\n{CODES}"),
        _ => format!("{about}{examples}\n\n{CODES}"),
    }
}
