//! Decisions, as functions of what was seen and of `now`; pure.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::StoreConfig;
use crate::layout::Kind;

/// A lock that was seen for less long may belong to a worker that is about to take it.
const LOCK_SETTLES: Duration = Duration::from_secs(5);
/// A task is slow when it takes this many times the median ...
const SLOW_FACTOR: u32 = 3;
/// ... and at least this long.
const SLOW_LEAST: Duration = Duration::from_secs(5);

/// What one observer has seen of one attempt, by the observer's own clock.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    first: Moment,
    last_look: Option<Moment>,
    /// Time of the last change and length, as the file server says.
    state: Option<(Duration, u64)>,
    unchanged_since: Moment,
    looks: u32,
    moved: bool,
}

impl Sight {
    pub(crate) fn new(now: Moment) -> Sight {
        Sight {
            first: now,
            last_look: None,
            state: None,
            unchanged_since: now,
            looks: 0,
            moved: false,
        }
    }

    /// How long this observer has known of the attempt.
    pub(crate) fn known_for(&self, now: Moment) -> Duration {
        now.since(self.first)
    }

    /// Says whether it is time for a look at the file itself: every tenth of the lease.
    pub(crate) fn wants_look(&self, now: Moment, lease: Duration) -> bool {
        self.last_look.is_none_or(|last| now.since(last) >= lease / 10)
    }

    /// Notes a look.
    ///
    /// After a gap (the observer was suspended, or its mount hung) the count begins again: the holder's
    /// heartbeats may have been held up by the same cause.
    pub(crate) fn look(&mut self, now: Moment, lease: Duration, state: (Duration, u64)) {
        let gap = self.last_look.is_some_and(|last| now.since(last) > lease / 4);
        self.moved |= self.state.is_some_and(|before| before != state);
        if gap || self.state != Some(state) {
            self.unchanged_since = now;
            self.looks = 0;
            self.state = Some(state);
        }
        self.looks += 1;
        self.last_look = Some(now);
    }

    /// Says whether a change was seen between two looks: then its holder lives, or did until then.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved
    }

    /// Says whether the attempt has been silent for the whole lease.
    pub(crate) fn is_silent(&self, now: Moment, lease: Duration) -> bool {
        self.looks >= 3 && now.since(self.unchanged_since) >= lease
    }

    /// Says whether a lock that could be taken tells that its holder is dead.
    pub(crate) fn lock_has_settled(&self, now: Moment) -> bool {
        self.known_for(now) >= LOCK_SETTLES
    }
}

/// Whether the locks of another host's workers are seen from here, as far as is known.
///
/// It is learnt from the file that a worker of that host holds a lock on as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reach {
    #[default]
    Unknown,
    /// The lock was busy once. Locks that are known to one host only look the same for the moment in which another
    /// process of this host tries them.
    Busy,
    /// The lock could be taken, when the file was in this state: its worker may have died, or left.
    Taken((Duration, u64)),
    Yes,
    No,
}

impl Reach {
    /// Says whether nothing more is to be learnt.
    pub(crate) fn is_known(self) -> bool {
        matches!(self, Reach::Yes | Reach::No)
    }

    /// What is known after a further try: whether the lock could be taken, and in what state the file was while it was
    /// ours.
    pub(crate) fn tried(self, taken: bool, state: (Duration, u64)) -> Reach {
        match (self, taken) {
            (Reach::Yes | Reach::No, _) => self,
            // It gave a sign of life after we had its lock, so it lived while we had it.
            (Reach::Taken(before), _) if before != state => Reach::No,
            (Reach::Busy, false) => Reach::Yes,
            (_, false) => Reach::Busy,
            (_, true) => Reach::Taken(state),
        }
    }
}

/// What is known of the end of a round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tail {
    /// Input files without an outcome, as far as is known.
    pub(crate) open: u64,
    /// Tasks without an outcome, as far as is known.
    pub(crate) open_tasks: u64,
    /// Tasks of the round, when all of them are there.
    pub(crate) total: Option<u64>,
    /// Slots of the observer with nothing to do.
    pub(crate) idle_slots: u64,
    /// The median time that an input file took.
    pub(crate) median: Option<Duration>,
}

impl Tail {
    /// Says whether a second worker may try an attempt that has been running for this long.
    pub(crate) fn allows_double(&self, share: f64, running: Duration) -> bool {
        let Some(median) = self.median else {
            return false;
        };
        let in_tail = |total: u64| (self.open_tasks as f64) < share * (total as f64);
        let near_the_end = self.total.is_some_and(in_tail) || self.open <= self.idle_slots;
        share > 0.0 && self.idle_slots > 0 && near_the_end && running > (median * SLOW_FACTOR).max(SLOW_LEAST)
    }
}

/// The end that others have set to a worker: its batch job is over then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    began: Moment,
    end: Moment,
    grace: Duration,
}

impl Limit {
    /// A limit that ends so long after `began`; tasks need the grace to be given back.
    pub(crate) fn new(began: Moment, left: Duration, grace: Duration) -> Limit {
        let end = began.plus(left);
        Limit { began, end, grace }
    }

    /// Says whether a task may be started that takes `p95` as a rule, or else at most `timeout`.
    ///
    /// A worker does not refuse more than half of its time: a few very long tasks, or a generous timeout, must not keep it
    /// from all others.
    pub(crate) fn allows(&self, now: Moment, p95: Option<Duration>, timeout: Option<Duration>) -> bool {
        let half = self.end.since(self.began) / 2;
        let needed = p95.or(timeout).unwrap_or_default().min(half);
        now.plus(needed).plus(self.grace) < self.end
    }

    /// Returns when tasks that still run must be told to stop.
    pub(crate) fn stops_in(&self, now: Moment) -> Duration {
        self.end.since(now).saturating_sub(self.grace)
    }

    /// Returns how long it is until the end.
    pub(crate) fn left(&self, now: Moment) -> Duration {
        self.end.since(now)
    }
}

/// Returns the time that 19 of 20 tasks did not exceed; `None` if no task has ended.
pub(crate) fn p95(times: &[Duration]) -> Option<Duration> {
    // Of a few times it is the longest.
    let rank = (times.len() * 19).div_ceil(20).checked_sub(1)?;
    let mut sorted = times.to_vec();
    let (_, p95, _) = sorted.select_nth_unstable(rank);
    Some(*p95)
}

/// How long to wait, after an attempt was first seen to have ended so, before the next is made.
///
/// `mine`: it failed on this very worker; then others come first.
pub(crate) fn retry_wait(config: &StoreConfig, after: Option<Kind>, faults: u32, mine: bool) -> Duration {
    if !matches!(after, Some(Kind::Fail | Kind::Damaged)) {
        return Duration::ZERO;
    }
    let doublings = faults.saturating_sub(1).min(30);
    let wait = config
        .backoff_least
        .saturating_mul(1 << doublings)
        .min(config.backoff_greatest);
    if mine { wait.saturating_mul(3) } else { wait }
}

#[cfg(test)]
mod tests {
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
}
