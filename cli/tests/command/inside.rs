//! What a command is given, where it runs, and what becomes of its output.

use std::os::unix::fs::PermissionsExt;

use crate::place::{Place, SOON, STORE, Said, names};

impl Place {
    /// Runs a sweep over `a` with one worker: flags, then the words of the command.
    fn sweep(&self, values: &str, flags: &[&str], command: &[&str]) -> Said {
        let sweep = format!("a={values}");
        let line = ["run", STORE, "--sweep", &sweep, "-w", "1"];
        self.run(&[&line[..], &SOON, flags, &["--"], command].concat())
    }

    fn concat(&self) -> Said {
        self.run(&["collect", STORE, "--as", "concat"])
    }
}

#[test]
fn of_a_long_output_the_head_and_the_tail_are_kept_and_it_is_said() {
    let place = Place::new();
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
    let said = place.sweep("1,2", &["--output-limit", "200"], &["sh", "-c", script]);
    assert_eq!(said.code, 0, "{}", said.err);
    let said = place.concat();
    assert_eq!(said.code, 1, "what is not whole is not ok: {}", said.err);
    insta::assert_snapshot!("cut", said.err);
    let text = said.text();
    assert!(
        text.starts_with("line 0\nline 1\n") && text.ends_with("line 1999\n"),
        "{text}"
    );
    assert_eq!(text.len(), 2 * 200);
    // Whoever reads the log sees that something is missing.
    let log = place.ok(&["logs", STORE, "0"]);
    assert_eq!(
        (log.text().len(), log.err.as_str()),
        (200, "(18,690 bytes of stdout were left out here)\n")
    );
}

#[test]
fn another_command_may_refuse_what_ended_with_0() {
    let place = Place::new();
    let script = "[ $1 = 2 ] && echo trouble || echo energy=$1";
    let flags = ["--retries", "0", "--ok-if", "grep -q ^energy= {stdout}"];
    let said = place.sweep("1,2,3", &flags, &["sh", "-c", script, "sh", "{a}"]);
    assert_eq!(
        (said.code, said.counts().as_str()),
        (1, "3 tasks: 2 ok, 1 failed"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("not accepted: --ok-if ended with 1"),
        "{}",
        said.err
    );
    assert_eq!(place.concat().text(), "energy=1\nenergy=3\n");
    assert_eq!(place.ok(&["logs", STORE, "1"]).text(), "trouble\n");
}

#[test]
fn what_a_command_reads_is_filled_from_a_template() {
    let place = Place::new();
    place.write(
        "in.j2",
        "a is {{ a }}\n{% if a > 1 %}more\n{% endif %}task {{ task }} number {{ number }}\n",
    );
    for flags in [&["--stdin", "@in.j2"][..], &["--input", "deck.txt=in.j2"]] {
        let place = &place;
        let store = format!("{}.flock", flags[0].trim_start_matches('-'));
        let command: &[&str] = if flags[0] == "--stdin" {
            &["cat"]
        } else {
            &["cat", "deck.txt"]
        };
        let line = [
            "run",
            &store,
            "--sweep",
            "a=1,2",
            "-w",
            "1",
            "--result",
            "all=stdout",
        ];
        place.ok(&[&line[..], flags, &["--"], command].concat());
        let said = place.ok(&["collect", &store, "--as", "concat"]);
        assert_eq!(
            said.text(),
            "a is 1\ntask 0000000 number 1\na is 2\nmore\ntask 0000001 number 2\n"
        );
    }
    // Without --stdin there is nothing to read.
    assert_eq!(place.sweep("1", &[], &["cat"]).code, 0);
    assert_eq!(place.concat().text(), "");
}

#[test]
fn the_next_attempt_finds_what_the_last_has_left_at_its_checkpoint() {
    let place = Place::new();
    let script = "n=$(cat $FLOCKWORK_CHECKPOINT 2>/dev/null || echo 0); n=$((n + 1)); echo $n > $FLOCKWORK_CHECKPOINT; \
                  echo $FLOCKWORK_a$n; [ $n = 3 ]";
    let said = place.sweep("7,8", &["--retries", "2"], &["sh", "-c", script]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(place.concat().text(), "73\n83\n");
}

#[test]
fn a_command_is_given_variables_and_nothing_that_was_not_asked_for() {
    let place = Place::new();
    place.write("t.txt", "a|b-c.d\nx|y z\n");
    let mut submit = place.command(&[
        "submit",
        STORE,
        "--params",
        "t.txt",
        "--env",
        "ASKED",
        "--result",
        "all=stdout",
        "--",
        "sh",
        "-c",
        "env | sort; pwd",
    ]);
    submit.env("ASKED", "for this").env("NOT_ASKED", "secret");
    assert_eq!(crate::place::Running::start(submit).end().code, 0);
    let mut worker = place.command(&["worker", STORE]);
    worker
        .env("ASKED", "something else")
        .env("OF_THE_WORKER", "1")
        .env("FLOCKWORK_TASK", "wrong");
    assert_eq!(crate::place::Running::start(worker).end().code, 0);
    let text = place.concat().text();
    let has = |line: &str| text.lines().any(|it| it == line);
    for line in [
        "ASKED=for this",
        "OF_THE_WORKER=1",
        "FLOCKWORK_a=x",
        "FLOCKWORK_b_c_d=y z",
        "FLOCKWORK_TASK=0000000",
        "FLOCKWORK_ATTEMPT=1",
    ] {
        assert!(has(line), "{line}: {text}");
    }
    let value = |name: &str| {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("no {name}: {text}")).to_owned()
    };
    assert!(!text.contains("NOT_ASKED"), "{text}");
    let here = std::fs::canonicalize(place.path("")).unwrap();
    assert_eq!(std::fs::canonicalize(value("FLOCKWORK_HERE")).unwrap(), here);
    assert!(has(&value("FLOCKWORK_DIR")), "it runs in its directory: {text}");
    assert!(value("FLOCKWORK_CHECKPOINT").starts_with('/'), "{text}");
}

#[test]
fn an_attempt_has_a_directory_that_is_private_and_goes_away() {
    let place = Place::new();
    std::fs::create_dir(place.path("fast")).unwrap();
    for flags in [&[][..], &["--scratch", "fast"]] {
        let _ = std::fs::remove_dir_all(place.path(STORE));
        let script = "ls -A | wc -l | tr -d ' '; ls -ld . | cut -c1-10; mkdir -p a/b; echo x > a/b/c; pwd";
        let said = place.sweep(
            "1..3",
            &[&["--result", "all=stdout"], flags].concat(),
            &["sh", "-c", script],
        );
        assert_eq!(said.code, 0, "{}", said.err);
        let text = place.concat().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 9, "{text}");
        let mut dirs = Vec::new();
        for lines in lines.chunks(3) {
            // What is in the store is as private as the store.
            let outer = std::fs::metadata(place.path(STORE)).unwrap().permissions().mode() & 0o777;
            assert_eq!((lines[0], outer), ("0", 0o700), "{text}");
            assert!(flags.is_empty() || lines[1] == "drwx------", "{text}");
            assert_eq!(lines[2].contains("/fast/"), !flags.is_empty(), "{text}");
            assert!(
                !std::path::Path::new(lines[2]).exists(),
                "{} is still there",
                lines[2]
            );
            dirs.push(lines[2]);
        }
        dirs.sort_unstable();
        dirs.dedup();
        assert_eq!(dirs.len(), 3, "each has its own: {text}");
        assert!(
            names(&place.path("fast")).is_empty(),
            "{:?}",
            names(&place.path("fast"))
        );
    }
}

#[test]
fn all_tasks_can_run_in_one_directory() {
    let place = Place::new();
    std::fs::create_dir(place.path("work")).unwrap();
    place.write_program("work/tool.sh", "#!/bin/sh\necho $1 > out.$1\n");
    let said = place.sweep("1..3", &["--cwd", "work"], &["./work/tool.sh", "{a}"]);
    assert_eq!(said.code, 2, "it is meant from there: {}", said.err);
    let said = place.sweep("1..3", &["--cwd", "work"], &["./tool.sh", "{a}"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(names(&place.path("work")), ["out.1", "out.2", "out.3", "tool.sh"]);
}

#[test]
fn results_come_from_files_texts_and_the_last_line() {
    let place = Place::new();
    let script = "echo 'step 1: x=1'; echo 'step 2: x=2'; echo note >&2; echo 42 > out.dat; echo '{\"e\": -1.50, \"n\": \"a\"}'";
    let flags = [
        "--result",
        "e=json",
        "--result",
        "x=regex:x=([0-9]+)",
        "--result",
        "f=file:out.dat",
        "--result",
        "w=stderr",
    ];
    assert_eq!(place.sweep("1", &flags, &["sh", "-c", script]).code, 0);
    let table = place.ok(&["collect", STORE]).text();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("task,a,e,x,f,w,host,seconds,attempt"));
    assert!(
        lines.next().unwrap().starts_with("0000000,1,-1.50,2,42,note,"),
        "{table}"
    );
    let blocks = place.ok(&["collect", STORE, "--as", "blocks"]).text();
    assert_eq!(blocks, "# task 0000000 a=1\n-1.50\n2\n42\nnote\n");
    // Without --result the program names them itself.
    let place = Place::new();
    assert_eq!(
        place
            .sweep(
                "1,2",
                &[],
                &["sh", "-c", "echo talk; echo energy=-$1 steps=7", "sh", "{a}"]
            )
            .code,
        0
    );
    let table = place.ok(&["collect", STORE]).text();
    assert!(table.starts_with("task,a,energy,steps,host,"), "{table}");
    assert!(table.contains("\n0000001,2,-2,7,"), "{table}");
}

#[test]
fn what_is_followed_is_written_as_it_ends() {
    let place = Place::new();
    let script = "until [ -e $FLOCKWORK_HERE/go.$FLOCKWORK_a ]; do sleep 0.02; done; echo $FLOCKWORK_a";
    place.ok(&[
        "submit", STORE, "--sweep", "a=1,2", "--result", "r=stdout", "--", "sh", "-c", script,
    ]);
    let worker = place.start(&["worker", STORE, "--slots", "2", "--poll", "5ms..50ms"]);
    let follow = place.start(&["collect", STORE, "--follow", "--as", "jsonl"]);
    let log = place.start(&["logs", "-f", STORE, "1"]);
    place.write("go.1", "");
    place.wait_for("ok", 1);
    place.write("go.2", "");
    let said = follow.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.text().lines().count(), 2, "{}", said.text());
    let said = log.end();
    assert_eq!((said.code, said.text().as_str()), (0, "2\n"), "{}", said.err);
    assert_eq!(worker.end().code, 0);
}
