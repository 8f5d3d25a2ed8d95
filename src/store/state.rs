//! What the names of a shard say about its input files; pure.

use crate::layout::{Entry, Kind};
use crate::name::{Attempt, Stem};

/// What is the matter with an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has an accepted outcome.
    Done,
    /// It may be claimed.
    Free {
        /// The attempt to be made.
        next: Attempt,
        /// What the attempt before ended with.
        after: Option<Kind>,
    },
    /// Somebody is at it.
    Running { attempt: Attempt },
    /// There will be no further attempt.
    Failed {
        last: Attempt,
        /// The attempt that was to be the last, if one was; else its attempts are used up.
        final_at: Option<Attempt>,
    },
}

/// An input file, seen through one listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputState {
    pub(crate) stem: Stem,
    pub(crate) state: State,
    /// Attempts that failed or were lost since a person granted new ones.
    pub(crate) faults: u32,
    /// Whether a second worker was already allowed beside a slow one.
    pub(crate) doubled: bool,
}

/// A shard, seen through one listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShardState {
    pub(crate) inputs: Vec<InputState>,
    /// The first task that is no longer in the shard.
    pub(crate) end: Option<Stem>,
}

impl ShardState {
    /// How many tasks an input file holds: up to where the next begins, or the shard ends.
    pub(crate) fn tasks_of(&self, position: usize) -> Option<u64> {
        let next = self
            .inputs
            .get(position + 1)
            .map(|input| input.stem)
            .or(self.end)?;
        Some(next.0.saturating_sub(self.inputs[position].stem.0))
    }
}

/// Takes a listing apart. An input file counts only while its `.in` (or `.out`) is there: a shard that is being
/// cleaned loses those first.
pub(crate) fn shard_state(entries: &mut [Entry], attempts_allowed: u32) -> ShardState {
    entries.sort_unstable();
    let mut state = ShardState::default();
    for group in entries.chunk_by(|a, b| a.stem == b.stem) {
        for entry in group.iter().filter(|entry| entry.kind == Kind::End) {
            state.end = Some(entry.stem);
        }
        let is_there = group
            .iter()
            .any(|entry| matches!(entry.kind, Kind::In | Kind::Out));
        if is_there {
            state.inputs.push(input_state(group, attempts_allowed));
        }
    }
    state
}

/// The attempts at an input file that may still bring its outcome; the entries are sorted.
pub(crate) fn open_attempts(entries: &[Entry], stem: Stem) -> Vec<Attempt> {
    entries
        .chunk_by(|a, b| (a.stem, a.attempt) == (b.stem, b.attempt))
        .filter(|names| names[0].stem == stem)
        .filter_map(|names| names[0].attempt.and_then(|attempt| attempt_names(attempt, names)))
        .filter(|names| names.open)
        .map(|names| names.attempt)
        .collect()
}

/// What the names say of one attempt.
#[derive(Debug, Clone, Copy)]
struct AttemptNames {
    attempt: Attempt,
    /// The first marker in the order of [`attempt_names`]; several are a race, any of them ends the attempt.
    marker: Option<Kind>,
    fault: bool,
    /// It was to be the last, whatever else it was marked with.
    is_final: bool,
    /// Neither ended nor given up: a slow one may still bring the outcome.
    open: bool,
}

fn input_state(group: &[Entry], attempts_allowed: u32) -> InputState {
    let stem = group[0].stem;
    if group.iter().any(|entry| entry.kind == Kind::Out) {
        return InputState {
            stem,
            state: State::Done,
            faults: 0,
            doubled: false,
        };
    }
    // Entries are sorted: no attempt first, then by attempt.
    let mut attempts = group
        .chunk_by(|a, b| a.attempt == b.attempt)
        .filter_map(|names| names[0].attempt.and_then(|attempt| attempt_names(attempt, names)));
    let mut seen = Seen::default();
    for names in attempts.by_ref() {
        seen.add(names);
    }
    let state = match seen.last {
        None => State::Free {
            next: Attempt::FIRST,
            after: None,
        },
        Some(last) if last.marker.is_none() => State::Running {
            attempt: last.attempt,
        },
        Some(last) if seen.faults < attempts_allowed && seen.final_at.is_none() => State::Free {
            next: last.attempt.next(),
            after: last.marker,
        },
        Some(last) => match seen.open {
            Some(attempt) => State::Running { attempt },
            None => State::Failed {
                last: last.attempt,
                final_at: seen.final_at,
            },
        },
    };
    InputState {
        stem,
        state,
        faults: seen.faults,
        doubled: seen.doubled,
    }
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<AttemptNames>,
    open: Option<Attempt>,
    final_at: Option<Attempt>,
    faults: u32,
    doubled: bool,
}

impl Seen {
    fn add(&mut self, names: AttemptNames) {
        if names.marker == Some(Kind::Again) {
            self.faults = 0;
            self.final_at = None;
        } else {
            self.faults += u32::from(names.fault);
            self.final_at = names.is_final.then_some(names.attempt).or(self.final_at);
        }
        self.doubled |= names.marker == Some(Kind::Slow);
        if names.open {
            self.open = Some(names.attempt);
        }
        self.last = Some(names);
    }
}

fn attempt_names(attempt: Attempt, names: &[Entry]) -> Option<AttemptNames> {
    let has = |kind| names.iter().any(|entry| entry.kind == kind);
    let marker = [
        Kind::Again,
        Kind::Damaged,
        Kind::Final,
        Kind::Fail,
        Kind::Back,
        Kind::Lost,
        Kind::Slow,
    ]
    .into_iter()
    .find(|kind| has(*kind));
    if marker.is_none() && !has(Kind::Lock) {
        // Only a checkpoint: its lock was removed by hand.
        return None;
    }
    // Who gave an attempt back itself was not lost, even if somebody thought so.
    let fault = matches!(
        marker,
        Some(Kind::Damaged | Kind::Final | Kind::Fail | Kind::Lost)
    );
    let open = has(Kind::Lock) && matches!(marker, None | Some(Kind::Slow));
    Some(AttemptNames {
        attempt,
        marker,
        fault,
        is_final: has(Kind::Final),
        open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(names: &str) -> InputState {
        let mut entries: Vec<Entry> = names
            .split_whitespace()
            .map(|name| Entry::parse(&format!("0000007.{name}")).unwrap())
            .collect();
        let shard = shard_state(&mut entries, 3);
        assert_eq!(shard.inputs.len(), 1, "{names}");
        shard.inputs[0]
    }

    fn free(next: u32, after: Kind) -> State {
        State::Free {
            next: Attempt(next),
            after: Some(after),
        }
    }

    #[test]
    fn the_table_of_states() {
        let running = |attempt| State::Running {
            attempt: Attempt(attempt),
        };
        let failed = |last| State::Failed {
            last: Attempt(last),
            final_at: None,
        };
        let ended_by = |final_at, last| State::Failed {
            last: Attempt(last),
            final_at: Some(Attempt(final_at)),
        };
        let table = [
            (
                "in",
                State::Free {
                    next: Attempt(1),
                    after: None,
                },
            ),
            ("in 1.lock", running(1)),
            ("in 1.lock 1.checkpoint", running(1)),
            (
                "in 1.checkpoint",
                State::Free {
                    next: Attempt(1),
                    after: None,
                },
            ),
            ("in 1.lock out", State::Done),
            ("out", State::Done),
            ("in 1.lock 1.lost out", State::Done),
            ("in 1.lock 1.lost", free(2, Kind::Lost)),
            ("in 1.lost", free(2, Kind::Lost)),
            ("in 1.lock 1.back", free(2, Kind::Back)),
            ("in 1.lock 1.slow", free(2, Kind::Slow)),
            ("in 1.lock 1.fail 2.lock", running(2)),
            ("in 1.lock 1.fail 2.lock 2.lost", free(3, Kind::Lost)),
            ("in 1.lock 1.fail 2.lock 2.lost 3.lock 3.fail", failed(3)),
            ("in 1.lock 1.fail 2.lock 2.damaged 3.lock 3.lost", failed(3)),
            ("in 1.fail 2.fail 3.back 4.lock 4.fail", failed(4)),
            ("in 1.fail 2.fail 3.fail 3.again", free(4, Kind::Again)),
            (
                "in 1.fail 2.fail 3.fail 3.again 4.lock 4.fail",
                free(5, Kind::Fail),
            ),
            // A slow one that still runs may bring the outcome although the others failed.
            ("in 1.lock 1.slow 2.fail 3.fail 4.lock 4.fail", running(1)),
            ("in 1.lock 1.slow 1.lost 2.fail 3.fail 4.lock 4.fail", failed(4)),
            // One attempt was to be the last, whatever the count of faults.
            ("in 1.lock 1.final", ended_by(1, 1)),
            ("in 1.final", ended_by(1, 1)),
            ("in 1.lock 1.final out", State::Done),
            ("in 1.lock 1.fail 2.lock 2.final", ended_by(2, 2)),
            ("in 1.lock 1.back 1.final", ended_by(1, 1)),
            ("in 1.lock 1.lost 1.final", ended_by(1, 1)),
            ("in 1.lock 1.fail 1.final", ended_by(1, 1)),
            ("in 1.lock 1.slow 1.final", ended_by(1, 1)),
            ("in 1.lock 1.damaged 1.final", ended_by(1, 1)),
            // Somebody had claimed the next attempt before the marker was there.
            ("in 1.lock 1.lost 1.final 2.lock", running(2)),
            ("in 1.lock 1.lost 1.final 2.lock 2.lost", ended_by(1, 2)),
            ("in 1.lock 1.lost 1.final 2.lock 2.back", ended_by(1, 2)),
            // A slow one that still runs may bring the outcome.
            ("in 1.lock 1.slow 2.lock 2.final", running(1)),
            ("in 1.lock 1.slow 1.back 2.lock 2.final", ended_by(2, 2)),
            // New attempts were granted.
            ("in 1.lock 1.final 1.again", free(2, Kind::Again)),
            ("in 1.final 1.again 2.lock 2.fail", free(3, Kind::Fail)),
            ("in 1.final 1.again 2.lock 2.final", ended_by(2, 2)),
            // Two who end one attempt at once.
            ("in 1.lock 1.back 1.lost", free(2, Kind::Back)),
            ("in 1.lock 1.fail 1.lost", free(2, Kind::Fail)),
        ];
        for (names, state) in table {
            assert_eq!(state_of(names).state, state, "{names}");
        }
    }

    #[test]
    fn faults_and_doubling_are_counted() {
        assert_eq!(state_of("in 1.fail 1.lost 2.back 2.lost 3.lost").faults, 2);
        assert!(state_of("in 1.lock 1.slow").doubled);
        assert!(!state_of("in 1.lock 1.back").doubled);
    }

    #[test]
    fn an_attempt_above_ten_is_above_nine() {
        assert_eq!(
            state_of("in 9.lock 9.back 10.lock").state,
            State::Running { attempt: Attempt(10) }
        );
    }

    #[test]
    fn what_is_left_of_a_cleaned_input_is_nothing() {
        let mut entries = ["0000001.1.lock", "0000001.1.fail", "0000002.in", "0001024.end"]
            .map(|name| Entry::parse(name).unwrap());
        let shard = shard_state(&mut entries, 3);
        assert_eq!(shard.inputs.len(), 1);
        assert_eq!(shard.end, Some(Stem(1024)));
    }
}
