//! The claim-process-publish loop of each slot, and what the slots of a worker share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attempt;
use super::keeper;
use super::running::{Running, StopReason};
use super::scanner::{Found, Nothing, Scanner, View};
use super::{Worker, WorkerConfig, WorkerSummary};
use crate::clock::{Backoff, Moment, Random};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::FsKind;
use crate::fs::watch::Watch;
use crate::janitor::Janitor;
use crate::name::{RoundNumber, Stem};
use crate::observe::Event;
use crate::store::{Claim, Claiming, Identity, Journal, Store, WorkerFile};
use crate::wait::{How, lock};

/// Attempts on a shared file system that an idle worker watches at most.
const WATCHED: usize = 64;
/// An older stop file than the worker may be about to be removed by a master that starts too.
const OLD_STOP: Duration = Duration::from_secs(60);

/// What the slots and the keeper of a worker share.
pub(super) struct Engine<W> {
    pub(super) store: Store,
    pub(super) config: WorkerConfig,
    pub(super) me: Identity,
    pub(super) worker: W,
    desk: Mutex<Desk>,
    pub(super) running: Mutex<Vec<Arc<Running>>>,
    failed_here: Mutex<HashSet<(RoundNumber, Stem)>>,
    /// How long a slot rests from the store's own trouble.
    trouble: Mutex<Backoff>,
    pub(super) journal: Mutex<Option<Journal>>,
    pub(super) file: Mutex<Option<WorkerFile>>,
    pub(super) counts: Counts,
    /// Set when the worker leaves because it was idle.
    leaving: AtomicBool,
    pub(super) ended: Sender<SlotEnd>,
}

/// What a slot ended with.
#[derive(Debug)]
pub(super) enum SlotEnd {
    /// There is nothing more to do.
    Left,
    /// Its task hangs; the keeper has ended the attempt, and the thread is left behind.
    Abandoned,
    /// A task that was left behind has returned after all.
    Returned,
    /// The store cannot be read.
    Failed(Error),
}

/// What the worker has done so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) ok: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) discarded: AtomicU64,
    pub(super) given_back: AtomicU64,
}

/// Where the slots get their work: one of them looks, for all.
struct Desk {
    scanner: Scanner,
    janitor: Option<Janitor>,
    random: Random,
    poll: Backoff,
    /// After a fruitless scan: the next is not before this, unless something wakes the worker.
    rest: Option<(Moment, u64)>,
    idle_since: Option<Moment>,
    watch: Option<Watch>,
    watched_rounds: HashSet<RoundNumber>,
    trouble_since: Option<Moment>,
    /// How long input files took, the latest ones.
    times: Vec<Duration>,
}

/// Runs a worker until there is nothing to do, or it is told to stop.
pub(super) fn run<W: Worker>(config: WorkerConfig, store: &Store, worker: W) -> Result<WorkerSummary> {
    let me = Identity::new();
    if !wait_for_old_stop(&config, store)? {
        return Ok(WorkerSummary {
            worker: me.id.to_string(),
            stopped: Some(How::Finish),
            ..Default::default()
        });
    }
    let (ended, ends) = channel();
    let engine = Arc::new(Engine::new(config, store, me, worker, ended));
    let keeper = keeper::start(&engine)?;
    let outcome = supervise(&engine, &ends);
    keeper.stop();
    let summary = engine.finish();
    outcome.map(|()| summary)
}

/// A stop file that was there before the worker may belong to a run that is just being taken up again.
fn wait_for_old_stop(config: &WorkerConfig, store: &Store) -> Result<bool> {
    let end = Moment::now().plus(OLD_STOP.min(config.idle_exit));
    loop {
        let seen = config.stop.waker().seen();
        if store
            .stop_file()
            .during("cannot look for the stop file in", store.root().path())?
            .is_none()
        {
            return Ok(true);
        }
        let left = end.since(Moment::now());
        if left.is_zero() || config.stop.requested().is_some() {
            return Ok(false);
        }
        config.stop.waker().wait(seen, left.min(Duration::from_secs(1)));
    }
}

/// Starts the slots, replaces those that hang, and waits for all of them.
fn supervise<W: Worker>(engine: &Arc<Engine<W>>, ends: &Receiver<SlotEnd>) -> Result<()> {
    let slots = engine.config.slots;
    let mut alive = 0;
    for _ in 0..slots {
        start_slot(engine)?;
        alive += 1;
    }
    // Below zero for a moment when a task returns just as it is left behind.
    let mut hanging: i64 = 0;
    let mut answer = Ok(());
    while alive > 0 {
        // A sender is in the engine, so the channel stays open.
        let Ok(end) = ends.recv() else { break };
        if matches!(end, SlotEnd::Returned) {
            hanging -= 1;
            continue;
        }
        alive -= 1;
        match end {
            SlotEnd::Left | SlotEnd::Returned => {}
            SlotEnd::Failed(error) => answer = Err(error),
            SlotEnd::Abandoned => {
                hanging += 1;
                // Told to stop now, the keeper gives tasks back that do not return: nothing has failed.
                if hanging >= i64::from(slots) && engine.config.stop.requested() != Some(How::Now) {
                    engine.config.stop.request(How::Now);
                    let step = format!("{hanging} tasks hang beyond their timeout and their grace");
                    answer = Err(Error::new(ErrorKind::Stuck, step).with_hint(
                        "the tasks have failed; start the worker again to be rid of their threads",
                    ));
                } else if engine.config.stop.requested().is_none() {
                    start_slot(engine)?;
                    alive += 1;
                }
            }
        }
    }
    answer
}

fn start_slot<W: Worker>(engine: &Arc<Engine<W>>) -> Result<()> {
    let slot = Arc::clone(engine);
    let body = move || {
        let end = slot.work();
        // Nobody may be left to wait for it.
        let _ = slot.ended.send(end);
    };
    let started = std::thread::Builder::new()
        .name("flockwork-slot".into())
        .spawn(body);
    started
        .map(drop)
        .during("cannot start a thread for", engine.store.path())
}

impl<W> Engine<W> {
    fn new(
        config: WorkerConfig,
        store: &Store,
        me: Identity,
        worker: W,
        ended: Sender<SlotEnd>,
    ) -> Engine<W> {
        let trouble = |what: &str, error: &std::io::Error| {
            let what = format!("cannot make {what}: {error}");
            config.observer.tell(|| Event::Trouble { what: what.clone() });
        };
        // Both serve those who watch; work goes on without.
        let file = WorkerFile::make(store, &me, config.slots)
            .inspect_err(|e| trouble("the worker's file", e))
            .ok();
        let journal = Journal::make(store, &me)
            .inspect_err(|e| trouble("the journal", e))
            .ok();
        let (least, greatest) = config.poll_for(store);
        let janitor = Janitor::new(store, &me, &config.observer, &config.stop, WATCHED);
        let desk = Desk {
            scanner: Scanner::new(store),
            janitor: Some(janitor),
            random: Random::new(),
            // Silence is only told apart from a gap by looks that come often enough.
            poll: Backoff::new(least, greatest.min(store.lease() / 6)),
            rest: None,
            idle_since: None,
            watch: None,
            watched_rounds: HashSet::new(),
            trouble_since: None,
            times: Vec::new(),
        };
        Engine {
            store: store.clone(),
            config,
            me,
            worker,
            desk: Mutex::new(desk),
            running: Mutex::new(Vec::new()),
            failed_here: Mutex::new(HashSet::new()),
            trouble: Mutex::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60))),
            journal: Mutex::new(journal),
            file: Mutex::new(file),
            counts: Counts::default(),
            leaving: AtomicBool::new(false),
            ended,
        }
    }

    fn finish(&self) -> WorkerSummary {
        // Its thread ends with it.
        drop(lock(&self.desk).janitor.take());
        if let Some(mut journal) = lock(&self.journal).take() {
            journal.flush();
        }
        if let Some(file) = lock(&self.file).take() {
            file.remove();
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        WorkerSummary {
            worker: self.me.id.to_string(),
            ok: count(&self.counts.ok),
            failed: count(&self.counts.failed),
            discarded: count(&self.counts.discarded),
            given_back: count(&self.counts.given_back),
            stopped: self.config.stop.requested(),
        }
    }

    fn is_stopping(&self) -> bool {
        self.leaving.load(Ordering::SeqCst) || self.config.stop.requested().is_some()
    }

    /// Notes that an attempt failed here, so that others come first when it is tried again.
    pub(super) fn note_failure(&self, round: RoundNumber, stem: Stem) {
        lock(&self.failed_here).insert((round, stem));
    }

    /// Rests after trouble of the store: 1 s doubling to a minute, shorter once the worker is told to stop.
    pub(super) fn rest_from_trouble(&self) {
        let rest = lock(&self.trouble).step();
        let end = Moment::now().plus(rest);
        loop {
            let seen = self.config.stop.waker().seen();
            let left = end.since(Moment::now());
            if left.is_zero() || self.is_stopping() {
                return;
            }
            self.config.stop.waker().wait(seen, left);
        }
    }

    /// Notes that the store can be written again.
    pub(super) fn trouble_is_over(&self) {
        lock(&self.trouble).reset();
    }

    /// Notes how long an input file took.
    pub(super) fn note_time(&self, time: Duration) {
        const KEPT: usize = 99;
        let mut desk = lock(&self.desk);
        if desk.times.len() >= KEPT {
            desk.times.remove(0);
        }
        desk.times.push(time);
    }
}

impl<W: Worker> Engine<W> {
    fn work(&self) -> SlotEnd {
        loop {
            let (round, claim) = match self.next_claim() {
                Ok(Some(won)) => won,
                Ok(None) => return SlotEnd::Left,
                Err(error) => {
                    self.leaving.store(true, Ordering::SeqCst);
                    self.config.stop.waker().wake();
                    return SlotEnd::Failed(error);
                }
            };
            let running = Arc::new(Running::new(round, claim));
            if self.config.stop.requested() == Some(How::Now) {
                running.ask_to_stop(StopReason::Told);
            }
            lock(&self.running).push(Arc::clone(&running));
            let end = attempt::run(self, &running);
            lock(&self.running).retain(|other| !Arc::ptr_eq(other, &running));
            if end == attempt::End::Abandoned {
                // The keeper has told of the slot's end.
                return SlotEnd::Returned;
            }
        }
    }

    /// Waits for something to claim, and claims it; `None`: the worker leaves.
    fn next_claim(&self) -> Result<Option<(RoundNumber, Claim)>> {
        loop {
            if self.is_stopping() {
                return Ok(None);
            }
            let seen = self.config.stop.waker().seen();
            let mut desk = lock(&self.desk);
            let candidate = match self.look(&mut desk, seen)? {
                Look::Found(candidate) => candidate,
                Look::Rest(rest) => {
                    drop(desk);
                    self.config.stop.waker().wait(seen, rest);
                    continue;
                }
                Look::Leave => {
                    self.leaving.store(true, Ordering::SeqCst);
                    self.config.stop.waker().wake();
                    return Ok(None);
                }
            };
            drop(desk);
            match Claim::of_input(&self.me, &candidate.dir, candidate.stem, candidate.attempt) {
                Ok(Claiming::Won(claim)) => {
                    lock(&self.desk).scanner.won();
                    return Ok(Some((candidate.round, claim)));
                }
                Ok(Claiming::Busy) => lock(&self.desk).scanner.missed(),
                Ok(Claiming::Gone) => lock(&self.desk).scanner.gone(),
                Err(error) => {
                    let path = candidate.dir.path().to_owned();
                    self.config.observer.tell(|| Event::Trouble {
                        what: format!("cannot claim {} in {}: {error}", candidate.stem, path.display()),
                    });
                    self.rest_from_trouble();
                }
            }
        }
    }

    fn look(&self, desk: &mut Desk, seen: u64) -> Result<Look> {
        let now = Moment::now();
        if let Some((until, at)) = desk.rest
            && at == seen
            && now < until
        {
            return Ok(Look::Rest(until.since(now)));
        }
        desk.rest = None;
        if let Err(error) = self.heed_stop_file(desk) {
            return self.endure(desk, seen, error);
        }
        if self.config.stop.requested().is_some() {
            return Ok(Look::Rest(Duration::ZERO));
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
                desk.trouble_since = None;
                desk.idle_since = None;
                desk.poll.reset();
                Ok(Look::Found(candidate))
            }
            Ok(Found::Nothing(nothing)) => {
                desk.trouble_since = None;
                Ok(self.idle(desk, seen, nothing))
            }
            Err(error) => self.endure(desk, seen, error),
        }
    }

    /// Looks for the stop file, but only when the next listing is due anyway.
    fn heed_stop_file(&self, desk: &Desk) -> Result<()> {
        if desk.scanner.has_candidates() {
            return Ok(());
        }
        let found = self
            .store
            .stop_file()
            .during("cannot look for the stop file in", self.store.root().path())?;
        if let Some(stop) = found {
            self.config.stop.request(stop.how);
        }
        Ok(())
    }

    /// Nothing to do: rest a while, have dead workers' attempts looked for, leave after the idle time.
    fn idle(&self, desk: &mut Desk, seen: u64, nothing: Nothing) -> Look {
        let now = Moment::now();
        let busy = lock(&self.running).len();
        let since = *desk.idle_since.get_or_insert(now);
        if busy > 0 {
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

    /// The store cannot be read: try again, and only leave when that goes on for the idle time.
    fn endure(&self, desk: &mut Desk, seen: u64, error: Error) -> Result<Look> {
        let now = Moment::now();
        let since = *desk.trouble_since.get_or_insert(now);
        let is_system = error.kind() == ErrorKind::Io;
        if !is_system || now.since(since) >= self.config.idle_exit {
            return Err(error);
        }
        self.config.observer.tell(|| Event::Trouble {
            what: error.to_string(),
        });
        let rest = desk.poll.step();
        desk.rest = Some((now.plus(rest), seen));
        Ok(Look::Rest(rest))
    }

    /// On a local file system: be woken by new rounds, new shards and the stop file.
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
            let name = crate::layout::round_name(round);
            let _ = watch.add(&self.store.rounds().path().join(name));
        }
    }
}

enum Look {
    Found(super::scanner::Candidate),
    Rest(Duration),
    Leave,
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}
