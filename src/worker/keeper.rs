//! The keeper: one thread per worker for heartbeats, timeouts, the stop file and the pause file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Worker;
use super::ending;
use super::engine::{Engine, SlotEnd};
use super::running::{Running, StopReason};
use crate::clock::Moment;
use crate::error::{IoContext, Result};
use crate::fs::FsKind;
use crate::layout::Kind;
use crate::observe::Event;
use crate::store::{Kept, Progress, Pulse, Standing, push_failure};
use crate::wait::{How, lock};

/// Ends the keeper's thread.
pub(super) struct Keeper {
    done: Arc<AtomicBool>,
    stop: crate::wait::Stop,
}

impl Keeper {
    /// Asks the thread to end; it may hang in a call to a dead file server, so nobody waits for it.
    pub(super) fn stop(self) {
        self.done.store(true, Ordering::SeqCst);
        self.stop.waker().wake();
    }
}

pub(super) fn start<W: Worker>(engine: &Arc<Engine<W>>) -> Result<Keeper> {
    let done = Arc::new(AtomicBool::new(false));
    let (watched, until) = (Arc::clone(engine), Arc::clone(&done));
    let body = move || keep(&watched, &until);
    let thread = std::thread::Builder::new()
        .name("flockwork-keeper".into())
        .spawn(body);
    thread.during("cannot start a thread for", engine.store.path())?;
    Ok(Keeper {
        done,
        stop: engine.config.stop.clone(),
    })
}

/// An attempt that runs for so long is worth a call that shows others who holds it.
const SHOWN_AFTER: Duration = Duration::from_secs(5);

/// When the keeper has something to do next.
struct Beats {
    every: Duration,
    next: Moment,
    told: Option<Moment>,
}

fn keep<W: Worker>(engine: &Engine<W>, done: &AtomicBool) {
    let every = engine.store.heartbeat();
    let mut beats = Beats {
        every,
        next: Moment::now().plus(every),
        told: None,
    };
    let patrol = patrol_interval(engine, every);
    while !done.load(Ordering::SeqCst) {
        let seen = engine.config.stop.waker().seen();
        let now = Moment::now();
        look(engine, now, &mut beats);
        let rest = if beats.told.is_some() {
            Duration::from_millis(100)
        } else {
            patrol
        };
        let now = Moment::now();
        let stops_in = engine.end.stops_in(now).unwrap_or(rest);
        let rest = rest.min(beats.next.since(now)).min(stops_in);
        // Wake-ups for the slots also wake the keeper; it only looks at its clock then.
        if !engine.config.stop.waker().wait(seen, rest) {
            continue;
        }
        if done.load(Ordering::SeqCst) {
            break;
        }
    }
}

/// Does what is to be done by now.
fn look<W: Worker>(engine: &Engine<W>, now: Moment, beats: &mut Beats) {
    if now >= beats.next {
        let late = now.since(beats.next);
        if late >= engine.store.lease() / 2 {
            wake(engine, late);
        }
        beats.next = now.plus(beats.every);
        beat(engine, now, beats);
    }
    engine.end.enforce(now);
    enforce(engine, now, beats);
    show_holders(engine, now);
}

/// With a timeout the keeper looks more often than its heartbeats, and on a shared file system for new holders.
fn patrol_interval<W>(engine: &Engine<W>, every: Duration) -> Duration {
    let every = match engine.store.kind() {
        FsKind::Local => every,
        FsKind::Network => every.min(SHOWN_AFTER),
    };
    match engine.store.config().timeout {
        Some(timeout) => every.min((timeout / 10).max(Duration::from_millis(10))),
        None => every,
    }
}

/// On a shared file system an attempt's header is in its host's memory for up to half a minute. Until others can read it
/// they do not know who holds the attempt, and can only wait for the end of the lease if its host dies.
fn show_holders<W>(engine: &Engine<W>, now: Moment) {
    if engine.store.kind() == FsKind::Local {
        return;
    }
    for attempt in all_running(engine) {
        if now.since(attempt.begun) >= SHOWN_AFTER
            && attempt.note_shown()
            && let Some(Err(error)) = attempt.with_claim(|claim| claim.show_holder())
        {
            trouble(engine, "who holds an attempt could not be shown", &error);
        }
    }
}

fn all_running<W>(engine: &Engine<W>) -> Vec<Arc<Running>> {
    lock(&engine.running).clone()
}

/// This process, or its machine, was suspended: others may have gone on without it.
///
/// It is told by a heartbeat that comes late: a signal would tell nothing of a machine that slept.
fn wake<W: Worker>(engine: &Engine<W>, late: Duration) {
    engine.config.observer.tell(|| Event::WokeUp { after: late });
    for attempt in &all_running(engine) {
        attempt.note_sleep(late);
        match attempt.with_claim(|claim| claim.standing()) {
            None | Some(Ok(Standing::Ours)) => {}
            Some(Ok(Standing::TakenOver)) => attempt.ask_to_stop(StopReason::TakenOver),
            Some(Ok(Standing::Outrun)) => attempt.ask_to_stop(StopReason::Outrun),
            Some(Err(error)) => trouble(engine, "the names in the store could not be listed", &error),
        }
    }
}

fn beat<W: Worker>(engine: &Engine<W>, now: Moment, beats: &Beats) {
    let running = all_running(engine);
    let has_lost_lock = keep_lock(engine);
    for attempt in &running {
        // Short attempts pay nothing.
        if now.since(attempt.begun) < beats.every {
            continue;
        }
        match attempt.with_claim(|claim| claim.heartbeat()) {
            Some(Ok(Pulse::Ours)) if has_lost_lock => tell_lock_lost(engine, attempt),
            None | Some(Ok(Pulse::Ours)) => {}
            Some(Ok(Pulse::Outrun)) => attempt.ask_to_stop(StopReason::Outrun),
            Some(Ok(Pulse::Cancelled)) => attempt.ask_to_stop(StopReason::Cancelled),
            Some(Ok(Pulse::Lost)) => tell_lock_lost(engine, attempt),
            Some(Err(error)) => trouble(engine, "no heartbeat could be given", &error),
        }
    }
    if let Some(file) = lock(&engine.file).as_mut() {
        let progress: Vec<Progress> = running
            .iter()
            .filter_map(|attempt| told_progress(attempt))
            .collect();
        let shown = if progress.is_empty() {
            file.touch()
        } else {
            file.note(&progress)
        };
        if let Err(error) = shown {
            trouble(engine, "the worker's file could not be touched", &error);
        }
    }
    if let Some(journal) = lock(&engine.journal).as_mut() {
        journal.flush();
    }
    if let Err(error) = engine.heed_signs() {
        trouble(engine, "the stop file could not be looked for", &error);
    }
}

/// Keeps the lock that speaks for this worker's attempts; says whether it was lost. As long as it cannot be had again,
/// each new attempt has a lock of its own.
fn keep_lock<W>(engine: &Engine<W>) -> bool {
    if engine.store.kind() == FsKind::Local {
        return false;
    }
    let kept = match lock(&engine.file).as_mut().filter(|file| file.is_locked()) {
        Some(file) => file.keep_lock(),
        None => return false,
    };
    engine.me.lock_speaks.store(kept != Kept::No, Ordering::SeqCst);
    kept != Kept::Yes
}

fn tell_lock_lost<W>(engine: &Engine<W>, attempt: &Running) {
    if attempt.note_lock_lost() {
        let (task, attempt) = (attempt.first_task(), attempt.attempt.0);
        engine.config.observer.tell(|| Event::LockLost { task, attempt });
    }
}

fn told_progress(attempt: &Running) -> Option<Progress> {
    let share = attempt.progress()?;
    Some(Progress {
        task: attempt.task(),
        attempt: attempt.attempt,
        share,
    })
}

fn trouble<W>(engine: &Engine<W>, what: &str, error: &std::io::Error) {
    engine.config.observer.tell(|| Event::Trouble {
        what: format!("{what}: {error}"),
    });
}

/// Asks tasks to stop that must, and ends attempts whose task does not return.
fn enforce<W: Worker>(engine: &Engine<W>, now: Moment, beats: &mut Beats) {
    let told = engine.config.stop.requested() == Some(How::Now);
    if told && beats.told.is_none() {
        beats.told = Some(now);
    }
    let out_of_grace = beats
        .told
        .is_some_and(|since| now.since(since) >= engine.config.grace);
    let timeout = engine.store.config().timeout;
    for attempt in all_running(engine) {
        if told {
            attempt.ask_to_stop(StopReason::Told);
        }
        let age = attempt.task_age(now);
        if timeout.is_some_and(|timeout| age >= timeout) {
            attempt.ask_to_stop(StopReason::Timeout);
        }
        let hangs = timeout.is_some_and(|timeout| age >= timeout.saturating_add(engine.config.grace));
        if out_of_grace {
            if let Some(claim) = attempt.take_claim() {
                let why = format!("{}, and its task did not return", engine.end.says());
                ending::give_back(engine, &attempt, claim, &why);
                abandon(engine, &attempt);
            }
        } else if hangs && let Some(mut claim) = attempt.take_claim() {
            let failure = ending::timed_out(age);
            ending::tell_failure(engine, &attempt, &failure);
            push_failure(claim.content(), attempt.index(), &failure, false);
            ending::count_failure(engine, &attempt, 1);
            // Tried once: the keeper must not wait. Where it fails, the others find a silent attempt.
            if let Err((_, error)) = claim.end(&engine.store, Kind::Fail, "the task hangs") {
                trouble(engine, "a failed attempt could not be marked", &error);
            }
            abandon(engine, &attempt);
        }
    }
}

/// The slot's thread is left behind: the worker must not wait for it.
fn abandon<W>(engine: &Engine<W>, attempt: &Arc<Running>) {
    lock(&engine.running).retain(|other| !Arc::ptr_eq(other, attempt));
    let _ = engine.ended.send(SlotEnd::Abandoned);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::clock::sim::{self, SimTime};
    use crate::config::StoreConfig;
    use crate::error::BoxError;
    use crate::fs::sim::SimDisk;
    use crate::name::{Attempt, RoundNumber};
    use crate::store::{Claim, Claiming, Identity, Store};
    use crate::worker::{Task, WorkerConfig};

    const TIMEOUT: Duration = Duration::from_secs(20);
    const LEASE: Duration = Duration::from_secs(30);

    struct Idle;

    impl Worker for Idle {
        type Input = u64;
        type Output = u64;

        fn process(&self, input: u64, _: &Task<'_>) -> std::result::Result<u64, BoxError> {
            Ok(input)
        }
    }

    /// A worker with one attempt, in simulated time.
    struct Bench {
        engine: Engine<Idle>,
        running: Arc<Running>,
        beats: Beats,
        woken: Arc<AtomicU32>,
        _time: SimTime,
    }

    impl Bench {
        fn new() -> Bench {
            let time = SimTime::begin();
            let config = StoreConfig::default().lease(LEASE).timeout(TIMEOUT);
            let store = Store::on(SimDisk::new().process("a").root(), &config).unwrap();
            let me = Identity::new();
            let Claiming::Won(claim) = Claim::of_master(&me, &store, Attempt::FIRST).unwrap() else {
                unreachable!("nobody else is there");
            };
            let woken = Arc::new(AtomicU32::new(0));
            let told = Arc::clone(&woken);
            let config = WorkerConfig::default().on_event(move |event| {
                told.fetch_add(u32::from(matches!(event, Event::WokeUp { .. })), Ordering::SeqCst);
            });
            let engine = Engine::new(config, &store, me, Idle, channel().0).unwrap();
            let running = Arc::new(Running::new(RoundNumber::FIRST, claim));
            lock(&engine.running).push(Arc::clone(&running));
            let every = store.heartbeat();
            let beats = Beats {
                every,
                next: Moment::now().plus(every),
                told: None,
            };
            Bench {
                engine,
                running,
                beats,
                woken,
                _time: time,
            }
        }

        fn begin_task(&self, index: u32) {
            self.running.begin_task(index, Moment::now());
        }

        /// Time in which the keeper looks each second.
        fn go_on(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.miss(1);
            }
        }

        /// Time in which it does not look, and then it does.
        fn miss(&mut self, seconds: u64) {
            sim::advance(Duration::from_secs(seconds));
            look(&self.engine, Moment::now(), &mut self.beats);
        }

        /// Whether the task was asked to stop, and whether its attempt is still its own.
        fn is(&self) -> (Option<StopReason>, bool) {
            let has_claim = self.running.with_claim(|_| ()).is_some();
            (self.running.stop_reason(), has_claim)
        }
    }

    #[test]
    fn a_task_is_asked_to_stop_at_its_timeout_and_left_behind_after_its_grace() {
        let mut bench = Bench::new();
        bench.begin_task(0);
        bench.go_on(19);
        assert_eq!(bench.is(), (None, true));
        bench.go_on(1);
        assert_eq!(bench.is(), (Some(StopReason::Timeout), true));
        bench.go_on(5);
        assert_eq!(bench.is(), (Some(StopReason::Timeout), false));
    }

    #[test]
    fn time_in_which_the_process_was_suspended_does_not_count_for_a_tasks_timeout() {
        let mut bench = Bench::new();
        bench.begin_task(0);
        bench.go_on(10);
        // The next heartbeat was due two seconds later: only from then on it is known to be late.
        bench.miss(1000);
        assert_eq!(bench.is(), (None, true));
        assert_eq!(bench.woken.load(Ordering::SeqCst), 1);
        // Twice: it is all the time together that does not count.
        bench.go_on(1);
        bench.miss(100);
        bench.go_on(1);
        assert_eq!(bench.is(), (None, true));
        bench.go_on(1);
        let (asked, _) = bench.is();
        assert_eq!(
            (asked, bench.woken.load(Ordering::SeqCst)),
            (Some(StopReason::Timeout), 2)
        );
    }

    #[test]
    fn a_task_that_begins_after_a_suspension_has_no_more_time_than_others() {
        let mut bench = Bench::new();
        bench.begin_task(0);
        bench.miss(1000);
        bench.begin_task(1);
        bench.go_on(19);
        assert_eq!(bench.is(), (None, true));
        bench.go_on(1);
        assert_eq!(bench.is(), (Some(StopReason::Timeout), true));
    }

    #[test]
    fn a_keeper_that_is_a_little_late_was_not_suspended() {
        let mut bench = Bench::new();
        bench.begin_task(0);
        // Due after six seconds, and late by just less than half the lease.
        bench.miss(20);
        assert_eq!(bench.woken.load(Ordering::SeqCst), 0);
        assert_eq!(bench.is(), (Some(StopReason::Timeout), true));
    }
}
