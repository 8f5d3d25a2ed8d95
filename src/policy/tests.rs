//! Decisions against tables.

use super::*;

const LEASE: Duration = Duration::from_secs(60);

fn at(seconds: f64) -> Moment {
    Moment::at_seconds(seconds)
}

fn state(mtime: u64) -> (Duration, u64) {
    (Duration::from_secs(mtime), 100)
}

/// Looks every 6 s; the holder's mtime is what `mtime` says.
fn watch(until: u32, mtime: impl Fn(u32) -> u64) -> Sight {
    let mut sight = Sight::new(at(0.0));
    for second in (0..=until).step_by(6) {
        sight.look(at(f64::from(second)), LEASE, state(mtime(second)));
    }
    sight
}

#[test]
fn silence_for_the_whole_lease_is_needed() {
    assert!(!watch(54, |_| 9).is_silent(at(54.0), LEASE));
    assert!(watch(60, |_| 9).is_silent(at(60.0), LEASE));
}

#[test]
fn heartbeats_keep_an_attempt_alive_whatever_the_servers_clock_says() {
    // A fifth of the lease apart; the clock jumps back by an hour in between.
    let mtime = |second: u32| {
        if second < 60 {
            5000 + u64::from(second) / 12
        } else {
            1400 + u64::from(second) / 12
        }
    };
    let sight = watch(600, mtime);
    assert!(!sight.is_silent(at(600.0), LEASE));
    assert!(sight.has_moved());
}

#[test]
fn an_observer_that_slept_begins_again() {
    let mut sight = watch(54, |_| 9);
    sight.look(at(5000.0), LEASE, state(9));
    assert!(!sight.is_silent(at(5000.0), LEASE));
    sight.look(at(5006.0), LEASE, state(9));
    assert!(!sight.is_silent(at(5006.0), LEASE));
    assert!(!sight.has_moved(), "a gap is no sign of life");
}

#[test]
fn locks_reach_when_one_is_busy_twice() {
    let tried = |looks: &[(bool, u64)]| {
        let looks = looks.iter();
        looks.fold(Reach::default(), |reach, (taken, mtime)| {
            reach.tried(*taken, state(*mtime))
        })
    };
    assert_eq!(tried(&[(false, 9)]), Reach::Busy, "that may be another prober");
    assert_eq!(tried(&[(false, 9), (false, 9)]), Reach::Yes);
    // A worker that died or left: no sign of life follows.
    assert!(!tried(&[(true, 9), (true, 9), (true, 9)]).is_known());
    assert!(!tried(&[(false, 7), (true, 9), (true, 9)]).is_known());
    // Its lock could be taken, and it lives.
    assert_eq!(tried(&[(true, 9), (true, 10)]), Reach::No);
    assert_eq!(tried(&[(false, 8), (true, 9), (false, 10)]), Reach::No);
    // One that was just starting when it was tried.
    assert_eq!(tried(&[(true, 9), (false, 9), (false, 12)]), Reach::Yes);
    assert_eq!(
        tried(&[(false, 9), (false, 9), (true, 10), (true, 20)]),
        Reach::Yes,
        "learnt once"
    );
}

#[test]
fn two_looks_are_not_enough() {
    let mut sight = Sight::new(at(0.0));
    let short = Duration::from_secs(1);
    sight.look(at(0.0), short, state(9));
    sight.look(at(0.2), short, state(9));
    assert!(!sight.is_silent(at(2.0), short));
}

#[test]
fn a_clock_that_runs_backwards_gives_nothing_up() {
    let sight = watch(60, |_| 9);
    assert!(!sight.is_silent(at(0.0), LEASE));
    assert!(!sight.lock_has_settled(at(0.0)));
}

#[test]
fn the_tail_works_with_three_tasks() {
    let tail = Tail {
        open: 1,
        open_tasks: 1,
        total: Some(3),
        idle_slots: 2,
        median: Some(Duration::from_secs(2)),
    };
    assert!(tail.allows_double(0.05, Duration::from_secs(7)));
    assert!(!tail.allows_double(0.05, Duration::from_secs(6)));
    assert!(!tail.allows_double(0.0, Duration::from_secs(600)));
    assert!(
        !Tail {
            idle_slots: 0,
            ..tail
        }
        .allows_double(0.05, Duration::from_secs(600))
    );
    // Nobody knows yet how many there will be; but there are idle slots for all.
    assert!(Tail { total: None, ..tail }.allows_double(0.05, Duration::from_secs(600)));
    assert!(!Tail { median: None, ..tail }.allows_double(0.05, Duration::from_secs(600)));
}

#[test]
fn many_open_tasks_are_no_tail() {
    let tail = Tail {
        open: 40,
        open_tasks: 40,
        total: Some(100),
        idle_slots: 1,
        median: Some(Duration::from_secs(1)),
    };
    assert!(!tail.allows_double(0.05, Duration::from_secs(600)));
    assert!(
        Tail {
            open: 4,
            open_tasks: 4,
            ..tail
        }
        .allows_double(0.05, Duration::from_secs(600))
    );
}

#[test]
fn waits_before_a_retry_double_and_are_longer_where_it_failed() {
    let config = StoreConfig::default();
    let wait = |faults, mine| retry_wait(&config, Some(Kind::Fail), faults, mine).as_secs();
    assert_eq!(
        [wait(1, false), wait(2, false), wait(3, false), wait(40, false)],
        [1, 2, 4, 60]
    );
    assert_eq!(wait(1, true), 3);
    for after in [
        None,
        Some(Kind::Lost),
        Some(Kind::Back),
        Some(Kind::Slow),
        Some(Kind::Again),
    ] {
        assert_eq!(retry_wait(&config, after, 3, true), Duration::ZERO, "{after:?}");
    }
}

#[test]
fn no_task_is_started_that_cannot_end_before_the_limit() {
    // The limit of 1,000 s begins at 100, and the grace is 5 s.
    let limit = Limit::new(at(100.0), Duration::from_secs(1000), Duration::from_secs(5));
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    #[rustfmt::skip]
    let table: &[(f64, Option<u64>, Option<u64>, bool)] = &[
        // now, p95, timeout, whether it is started
        (100.0,  None,       None,       true),
        (1094.0, None,       None,       true),
        (1095.0, None,       None,       false),
        (1200.0, None,       None,       false),
        (1034.0, Some(60),   None,       true),
        (1035.0, Some(60),   None,       false),
        // What is known counts before what is allowed.
        (1034.0, Some(60),   Some(900),  true),
        (900.0,  None,       Some(300),  false),
        (700.0,  None,       Some(300),  true),
        // Half of the time is for trying, however long tasks take.
        (100.0,  Some(5000), None,       true),
        (594.0,  Some(5000), None,       true),
        (595.0,  Some(5000), None,       false),
        (594.0,  None,       Some(5000), true),
    ];
    for (now, p95, timeout, started) in table {
        let allowed = limit.allows(at(*now), seconds(*p95), seconds(*timeout));
        assert_eq!(allowed, *started, "at {now}: p95 {p95:?}, timeout {timeout:?}");
    }
    assert_eq!(limit.stops_in(at(1000.0)), Duration::from_secs(95));
    assert_eq!(limit.stops_in(at(1097.0)), Duration::ZERO);
    assert_eq!(limit.left(at(1097.0)), Duration::from_secs(3));
}

#[test]
fn nineteen_of_twenty_tasks_take_no_longer() {
    let times: Vec<_> = (1..=100).rev().map(Duration::from_secs).collect();
    assert_eq!(p95(&times), Some(Duration::from_secs(95)));
    assert_eq!(p95(&times[..1]), Some(Duration::from_secs(100)));
    assert_eq!(p95(&times[..3]), Some(Duration::from_secs(100)));
    assert_eq!(p95(&[]), None);
}

#[test]
fn a_worker_is_put_aside_by_what_fails_only_here() {
    use Step::{Ended, Failed, Looked, Ok, Took};
    #[derive(Debug)]
    enum Step {
        Ok,
        Failed,
        /// So many of those that failed here are ok elsewhere.
        Looked(usize),
        Took,
        Ended,
    }
    let rest = Duration::from_secs(100);
    let after = |steps: &[(f64, Step)]| {
        let mut trust = Trust::NEW;
        for (now, step) in steps {
            match step {
                Ok => {
                    trust.succeeded();
                }
                Failed => {
                    trust.failed(at(*now), rest);
                }
                Looked(ok) => {
                    trust.judge(*ok, at(*now), rest);
                }
                Took => trust.took_one(at(*now)),
                Ended => trust.ended_one(at(*now)),
            }
        }
        trust
    };
    let good = |in_a_row, before| Trust::Good { in_a_row, before };
    let aside = |until| Trust::Aside { until: at(until) };
    let three = || vec![(1.0, Failed), (2.0, Failed), (3.0, Failed)];
    let then = |more: Vec<(f64, Step)>| three().into_iter().chain(more).collect::<Vec<_>>();
    let table: Vec<(Vec<(f64, Step)>, Trust)> = vec![
        (vec![], Trust::NEW),
        (
            vec![(1.0, Failed), (2.0, Failed), (3.0, Looked(9))],
            good(2, (0, 0)),
        ),
        (then(vec![(4.0, Looked(0))]), good(3, (0, 0))),
        // It may be the task.
        (then(vec![(4.0, Looked(1))]), good(3, (0, 0))),
        (then(vec![(4.0, Looked(2))]), aside(104.0)),
        // One success here, and it begins anew.
        (
            then(vec![(4.0, Ok), (5.0, Failed), (6.0, Looked(9))]),
            good(1, (1, 3)),
        ),
        // Others that still run when it is put aside.
        (then(vec![(4.0, Looked(2)), (5.0, Failed)]), aside(104.0)),
        (then(vec![(4.0, Looked(2)), (5.0, Ok)]), Trust::NEW),
        // A slot that had chosen its task before is no trial.
        (then(vec![(4.0, Looked(2)), (5.0, Took)]), aside(104.0)),
        // The one that it tries after its rest.
        (then(vec![(4.0, Looked(2)), (104.0, Took)]), Trust::Trying),
        (
            then(vec![(4.0, Looked(2)), (104.0, Took), (105.0, Ok)]),
            Trust::NEW,
        ),
        (
            then(vec![(4.0, Looked(2)), (104.0, Took), (105.0, Failed)]),
            aside(205.0),
        ),
        (
            then(vec![(4.0, Looked(2)), (104.0, Took), (105.0, Ended)]),
            aside(105.0),
        ),
    ];
    for (steps, expected) in table {
        assert_eq!(after(&steps), expected, "{steps:?}");
    }
    assert_eq!(good(9, (0, 0)).rests(at(1.0)), None);
    assert_eq!(aside(104.0).rests(at(103.0)), Some(Duration::from_secs(1)));
    assert_eq!(aside(104.0).rests(at(104.0)), None);
    assert_eq!(Trust::Trying.rests(at(104.0)), Some(Duration::MAX));
}

#[test]
fn a_worker_says_when_its_rest_begins_and_when_it_ends() {
    let rest = Duration::from_secs(100);
    let mut trust = Trust::NEW;
    assert!(!trust.succeeded(), "it had not rested");
    for now in [1.0, 2.0, 3.0] {
        assert!(!trust.is_in_doubt());
        assert!(!trust.failed(at(now), rest));
    }
    assert!(trust.is_in_doubt());
    assert!(!trust.judge(1, at(4.0), rest));
    assert!(trust.judge(2, at(4.0), rest));
    assert!(!trust.judge(2, at(5.0), rest), "it rests already");
    assert!(!trust.failed(at(5.0), rest), "it ran beside");
    trust.took_one(at(104.0));
    assert!(trust.failed(at(105.0), rest), "it rests again");
    trust.took_one(at(205.0));
    assert!(trust.succeeded(), "it has tried one");
    assert!(!trust.succeeded());
    let mut trust = Trust::Aside { until: at(104.0) };
    assert!(trust.succeeded(), "one that ran beside");
}

#[test]
fn where_tasks_fail_now_and_then_three_in_a_row_are_chance() {
    let table = [
        // ok and failed before, how many failures in a row are too many
        ((0, 0), 3),
        ((500, 0), 3),
        ((95, 5), 3),
        ((8, 2), 3),
        ((1, 1), 7),
        ((1, 9), 44),
    ];
    for (before, expected) in table {
        assert_eq!(Trust::too_many(before), expected, "{before:?}");
    }
}
