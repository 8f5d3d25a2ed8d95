//! The claim-process-publish loop of each slot, and what the slots of a worker share.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::aside::Health;
use super::attempt;
use super::desk::{Desk, Look};
use super::ending;
use super::keeper;
use super::limit::Leaving;
use super::old_stop::wait_for_old_stop;
use super::running::{Running, StopReason};
use super::{WhyLeft, Worker, WorkerConfig, WorkerSummary};
use crate::clock::Backoff;
use crate::error::{Error, ErrorKind, IoContext, Result, io_error};
use crate::fs::FsKind;
use crate::layout::WORKERS;
use crate::name::{RoundNumber, Stem};
use crate::observe::Event;
use crate::outcome::Failure;
use crate::panics::caught;
use crate::store::{Claim, Claiming, Identity, Journal, Store, WorkerFile};
use crate::wait::{How, lock};

/// What the slots and the keeper of a worker share.
pub(super) struct Engine<W> {
    pub(super) store: Store,
    pub(super) config: WorkerConfig,
    pub(super) me: Identity,
    pub(super) worker: W,
    pub(super) desk: Mutex<Desk>,
    pub(super) running: Mutex<Vec<Arc<Running>>>,
    pub(super) failed_here: Mutex<HashSet<(RoundNumber, Stem)>>,
    pub(super) journal: Mutex<Option<Journal>>,
    pub(super) file: Mutex<Option<WorkerFile>>,
    pub(super) counts: Counts,
    pub(super) end: Leaving,
    pub(super) health: Health,
    /// Whether the store was paused at the last look.
    paused: AtomicBool,
    /// The pings that are answered and still there.
    answered: Mutex<Vec<String>>,
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

/// Runs a worker until there is nothing to do, or it is told to stop.
pub(super) fn run<W: Worker>(config: WorkerConfig, store: &Store, worker: W) -> Result<WorkerSummary> {
    let me = Identity::new();
    if !wait_for_old_stop(&config, store)? {
        return Ok(WorkerSummary {
            worker: me.id.to_string(),
            stopped: Some(How::Finish),
            why: match config.stop.requested() {
                Some(_) => WhyLeft::Asked,
                None => WhyLeft::Store,
            },
            ..Default::default()
        });
    }
    let (ended, ends) = channel();
    let engine = Arc::new(Engine::new(config, store, me, worker, ended)?);
    let keeper = keeper::start(&engine)?;
    let outcome = supervise(&engine, &ends);
    keeper.stop();
    let summary = engine.finish();
    outcome.map(|()| summary)
}

/// Runs a worker as a process that is simulated: one slot and no keeper, in this very thread.
#[cfg(test)]
pub(super) fn run_here<W: Worker>(
    config: WorkerConfig,
    store: &Store,
    me: &Identity,
    worker: W,
) -> Result<WorkerSummary> {
    let engine = Engine::new(config, store, me.clone(), worker, channel().0)?;
    let end = engine.work();
    let summary = engine.finish();
    match end {
        SlotEnd::Failed(error) => Err(error),
        SlotEnd::Left | SlotEnd::Abandoned | SlotEnd::Returned => Ok(summary),
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
        // Users' code has a net of its own; but whoever waits for this thread must not do so for ever.
        let end = caught(|| slot.work()).unwrap_or_else(|panic| slot.leave_with(slot_panicked(&panic)));
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

fn slot_panicked(panic: &Failure) -> Error {
    Error::new(ErrorKind::Panic, "a slot of the worker panicked")
        .because(panic.to_string())
        .with_hint(
            "start the worker again, and report this as a fault of flockwork; nothing in the store is lost",
        )
}

impl<W> Engine<W> {
    pub(super) fn new(
        config: WorkerConfig,
        store: &Store,
        me: Identity,
        worker: W,
        ended: Sender<SlotEnd>,
    ) -> Result<Engine<W>> {
        // Who may not write at all learns it now, and not at every claim.
        let file = match WorkerFile::make(store, &me, config.slots, config.job.as_deref()) {
            Err(error) if is_forbidden(&error) => {
                return Err(io_error(
                    "cannot write to",
                    &store.root().path().join(WORKERS),
                    error,
                ));
            }
            answer => answer
                .inspect_err(|error| tell_trouble(&config, "the worker's file", error))
                .ok(),
        };
        // It serves those who watch; work goes on without.
        let journal = Journal::make(store, &me)
            .inspect_err(|error| tell_trouble(&config, "the journal", error))
            .ok();
        let is_locked = file.as_ref().is_some_and(WorkerFile::is_locked);
        me.lock_speaks
            .store(store.kind() == FsKind::Network && is_locked, Ordering::SeqCst);
        let desk = Desk::new(&config, store, &me);
        let end = Leaving::new(&config);
        Ok(Engine {
            store: store.clone(),
            config,
            me,
            worker,
            desk: Mutex::new(desk),
            running: Mutex::new(Vec::new()),
            failed_here: Mutex::new(HashSet::new()),
            journal: Mutex::new(journal),
            file: Mutex::new(file),
            counts: Counts::default(),
            end,
            health: Health::new(),
            paused: AtomicBool::new(false),
            answered: Mutex::new(Vec::new()),
            leaving: AtomicBool::new(false),
            ended,
        })
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
            why: self.end.why(),
        }
    }

    /// Ends a slot, and sends the others away.
    fn leave_with(&self, error: Error) -> SlotEnd {
        self.leaving.store(true, Ordering::SeqCst);
        self.config.stop.waker().wake();
        SlotEnd::Failed(error)
    }

    fn is_stopping(&self) -> bool {
        self.leaving.load(Ordering::SeqCst) || self.config.stop.requested().is_some()
    }

    /// Obeys the stop file and the pause file, by a fresh listing.
    pub(super) fn heed_signs(&self) -> io::Result<()> {
        let signs = self.store.signs()?;
        if let Some(stop) = signs.stop {
            self.end.note(WhyLeft::Store);
            self.config.stop.request(stop.how);
        }
        self.answer(&signs.pings);
        let was_paused = self.paused.swap(signs.paused.is_some(), Ordering::SeqCst);
        match signs.paused {
            Some(why) if !was_paused => self.config.observer.tell(|| Event::PauseBegan { why }),
            None if was_paused => {
                self.config.observer.tell(|| Event::PauseEnded);
                self.config.stop.waker().wake();
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers pings, each once.
    fn answer(&self, pings: &[String]) {
        if pings.is_empty() {
            return;
        }
        let mut answered = lock(&self.answered);
        let is_new = pings.iter().any(|ping| !answered.contains(ping));
        if let Some(file) = lock(&self.file).as_mut().filter(|_| is_new) {
            match file.answer(pings, self.store.kind() == FsKind::Network) {
                Ok(()) => *answered = pings.to_vec(),
                // The next look tries again.
                Err(error) => self.config.observer.tell(|| Event::Trouble {
                    what: format!("a ping could not be answered: {error}"),
                }),
            }
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Notes that an attempt failed here, so that others come first when it is tried again.
    pub(super) fn note_failure(&self, round: RoundNumber, stem: Stem) {
        let mut failed = lock(&self.failed_here);
        // It only prefers others: a million entries are not worth their memory.
        if failed.len() >= 100_000 {
            failed.clear();
        }
        failed.insert((round, stem));
    }

    /// Says whether there is time for another task.
    pub(super) fn may_start(&self) -> bool {
        self.end.allows_a_task(self.store.config().timeout)
    }

    /// Notes how long an input file took.
    pub(super) fn note_time(&self, time: Duration) {
        lock(&self.desk).note_time(time);
    }
}

impl<W: Worker> Engine<W> {
    fn work(&self) -> SlotEnd {
        let mut trouble = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        loop {
            let (round, claim) = match self.next_claim() {
                Ok(Some(won)) => won,
                Ok(None) => return SlotEnd::Left,
                Err(error) => return self.leave_with(error),
            };
            let running = Arc::new(Running::new(round, claim));
            if self.config.stop.requested() == Some(How::Now) {
                running.ask_to_stop(StopReason::Told);
            }
            lock(&self.running).push(Arc::clone(&running));
            let end = attempt::run(self, &running);
            lock(&self.running).retain(|other| !Arc::ptr_eq(other, &running));
            self.note_end();
            match end {
                attempt::End::Over => trouble.reset(),
                attempt::End::Trouble => {
                    ending::park(
                        self,
                        &io::Error::other("the store could not be used"),
                        trouble.step(),
                    );
                }
                // The keeper has told of the slot's end.
                attempt::End::Abandoned => return SlotEnd::Returned,
            }
        }
    }

    /// Waits for something to claim, and claims it; `None`: the worker leaves.
    fn next_claim(&self) -> Result<Option<(RoundNumber, Claim)>> {
        loop {
            if self.is_stopping() || !self.may_start() {
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
                    let mut desk = lock(&self.desk);
                    desk.scanner.won();
                    desk.trouble_is_over();
                    self.note_claim();
                    return Ok(Some((candidate.round, claim)));
                }
                Ok(Claiming::Busy) => lock(&self.desk).scanner.missed(),
                Ok(Claiming::Gone) => lock(&self.desk).scanner.gone(),
                Err(error) => {
                    let path = candidate.dir.path().join(candidate.stem.to_string());
                    let error = io_error("cannot claim", &path, error);
                    let rest = self.endure(&mut lock(&self.desk), seen, error)?;
                    self.config.stop.waker().wait(seen, rest);
                }
            }
        }
    }
}

/// Who may not write at all cannot work; a full disk, on the other hand, may be freed.
fn is_forbidden(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::ReadOnlyFilesystem | K::PermissionDenied)
}

fn tell_trouble(config: &WorkerConfig, what: &str, error: &std::io::Error) {
    config.observer.tell(|| Event::Trouble {
        what: format!("cannot make {what}: {error}"),
    });
}
