//! How commands end, and how those end that do not want to.

use super::*;

fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.map_or(true, |stat| {
        stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
    })
}

#[test]
fn exit_codes_and_signals_are_told() {
    assert_eq!(Try::sh("exit 0").ok().exit, Exit::Code(0));
    let script = "echo step 13 >&2; echo 'step 14: singular matrix' >&2; exit 3";
    let message = "exit 3 \"step 14: singular matrix\"".to_owned();
    assert_eq!(Try::sh(script).fails(), (message, true));
    assert_eq!(
        Try::sh("kill -9 $$").fails(),
        ("killed by signal 9 (KILL)".to_owned(), true)
    );
}

#[test]
fn exit_codes_decide_whether_it_is_tried_again() {
    let retry = |code: i32, on: &[i32], not_on: &[i32]| {
        let attempt = Try::sh(&format!("exit {code}")).limits(|limits| {
            limits.retry_on = on.to_vec();
            limits.no_retry_on = not_on.to_vec();
        });
        attempt.fails().1
    };
    assert!(retry(3, &[], &[]));
    assert!(retry(3, &[3, 4], &[]));
    assert!(!retry(5, &[3, 4], &[]));
    assert!(!retry(3, &[], &[3]));
    // Signals are no exit codes.
    let killed = Try::sh("kill -9 $$").limits(|limits| limits.retry_on = vec![3]);
    assert!(killed.fails().1);
}

#[test]
fn times_and_memory_are_measured() {
    let report = Try::sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").ok();
    assert!(report.user_us > 10_000, "{report:?}");
    assert!(report.wall_us >= report.user_us / 2, "{report:?}");
    assert!(report.peak > 100_000, "{report:?}");
    assert!(
        report.began_ms > 1_600_000_000_000 && !report.host.is_empty(),
        "{report:?}"
    );
}

#[test]
fn a_program_that_cannot_be_started_says_why() {
    let missing = Try::of(&["./no-such-program"]).fails();
    let text = "cannot start ./no-such-program: No such file or directory (os error 2)";
    assert_eq!(missing, (text.to_owned(), true));
    let unknown = Try::of(&["no-such-program"]).fails();
    assert_eq!(
        unknown.0,
        "cannot start no-such-program: no such program on the PATH"
    );
    let nowhere = Try::sh("true").with(|sweep| sweep.cwd = Some("nowhere".into()));
    assert!(
        nowhere.fails().0.starts_with("cannot start /bin/sh in /"),
        "{:?}",
        nowhere.fails()
    );
    let script = Try::of(&["./script"]);
    std::fs::write(script.root.path().join("script"), "echo\n").unwrap();
    assert!(script.fails().0.ends_with("Permission denied (os error 13)"));
}

#[test]
fn a_group_that_ignores_term_is_killed_with_its_children() {
    let attempt =
        Try::sh("trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.01; done").timeout(300, 100);
    let report = attempt.times_out();
    assert_eq!(report.exit, Exit::Signal(9));
    let child = report.stdout.head.text().into_owned();
    until("its child lives on", || is_gone(&child));
}

#[test]
fn one_that_obeys_term_can_still_speak() {
    let attempt = Try::sh("trap 'echo saved; exit 0' TERM; echo begun; while :; do sleep 0.01; done");
    let attempt = attempt.timeout(300, 20_000);
    let report = attempt.times_out();
    assert_eq!(report.exit, Exit::Code(0));
    assert_eq!(report.stdout.head.text(), "begun\nsaved\n");
}

#[test]
fn one_that_is_suspended_times_out() {
    let report = Try::sh("kill -STOP $$; echo never")
        .timeout(200, 20_000)
        .times_out();
    assert_eq!((report.exit, report.stdout.total), (Exit::Signal(15), 0));
}

#[test]
fn one_that_closes_its_output_and_goes_on_times_out() {
    let report = Try::sh("exec >&- 2>&-; while :; do sleep 0.01; done")
        .timeout(200, 100)
        .times_out();
    assert_eq!(report.exit, Exit::Signal(15));
}

#[test]
fn a_daemon_that_keeps_the_pipe_holds_nobody_up() {
    let began = Instant::now();
    let report = Try::sh("setsid sleep 600 & echo $!; echo done >&2").ok();
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(report.stderr.head.text(), "done\n");
    // It has left the group, so it is no longer ours.
    let pid: i32 = report.stdout.head.text().trim().parse().unwrap();
    let daemon = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(daemon, rustix::process::Signal::KILL);
}

#[test]
fn a_daemon_that_writes_without_end_holds_nobody_up() {
    let began = Instant::now();
    let attempt =
        Try::sh("setsid sh -c 'echo $$; exec yes' & sleep 0.1; exit 0").limits(|it| it.output = 1_000);
    let report = attempt.ok();
    assert!(began.elapsed() < Duration::from_secs(15));
    let text = report.stdout.head.text().into_owned();
    let pid: i32 = text.lines().next().unwrap().parse().unwrap();
    let daemon = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(daemon, rustix::process::Signal::KILL);
}

#[test]
fn what_is_left_of_its_group_is_killed_when_it_ends() {
    let report = Try::sh("sleep 600 & echo $!").ok();
    let child = report.stdout.head.text().into_owned();
    until("its child lives on", || is_gone(&child));
}

#[test]
fn one_that_is_told_to_stop_stops() {
    let mut attempt = Try::sh("trap '' TERM; while :; do sleep 0.01; done").limits(|limits| {
        limits.grace = Duration::from_millis(100);
    });
    attempt.stop_after = Some(Duration::from_millis(50));
    let began = Instant::now();
    assert!(matches!(attempt.run(), Ended::Stopped));
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn the_text_of_a_timeout_is_the_one_that_was_typed() {
    let attempt = Try::sh("exec sleep 600").timeout(90, 100);
    assert_eq!(attempt.fails(), ("over the timeout of 90ms".to_owned(), true));
}
