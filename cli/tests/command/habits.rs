//! Defaults from `flockwork.toml`, completions, pages and help.

use std::os::unix::fs::PermissionsExt;

use crate::place::{Place, Running, STORE};

const VERBS: [&str; 26] = [
    "run",
    "submit",
    "worker",
    "launch",
    "wait",
    "collect",
    "status",
    "ls",
    "show",
    "logs",
    "explain",
    "workers",
    "retry",
    "cancel",
    "pause",
    "resume",
    "reclaim",
    "stop",
    "clean",
    "audit",
    "doctor",
    "hosts",
    "ping",
    "local",
    "completions",
    "man",
];

#[test]
fn defaults_come_from_a_file_and_what_is_typed_counts_more() {
    let place = Place::new();
    place.write(
        "flockwork.toml",
        "[all]\nstore = \"s.flock\"\n[run]\nworkers = 1\nquiet = true\nretries = 0\noutput = \"from-file.csv\"\n\
         [ls]\nlimit = 1\n",
    );
    let said = place.run(&["run", "--sweep", "a=1,2", "--", "sh", "-c", "exit 3"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        place.has(STORE) && place.has("from-file.csv"),
        "{:?}: {}",
        place.names(),
        said.err
    );
    assert!(said.err.contains("1 local worker "), "{}", said.err);
    assert!(!said.err.contains("FAIL "), "it is quiet: {}", said.err);
    let rows = |line: &[&str]| place.ok(line).text().lines().count();
    assert_eq!(rows(&["ls", "--format", "plain"]), 1);
    assert_eq!(rows(&["ls", "--format", "plain", "--limit", "5"]), 2);

    let said = place.run(&[
        "run",
        "t.flock",
        "--sweep",
        "a=1,2",
        "-w",
        "2",
        "--quiet=false",
        "-o",
        "typed.csv",
        "--",
        "sh",
        "-c",
        "exit 3",
    ]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        place.has("t.flock") && place.has("typed.csv"),
        "{:?}",
        place.names()
    );
    assert!(
        said.err.contains("2 local workers ") && said.err.contains("FAIL "),
        "{}",
        said.err
    );
    // The variable counts more than the file.
    let mut status = place.command(&["status", "--format", "json"]);
    status.env("FLOCKWORK_STORE", "t.flock");
    let said = Running::start(status).end();
    assert!(said.text().contains("\"store\": \"t.flock\""), "{}", said.text());
}

#[test]
fn a_file_of_defaults_that_makes_no_sense_is_told() {
    let place = Place::new();
    let mut texts = Vec::new();
    for text in [
        "[run]\nworkrs = 4\n",
        "[rnu]\nworkers = 4\n",
        "[run\n",
        "[run]\nworkers = \"many\"\n",
        "[hosts.rnu]\nfanout = 4\n",
        "[hosts.run]\nfanuot = 4\n",
    ] {
        place.write("flockwork.toml", text);
        let said = place.run(&["run", STORE, "--sweep", "a=1", "--", "true"]);
        assert_eq!(said.code, 2, "{text}: {}", said.err);
        assert!(!place.has(STORE), "{text}");
        texts.push(place.masked(&said.err));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn verbs_of_verbs_have_defaults_of_their_own() {
    let place = Place::new();
    let ssh = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\necho \"$2\" >>asked\n\
               echo 'ssh: connect to host: Connection refused' >&2\nexit 255\n";
    place.write("ssh", ssh);
    std::fs::set_permissions(place.path("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.write(
        "flockwork.toml",
        "[all]\nssh = \"./nowhere\"\n[hosts]\nssh = \"./ssh\"\nnodes = \"n[1-3]\"\n[hosts.status]\nfanout = 1\n",
    );
    let said = place.run(&["hosts", "status"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(place.read("asked"), "n1\nn2\nn3\n");
    assert_eq!(
        said.err,
        "note: settings from flockwork.toml: ssh=./ssh nodes=n[1-3] fanout=1\n"
    );
    // One host that is typed is this one, and none of the file.
    let said = place.run(&["hosts", "status", "-n", "n7"]);
    assert_eq!(
        said.err,
        "note: settings from flockwork.toml: ssh=./ssh fanout=1\n"
    );
    assert_eq!(place.read("asked"), "n1\nn2\nn3\nn7\n");
}

#[test]
fn the_only_store_here_need_not_be_named() {
    let place = Place::new();
    place.ok(&["run", STORE, "--sweep", "a=1", "-w", "1", "--", "true"]);
    assert_eq!(place.json(&["status"])["tasks"], 1);
    place.ok(&["logs", "0"]);
    place.ok(&["submit", "t.flock", "--sweep", "a=1", "--", "true"]);
    let said = place.run(&["status"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("s.flock") && said.err.contains("t.flock"),
        "{}",
        said.err
    );
}

#[test]
fn every_verb_has_help_with_an_example_and_a_page() {
    let place = Place::new();
    let top = place.ok(&["--help"]).text();
    assert!(
        top.contains("Examples:\n  flockwork run ") && top.contains("Exit codes:"),
        "{top}"
    );
    for verb in VERBS {
        assert!(top.contains(&format!("\n  {verb} ")), "{verb} is in the list");
        for help in ["-h", "--help"] {
            let text = place.ok(&[verb, help]).text();
            assert!(
                text.contains(&format!("Examples:\n  flockwork {verb}")),
                "{verb} {help}: {text}"
            );
        }
        let page = place.ok(&["man", verb]).text();
        assert!(
            page.contains(".TH") && page.contains("Examples"),
            "{verb}: {page}"
        );
    }
    let page = place.ok(&["man"]).text();
    assert!(page.contains(".TH"), "{page}");
    assert_eq!(place.run(&["man", "nothing"]).code, 2);
    assert_eq!(place.run(&[]).code, 2);
    assert!(place.ok(&["--version"]).text().starts_with("flockwork "));
}

#[test]
fn shells_are_given_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.ok(&["completions", shell]).text();
        for word in ["flockwork", "collect", "partial"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        assert!(
            !text.contains("guard"),
            "{shell}: what is not for people is not offered"
        );
    }
    let said = place.run(&["completions", "csh"]);
    assert_eq!(said.code, 2, "{}", said.err);
}
