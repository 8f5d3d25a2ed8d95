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

/// So many tasks must have failed in a row before a worker asks whether it is to blame ...
const IN_A_ROW: u32 = 3;
/// What happens no more often than this is no chance.
const BY_CHANCE: f64 = 0.01;
/// ... and so many of those that failed here must be ok elsewhere.
const OK_ELSEWHERE: usize = 2;

/// Whether a worker trusts itself: one on which tasks fail that succeed elsewhere rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It works.
    Good {
        /// So many tasks have failed in a row, since the last success.
        in_a_row: u32,
        /// So many were ok, and so many had failed before these.
        before: (u32, u32),
    },
    /// It rests until then, and takes one task after that.
    Aside {
        /// When it tries again.
        until: Moment,
    },
    /// It tries one task.
    Trying,
}

impl Trust {
    /// One that works, and to whom nothing has happened yet.
    pub(crate) const NEW: Trust = Trust::Good {
        in_a_row: 0,
        before: (0, 0),
    };

    /// A task has succeeded here; says whether that ends a rest.
    pub(crate) fn succeeded(&mut self) -> bool {
        if let Trust::Good { in_a_row, before } = self {
            *before = (before.0.saturating_add(1), before.1.saturating_add(*in_a_row));
            *in_a_row = 0;
            return false;
        }
        std::mem::replace(self, Trust::NEW) != Trust::NEW
    }

    /// A task has failed here; says whether the worker rests again because of it.
    pub(crate) fn failed(&mut self, now: Moment, rest: Duration) -> bool {
        match self {
            Trust::Good { in_a_row, .. } => *in_a_row = in_a_row.saturating_add(1),
            // Of those that ran beside the one for which it was put aside.
            Trust::Aside { .. } => {}
            Trust::Trying => {
                *self = Trust::Aside {
                    until: now.plus(rest),
                };
                return true;
            }
        }
        false
    }

    /// Says whether so much has failed that it is worth a look at what became of it elsewhere.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self, Trust::Good { in_a_row, before } if *in_a_row >= Trust::too_many(*before))
    }

    /// Returns how many failures in a row are no chance any more.
    ///
    /// Where tasks fail now and then on any host, a good one has three failures in a row sooner or later. So many are needed
    /// that they would come about once in a hundred times, by what has failed here before.
    fn too_many((ok, failed): (u32, u32)) -> u32 {
        if failed == 0 {
            return IN_A_ROW;
        }
        let share = f64::from(failed) / (f64::from(ok) + f64::from(failed));
        // There was a success after each of those that failed before, so the share is below 1.
        let needed = (BY_CHANCE.ln() / share.ln()).ceil();
        (needed as u32).max(IN_A_ROW)
    }

    /// Judges by how many of the tasks that failed here are ok elsewhere; says whether the worker is put aside by that.
    pub(crate) fn judge(&mut self, ok_elsewhere: usize, now: Moment, rest: Duration) -> bool {
        let aside = self.is_in_doubt() && ok_elsewhere >= OK_ELSEWHERE;
        if aside {
            *self = Trust::Aside {
                until: now.plus(rest),
            };
        }
        aside
    }

    /// Returns for how long it takes no task; `None`: it may take one.
    pub(crate) fn rests(&self, now: Moment) -> Option<Duration> {
        match self {
            Trust::Good { .. } => None,
            Trust::Aside { until } => Some(until.since(now)).filter(|left| !left.is_zero()),
            // Until it is known how that one ends.
            Trust::Trying => Some(Duration::MAX),
        }
    }

    /// It has taken a task.
    pub(crate) fn took_one(&mut self, now: Moment) {
        if matches!(self, Trust::Aside { until } if *until <= now) {
            *self = Trust::Trying;
        }
    }

    /// An attempt has ended. If it said nothing of the worker, such as one that was given back, the next one will.
    pub(crate) fn ended_one(&mut self, now: Moment) {
        if *self == Trust::Trying {
            *self = Trust::Aside { until: now };
        }
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
mod tests;
