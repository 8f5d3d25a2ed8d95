//! Where the slots of a worker get their work: when to look, when to rest, when to leave.

use std::collections::HashSet;
use std::time::Duration;

use super::WorkerConfig;
use super::aside::Rest;
use super::engine::Engine;
use super::scanner::{Candidate, Found, Nothing, Scanner, View};
use crate::clock::{Backoff, Moment, Random};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::FsKind;
use crate::fs::watch::Watch;
use crate::janitor::Janitor;
use crate::layout;
use crate::name::{RoundNumber, Stem};
use crate::observe::Event;
use crate::store::{Identity, Store};
use crate::wait::lock;

/// Attempts on a shared file system that an idle worker watches at most.
const WATCHED: usize = 64;

/// Where the slots get their work: one of them looks, for all.
pub(super) struct Desk {
    pub(super) scanner: Scanner,
    pub(super) janitor: Option<Janitor>,
    random: Random,
    poll: Backoff,
    /// After a fruitless scan: the next is not before this, unless something wakes the worker.
    rest: Option<(Moment, u64)>,
    idle_since: Option<Moment>,
    /// Whether it was told that there is nothing to do.
    idle_told: bool,
    watch: Option<Watch>,
    watched_rounds: HashSet<RoundNumber>,
    trouble_since: Option<Moment>,
    trouble: Backoff,
    /// How long input files took, the latest ones.
    times: Vec<Duration>,
}

/// What a slot is to do next.
pub(super) enum Look {
    Found(Candidate),
    Rest(Duration),
    Leave,
}

impl Desk {
    pub(super) fn new(config: &WorkerConfig, store: &Store, me: &Identity) -> Desk {
        let (least, greatest) = config.poll_for(store);
        let janitor = Janitor::new(store, me, &config.observer, &config.stop, WATCHED);
        Desk {
            scanner: Scanner::new(store, me),
            janitor: Some(janitor),
            random: Random::new(),
            // Silence is only told apart from a gap by looks that come often enough.
            poll: Backoff::new(least, greatest.min(store.lease() / 6)),
            rest: None,
            idle_since: None,
            idle_told: false,
            watch: None,
            watched_rounds: HashSet::new(),
            trouble_since: None,
            trouble: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            times: Vec::new(),
        }
    }

    /// Notes that the store can be written again.
    pub(super) fn trouble_is_over(&mut self) {
        self.trouble_since = None;
        self.trouble.reset();
    }

    /// Notes how long an input file took.
    pub(super) fn note_time(&mut self, time: Duration) {
        const KEPT: usize = 99;
        if self.times.len() >= KEPT {
            self.times.remove(0);
        }
        self.times.push(time);
    }
}

impl<W> Engine<W> {
    /// Finds something to claim, or says how long to rest. One slot looks at a time, for all.
    pub(super) fn look(&self, desk: &mut Desk, seen: u64) -> Result<Look> {
        let now = Moment::now();
        if let Some((until, at)) = desk.rest
            && at == seen
            && now < until
        {
            return Ok(Look::Rest(until.since(now)));
        }
        desk.rest = None;
        if let Err(error) = self.look_for_signs(desk) {
            return self.endure(desk, seen, error).map(Look::Rest);
        }
        if self.config.stop.requested().is_some() {
            return Ok(Look::Rest(Duration::ZERO));
        }
        if self.is_paused() {
            return Ok(self.pause(desk, seen));
        }
        match self.rests() {
            Rest::Over => {}
            Rest::For(left) => return Ok(self.pause_for(desk, seen, left)),
            Rest::Leave => return Ok(Look::Leave),
        }
        let runs_here = |round: RoundNumber, stem: Stem| {
            lock(&self.running)
                .iter()
                .any(|running| (running.round, running.stem) == (round, stem))
        };
        let failed_here = |round: RoundNumber, stem: Stem| lock(&self.failed_here).contains(&(round, stem));
        let view = View {
            failed_here: &failed_here,
            runs_here: &runs_here,
        };
        match desk.scanner.next(&view) {
            Ok(Found::Candidate(candidate)) => {
                (desk.idle_since, desk.idle_told) = (None, false);
                desk.poll.reset();
                Ok(Look::Found(candidate))
            }
            Ok(Found::Nothing(nothing)) => {
                desk.trouble_since = None;
                if !std::mem::replace(&mut desk.idle_told, true) {
                    self.config.observer.tell(|| Event::Idle);
                }
                Ok(self.idle(desk, seen, nothing))
            }
            Err(error) => self.endure(desk, seen, error).map(Look::Rest),
        }
    }

    /// Looks for the stop file and the pause file, but only when the next listing is due anyway, or the keeper has
    /// seen that there is a pause.
    fn look_for_signs(&self, desk: &Desk) -> Result<()> {
        if desk.scanner.has_candidates() && !self.is_paused() && !self.is_aside() {
            return Ok(());
        }
        self.heed_signs()
            .during("cannot look for the stop file in", self.store.root().path())
    }

    /// The store is paused: rest, and do not count it as idle.
    fn pause(&self, desk: &mut Desk, seen: u64) -> Look {
        self.pause_for(desk, seen, Duration::MAX)
    }

    /// The same, but no longer than this.
    fn pause_for(&self, desk: &mut Desk, seen: u64, most: Duration) -> Look {
        (desk.idle_since, desk.trouble_since) = (None, None);
        let rest = desk.poll.step();
        let rest = desk.random.jitter(rest).min(most).max(Duration::from_millis(10));
        self.watch(desk);
        desk.rest = Some((Moment::now().plus(rest), seen));
        Look::Rest(rest)
    }

    /// Nothing to do: rest a while, have dead workers' attempts looked for, leave after the idle time.
    fn idle(&self, desk: &mut Desk, seen: u64, nothing: Nothing) -> Look {
        let now = Moment::now();
        let busy = lock(&self.running).len();
        let since = *desk.idle_since.get_or_insert(now);
        // A failed task whose wait is not over is work too.
        if busy > 0 || nothing.retry_in.is_some() {
            desk.idle_since = Some(now);
        } else if now.since(since) >= self.config.idle_exit {
            return Look::Leave;
        }
        let mut rest = desk.poll.step();
        rest = desk.random.jitter(rest);
        if let Some(retry) = nothing.retry_in {
            rest = rest.min(retry);
        }
        if busy == 0 {
            rest = rest.min(self.config.idle_exit.saturating_sub(now.since(since)));
        }
        let rest = rest.max(Duration::from_millis(10));
        if !nothing.running.is_empty() {
            let mut tail = nothing.tail;
            tail.idle_slots = u64::from(self.config.slots).saturating_sub(busy as u64);
            tail.median = median(&desk.times);
            if let Some(janitor) = &mut desk.janitor {
                janitor.examine(nothing.running, tail);
            }
        }
        self.watch(desk);
        desk.rest = Some((now.plus(rest), seen));
        Look::Rest(rest)
    }

    /// The store cannot be read or written: try again, and only leave when that goes on for the idle time.
    pub(super) fn endure(&self, desk: &mut Desk, seen: u64, error: Error) -> Result<Duration> {
        let now = Moment::now();
        let since = *desk.trouble_since.get_or_insert(now);
        let is_system = error.kind() == ErrorKind::Io;
        if !is_system || now.since(since) >= self.config.idle_exit {
            return Err(error);
        }
        self.config.observer.tell(|| Event::Trouble {
            what: error.to_string(),
        });
        // Each claim that fails on a full disk may leave two empty files, so they come ever more seldom.
        let rest = desk.trouble.step();
        desk.rest = Some((now.plus(rest), seen));
        Ok(rest)
    }

    /// On a local file system: be woken by new rounds, new shards, the stop file and the end of a pause.
    fn watch(&self, desk: &mut Desk) {
        if self.store.kind() != FsKind::Local {
            return;
        }
        if desk.watch.is_none() {
            let stop = self.config.stop.clone();
            let made = Watch::new(move || stop.waker().wake()).and_then(|mut watch| {
                watch.add(self.store.root().path())?;
                watch.add(self.store.rounds().path())?;
                Ok(watch)
            });
            match made {
                Ok(watch) => desk.watch = Some(watch),
                // Polling does the same, only later.
                Err(_) => return,
            }
        }
        let (Some(watch), Some(round)) = (&mut desk.watch, desk.scanner.newest_round()) else {
            return;
        };
        if desk.watched_rounds.insert(round) {
            let name = layout::round_name(round);
            let _ = watch.add(&self.store.rounds().path().join(name));
        }
    }
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}
