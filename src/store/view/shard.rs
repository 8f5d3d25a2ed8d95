//! One shard as a reader sees it: its names, its done file, and which tasks are where.

use super::span::{self, Span};
use super::states::TaskSpan;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Entry, Kind};
use crate::name::{Attempt, RoundNumber, ShardNumber, Stem, TaskId};
use crate::store::inputs::tasks_in;
use crate::store::scan::{list_round, list_shard};
use crate::store::{DoneFile, ShardState, State, Store};

/// The directory of a shard, listed once.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) dir: DirRef,
    pub(super) state: ShardState,
    /// Attempts that are marked `slow` and run on, beside the one that the state names.
    pub(super) slow: Vec<(Stem, Attempt)>,
}

impl Listed {
    /// Lists the directory of a shard; `None` if there is none.
    pub(super) fn take(store: &Store, round: &DirRef, number: ShardNumber) -> Result<Option<Listed>> {
        let name = layout::shard_name(number);
        let mut entries = Vec::new();
        let listed = round.open_dir(&name).and_then(|dir| {
            let state = list_shard(&dir, number, store.attempts_allowed(), &mut entries)?;
            Ok(Listed {
                slow: slow_attempts(&entries, &state),
                dir,
                state,
            })
        });
        match listed {
            Ok(listed) => Ok(Some(listed)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error).during("cannot list", &round.path().join(&name)),
        }
    }

    pub(super) fn state_of(&self, stem: Stem) -> Option<State> {
        let found = self
            .state
            .inputs
            .binary_search_by_key(&stem, |input| input.stem)
            .ok()?;
        Some(self.state.inputs[found].state)
    }
}

/// Finds the attempts that were marked `slow`, have not ended, and are not the one that counts as running.
fn slow_attempts(entries: &[Entry], state: &ShardState) -> Vec<(Stem, Attempt)> {
    let mut slow = Vec::new();
    let mut inputs = state.inputs.iter().peekable();
    // Both are in the order of their stems.
    for names in entries.chunk_by(|a, b| (a.stem, a.attempt) == (b.stem, b.attempt)) {
        let has = |kind| names.iter().any(|entry| entry.kind == kind);
        let Entry { stem, attempt, .. } = names[0];
        let Some(attempt) = attempt.filter(|_| has(Kind::Slow) && has(Kind::Lock)) else {
            continue;
        };
        while inputs.next_if(|input| input.stem < stem).is_some() {}
        let counts = match inputs.peek().filter(|input| input.stem == stem) {
            None => true,
            Some(input) => input.state == State::Done || input.state == State::Running { attempt },
        };
        let ended = names
            .iter()
            .any(|entry| !matches!(entry.kind, Kind::Lock | Kind::Slow | Kind::Checkpoint));
        if !counts && !ended {
            slow.push((stem, attempt));
        }
    }
    slow
}

/// A shard, listed in an order that leaves nothing out.
#[derive(Debug)]
pub(crate) struct ShardView {
    pub(super) round: RoundNumber,
    pub(super) round_dir: DirRef,
    pub(super) number: ShardNumber,
    /// Whether its done file was there when its directory had been listed.
    pub(super) has_done: bool,
    /// `None`: it has no directory (any more).
    pub(super) listed: Option<Listed>,
}

impl ShardView {
    /// Takes a new look: its names first, and then the round's.
    pub(super) fn take(
        store: &Store,
        round: RoundNumber,
        round_dir: &DirRef,
        number: ShardNumber,
    ) -> Result<ShardView> {
        let listed = Listed::take(store, round_dir, number)?;
        let listing = list_round(round_dir).during("cannot list", round_dir.path())?;
        Ok(ShardView {
            round,
            round_dir: round_dir.clone(),
            number,
            has_done: listing.done.contains(&number),
            listed,
        })
    }

    /// Says which tasks are where and in what state, in order.
    ///
    /// Most often by the names and the header of the done file; where these leave a doubt, by all of the done file.
    pub(super) fn spans(&self, store: &Store) -> Result<Vec<Span>> {
        let nothing = ShardState::default();
        let state = self.listed.as_ref().map_or(&nothing, |listed| &listed.state);
        if !self.has_done {
            let Some(listed) = &self.listed else {
                // Never in silence: a file server may have given a wrong answer.
                let path = self.round_dir.path().join(layout::shard_name(self.number));
                return Err(Error::new(ErrorKind::Damaged, "gone, and without a done file:")
                    .at(path)
                    .with_hint("try again; if it stays so, somebody has removed it"));
            };
            // Without the mark of the shard's end its last input file itself must tell.
            let count = |stem| {
                let name = layout::plain_name(stem, Kind::In);
                tasks_in(store, &listed.dir, &name).map_or(1, |tasks| tasks.max(1))
            };
            return Ok(span::listed(state, count));
        }
        let header = DoneFile::read_header(&self.round_dir, self.number)?;
        match span::by_header(self.number.0, header.end, header.tasks, state) {
            Some(spans) => Ok(spans),
            None => {
                let done = self.read_done(store)?;
                Ok(span::by_groups(done.header.end, &done.groups(), state))
            }
        }
    }

    /// The same, without saying where.
    pub(crate) fn states(&self, store: &Store) -> Result<impl Iterator<Item = TaskSpan> + use<>> {
        let round = self.round;
        let spans = self.spans(store)?.into_iter();
        Ok(spans.map(move |span| TaskSpan {
            first: TaskId {
                round,
                number: span.first,
            },
            tasks: span.tasks,
            state: span.state(),
        }))
    }

    pub(super) fn read_done(&self, store: &Store) -> Result<DoneFile> {
        DoneFile::read(store, &self.round_dir, self.number)
    }

    pub(super) fn done_path(&self) -> std::path::PathBuf {
        self.round_dir.path().join(layout::done_name(self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::state::shard_state;

    #[test]
    fn a_slow_attempt_runs_on_until_it_ends_or_the_task_has_its_outcome() {
        let slow = |names: &str| {
            let mut entries: Vec<Entry> = names
                .split_whitespace()
                .map(|name| Entry::parse(&format!("000000{name}")).unwrap())
                .collect();
            let state = shard_state(&mut entries, 3);
            slow_attempts(&entries, &state)
        };
        let running = vec![(Stem(7), Attempt(1))];
        assert_eq!(slow("7.in 7.1.lock 7.1.slow 7.2.lock"), running);
        assert_eq!(slow("1.in 1.1.lock 7.in 7.1.lock 7.1.slow"), running);
        for names in [
            "7.in 7.1.lock 7.1.slow 7.1.back",
            "7.in 7.1.lock 7.1.slow 7.out",
            "7.in 7.1.slow",
            "7.1.lock 7.1.slow",
            "7.in 7.1.lock 7.1.slow 7.2.lost 7.3.lost 7.4.fail",
        ] {
            assert_eq!(slow(names), [], "{names}");
        }
    }
}
