//! The figures of made-up journals.

use super::*;

const NOW: u64 = 1_795_240_982_000;

/// A journal's text read by the library, for entries cannot be made elsewhere.
fn journals(now: u64, lines: impl IntoIterator<Item = (u64, u64, &'static str)>) -> Journals {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s.flock");
    let store = Store::create(&path, &flockwork::StoreConfig::default()).unwrap();
    let mut text =
        "#flockwork.journal/1\tround\tinput\tattempt\ttasks\tended_ms\trun_us\toutcome\n".to_owned();
    for (number, (ended_ms, run_ms, outcome)) in lines.into_iter().enumerate() {
        text += &format!("0\t{number}\t1\t1\t{ended_ms}\t{}\t{outcome}\n", run_ms * 1000);
    }
    std::fs::write(path.join("journal/node-1-abcdef"), text).unwrap();
    Journals::read(&store, now)
}

#[test]
fn there_is_no_pace_before_five_tasks() {
    assert_eq!(journals(NOW, []).pace(), None);
    assert_eq!(journals(NOW, (0..4).map(|n| (NOW - n, 1000, "ok"))).pace(), None);
    let pace = journals(NOW, (0..5).map(|n| (NOW - n * 1000, 1000, "ok"))).pace();
    assert_eq!(
        pace,
        Some(Pace {
            rate: 1.0,
            spread: None
        })
    );
}

#[test]
fn the_pace_is_that_of_the_last_five_minutes() {
    // An hour ago ten times as fast.
    let old = (0..1000).map(|n| (NOW - 3_600_000 - n * 50, 50, "ok"));
    let new = (0..600).map(|n| (NOW - n * 500, 500, "ok"));
    let pace = journals(NOW, old.chain(new)).pace().unwrap();
    assert!((pace.rate - 2.0).abs() < 0.02, "{pace:?}");
    assert!(pace.spread.unwrap() < 0.01, "{pace:?}");
    // A minute of work, a minute of none.
    let uneven = (0..600)
        .filter(|n| n / 120 % 2 == 0)
        .map(|n| (NOW - n * 500, 500, "ok"));
    let pace = journals(NOW, uneven).pace().unwrap();
    assert!(pace.spread.unwrap() > 0.1, "{pace:?}");
}

#[test]
fn slow_tasks_are_looked_at_for_longer() {
    let pace = journals(NOW, (0..20).map(|n| (NOW - n * 60_000, 60_000, "ok")))
        .pace()
        .unwrap();
    assert!((pace.rate - 1.0 / 60.0).abs() < 0.001, "{pace:?}");
}

#[test]
fn times_are_those_of_tasks_with_an_output() {
    let times = (1..=100).map(|n| (NOW, n * 100, if n == 100 { "fail" } else { "ok" }));
    let journals = journals(NOW, times);
    let (median, p95) = (
        journals.median().unwrap().as_secs_f64(),
        journals.p95().unwrap().as_secs_f64(),
    );
    assert!((median - 5.0).abs() < 0.1, "{median}");
    assert!((p95 - 9.4).abs() < 0.15, "{p95}");
    let worker = &journals.workers["node-1-abcdef"];
    assert_eq!(
        (worker.ok, worker.failed, worker.busy),
        (99, 1, Duration::from_millis(505_000))
    );
}

#[test]
fn only_the_last_failure_of_a_task_ends_it() {
    // Three attempts are allowed, and all of these are first ones.
    assert_eq!(
        journals(NOW, (0..50).map(|n| (NOW - n * 1000, 1000, "fail"))).pace(),
        None
    );
}

#[test]
fn a_clock_that_is_ahead_does_no_harm() {
    let journals = journals(NOW, (0..60).map(|n| (NOW + 7_000 + n, 1000, "ok")));
    assert_eq!(journals.pace().map(|pace| pace.rate.is_finite()), None);
    assert_eq!(journals.workers["node-1-abcdef"].busy_lately, Duration::ZERO);
}

#[test]
fn lines_and_journals_that_make_no_sense_are_told() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s.flock");
    let store = Store::create(&path, &flockwork::StoreConfig::default()).unwrap();
    std::fs::write(path.join("journal/a-1-abcdef"), "nonsense\n\x1b[2J\n").unwrap();
    std::fs::create_dir(path.join("journal/b-1-abcdef")).unwrap();
    let journals = Journals::read(&store, NOW);
    assert_eq!(journals.pace(), None);
    assert!(
        journals.troubles.iter().any(|text| text.starts_with("2 lines")),
        "{:?}",
        journals.troubles
    );
}
