//! An attempt while it runs: shared between the slot that works and the keeper that watches.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::name::{Attempt, RoundNumber, Stem, TaskId};
use crate::store::Claim;
use crate::wait::lock;

/// Why a task is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The worker was told to stop now.
    Told = 1,
    /// It takes longer than the store's timeout.
    Timeout = 2,
    /// Another attempt was first.
    Outrun = 3,
    /// Somebody cancelled it.
    Cancelled = 4,
    /// It was given up while this worker was suspended, and another attempt has begun.
    TakenOver = 5,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) round: RoundNumber,
    pub(super) stem: Stem,
    pub(super) attempt: Attempt,
    pub(super) begun: Moment,
    /// Gone when the keeper had to end the attempt itself.
    claim: Mutex<Option<Claim>>,
    /// The position in the batch of the task that runs.
    index: AtomicU32,
    /// When that task began, in nanoseconds after `begun`.
    task_begun: AtomicU64,
    /// For how long this process was suspended since, in nanoseconds.
    asleep: AtomicU64,
    reason: AtomicU8,
    lock_lost: AtomicBool,
    /// Whether others can read who holds it.
    shown: AtomicBool,
    /// The bits of an f32; NaN: nothing was told.
    progress: AtomicU32,
}

impl Running {
    pub(super) fn new(round: RoundNumber, claim: Claim) -> Running {
        Running {
            round,
            stem: claim.stem(),
            attempt: claim.attempt(),
            begun: Moment::now(),
            claim: Mutex::new(Some(claim)),
            index: AtomicU32::new(0),
            task_begun: AtomicU64::new(0),
            asleep: AtomicU64::new(0),
            reason: AtomicU8::new(0),
            lock_lost: AtomicBool::new(false),
            shown: AtomicBool::new(false),
            progress: AtomicU32::new(f32::NAN.to_bits()),
        }
    }

    /// The first task of the input file.
    pub(super) fn first_task(&self) -> TaskId {
        TaskId {
            round: self.round,
            number: self.stem.0,
        }
    }

    /// The task that runs.
    pub(super) fn task(&self) -> TaskId {
        TaskId {
            round: self.round,
            number: self.stem.0 + u64::from(self.index()),
        }
    }

    pub(super) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    pub(super) fn begin_task(&self, index: u32, now: Moment) {
        self.index.store(index, Ordering::Relaxed);
        let after = u64::try_from(now.since(self.begun).as_nanos()).unwrap_or(u64::MAX);
        self.task_begun.store(after, Ordering::Relaxed);
        self.asleep.store(0, Ordering::Relaxed);
        self.progress.store(f32::NAN.to_bits(), Ordering::Relaxed);
        // The timeout is each task's own.
        let timeout = StopReason::Timeout as u8;
        let _ = self
            .reason
            .compare_exchange(timeout, 0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Notes that this process was suspended for so long.
    pub(super) fn note_sleep(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.asleep.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How long the task that runs has been running; time in which this process was suspended does not count.
    pub(super) fn task_age(&self, now: Moment) -> Duration {
        let begun = Duration::from_nanos(self.task_begun.load(Ordering::Relaxed));
        let asleep = Duration::from_nanos(self.asleep.load(Ordering::Relaxed));
        now.since(self.begun).saturating_sub(begun).saturating_sub(asleep)
    }

    /// Works on the claim, unless the keeper has taken it away.
    pub(super) fn with_claim<T>(&self, work: impl FnOnce(&mut Claim) -> T) -> Option<T> {
        lock(&self.claim).as_mut().map(work)
    }

    /// Takes the claim, to end it.
    pub(super) fn take_claim(&self) -> Option<Claim> {
        lock(&self.claim).take()
    }

    pub(super) fn ask_to_stop(&self, reason: StopReason) {
        // The first reason counts, but one that ends the attempt overrules one that ends its task.
        if matches!(
            reason,
            StopReason::Told | StopReason::Cancelled | StopReason::TakenOver
        ) {
            let timeout = StopReason::Timeout as u8;
            let _ = self
                .reason
                .compare_exchange(timeout, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
        }
        let _ = self
            .reason
            .compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::SeqCst) {
            1 => Some(StopReason::Told),
            2 => Some(StopReason::Timeout),
            3 => Some(StopReason::Outrun),
            4 => Some(StopReason::Cancelled),
            5 => Some(StopReason::TakenOver),
            _ => None,
        }
    }

    /// Notes that the lock is no longer ours; says whether that is news.
    pub(super) fn note_lock_lost(&self) -> bool {
        !self.lock_lost.swap(true, Ordering::SeqCst)
    }

    /// Notes that others are shown who holds it; says whether that is to be done now.
    pub(super) fn note_shown(&self) -> bool {
        !self.shown.swap(true, Ordering::SeqCst)
    }

    pub(super) fn set_progress(&self, share: f32) {
        self.progress
            .store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Option<f32> {
        Some(f32::from_bits(self.progress.load(Ordering::Relaxed))).filter(|share| !share.is_nan())
    }
}
