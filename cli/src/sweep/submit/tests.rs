//! Tests of submitting: what is added, what is changed, and each error as people see it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::sweep::spec::Timeout;

/// A directory with files, and a store in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("s.flock")).unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Place(dir)
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("s.flock")
    }

    fn asked(&self, command: &[&str]) -> Submission {
        let sweeps = vec!["alpha=0.1,0.2".into(), "beta=1..2".into()];
        Submission {
            table: TableSpec {
                sweeps,
                ..TableSpec::default()
            },
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            shell: false,
            here: self.0.path().to_owned(),
            cwd: None,
            env: Vec::new(),
            inputs: Vec::new(),
            stdin: None,
            results: Vec::new(),
            ok_if: None,
            limits: Limits {
                timeout: None,
                grace: Duration::from_secs(10),
                output: 1 << 20,
                cpus: 1,
                memory: None,
                retry_on: Vec::new(),
                no_retry_on: Vec::new(),
                max_failures: None,
                batch: 1,
            },
        }
    }

    fn with_table(&self, table: &str, command: &[&str]) -> Submission {
        fs::write(self.0.path().join("t.txt"), table).unwrap();
        let table = TableSpec {
            params: Some("t.txt".into()),
            ..TableSpec::default()
        };
        Submission {
            table,
            ..self.asked(command)
        }
    }

    /// Replaces the place's own name, which is another each time.
    fn shown(&self, text: &str) -> String {
        text.replace(&*self.0.path().to_string_lossy(), "HERE")
    }

    fn refused(&self, submission: Submission) -> String {
        let result = submission
            .prepare()
            .and_then(|prepared| prepared.submit(Some(&self.store())));
        self.shown(
            &result
                .map(|submitted| submitted.first)
                .expect_err("it is refused")
                .text(),
        )
    }
}

fn submit(submission: Submission, store: &Path) -> Submitted {
    submission
        .prepare()
        .and_then(|prepared| prepared.submit(Some(store)))
        .map_err(|failed| failed.text())
        .unwrap()
}

#[test]
fn a_sweep_and_its_rows_are_stored() {
    let place = Place::new(&[("deck.j2", "a = {{ alpha * 2 }}\n")]);
    let asked = Submission {
        env: vec!["PATH".into(), "MODE=a=b {alpha}".into()],
        inputs: vec!["in/deck.dat=deck.j2".into()],
        stdin: Some("{{ beta }}".into()),
        results: vec!["energy=regex:e=(.*)".into()],
        ok_if: Some("grep -q 'a b' {stdout}".into()),
        ..place.asked(&["echo", "--alpha={alpha}", "{beta}"])
    };
    let submitted = submit(asked, &place.store());
    assert_eq!((submitted.added, submitted.known, submitted.total), (4, 0, 4));
    assert_eq!(
        submitted.first,
        ["echo --alpha=0.1 1", "echo --alpha=0.1 2", "echo --alpha=0.2 1"]
    );
    assert_eq!(
        (
            submitted.source.as_str(),
            submitted.unused.len(),
            submitted.notes.len()
        ),
        ("--sweep", 0, 0)
    );
    let sweep = Sweep::load(&place.store()).unwrap().unwrap();
    assert_eq!(sweep, submitted.sweep);
    assert_eq!(sweep.env["MODE"], "a=b {alpha}");
    assert_eq!(sweep.ok_if.as_ref().unwrap(), &["grep", "-q", "a b", "{stdout}"]);
    assert_eq!(sweep.stdin.as_deref(), Some("{{ beta }}\n"));
    assert_eq!(sweep.inputs[0].template, "a = {{ alpha * 2 }}\n");
    let last = Rows::open(&place.store()).get(3).unwrap().unwrap();
    assert_eq!(last.values, [Bytes::from("0.2"), Bytes::from("2")]);
}

#[test]
fn the_same_again_adds_nothing_and_more_rows_add_only_those() {
    let place = Place::new(&[]);
    let command = ["echo", "{#}", "{x}"];
    let first = submit(place.with_table("x\n1\n1\n2\n", &command), &place.store());
    assert_eq!((first.added, first.known, first.total), (3, 0, 3));
    let again = submit(place.with_table("x\n1\n1\n2\n", &command), &place.store());
    assert_eq!((again.added, again.known, again.total), (0, 3, 3));
    assert_eq!(again.first, ["echo 1 1", "echo 2 1", "echo 3 2"]);
    let more = submit(place.with_table("x\n1\n1\n2\n3\n1\n", &command), &place.store());
    assert_eq!((more.added, more.known, more.total), (2, 3, 5));
    assert_eq!(
        more.first,
        ["echo 4 3", "echo 5 1"],
        "the new ones, with their numbers"
    );
}

#[test]
fn without_a_store_nothing_is_written() {
    let place = Place::new(&[]);
    let submitted = place
        .asked(&["echo", "{alpha}"])
        .prepare()
        .unwrap()
        .submit(None)
        .unwrap();
    assert_eq!((submitted.added, submitted.total), (4, 4));
    assert_eq!(submitted.unused, ["beta"]);
    assert_eq!(fs::read_dir(place.store()).unwrap().count(), 0);
}

#[test]
fn a_bad_row_leaves_no_trace() {
    let place = Place::new(&[]);
    let text = place.refused(place.with_table("x|y\n1|2\n1\n", &["echo"]));
    assert_eq!(
        text,
        "error: t.txt line 3: 1 cell, but the headline has 2 (x|y)\n\
         hint: give each row a cell for each name; a cell may be empty"
    );
    assert_eq!(Sweep::load(&place.store()).unwrap(), None);
    assert_eq!(fs::read_dir(folder(&place.store())).unwrap().count(), 0);
}

#[test]
fn another_sweep_in_the_same_store_is_refused() {
    let place = Place::new(&[("in.j2", "x")]);
    let command = ["echo", "{alpha}", "{here}"];
    submit(place.asked(&command), &place.store());
    let elsewhere = place.0.path().join("data");
    let texts = [
        place.refused(place.asked(&["echo", "-n", "{alpha}"])),
        place.refused(Submission {
            shell: true,
            ..place.asked(&command)
        }),
        place.refused(place.with_table("alpha|gamma\n1|2\n", &command)),
        place.refused(Submission {
            cwd: Some(".".into()),
            ..place.asked(&command)
        }),
        place.refused(Submission {
            here: elsewhere,
            ..place.asked(&command)
        }),
        place.refused(Submission {
            env: vec!["A=1".into()],
            ..place.asked(&command)
        }),
        place.refused(Submission {
            inputs: vec!["a.dat=in.j2".into()],
            ..place.asked(&command)
        }),
        place.refused(Submission {
            stdin: Some("{{ beta }}".into()),
            ..place.asked(&command)
        }),
        place.refused(Submission {
            results: vec!["e=stdout".into()],
            ..place.asked(&command)
        }),
        place.refused(Submission {
            ok_if: Some("grep x {stdout}".into()),
            ..place.asked(&command)
        }),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
    assert_eq!(Rows::open(&place.store()).total().unwrap(), 4);
}

#[test]
fn new_limits_replace_the_old_and_say_so() {
    let place = Place::new(&[]);
    let asked = || place.asked(&["echo", "{alpha}", "{beta}"]);
    submit(asked(), &place.store());
    let mut other = asked();
    other.limits.timeout = Some(Timeout::TimesMedian(20.0));
    other.limits.retry_on = vec![1, 3];
    let submitted = submit(other.clone(), &place.store());
    assert_eq!(
        submitted.notes,
        [
            "--timeout was none and is now 20x",
            "--retry-on was all and is now 1,3",
            "workers that are running keep the old limits"
        ]
    );
    assert_eq!(submitted.added, 0);
    assert_eq!(Sweep::load(&place.store()).unwrap().unwrap().limits, other.limits);
    assert!(submit(other, &place.store()).notes.is_empty());
}

#[test]
fn words_that_name_files_here_become_absolute() {
    let place = Place::new(&[("sim.sh", "#!/bin/sh\n"), ("a{b}.dat", ""), ("true", "")]);
    let asked = Submission {
        ok_if: Some("./sim.sh {stderr}".into()),
        ..place.asked(&[
            "./sim.sh",
            "a{{b}}.dat",
            "data",
            "-v",
            "none.txt",
            "{alpha}{beta}",
            ">",
        ])
    };
    let submitted = submit(asked.clone(), &place.store());
    let here = place.0.path().to_string_lossy().into_owned();
    let command = [
        &format!("{here}/sim.sh"),
        &format!("{here}/a{{{{b}}}}.dat"),
        "data",
        "-v",
        "none.txt",
    ];
    assert_eq!(submitted.sweep.command[..5], command);
    assert_eq!(submitted.sweep.ok_if.unwrap()[0], format!("{here}/sim.sh"));
    assert_eq!(
        place.shown(&submitted.first[0]),
        "HERE/sim.sh HERE/a{b}.dat data -v none.txt 0.11 '>'"
    );
    let notes: Vec<String> = submitted.notes.iter().map(|note| place.shown(note)).collect();
    insta::assert_snapshot!(notes.join("\n"));
    let again = submit(asked, &place.store());
    assert_eq!(again.added, 0, "what it became is what is compared");
    let in_path = place.asked(&["true", "true"]).prepare().unwrap().sweep.command;
    assert_eq!(
        in_path,
        ["true".to_owned(), format!("{here}/true")],
        "PATH goes before a file here"
    );
}

#[test]
fn with_a_directory_for_all_words_stay_as_they_are() {
    let place = Place::new(&[("sim.sh", "#!/bin/sh\n"), ("a.dat", "")]);
    let asked = Submission {
        cwd: Some(".".into()),
        ..place.asked(&["./sim.sh", "a.dat", "{alpha}", "{beta}"])
    };
    let submitted = submit(asked, &place.store());
    assert_eq!(submitted.sweep.command[..2], ["./sim.sh", "a.dat"]);
    assert_eq!(submitted.sweep.cwd.unwrap(), place.0.path());
    assert!(submitted.notes.is_empty());
}

#[test]
fn a_command_for_a_shell_is_not_looked_up() {
    let place = Place::new(&[("a.dat", "")]);
    let asked = Submission {
        shell: true,
        ..place.asked(&["cd /tmp && cat a.dat | grep {alpha}", ">out.{beta}"])
    };
    let submitted = submit(asked, &place.store());
    assert_eq!(submitted.first[0], "cd /tmp && cat a.dat | grep '0.1' >out.'1'");
    assert_eq!(
        submitted.notes,
        ["a.dat is a file here, but tasks run in directories of their own: {here}/a.dat, or --cwd ."]
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let place = Place::new(&[
        ("plain.txt", "x"),
        ("x.dat", ""),
        ("bad.j2", "a\n{{ alpha }\n"),
        ("raw.j2", ""),
    ]);
    fs::write(place.0.path().join("raw.j2"), b"a\n\xff").unwrap();
    let echo = || place.asked(&["echo", "{alpha}"]);
    let with = |change: &dyn Fn(&mut Submission)| {
        let mut asked = echo();
        change(&mut asked);
        place.refused(asked)
    };
    let texts = [
        place.refused(place.asked(&[])),
        place.refused(place.asked(&[""])),
        place.refused(place.asked(&["./nowhere/sim"])),
        place.refused(place.asked(&["./plain.txt"])),
        place.refused(place.asked(&["./data"])),
        place.refused(place.asked(&["no-such-program"])),
        place.refused(place.asked(&["plain.txt"])),
        place.refused(place.asked(&["echo hello {alpha}"])),
        place.refused(place.asked(&["echo", "{alhpa}"])),
        place.refused(place.asked(&["echo", "{stdout}"])),
        place.refused(place.with_table("file\nx.dat\n", &["cat", "{file}"])),
        place.refused(place.with_table("file\n", &["cat", "{file}"])),
        with(&|asked| asked.cwd = Some("nowhere".into())),
        with(&|asked| asked.cwd = Some("x.dat".into())),
        with(&|asked| asked.env = vec!["FLOCKWORK_NOT_SET".into()]),
        with(&|asked| asked.env = vec!["=1".into()]),
        with(&|asked| asked.env = vec!["A=1".into(), "A=2".into()]),
        with(&|asked| asked.inputs = vec!["x".into()]),
        with(&|asked| asked.inputs = vec!["../x=bad.j2".into()]),
        with(&|asked| asked.inputs = vec!["/x=bad.j2".into()]),
        with(&|asked| asked.inputs = vec!["=bad.j2".into()]),
        with(&|asked| asked.inputs = vec!["x=nowhere.j2".into()]),
        with(&|asked| asked.inputs = vec!["x=raw.j2".into()]),
        with(&|asked| asked.inputs = vec!["x=plain.txt".into(), "x=plain.txt".into()]),
        with(&|asked| asked.inputs = vec!["x=bad.j2".into()]),
        with(&|asked| asked.stdin = Some("{{ gamma }}".into())),
        with(&|asked| asked.stdin = Some("@nowhere".into())),
        with(&|asked| asked.results = vec!["alpha=stdout".into()]),
        with(&|asked| asked.results = vec!["e=stdout".into(), "e=json".into()]),
        with(&|asked| asked.results = vec!["e=regex:(".into()]),
        with(&|asked| asked.ok_if = Some("grep 'x".into())),
        with(&|asked| asked.ok_if = Some("no-such-check {stdout}".into())),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
    assert_eq!(fs::read_dir(place.store()).unwrap().count(), 0);
}

#[test]
fn a_template_in_the_form_of_a_pattern_is_noted() {
    let place = Place::new(&[]);
    let asked = Submission {
        stdin: Some("{alpha} {{beta}}".into()),
        ..place.asked(&["cat"])
    };
    let prepared = asked.prepare().unwrap();
    assert_eq!(prepared.unused, ["alpha"]);
    assert_eq!(
        prepared.notes,
        ["--stdin has {alpha}; templates are filled where {{ alpha }} stands"]
    );
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let place = Place::new(&[]);
    let missing = place.0.path().join("none.flock");
    let failed = place
        .asked(&["true"])
        .prepare()
        .unwrap()
        .submit(Some(&missing))
        .unwrap_err();
    assert_eq!(failed.code(), BAD_STORE);
    assert!(!missing.exists());
}

#[test]
fn a_damaged_or_newer_sweep_is_refused() {
    let place = Place::new(&[]);
    submit(place.asked(&["true"]), &place.store());
    let path = folder(&place.store()).join("sweep.json");
    let text = fs::read_to_string(&path).unwrap();
    for (content, expected) in [
        (
            text.replace("flockwork.sweep/1", "flockwork.sweep/2"),
            "is flockwork.sweep/2; this program reads",
        ),
        (text[..text.len() / 2].to_owned(), "is damaged: "),
        (
            text.replace("\"limits\"", "\"limit\""),
            "is damaged: missing field `limits`",
        ),
        (String::new(), "is damaged: "),
    ] {
        fs::write(&path, content).unwrap();
        let failed = Sweep::load(&place.store()).unwrap_err();
        assert!(
            failed.code() == BAD_STORE && failed.text().contains(expected),
            "{}",
            failed.text()
        );
    }
    fs::write(&path, text.replace("\"limits\"", "\"more\": [1], \"limits\"")).unwrap();
    assert!(
        Sweep::load(&place.store()).unwrap().is_some(),
        "members of a later version do no harm"
    );
}

#[test]
fn submissions_at_once_agree() {
    let place = Place::new(&[]);
    let sums: Vec<u64> = std::thread::scope(|scope| {
        let one = |number: u64| {
            let mut asked = place.asked(&["echo", "{alpha}", "{beta}"]);
            asked.table.sweeps = vec![format!("alpha=0,{number}").into(), "beta=1..100".into()];
            let store = place.store();
            scope.spawn(move || submit(asked, &store).added)
        };
        let threads: Vec<_> = (1..=4).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        sums.iter().sum::<u64>(),
        500,
        "the rows that all share are there once"
    );
    let rows = Rows::open(&place.store());
    let all: BTreeSet<Vec<Bytes>> = rows
        .iter_from(0)
        .unwrap()
        .map(|row| row.unwrap().values)
        .collect();
    assert_eq!((rows.total().unwrap(), all.len()), (500, 500));
}
