//! Finding work: one listing for each scan, candidates in random order, no look at single files.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::clock::{Moment, Random};
use crate::error::{IoContext, Result};
use crate::fs::{DirRef, FsKind, is_gone};
use crate::layout::{Entry, ROUND_FILE};
use crate::name::{Attempt, RoundNumber, ShardNumber, Stem, WorkerId};
use crate::policy::{self, Tail};
use crate::store::{
    Identity, RoundFile, RunningAttempt, ShardState, State, Store, list_round, list_rounds, list_shard,
    place_of,
};

/// So many lost races in a row mean that the listing is out of date.
const MISSES: u32 = 4;
/// How long a worker keeps its place among the others: they come and go.
const PLACE_KEPT: Duration = Duration::from_secs(10);
/// Every so many fruitless scans even shards that had ended are looked at: somebody may have granted new attempts.
const DEEP_SCAN: u32 = 10;

/// An input file that was free when it was listed.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) round: RoundNumber,
    pub(super) dir: DirRef,
    pub(super) stem: Stem,
    pub(super) attempt: Attempt,
}

/// A round in which something is open, as far as is known.
#[derive(Debug)]
struct OpenRound {
    dir: DirRef,
    /// All of its shards, once the round is complete: no more can come.
    all: Option<Vec<ShardNumber>>,
}

/// What a scan that found nothing to do has seen.
#[derive(Debug, Default)]
pub(super) struct Nothing {
    pub(super) running: Vec<RunningAttempt>,
    pub(super) tail: Tail,
    /// A failed task may be tried again after this long.
    pub(super) retry_in: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum Found {
    Candidate(Candidate),
    Nothing(Nothing),
}

#[derive(Debug)]
pub(super) struct Scanner {
    store: Store,
    worker: WorkerId,
    /// The place among all workers, if it is known, and when it was asked for.
    place: Option<(Option<(usize, usize)>, Moment)>,
    random: Random,
    shelf: Vec<Candidate>,
    /// All rounds, in order, at the last listing of them.
    rounds: Vec<RoundNumber>,
    misses: u32,
    fruitless: u32,
    /// Shards (and whole rounds) in which nothing is open, until the next deep scan.
    ended_shards: HashSet<(RoundNumber, ShardNumber)>,
    ended_rounds: HashSet<RoundNumber>,
    open_rounds: HashMap<RoundNumber, OpenRound>,
    dirs: HashMap<(RoundNumber, ShardNumber), DirRef>,
    round_tasks: HashMap<RoundNumber, u64>,
    /// When failed attempts were first seen: their backoff begins then.
    failed_since: HashMap<(RoundNumber, Stem, Attempt), Moment>,
    entries: Vec<Entry>,
}

impl Scanner {
    pub(super) fn new(store: &Store, me: &Identity) -> Scanner {
        Scanner {
            store: store.clone(),
            worker: me.id.clone(),
            place: None,
            random: Random::new(),
            shelf: Vec::new(),
            rounds: Vec::new(),
            misses: 0,
            fruitless: 0,
            ended_shards: HashSet::new(),
            ended_rounds: HashSet::new(),
            open_rounds: HashMap::new(),
            dirs: HashMap::new(),
            round_tasks: HashMap::new(),
            failed_since: HashMap::new(),
            entries: Vec::new(),
        }
    }

    /// Returns something to try, from the last listing or from a new one.
    pub(super) fn next(&mut self, view: &View<'_>) -> Result<Found> {
        if let Some(candidate) = self.shelf.pop() {
            return Ok(Found::Candidate(candidate));
        }
        self.misses = 0;
        self.scan(view)
    }

    /// Says whether the last listing has something left to try.
    pub(super) fn has_candidates(&self) -> bool {
        !self.shelf.is_empty()
    }

    /// Returns the newest round of the last scan.
    pub(super) fn newest_round(&self) -> Option<RoundNumber> {
        self.rounds.last().copied()
    }

    /// Notes that somebody else was faster.
    pub(super) fn missed(&mut self) {
        self.misses += 1;
        if self.misses >= MISSES {
            self.shelf.clear();
        }
    }

    /// Notes that a candidate was won.
    pub(super) fn won(&mut self) {
        self.misses = 0;
    }

    /// Forgets the last listing, for its shard is gone.
    pub(super) fn gone(&mut self) {
        self.shelf.clear();
    }

    fn scan(&mut self, view: &View<'_>) -> Result<Found> {
        if self.fruitless >= DEEP_SCAN {
            self.fruitless = 0;
            self.ended_shards.clear();
            self.ended_rounds.clear();
            self.open_rounds.clear();
            self.rounds.clear();
            // Waits that must be over: somebody else took those. The others go on.
            let (now, longest) = (
                Moment::now(),
                self.store.config().backoff_greatest.saturating_mul(4),
            );
            self.failed_since.retain(|_, since| now.since(*since) <= longest);
        }
        let mut listed = false;
        loop {
            // A round is only begun when the one before has ended, so there is nothing to be seen before.
            if !listed && self.newest_has_ended() {
                self.rounds = list_rounds(&self.store)?;
                listed = true;
            }
            let mut nothing = Nothing::default();
            // The newest round first: that is where the work is.
            for round in self.rounds.clone().into_iter().rev() {
                if self.ended_rounds.contains(&round) {
                    continue;
                }
                if let Some(candidate) = self.scan_round(round, view, &mut nothing)? {
                    self.fruitless = 0;
                    return Ok(Found::Candidate(candidate));
                }
            }
            if listed || !self.newest_has_ended() {
                self.fruitless += 1;
                return Ok(Found::Nothing(nothing));
            }
        }
    }

    fn newest_has_ended(&self) -> bool {
        self.newest_round()
            .is_none_or(|newest| self.ended_rounds.contains(&newest))
    }

    /// Returns a round's directory, and its shards: listed anew as long as more can come.
    fn open_round(&mut self, round: RoundNumber) -> Result<Option<(DirRef, Vec<ShardNumber>, bool)>> {
        let dir = match self.open_rounds.get(&round) {
            Some(OpenRound {
                dir,
                all: Some(shards),
            }) => return Ok(Some((dir.clone(), shards.clone(), true))),
            Some(known) => known.dir.clone(),
            None => match self.store.round_dir(round) {
                Err(error) if error.io_error().is_some_and(is_gone) => return Ok(None),
                answer => answer?,
            },
        };
        let listing = match list_round(&dir) {
            Err(error) if is_gone(&error) => {
                self.open_rounds.remove(&round);
                return Ok(None);
            }
            answer => answer.during("cannot list", dir.path())?,
        };
        self.dirs
            .retain(|(of, shard), _| *of != round || listing.shards.contains(shard));
        let shards: Vec<ShardNumber> = listing.shards.into_iter().collect();
        let all = listing.complete.then(|| shards.clone());
        let known = OpenRound {
            dir: dir.clone(),
            all,
        };
        self.open_rounds.insert(round, known);
        Ok(Some((dir, shards, listing.complete)))
    }

    fn scan_round(
        &mut self,
        round: RoundNumber,
        view: &View<'_>,
        nothing: &mut Nothing,
    ) -> Result<Option<Candidate>> {
        let Some((round_dir, mut shards, complete)) = self.open_round(round)? else {
            return Ok(None);
        };
        self.put_in_order(&mut shards);
        for shard in &shards {
            let has_ended = self.ended_shards.contains(&(round, *shard));
            if !has_ended && self.scan_shard(round, &round_dir, *shard, view, nothing)? {
                return Ok(self.shelf.pop());
            }
        }
        let all_ended = shards
            .iter()
            .all(|shard| self.ended_shards.contains(&(round, *shard)));
        if complete && all_ended {
            self.ended_rounds.insert(round);
            self.open_rounds.remove(&round);
        } else if complete && !nothing.running.is_empty() {
            nothing.tail.total = self.tasks_of(round, &round_dir);
        }
        Ok(None)
    }

    /// Puts shards into the order in which they are looked through: an order of its own for each worker.
    ///
    /// On a file server the workers are spread over the shards as evenly as can be. A change by another worker costs a
    /// client what it knows of a directory, and with it up to five calls a task.
    fn put_in_order(&mut self, shards: &mut [ShardNumber]) {
        if shards.len() < 2 {
            return;
        }
        match self.place() {
            None => self.random.shuffle(shards),
            Some((place, of)) => {
                shards.sort_unstable();
                let first = place * shards.len() / of;
                shards.rotate_left(first);
            }
        }
    }

    /// Returns this worker's place among all, on a file server: its own, and how many there are.
    fn place(&mut self) -> Option<(usize, usize)> {
        if self.store.kind() == FsKind::Local {
            return None;
        }
        let now = Moment::now();
        let is_old = self.place.is_none_or(|(_, asked)| now.since(asked) >= PLACE_KEPT);
        if is_old {
            // Without its place a worker works as well, only not as cheaply.
            let place = place_of(&self.store, &self.worker).ok().flatten();
            self.place = Some((place, now));
        }
        self.place?.0
    }

    /// Puts the free input files of a shard on the shelf; says whether there are any.
    fn scan_shard(
        &mut self,
        round: RoundNumber,
        round_dir: &DirRef,
        shard: ShardNumber,
        view: &View<'_>,
        nothing: &mut Nothing,
    ) -> Result<bool> {
        let dir = match self.dirs.get(&(round, shard)) {
            Some(dir) => dir.clone(),
            None => match self.store.shard_dir(round_dir, shard) {
                Err(error) if error.io_error().is_some_and(is_gone) => {
                    self.ended_shards.insert((round, shard));
                    return Ok(false);
                }
                answer => answer?,
            },
        };
        self.dirs.insert((round, shard), dir.clone());
        let state = match list_shard(&dir, shard, self.store.attempts_allowed(), &mut self.entries) {
            Err(error) if is_gone(&error) => {
                // It was cleaned.
                self.dirs.remove(&(round, shard));
                self.ended_shards.insert((round, shard));
                return Ok(false);
            }
            answer => answer.during("cannot list", dir.path())?,
        };
        self.sort_out(round, &dir, &state, view, nothing);
        let ended = state
            .inputs
            .iter()
            .all(|input| matches!(input.state, State::Done | State::Failed { .. }));
        // A cleaned shard may keep a late worker's files for a while.
        if ended && (state.end.is_some() || state.inputs.is_empty()) {
            self.ended_shards.insert((round, shard));
            self.dirs.remove(&(round, shard));
        }
        self.random.shuffle(&mut self.shelf);
        Ok(!self.shelf.is_empty())
    }

    fn sort_out(
        &mut self,
        round: RoundNumber,
        dir: &DirRef,
        state: &ShardState,
        view: &View<'_>,
        nothing: &mut Nothing,
    ) {
        let now = Moment::now();
        for (position, input) in state.inputs.iter().enumerate() {
            let open = match input.state {
                State::Free { next, after } => {
                    let mine = (view.failed_here)(round, input.stem);
                    let wait = policy::retry_wait(self.store.config(), after, input.faults, mine);
                    let left = match wait.is_zero() {
                        true => Duration::ZERO,
                        false => {
                            let since = *self.failed_since.entry((round, input.stem, next)).or_insert(now);
                            wait.saturating_sub(now.since(since))
                        }
                    };
                    let stem = input.stem;
                    if !left.is_zero() {
                        nothing.retry_in = Some(nothing.retry_in.map_or(left, |least| least.min(left)));
                    } else if !(view.runs_here)(round, stem) {
                        self.failed_since.remove(&(round, stem, next));
                        self.shelf.push(Candidate {
                            round,
                            dir: dir.clone(),
                            stem,
                            attempt: next,
                        });
                    }
                    true
                }
                State::Running { attempt } => {
                    let (dir, doubled) = (dir.clone(), input.doubled);
                    nothing.running.push(RunningAttempt {
                        round,
                        dir,
                        stem: input.stem,
                        attempt,
                        doubled,
                    });
                    true
                }
                State::Done | State::Failed { .. } => false,
            };
            if open {
                nothing.tail.open += 1;
                nothing.tail.open_tasks += state.tasks_of(position).unwrap_or(1);
            }
        }
    }

    fn tasks_of(&mut self, round: RoundNumber, dir: &DirRef) -> Option<u64> {
        if let Some(tasks) = self.round_tasks.get(&round) {
            return Some(*tasks);
        }
        let mut bytes = Vec::new();
        dir.read(ROUND_FILE, crate::store::SMALL_FILE, &mut bytes).ok()?;
        let tasks = serde_json::from_slice::<RoundFile>(&bytes).ok()?.tasks;
        self.round_tasks.insert(round, tasks);
        Some(tasks)
    }
}

/// What the scanner needs to know of the worker's own doings.
pub(super) struct View<'a> {
    /// Whether this worker has failed at the input file before: others come first.
    pub(super) failed_here: &'a dyn Fn(RoundNumber, Stem) -> bool,
    /// Whether this worker runs the input file now: it does not race itself.
    pub(super) runs_here: &'a dyn Fn(RoundNumber, Stem) -> bool,
}
