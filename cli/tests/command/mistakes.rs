//! What people get wrong: the text, the exit code, and nothing that was made.

use std::os::unix::fs::PermissionsExt;

use crate::place::{Place, STORE};

/// A place with tables and templates, good and bad.
fn place() -> Place {
    let place = Place::new();
    place.write("t.txt", "alpha|beta\n0.1|a\n0.2|b\n");
    place.write("few.txt", "alpha|beta\n0.1|a\n\n0.2\n");
    place.write("twice.csv", "alpha,beta,alpha\n1,2,3\n");
    place.write("noname.tsv", "alpha\t\n1\t2\n");
    place.write("nul.txt", b"alpha|beta\n0.1|a\n0.2|b\0c\n");
    place.write("norows.txt", "alpha|beta\n");
    place.write("empty.txt", "");
    place.write("open.csv", "alpha,beta\n1,\"a\n2,b\n");
    place.write("bad.jsonl", "{\"alpha\": 1}\n{\"alpha\": }\n");
    place.write("bad.j2", "x = {{ alpha }}\ny = {{ beta\n");
    place.write("other.j2", "x = {{ gamma }}\n");
    place.write("plain.sh", "#!/bin/sh\n");
    place
}

/// Runs each line with `run` and `submit`; both say the same, end with 2 and make nothing. Returns what they say.
#[track_caller]
fn told(place: &Place, lines: &[&[&str]]) -> String {
    let before = place.names();
    let mut texts = Vec::new();
    for line in lines {
        let said = ["run", "submit"].map(|verb| place.run(&[&[verb, STORE], *line].concat()));
        for said in &said {
            assert_eq!(
                (said.code, said.text().as_str()),
                (2, ""),
                "{line:?}: {}",
                said.err
            );
            assert_eq!(place.names(), before, "{line:?}");
        }
        assert_eq!(said[0].err, said[1].err, "{line:?}");
        texts.push(format!("$ {}\n{}", line.join(" "), place.placed(&said[0].err)));
    }
    texts.join("\n")
}

#[test]
fn a_table_that_makes_no_sense_is_told_with_its_line() {
    let place = place();
    let lines = [
        "few.txt",
        "twice.csv",
        "noname.tsv",
        "nul.txt",
        "norows.txt",
        "empty.txt",
        "open.csv",
        "bad.jsonl",
        "nowhere.txt",
        "/dev",
    ]
    .map(|table| ["--params", table, "--", "echo", "{alpha}"]);
    let lines: Vec<&[&str]> = lines.iter().map(|line| &line[..]).collect();
    insta::assert_snapshot!(told(&place, &lines));
}

#[test]
fn a_command_that_makes_no_sense_is_told_before_anything_is_made() {
    let place = place();
    let table = ["--params", "t.txt"];
    let lines: Vec<Vec<&str>> = [
        &["--", "echo", "{alhpa}"][..],
        &["--", "./nowhere.sh", "{alpha}"],
        &["--", "./plain.sh", "{alpha}"],
        &["--", "no-such-program-anywhere"],
        &["--"],
        &["--input", "deck=bad.j2", "--", "cat", "deck"],
        &["--input", "deck=other.j2", "--", "cat", "deck"],
        &["--input", "../deck=t.txt", "--", "cat", "deck"],
        &["--stdin", "{{ alpha", "--", "cat"],
        &["--result", "e=stdin", "--", "echo"],
        &["--result", "alpha=stdout", "--", "echo"],
        &["--result", "e=file:../x", "--", "echo"],
        &["--ok-if", "no-such-check {stdout}", "--", "echo"],
        &["--cwd", "nowhere", "--", "echo"],
        &["--env", "NOT_SET_ANYWHERE", "--", "echo"],
        &["--timeout", "soon", "--", "echo"],
        &["--output-limit", "much", "--", "echo"],
        &["--sweep", "alpha=1,2", "--", "echo"],
    ]
    .iter()
    .map(|line| [&table[..], line].concat())
    .collect();
    let lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
    insta::assert_snapshot!(told(&place, &lines));
}

#[test]
fn a_store_that_was_made_with_another_command_is_left_as_it_is() {
    let place = place();
    let line = [
        "run", STORE, "--params", "t.txt", "-w", "1", "--", "echo", "{alpha}",
    ];
    place.ok(&line);
    let before = place.ok(&["collect", STORE, "--as", "concat"]).text();
    let mut other = line;
    other[7] = "printf";
    for verb in ["run", "submit"] {
        other[0] = verb;
        let other: Vec<&str> = other
            .iter()
            .filter(|word| !["-w", "1"].contains(word))
            .copied()
            .collect();
        let said = place.run(&other);
        assert_eq!(said.code, 2, "{}", said.err);
        insta::assert_snapshot!("another_command", said.err);
    }
    assert_eq!(place.ok(&["collect", STORE, "--as", "concat"]).text(), before);
}

#[test]
fn results_that_cannot_be_written_are_told_before_the_run() {
    let place = place();
    place.write("file", "");
    let texts: Vec<String> = ["nowhere/r.csv", "file/r.csv", "."]
        .iter()
        .map(|output| {
            let said = place.run(&[
                "run", STORE, "--params", "t.txt", "-o", output, "--", "echo", "{alpha}",
            ]);
            assert_eq!(said.code, 2, "{}", said.err);
            assert!(!place.has(STORE), "{output}");
            place.placed(&said.err)
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
    // Of a store that is there, nothing is lost.
    place.ok(&[
        "run", STORE, "--params", "t.txt", "-w", "1", "--", "echo", "{alpha}",
    ]);
    let said = place.run(&["wait", STORE, "--collect", "nowhere/r.csv"]);
    assert_eq!(said.code, 2, "{}", said.err);
    let said = place.run(&["collect", STORE, "-o", "nowhere/r.csv"]);
    assert_eq!(said.code, 2, "{}", said.err);
    place.ok(&["collect", STORE, "-o", "r.csv"]);
    assert_eq!(place.read("r.csv").lines().count(), 3);
}

#[test]
fn what_is_no_store_is_not_taken_for_one() {
    let place = place();
    std::fs::create_dir(place.path("dir")).unwrap();
    place.write("dir/precious", "x");
    place.write("file.flock", "x");
    let mut texts = Vec::new();
    for (store, code) in [("dir", 4), ("file.flock", 4), ("no/such/s.flock", 1)] {
        let said = place.run(&["run", store, "--params", "t.txt", "--", "echo"]);
        texts.push(place.placed(&said.err));
        assert_eq!(said.code, code, "{store}: {}", said.err);
    }
    insta::assert_snapshot!(texts.join("\n"));
    assert_eq!(crate::place::names(&place.path("dir")), ["precious"]);
}

#[test]
fn a_directory_in_which_nothing_can_be_made_is_named() {
    let place = place();
    if rustix::process::geteuid().is_root() {
        eprintln!("not tried: root may write everywhere");
        return;
    }
    std::fs::create_dir(place.path("closed")).unwrap();
    std::fs::set_permissions(place.path("closed"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let said = place.run(&["run", "closed/s.flock", "--params", "t.txt", "--", "echo"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("closed/s.flock"), "{}", said.err);
}

#[test]
fn a_result_that_is_not_there_fails_the_task_and_says_so() {
    let place = place();
    let line = [
        "run",
        STORE,
        "--params",
        "t.txt",
        "-w",
        "1",
        "--retries",
        "0",
        "--result",
        "e=file:out.dat",
        "--result",
        "r=regex:x=(.*)",
        "--",
        "sh",
        "-c",
        "[ $FLOCKWORK_alpha = 0.2 ] && echo 1 > out.dat; true",
    ];
    let said = place.run(&line);
    assert_eq!(
        (said.code, said.counts().as_str()),
        (1, "2 tasks: 0 ok, 2 failed"),
        "{}",
        said.err
    );
    let mut fails: Vec<&str> = said
        .err
        .lines()
        .filter(|line| line.starts_with("FAIL "))
        .collect();
    // Which of them is begun first is a matter of chance.
    fails.sort_unstable();
    insta::assert_snapshot!(place.masked(&fails.join("\n")));
}

#[test]
fn a_verb_or_a_flag_that_is_mistyped_is_answered_with_the_right_one() {
    let place = place();
    for (line, right) in [
        (&["statsu", STORE][..], "status"),
        (&["run", STORE, "--parms", "t.txt", "--", "echo"], "--params"),
        (&["ls", STORE, "-s", "faild"], "failed"),
    ] {
        let said = place.run(line);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains(right), "{}", said.err);
    }
    place.ok(&["submit", STORE, "--params", "t.txt", "--", "echo", "{alpha}"]);
    let mut texts = Vec::new();
    for line in [
        &["ls", STORE, "-m", "alhpa=1"][..],
        &["retry", STORE, "-m", "nothing"],
        &["show", STORE, "99"],
        &["logs", STORE, "0"],
        &["show", STORE, "x"],
        &["retry", STORE, "--set", "timeout=soon"],
        &["collect", STORE, "--follow"],
    ] {
        let said = place.run(line);
        assert_ne!(said.code, 0, "{line:?}");
        texts.push(format!(
            "$ {} -> {}\n{}",
            line.join(" "),
            said.code,
            place.placed(&said.err)
        ));
    }
    insta::assert_snapshot!(texts.join("\n"));
}
