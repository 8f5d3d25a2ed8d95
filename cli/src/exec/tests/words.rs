//! What commands are given: words, variables, files, directories.

use super::*;

const HOSTILE: &[&[u8]] = &[
    b"; rm -rf /",
    b"$(touch pwned)`touch pwned`",
    b"'\"\\",
    b"two\nlines\r\n",
    b"-rf",
    b"\xff\xfe not UTF-8",
    b"",
    b"{b} {{ }} ../..",
    b"* ? ~ \x1b[2J",
];

#[test]
fn hostile_values_arrive_unchanged() {
    for value in HOSTILE {
        let words = ["printf", "%s\\0", "{a}", "x{a}y", "{b}"];
        let report = Try::of(&words).column("a", *value).column("b", "plain").ok();
        let expected = [*value, b"\0x", *value, b"y\0plain\0"].concat();
        assert_eq!(Bytes(report.stdout.head.0), Bytes(expected));
        let variables = Try::sh("printf '%s' \"$FLOCKWORK_a\"; ls")
            .column("a", *value)
            .ok();
        assert_eq!(variables.stdout.head, Bytes(value.to_vec()));
    }
}

#[test]
fn a_zero_byte_cannot_be_passed_on() {
    let (message, retry) = Try::of(&["echo", "{a}"]).column("a", *b"x\0y").fails();
    assert_eq!(
        (message.as_str(), retry),
        ("cannot start echo: a value has a zero byte", false)
    );
}

#[test]
fn variables_tell_the_task() {
    let mut attempt = Try::of(&["env", "-0"])
        .column("learning rate", "0.1")
        .column("TASK", "not this")
        .column("GUARD", "nor this")
        .with(|sweep| {
            sweep.env.insert("OMP_NUM_THREADS".to_owned(), "2".to_owned());
        });
    attempt.tokens = Some("outer:token".to_owned());
    let report = attempt.ok();
    let has = |variable: &str| {
        report
            .stdout
            .head
            .0
            .split(|byte| *byte == 0)
            .any(|it| it == variable.as_bytes())
    };
    let root = attempt.root.path().display();
    for variable in [
        "FLOCKWORK_learning_rate=0.1",
        "FLOCKWORK_TASK=0000007",
        "FLOCKWORK_ATTEMPT=2",
        "FLOCKWORK_WORKER=host-1-abc",
        "FLOCKWORK_GUARD=outer:token",
        "OMP_NUM_THREADS=2",
        &format!("FLOCKWORK_HERE={root}"),
        &format!("FLOCKWORK_DIR={root}/scratch"),
        &format!("FLOCKWORK_CHECKPOINT={root}/checkpoint"),
        &format!("PATH={}", std::env::var("PATH").unwrap()),
    ] {
        assert!(
            has(variable),
            "{variable} is not in {}",
            report.stdout.head.text()
        );
    }
}

#[test]
fn variables_of_an_outer_task_are_not_handed_on() {
    let attempt = Try::of(&["/usr/bin/env"]).with(|sweep| sweep.cwd = Some("/".into()));
    let outer = ["TASK", "DIR", "GUARD", "CHECKPOINT"].map(|name| (format!("FLOCKWORK_{name}"), "outer"));
    let outer = outer.map(|(name, value)| (name.into(), value.into())).to_vec();
    let place = Place::with(&attempt.sweep, None, outer);
    let Ended::Ok(report) = attempt.run_in(&place) else {
        panic!("it is ok");
    };
    let text = report.stdout.head.text();
    assert!(
        text.contains("FLOCKWORK_TASK=0000007\n") && !text.contains("outer"),
        "{text}"
    );
    assert!(!text.contains("FLOCKWORK_DIR"), "{text}");
}

#[test]
fn the_directory_is_made_for_those_who_look() {
    let elsewhere = |attempt: Try| attempt.with(|sweep| sweep.cwd = Some("/".into()));
    let made = |attempt: Try| {
        attempt.ok();
        attempt.made.get()
    };
    assert_eq!(made(Try::sh("test $PWD = $FLOCKWORK_DIR")), 1);
    assert_eq!(
        made(elsewhere(Try::sh("test $PWD = / && test -z \"$FLOCKWORK_DIR\""))),
        0
    );
    assert_eq!(made(elsewhere(Try::sh("test -d {dir}"))), 1);
    let file = elsewhere(Try::sh("echo 1 >$FLOCKWORK_DIR/f"));
    assert_eq!(made(file.result("f", Source::File("f".to_owned()))), 1);
    assert_eq!(
        made(elsewhere(Try::sh("true")).ok_if(&["test", "-d", "{dir}"])),
        1
    );
    assert_eq!(
        made(elsewhere(Try::sh("echo x")).ok_if(&["test", "-s", "{stdout}"])),
        1
    );
}

#[test]
fn programs_are_meant_from_where_the_sweep_was_submitted() {
    use std::os::unix::fs::PermissionsExt;

    let attempt = Try::of(&["./bin/own", "a b"]).with(|sweep| {
        sweep
            .env
            .insert("PATH".to_owned(), "bin:/usr/bin:/bin".to_owned());
    });
    let bin = attempt.root.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("own"), "#!/bin/sh\necho \"$1\"\n").unwrap();
    std::fs::set_permissions(bin.join("own"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(attempt.ok().stdout.head.text(), "a b\n");
    std::fs::remove_dir(attempt.root.path().join("scratch")).unwrap();
    // The same by its name, found on the path that the sweep has.
    let attempt = attempt.with(|sweep| sweep.command[0] = "own".to_owned());
    assert_eq!(attempt.ok().stdout.head.text(), "a b\n");
    assert_eq!(Try::of(&["sh", "-c", "echo $0"]).ok().stdout.head.text(), "sh\n");
}

#[test]
fn input_files_are_there_before_it_begins() {
    let input = |name: &str, template: &str| InputFile {
        name: name.to_owned(),
        template: template.to_owned(),
    };
    let attempt = Try::sh("cat deck.dat sub/other").with(|sweep| {
        sweep.inputs = vec![
            input("deck.dat", "ham and {{ x }}\n"),
            input("sub/other", "more\n"),
        ];
    });
    assert_eq!(attempt.ok().stdout.head.text(), "ham and eggs\nmore\n");
    let bad = Try::sh("true").with(|sweep| sweep.inputs = vec![input("deck.dat", "bad")]);
    let text = "cannot make the input deck.dat: line 1: no such parameter";
    assert_eq!(bad.fails(), (text.to_owned(), false));
    let outside = Try::sh("true").with(|sweep| sweep.inputs = vec![input("../deck.dat", "x")]);
    assert!(!outside.fails().1);
    assert!(!outside.root.path().join("deck.dat").exists());
}
