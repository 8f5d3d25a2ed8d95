//! Waiting that can be cut short: by an event on disk, or by a request to stop.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Finish the tasks that are running, take no new ones.
    Finish,
    /// Give the running tasks back as soon as they return or their grace is over.
    Now,
}

/// Asks a master or a worker in this process to stop; clones ask the same one.
///
/// The stop *file* of a store asks all of its processes: [`Store::stop`](crate::Store::stop).
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    how: AtomicU8,
    waker: Waker,
}

impl Stop {
    /// Makes a handle that has not asked for anything yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Asks for a stop; `Now` overrules an earlier `Finish`, never the reverse.
    pub fn request(&self, how: How) {
        let level = match how {
            How::Finish => 1,
            How::Now => 2,
        };
        self.0.how.fetch_max(level, Ordering::SeqCst);
        self.0.waker.wake();
    }

    /// Returns what was asked for, if anything was.
    pub fn requested(&self) -> Option<How> {
        match self.0.how.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(How::Finish),
            _ => Some(How::Now),
        }
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.0.waker
    }
}

/// Wakes those who wait, and remembers that it did: a wake-up between a look and the wait is not lost.
#[derive(Debug, Default)]
pub(crate) struct Waker {
    wakes: Mutex<u64>,
    changed: Condvar,
}

impl Waker {
    pub(crate) fn wake(&self) {
        *lock(&self.wakes) += 1;
        self.changed.notify_all();
    }

    /// Returns what to give to [`wait`](Waker::wait): taken before the look whose result is waited upon.
    pub(crate) fn seen(&self) -> u64 {
        *lock(&self.wakes)
    }

    /// Waits for a wake-up since `seen`, but no longer than `limit`; says whether there was one.
    pub(crate) fn wait(&self, seen: u64, limit: Duration) -> bool {
        #[cfg(test)]
        if let Some(woken) = crate::clock::sim::wait(limit, || *lock(&self.wakes) != seen) {
            return woken;
        }
        let end = Instant::now() + limit;
        let mut wakes = lock(&self.wakes);
        while *wakes == seen {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            wakes = self
                .changed
                .wait_timeout(wakes, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

/// Locks a mutex whose data stays sound when a thread panicked while it held it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_overrules_finish_and_never_the_reverse() {
        let stop = Stop::new();
        assert_eq!(stop.requested(), None);
        let asked = stop.clone();
        stop.request(How::Finish);
        assert_eq!(asked.requested(), Some(How::Finish));
        stop.request(How::Now);
        stop.request(How::Finish);
        assert_eq!(stop.requested(), Some(How::Now));
    }

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost() {
        let waker = Waker::default();
        let seen = waker.seen();
        waker.wake();
        assert!(waker.wait(seen, Duration::from_secs(60)));
        assert!(!waker.wait(waker.seen(), Duration::from_millis(1)));
    }
}
