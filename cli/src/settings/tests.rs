//! Files that are right, files that are wrong, and what counts before what.

use std::path::Path;

use insta::assert_snapshot;

use super::*;

fn matches(file: &str, line: &[&str]) -> (Vec<Applied>, ArgMatches) {
    let (command, applied) = apply(crate::args::command(), file).unwrap();
    let matches = command.try_get_matches_from(std::iter::once(&"flockwork").chain(line));
    (applied, matches.unwrap())
}

fn cli(file: &str, line: &[&str]) -> Cli {
    Cli::from_arg_matches(&matches(file, line).1).unwrap()
}

fn wrong(file: &str) -> String {
    let failed = apply(crate::args::command(), file).unwrap_err();
    assert_eq!(failed.code(), 2);
    failed.text()
}

const GOOD: &str = "\
[all]
store = 'x.flock'
color = \"never\"
idle-exit = '1h'

[run]
workers = 4
retries = 3
tail = 0.1
quiet = true
env = ['PATH', 'HOME']
idle-exit = '2h'
";

#[test]
fn what_is_typed_counts_before_the_file_and_a_verb_before_all() {
    let typed = cli(GOOD, &["run", "--workers", "2", "y.flock"]);
    let Verb::Run(run) = typed.verb else {
        panic!("{typed:?}")
    };
    assert_eq!((run.workers, run.quiet), (Some(2), true));
    assert_eq!(run.place.store.as_deref(), Some(Path::new("y.flock")));
    assert_eq!(run.work.idle_exit.as_secs(), 7_200);
    assert_eq!(typed.color, crate::args::Color::Never);
    let untyped = cli(GOOD, &["worker"]);
    let Verb::Worker(worker) = untyped.verb else {
        panic!("{untyped:?}")
    };
    assert_eq!(worker.place.store.as_deref(), Some(Path::new("x.flock")));
    assert_eq!((worker.work.idle_exit.as_secs(), worker.quiet), (3_600, false));
}

#[test]
fn a_flag_can_be_taken_back() {
    for (line, quiet) in [
        (&["run", "--quiet=false"][..], false),
        (&["run", "-q"], true),
        (&["run", "-qw2"], true),
        (&["run"], true),
    ] {
        let Verb::Run(run) = cli(GOOD, line).verb else {
            panic!("{line:?}")
        };
        assert_eq!(run.quiet, quiet, "{line:?}");
    }
}

#[test]
fn the_parser_stays_sound() {
    apply(crate::args::command(), GOOD).unwrap().0.debug_assert();
}

#[test]
fn verbs_that_change_something_tell_what_they_took() {
    let told = |line: &[&str]| {
        let (applied, matches) = matches(GOOD, line);
        note(&matches, &applied)
    };
    assert_snapshot!(told(&["run", "--workers", "2", "--quiet=false"]).unwrap(), @"note: settings from flockwork.toml: store=x.flock retries=3 tail=0.1 env=PATH,HOME idle-exit=2h");
    assert_eq!(told(&["status"]), None);
    let (applied, matches) = matches("[run]\nworkers = 4", &["run", "-w", "2"]);
    assert_eq!(note(&matches, &applied), None);
}

#[test]
fn wrong_entries_are_named_with_file_line_and_key() {
    assert_snapshot!(wrong("[run]\n\nworker = 4"), @r"
    error: flockwork.toml:3: [run] worker: `run` has no such flag
    hint: did you mean `workers`?
    ");
    assert_snapshot!(wrong("[rum]\nworkers = 4"), @r"
    error: flockwork.toml:2: [rum] workers: no verb is named `rum`
    hint: did you mean `run`?
    ");
    assert_snapshot!(wrong("[run]\nworkers = 'many'"), @r"
    error: flockwork.toml:2: [run] workers = many: invalid digit found in string
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[run]\nworkers = true"), @r"
    error: flockwork.toml:2: [run] workers = true: it needs a value, in quotes or a number
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[run]\nworkers = [1, 2]"), @r"
    error: flockwork.toml:2: [run] workers = 1,2: it takes one value, not a list
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[run]\nquiet = 'yes'"), @r"
    error: flockwork.toml:2: [run] quiet = yes: it is a flag without a value: true or false
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[all]\ncolor = 'blue'"), @r"
    error: flockwork.toml:2: [all] color = blue: it is one of auto, always, never
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork VERB --help`
    ");
    assert_snapshot!(wrong("[run]\ntimeout = 1979-05-27"), @r"
    error: flockwork.toml:2: [run] timeout: a value is a text in quotes, a number, true, false, or a list of texts and numbers
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("workers = 4"), @r"
    error: flockwork.toml:1: workers stands outside of a table
    hint: put it below [all], or below the name of a verb such as [run]
    ");
    assert_snapshot!(wrong("[run]\nworkers = "), @r"
    error: flockwork.toml:2: string values must be quoted, expected literal string
    hint: see toml.io for how it is written
    ");
    assert_snapshot!(wrong("[all]\nno-such-thing = 1"), @r"
    error: flockwork.toml:2: [all] no-such-thing: no verb has such a flag
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork VERB --help`
    ");
    assert_snapshot!(wrong("[run]\n\"a\\u001b[2J\" = 1"), @r"
    error: flockwork.toml:2: [run] a\x1b[2J: `run` has no such flag
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
}

#[test]
fn what_is_hidden_or_no_setting_is_no_key() {
    for file in [
        "[worker]\nparent = 1",
        "[guard]\ntoken = 'x'",
        "[run]\nhelp = true",
        "[all]\nversion = true",
    ] {
        assert!(apply(crate::args::command(), file).is_err(), "{file}");
    }
}
