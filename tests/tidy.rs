//! Holds the structure rules of the project: what a rule says, a test holds.
//!
//! This file has the rules, as data, and a test for each. The checkers are in `tidy/rules.rs`; each takes the
//! root of a tree, so that `tidy/can_fail.rs` can show on a small tree that the rule is able to fail.
//! They read text (`tidy/source.rs`), not syntax trees: that is right for code that rustfmt has formatted.

#[path = "tidy/can_fail.rs"]
mod can_fail;
#[path = "tidy/limits.rs"]
mod limits;
#[path = "tidy/races.rs"]
mod races;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

/// The modules of `src/`, lowest first, and which others each may name. A module may only name modules that
/// stand above it in this list: arrows point one way.
const MAY_NAME: &[(&str, &str)] = &[
    // The one error type; it knows nothing of us.
    ("error", ""),
    // Checked numbers and identifiers; making one may fail.
    ("name", "error"),
    // What tasks and rounds end with; plain data.
    ("outcome", "error name"),
    // Events are plain data for whoever watches, so all that follow may send them.
    ("observe", "error name outcome"),
    // Waiting that can be cut short, and the request to stop; it knows only threads.
    ("wait", ""),
    // Names <-> paths; pure.
    ("layout", "error name observe"),
    // Framed records; pure.
    ("record", "error name observe layout"),
    // Values <-> bytes.
    ("codec", "error name observe record"),
    // Time, jitter and backoff; no settings, so that settings may hold a backoff.
    ("clock", "error name observe"),
    // Settings as plain data: the codec's name, backoffs, limits of the layout, whom to tell.
    ("config", "error name observe wait layout record codec clock"),
    // Decisions with `now` given; pure, so no disk and no events. `clock` is there for the type of `now`: see PURE.
    ("policy", "error name layout record config clock"),
    // The only door to the disk; it knows names, settings and what marks a process, but no store.
    ("fs", "error name observe wait layout record config clock"),
    // The steps of the protocol.
    (
        "store",
        "error name outcome observe wait layout record codec config clock policy fs",
    ),
    // Catching panics of users' code.
    ("panics", "outcome"),
    // A thread for the steps that may block for long.
    ("janitor", "name observe wait fs store"),
    // Claims, runs the user's code, publishes.
    (
        "worker",
        "error name outcome observe wait layout record codec config clock policy fs store panics janitor",
    ),
    // Creates rounds and collects; it shares the store with workers, not their code.
    (
        "master",
        "error name outcome observe wait layout record codec config clock policy fs store panics janitor",
    ),
    // The closure form: a master and workers in one call.
    (
        "map",
        "error name outcome observe wait codec config clock store worker master",
    ),
    // The verbs of a user's own binary.
    (
        "app",
        "error name outcome observe wait codec config clock store worker master map",
    ),
    // What fuzz targets check, for tests and cargo-fuzz only; like tests it may name anything.
    ("fuzz", ""),
];

/// Crates that only some places may name: the crate, the places, and why.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("fs2", &["src/fs/os/lock.rs"], "one file takes locks"),
    (
        "bincode",
        &["src/codec.rs"],
        "one file names the codec, so that it can be replaced",
    ),
    ("notify", &["src/fs/watch.rs"], "one file watches directories"),
    (
        "clap",
        &["src/app", "cli/src"],
        "library users build no command-line parser",
    ),
    ("indicatif", &["src/app", "cli/src"], "the library is silent"),
    (
        "signal_hook",
        &["src/app", "cli/src"],
        "the library leaves signals to the program",
    ),
];

/// What is a function of what it is given: it reads no clock, no disk and no environment.
const PURE: &[&str] = &[
    "src/layout.rs",
    "src/record.rs",
    "src/policy.rs",
    "src/store/state.rs",
    "src/store/view/span.rs",
    "cli/src/hosts/range.rs",
    "cli/src/hosts/fold.rs",
    "cli/src/hosts/run/frame.rs",
    "cli/src/hosts/run/lines.rs",
    "cli/src/hosts/run/argv.rs",
    "cli/src/hosts/run/state.rs",
    "cli/src/hosts/run/summary.rs",
    "cli/src/launch/cap.rs",
    "cli/src/launch/request.rs",
    "cli/src/launch/seen.rs",
    "cli/src/launch/text.rs",
    "cli/src/launch/text/condor.rs",
    "cli/src/launch/text/quote.rs",
    "cli/src/launch/text/sge.rs",
    "cli/src/launch/text/slurm.rs",
    "cli/src/hosts/transfer/name.rs",
    "cli/src/hosts/transfer/listing.rs",
    "cli/src/hosts/transfer/spread.rs",
    "cli/src/hosts/transfer/time.rs",
];
/// How it would: the word, and what stands before it.
const IMPURE: &[(&str, &str)] = &[
    ("now", "::"),
    ("wall_millis", ""),
    ("Random", ""),
    ("fs", "std::"),
    ("env", "std::"),
    ("sleep", "::"),
];

/// What is refused outside of tests: the word, what stands before and after it, and what to do instead.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    (
        "unwrap",
        ".",
        "(",
        "use `?`, or `expect` with the reason why it holds",
    ),
    (
        "unwrap",
        "::",
        "",
        "use `?`, or `expect` with the reason why it holds",
    ),
    ("panic", "", "!", "return an Error"),
    ("todo", "", "!", "finish it, or leave it out"),
    ("unimplemented", "", "!", "finish it, or leave it out"),
    ("dbg", "", "!", "remove it"),
];

/// Macros that print; the library is silent.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];
/// Where printing is the purpose.
const MAY_PRINT: &[&str] = &["src/app", "cli"];

/// Attributes that are refused everywhere, also in tests.
const REFUSED_ATTRIBUTES: &[(&str, &str)] = &[
    ("#[allow(", "write #[expect(..., reason = \"...\")]"),
    ("#![allow(", "write #![expect(..., reason = \"...\")]"),
    ("#[ignore", "let the test say why it cannot run here, and return"),
];

/// Binaries of tests that have a folder of their own, with all modules named in `main.rs`.
const TEST_FOLDERS: &[&str] = &["tests/it", "tests/faults", "tests/model"];

const MOST_LINES: usize = 500;

/// Words that the vocabulary (CONTRIBUTING.md) has another word for: the refused, the right one.
const REFUSED_WORDS: &[(&str, &str)] = &[
    ("job queue", "store"),
    ("work item", "task"),
    ("work unit", "task"),
    ("job file", "input file"),
    ("task file", "input file"),
    ("lockfile", "lock file"),
    ("dead letter", "failed task"),
    ("slave", "worker"),
];

/// Returns the root of the project.
fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(
        root.join("src/lib.rs").is_file(),
        "no sources in {}, so nothing would be checked",
        root.display()
    );
    root
}

/// Fails with all findings, why the rule is there, and how to get well again.
#[track_caller]
fn hold(findings: &[String], why: &str, fix: &str) {
    let list = findings.join("\n  ");
    assert!(
        findings.is_empty(),
        "{} found:\n  {list}\n  why: {why}\n  fix: {fix}\n",
        findings.len()
    );
}

#[test]
fn arrows_point_one_way() {
    hold(
        &rules::module_order(root()),
        "lower modules never name higher ones, so each can be understood and tested without those above it",
        "move the code down, or pass the value in. A new edge is a design decision: put it into MAY_NAME in \
         tests/tidy.rs and into ARCHITECTURE.md",
    );
}

#[test]
fn the_table_of_modules_points_one_way() {
    for (row, (module, allowed)) in MAY_NAME.iter().enumerate() {
        for named in allowed.split_whitespace() {
            let stands_above = MAY_NAME[..row].iter().any(|(above, _)| *above == named);
            assert!(
                stands_above,
                "MAY_NAME: `{module}` may name `{named}`, which does not stand above it"
            );
        }
    }
}

#[test]
fn files_are_short() {
    hold(
        &rules::lengths(root()),
        "a file should be read in one sitting",
        "split it by what it does; tests beyond some 150 lines go to a sibling tests.rs",
    );
}

#[test]
fn some_crates_have_one_place() {
    hold(
        &rules::crates(root()),
        "a crate that is named in one place can be replaced in one place",
        "call our own function in that place. If the place itself has moved: ONLY_IN in tests/tidy.rs",
    );
}

#[test]
fn what_is_pure_stays_pure() {
    hold(
        &rules::purity(root()),
        "a decision that is a function of data can be tested against a table, also with clocks that run backwards",
        "let the caller read the clock or the disk, and pass the value in",
    );
}

#[test]
fn no_shortcuts_outside_of_tests() {
    hold(
        &rules::shortcuts(root()),
        "a panic takes the whole worker with it, and a library that prints spoils its user's output",
        "as each line says",
    );
}

#[test]
fn no_silenced_lints_and_no_skipped_tests() {
    hold(
        &rules::attributes(root()),
        "a silenced lint needs a reason and must go when its cause has gone; a skipped test is forgotten",
        "as each line says",
    );
}

#[test]
fn no_test_file_is_forgotten() {
    let mut findings = Vec::new();
    for folder in TEST_FOLDERS {
        let main = root().join(folder).join("main.rs");
        assert!(main.is_file(), "{} is missing", main.display());
        findings.extend(rules::forgotten_files(root(), folder, "main.rs"));
    }
    hold(
        &findings,
        "a file that no `mod` names is not compiled: its tests never fail, for they never run",
        "name it with `mod` in the file that the line tells",
    );
}

#[test]
fn every_fuzz_target_is_walked_by_a_test() {
    hold(
        &rules::fuzz_targets(root()),
        "cargo-fuzz is not run for each change, so what it found once must be looked for by the tests",
        "as fuzz/README.md says, \"How to add a target\"",
    );
}

#[test]
fn every_dependency_says_why() {
    hold(
        &rules::dependencies(root()),
        "each dependency is built by every user and must be followed for ever",
        "write a comment on the line or right above it: what it is for",
    );
}

#[test]
fn one_word_for_one_thing() {
    hold(
        &rules::vocabulary(root()),
        "one word for one thing, in code, files, help and docs",
        "use the word that the line tells",
    );
}

#[test]
fn every_race_has_a_test_that_is_there() {
    hold(
        &races::races(root(), "docs/races.md"),
        "a race without a test comes back, and a page that names tests of yesterday is believed",
        "name the test as it is called now; if it is gone, the race needs another one",
    );
}

#[test]
fn every_limit_stands_where_its_page_says() {
    hold(
        &limits::limits(root(), "docs/limits.md"),
        "a page of numbers is believed, so it must lead to the place where the number can be looked up",
        "name the file and the constant as they are called now, and look whether the number is still right",
    );
}
