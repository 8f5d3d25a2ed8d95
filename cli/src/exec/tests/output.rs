//! What commands write and read: streams, limits, results, judges.

use super::*;

#[test]
fn bytes_come_as_they_were_written() {
    let report = Try::sh(r"printf 'a\000\377\n\n'; printf 'b\200' >&2").ok();
    assert_eq!(report.stdout.head.0, b"a\0\xff\n\n");
    assert_eq!(report.stderr.head.0, b"b\x80");
    assert_eq!(
        report.results,
        [("stdout".to_owned(), Bytes::from(*b"a\0\xff\n"))]
    );
}

#[test]
fn of_much_output_head_and_tail_are_kept() {
    let script = "echo first; head -c 50000000 /dev/zero; echo; echo last; echo fine >&2";
    let report = Try::sh(script).limits(|limits| limits.output = 1_000).ok();
    assert_eq!(report.stdout.total, 50_000_012);
    assert_eq!(report.stdout.omitted(), 50_000_012 - 1_000);
    assert!(report.stdout.head.0.starts_with(b"first\n\0"));
    assert!(report.stdout.tail.0.ends_with(b"\0\nlast\n"));
    assert_eq!(report.stderr.head.text(), "fine\n");
    // Nothing was asked for, and a part of stdout would be a wrong value.
    assert_eq!(report.results, []);
}

#[test]
fn both_streams_at_once_do_not_block_each_other() {
    let script = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait";
    let report = Try::sh(script).ok();
    assert_eq!((report.stdout.total, report.stderr.total), (3_000_000, 3_000_000));
}

#[test]
fn much_input_is_read_and_need_not_be() {
    let input = "0123456789".repeat(1_000_000);
    let counts = Try::of(&["cat"]).with(|sweep| sweep.stdin = Some(input.clone()));
    let report = counts.limits(|limits| limits.output = 20 << 20).ok();
    assert!(
        report.stdout.head.0 == input.as_bytes(),
        "{} bytes",
        report.stdout.total
    );
    for program in [
        &["true"][..],
        &["/bin/sh", "-c", "exec <&-; sleep 0.1"],
        &["sleep", "0.1"],
    ] {
        Try::of(program)
            .with(|sweep| sweep.stdin = Some(input.clone()))
            .ok();
    }
    assert_eq!(Try::of(&["cat"]).ok().stdout.total, 0);
}

#[test]
fn one_that_reads_slowly_is_fed_as_it_goes() {
    let script = "sleep 0.2; head -c 200000 | wc -c; echo talk >&2; cat | wc -c";
    let attempt = Try::sh(script).with(|sweep| sweep.stdin = Some("x".repeat(500_000)));
    let report = attempt.ok();
    let counts: Vec<u64> = report
        .stdout
        .head
        .text()
        .lines()
        .map(|it| it.trim().parse().unwrap())
        .collect();
    assert_eq!(counts[0], 200_000);
    assert!(counts[1] <= 300_000, "{counts:?}");
}

#[test]
fn long_output_can_be_followed_and_the_files_go() {
    let script = "head -c 100000 /dev/zero; while [ ! -e $FLOCKWORK_HERE/seen ]; do sleep 0.01; done";
    let attempt = Try::sh(script);
    let (logs, seen) = (attempt.logs(), attempt.root.path().join("seen"));
    let (out, err) = (logs.join("0000007.2.stdout"), logs.join("0000007.2.stderr"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("no live file with all of it", || {
                let length = |path: &std::path::Path| path.metadata().map(|it| it.len()).ok();
                (length(&out), length(&err)) == (Some(100_000), Some(0))
            });
            std::fs::write(seen, "").unwrap();
        });
        assert_eq!(attempt.ok().stdout.total, 100_000);
    });
    assert!(!out.exists() && !err.exists());
}

#[test]
fn a_slow_command_can_be_followed_from_its_second_second() {
    let script = "echo begun; while [ ! -e $FLOCKWORK_HERE/seen ]; do sleep 0.01; done; echo end";
    let attempt = Try::sh(script);
    let (out, seen) = (
        attempt.logs().join("0000007.2.stdout"),
        attempt.root.path().join("seen"),
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("no live file", || {
                std::fs::read(&out).is_ok_and(|it| it == b"begun\n")
            });
            std::fs::write(seen, "").unwrap();
        });
        assert_eq!(attempt.ok().stdout.head.text(), "begun\nend\n");
    });
}

#[test]
fn a_live_file_that_cannot_be_made_is_no_failure() {
    let attempt = Try::sh("head -c 100000 /dev/zero");
    std::fs::write(attempt.logs(), "in the way").unwrap();
    assert_eq!(attempt.ok().stdout.total, 100_000);
}

#[test]
fn results_are_found_where_they_were_said_to_be() {
    let script = r#"echo "e=1 e=22"; echo warn >&2; mkdir o; echo deep >o/f; echo '{"n": 1.50, "s": "t"}'"#;
    let report = Try::sh(script)
        .result("re", Source::Regex("e=([0-9]+)".to_owned()))
        .result("n", Source::Json)
        .result("s", Source::Json)
        .result("err", Source::Stderr)
        .result("f", Source::File("o/f".to_owned()))
        .ok();
    let values: Vec<_> = report
        .results
        .iter()
        .map(|(name, value)| (name.as_str(), value.text()))
        .collect();
    let expected = [
        ("re", "22"),
        ("n", "1.50"),
        ("s", "t"),
        ("err", "warn"),
        ("f", "deep"),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name, value.into())));
}

#[test]
fn a_result_that_is_not_there_fails_and_says_which() {
    let file = Source::File("out.txt".to_owned());
    let text = "no result energy: the file out.txt was not written";
    assert_eq!(
        Try::sh("true").result("energy", file.clone()).fails(),
        (text.to_owned(), true)
    );
    let link = Try::sh("ln -s /etc/passwd out.txt")
        .result("energy", file.clone())
        .fails();
    assert_eq!(link.0, "no result energy: the file out.txt: it is a link");
    let large = Try::sh("head -c 2000 /dev/zero >out.txt").limits(|limits| limits.output = 1_000);
    let large = large.result("energy", file).fails();
    assert_eq!(
        large.0,
        "no result energy: the file out.txt: it has more than the 1000 bytes that are kept"
    );
    let no_match = Try::sh("echo nothing").result("energy", Source::Regex("e=(.*)".to_owned()));
    assert_eq!(
        no_match.fails().0,
        "no result energy: nothing in stdout matches e=(.*)"
    );
}

#[test]
fn another_command_judges() {
    let judged = |judge: &[&str]| Try::sh("echo energy=-3; echo oops >&2").ok_if(judge);
    judged(&["grep", "-q", "^energy=", "{stdout}"]).ok();
    judged(&["grep", "-q", "oops", "{stderr}"]).ok();
    judged(&[
        "/bin/sh",
        "-c",
        "read x && exit 1; test $FLOCKWORK_TASK = 0000007",
    ])
    .ok();
    let refused = judged(&["grep", "-q", "^force=", "{stdout}"]).fails();
    assert_eq!(refused, ("not accepted: --ok-if ended with 1".to_owned(), true));
    let killed = judged(&["/bin/sh", "-c", "kill -9 $$"]).fails();
    assert_eq!(killed.0, "not accepted: --ok-if was killed by signal 9 (KILL)");
    let missing = judged(&["no-such-judge"]).fails();
    assert_eq!(
        missing.0,
        "not accepted: cannot start no-such-judge: no such program on the PATH"
    );
    let slow = judged(&["sleep", "600"]).timeout(300, 100);
    slow.times_out();
    // One that has failed is not judged.
    assert_eq!(Try::sh("exit 4").ok_if(&["true"]).fails().0, "exit 4");
}

#[test]
fn a_judge_is_not_shown_a_part() {
    let attempt = Try::sh("head -c 5000 /dev/zero").limits(|limits| limits.output = 1_000);
    let refused = attempt.ok_if(&["grep", "x", "{stdout}"]).fails().0;
    assert!(
        refused.starts_with("not accepted: stdout is longer than the 1000 bytes"),
        "{refused}"
    );
}
