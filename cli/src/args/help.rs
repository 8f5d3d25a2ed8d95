//! Help texts: what each verb is for, with examples.

mod hosts;

use clap::Command;

/// A verb: its name (`hosts run` for a verb of a verb), what it does, examples (line, remark), and what `--help` says beside.
type Verb = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const VERBS: &[Verb] = &[
    (
        "run",
        "Run a command for each row of a table, with workers here, to the end",
        &[
            (
                "run s.flock --params sweep.txt -w 4 -- ./simulate --alpha {alpha} --seed {seed}",
                "",
            ),
            (
                "run s.flock --sweep alpha=0.1,0.2 --sweep seed=1..100 -o results.csv -- ./simulate {alpha} {seed}",
                "",
            ),
            (
                "run s.flock --each-line files.txt --cwd . -- gzip -k {line}",
                "in this directory",
            ),
            ("run s.flock", "again: goes on where it ended"),
            (
                "run s.flock --dry-run --params sweep.txt -- ./simulate {alpha}",
                "only show what would be run",
            ),
        ],
        "Each attempt runs in a directory of its own, which is removed when it ends; --cwd runs all of them in one. \
         Words of the command that name files here are made absolute. There is no shell: `{alpha}` is one argument, or \
         a part of one, whatever it holds. Parameters are also in FLOCKWORK_alpha, and so on; FLOCKWORK_TASK, \
         FLOCKWORK_ATTEMPT, FLOCKWORK_DIR, FLOCKWORK_HERE and FLOCKWORK_CHECKPOINT (a path that the next attempt sees \
         too) are set as well.\n\n\
         Placeholders: {alpha} the value, {alpha/} its base name, {alpha.} without its extension, {alpha/.} both, \
         {#} the number of the task from 1, {task} its seven digits from 0 as in file names, {dir} the attempt's \
         directory, {here} this directory; {{ is a brace.\n\n\
         Without --result, the last line of a command's output makes the results, if it is a JSON object or words such \
         as energy=-14.2; else all of its output is one.",
    ),
    (
        "submit",
        "Put the tasks into a store, for workers that are started elsewhere",
        &[
            (
                "submit /proj/s.flock --params sweep.txt -- ./simulate --alpha {alpha}",
                "then start workers anywhere",
            ),
            (
                "submit /proj/s.flock --params more.txt -- ./simulate --alpha {alpha}",
                "adds the rows that are new",
            ),
        ],
        "The same submission again adds nothing.",
    ),
    (
        "worker",
        "Run one worker until there is nothing left to do",
        &[
            (
                "worker /proj/s.flock --slots 4",
                "four tasks at a time in one process",
            ),
            (
                "worker /proj/s.flock --scratch /tmp",
                "directories of attempts on a local disk",
            ),
            (
                "worker /proj/s.flock --idle-exit 1h",
                "wait longer for the store, and for work",
            ),
        ],
        "No other process is needed: one of the workers keeps the store filled and collects what has ended; if it \
         leaves or dies, another takes over.",
    ),
    (
        "launch",
        "Start workers by a batch engine, or here in the background",
        &[
            (
                "launch slurm /proj/s.flock --workers 50 --time 2h --mem 4G --cpus 2",
                "also condor, sge",
            ),
            (
                "launch slurm /proj/s.flock --workers 50 --time 2h --print > sweep.sbatch",
                "a file to edit and submit",
            ),
            (
                "launch slurm /proj/s.flock --workers 50 --time 2h --until-done",
                "goes on when the time is up",
            ),
            (
                "launch condor /proj/s.flock -w 200 -- --scratch /tmp",
                "flags for each worker",
            ),
            ("launch local s.flock --workers 4", "outlives the terminal"),
            ("launch slurm /proj/s.flock --status", "what has become of them"),
            ("launch slurm /proj/s.flock --stop", "ends those, and no others"),
        ],
        "What is launched is written into the directory launch/ of the store before it is submitted, so `status`, \
         `--status` and `--stop` know of it from any host. Workers of dead launches do no harm, and any number of \
         launches can work on one store.\n\n\
         --until-done: a worker whose time is up while there is work left submits another one. That goes on at most \
         until ten times the workers were launched; --max-submissions sets another limit, for the store as a whole. \
         Launches that failed count too, for an engine may have taken what it said to have refused. \
         HTCondor runs jobs that it vacates again by itself.",
    ),
    (
        "wait",
        "Wait until all tasks have ended; the exit code says whether all are ok",
        &[
            ("wait /proj/s.flock --collect results.csv", ""),
            (
                "wait /proj/s.flock --timeout 1h",
                "exit code 6 if tasks are left by then",
            ),
        ],
        "",
    ),
    (
        "collect",
        "Write the results: a row for each task, with its parameters",
        &[
            (
                "collect s.flock -o results.csv",
                "failed tasks go to failed.csv beside it",
            ),
            (
                "collect s.flock --as concat > all.txt",
                "the outputs alone, in the order of the tasks",
            ),
            ("collect s.flock --partial", "what is there so far"),
            ("collect s.flock --follow --as jsonl", "each as it ends"),
        ],
        "The file is written in two stages: it is whole, or it is not there.",
    ),
    (
        "status",
        "Show how far it is, who works, and what needs attention",
        &[
            ("status s.flock", ""),
            ("status s.flock --watch", "again every two seconds"),
            ("status s.flock --format json", "for programs"),
        ],
        "Counts by names alone; it is safe at any time, and changes nothing.",
    ),
    (
        "ls",
        "List tasks with their parameters",
        &[
            ("ls s.flock -s failed", ""),
            (
                "ls s.flock -s running --sort age --limit 3",
                "the three that run longest",
            ),
            ("ls s.flock -m 'alpha=0.9*' --format csv", ""),
        ],
        "",
    ),
    (
        "show",
        "Show one task: parameters, command, attempts, results",
        &[("show s.flock 377", "")],
        "",
    ),
    (
        "logs",
        "Print what a task has written",
        &[
            ("logs s.flock 377", "stdout and stderr of the last attempt"),
            ("logs -f s.flock 377", "go on while it runs"),
            ("logs s.flock 377 --attempt 1 --stderr", ""),
        ],
        "",
    ),
    (
        "explain",
        "Say why a task is not running, or not done",
        &[("explain s.flock 377", "")],
        "",
    ),
    (
        "workers",
        "List the workers",
        &[
            ("workers s.flock", ""),
            ("workers s.flock --format csv", ""),
            ("workers s.flock --host 'node[01-64]'", "those on these hosts"),
        ],
        "Hosts are named as `node[01-04,07]`, `192.168.100.101..200` or `node{a,b}`, with commas between them; each is \
         named as `uname -n` tells it, or by what stands before its first dot.",
    ),
    (
        "retry",
        "Grant failed tasks new attempts",
        &[
            (
                "retry s.flock",
                "all that failed; then `run`, or workers, do them",
            ),
            ("retry s.flock --task 377 --set timeout=10m", ""),
            ("retry s.flock -m 'alpha=0.9*'", ""),
        ],
        "Nothing is typed again: the command and its parameters are in the store.",
    ),
    (
        "cancel",
        "End tasks that have not ended; they count as failed",
        &[
            ("cancel s.flock --task 377,401..410", ""),
            ("cancel s.flock --all --why 'wrong inputs'", ""),
        ],
        "A task that runs is ended at the next heartbeat of its worker: within a fifth of the lease. `retry` brings \
         cancelled tasks back.",
    ),
    (
        "pause",
        "Take no new tasks until `resume`; what runs goes on",
        &[("pause s.flock --why 'disk is full'", "")],
        "",
    ),
    (
        "resume",
        "Take tasks again after `pause`",
        &[("resume s.flock", "")],
        "",
    ),
    (
        "reclaim",
        "Give up attempts of dead or silent workers at once",
        &[
            ("reclaim s.flock", "attempts that were silent for the lease"),
            ("reclaim s.flock --silent 5m", "for five minutes"),
            ("reclaim s.flock 377", "this one, whoever holds it"),
        ],
        "If a worker that was given up lives after all, nothing is damaged: the first outcome wins.",
    ),
    (
        "stop",
        "Ask all workers to stop",
        &[
            ("stop s.flock", "running tasks are finished"),
            (
                "stop s.flock --now --why 'wrong inputs'",
                "running tasks are given back",
            ),
        ],
        "Workers see it between tasks, and within a fifth of the lease while one runs. `run` withdraws the request; so do `submit` and `retry` when they bring work.",
    ),
    (
        "clean",
        "Remove what is no longer needed: left-over logs, directories, temporary files",
        &[
            ("clean s.flock", "shows what would go, and asks"),
            ("clean s.flock --yes --older 1d", ""),
        ],
        "Results, tasks and whatever living workers use always stay.",
    ),
    (
        "audit",
        "Check that nothing was lost and nothing was done twice",
        &[
            ("audit s.flock", "exit code 1 if a promise is broken"),
            ("audit s.flock --format json", ""),
        ],
        "Reads the whole store. Meant for a store at rest.",
    ),
    (
        "doctor",
        "Say what a directory's file system can do, and what is wrong with it",
        &[
            ("doctor /proj", ""),
            (
                "doctor /proj --peer",
                "on two hosts at about the same time: what they see of each other",
            ),
        ],
        "Each test makes a few files in the directory and removes them. `--peer` waits for the other host; without it \
         nothing is waited for. Exit code 1 if something fails: then a store would not work there, or a lock does not \
         do what it says. What is only worth knowing is a warning.",
    ),
    (
        "torture",
        "Prove on this file system that nothing is lost, whatever is killed",
        &[
            ("torture /proj/t.flock", "two minutes, on one host"),
            ("torture /proj/t.flock --for 10m", "on the first of several hosts"),
            (
                "torture /proj/t.flock --join",
                "on each other host, at any time meanwhile",
            ),
            (
                "torture /proj/t.flock --kills 1000 --batch 5 --seed 7",
                "batches, and choices that can be made again",
            ),
        ],
        "It makes a store of its own, starts a master and workers, and disturbs them at random: kill -9 of workers and \
         of the master, stops for longer than the lease, removal of lock files. Tasks take some milliseconds, fail once \
         in a while, go on from checkpoints, and kill their own worker in the middle of a batch. Then it lets the run \
         end undisturbed, and proves: every task has exactly one accepted outcome, the answer to its own input; the \
         audit finds nothing; a reader who read each outcome again and again never saw one empty or changed; no task \
         ran more often than once and once more for each of its faults; nothing is stuck, and nothing is left over.\n\n\
         It kills and stops only processes that it has started, and touches only its own store. The store is removed in \
         the end, and kept if a promise was broken. Exit code 0: PASSED. Exit code 1: FAILED, with what was broken, \
         where, and the seed.\n\n\
         On several hosts, begin it on one of them and add --join on the others. The lease is 2s on a local file system; \
         on others it is 20s, for there a sign of life may be seen late: let it take some minutes. If a host that has \
         joined is cut off, or loses its power, the verdict says so, and does not judge how often tasks ran.",
    ),
    (
        "completions",
        "Write completions for a shell to stdout",
        &[("completions bash > /etc/bash_completion.d/flockwork", "")],
        "",
    ),
    (
        "man",
        "Write the man page of the command, or of one verb, to stdout",
        &[("man run | man -l -", ""), ("man hosts run | man -l -", "")],
        "",
    ),
];

const SIGNALS: &str = "\
Signals (INT, TERM, HUP, USR2, XCPU): the first stops in an orderly way, the second at once. USR1 tells what runs now;
in a batch job it is a warning like the others.";

const SETTINGS: &str = "\
Settings: flockwork.toml in the current directory gives defaults for long flags, in a table for each verb or in [all]:
  [all]
  store = \"sweep.flock\"
  [run]
  workers = 4
  quiet = true            # --quiet=false takes it back
  [hosts]                 # all verbs of `hosts`; [hosts.run] is for one, and counts before it
  nodes = \"node[01-64]\"
What is typed counts first, then FLOCKWORK_STORE and FLOCKWORK_COLOR, the file, the store's own settings, the defaults.";

const CODES: &str = "\
Exit codes:
  0    all that was asked for is ok; a worker left because it was told to, or was idle
  1    the run ended and some tasks are not ok; or another error
  2    the command line, a setting or an input makes no sense
  3    stopped by the stop file, with work left
  4    the store is missing, damaged, or of a newer format
  5    another master holds the store
  6    `wait --timeout` passed
  7    no worker could be started, or none stayed alive; or no host was reached
  130  INT, 143 TERM: 128 + the number of the signal";

/// Adds descriptions and examples to the parser.
pub(crate) fn describe(command: Command) -> Command {
    let top = [
        (
            "run s.flock --params sweep.txt -w 4 -o results.csv -- ./simulate --alpha {alpha}",
            "",
        ),
        ("status s.flock", ""),
        ("logs s.flock 377", ""),
        ("retry s.flock", ""),
    ];
    let command = command
        .after_help(format!("{}\n\nThe store is a directory, by habit NAME.flock. If it is not named it is $FLOCKWORK_STORE, or the only *.flock here.", examples(&top)))
        .after_long_help(format!("{}\n\n{SETTINGS}\n\n{SIGNALS}\n\n{CODES}", examples(&top)));
    VERBS.iter().chain(hosts::HOSTS).fold(command, |command, verb| {
        let path: Vec<&str> = verb.0.split(' ').collect();
        described(command, &path, verb)
    })
}

/// Describes the verb that is found along the path.
fn described(command: Command, path: &[&str], verb: &Verb) -> Command {
    let (name, about, lines, more) = verb;
    if let [first, rest @ ..] = path {
        return command.mut_subcommand(first, |command| described(command, rest, verb));
    }
    let examples = examples(lines);
    let more = if more.is_empty() {
        String::new()
    } else {
        format!("{more}\n\n")
    };
    let signals = match *name {
        "run" | "worker" | "wait" => format!("{SIGNALS}\n\n"),
        _ => String::new(),
    };
    command
        .about(*about)
        .long_about(*about)
        .after_help(examples.clone())
        .after_long_help(format!("{more}{examples}\n\n{signals}{CODES}"))
}

fn examples(lines: &[(&str, &str)]) -> String {
    let remarked = lines.iter().filter(|(_, what)| !what.is_empty());
    let width = remarked.map(|(line, _)| line.len()).max().unwrap_or(0);
    let mut text = String::from("Examples:");
    for (line, what) in lines {
        match *what {
            "" => text.push_str(&format!("\n  flockwork {line}")),
            what => text.push_str(&format!("\n  flockwork {line:width$}  # {what}")),
        }
    }
    text
}
