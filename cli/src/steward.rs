//! The steward: one of the workers of a store is its master too, so that no other process has to live.
//!
//! Each worker has a thread that tries to be the master. One succeeds; it keeps the store filled with tasks, collects
//! what has ended, and at the end tells all workers to leave. When it leaves or dies, another takes over.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flockwork::app::Screen;
use flockwork::app::exit::Failed;
use flockwork::{ErrorKind, How, MasterConfig, Stop, Store};

use crate::master::SweepMaster;
use crate::sweep::spec::Sweep;

/// A thread that tries to be the master; it ends when this is dropped.
pub(crate) struct Steward {
    /// Stops the master that runs now; `None` once the thread is to end.
    stop: Arc<Mutex<Option<Stop>>>,
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Steward {
    pub(crate) fn start(store: &Store, sweep: &Sweep) -> Steward {
        let (done, is_done) = channel();
        let stop = Arc::new(Mutex::new(Some(Stop::new())));
        let (store, sweep, theirs) = (store.clone(), sweep.clone(), Arc::clone(&stop));
        let body = move || {
            let mut told = String::new();
            // Told to stop by the store, one is of no further use; the thread itself is ended from outside.
            while let Some(stop) = renewed(&theirs) {
                let master = &mut SweepMaster::new(&store, sweep.clone(), None);
                let config = config(&sweep).stop(stop).withdraw_stop(false);
                match config.run(&store, master) {
                    // The worker may stay: rows may be added, and a stop file may be withdrawn.
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::MasterBusy => {}
                    Err(error) => {
                        let text = Failed::from(error).text();
                        if text != told {
                            Screen::plain().line(&text);
                            told = text;
                        }
                    }
                }
                // A master that is alive is left alone; who looks when is a matter of chance.
                let wait = store.lease() / 12 + store.lease() / 12 * chance() / 100;
                if is_done.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        // Without this thread the worker still works; others, or `run` and `wait`, fill the store.
        let thread = std::thread::Builder::new()
            .name("flockwork-steward".into())
            .spawn(body)
            .ok();
        Steward {
            stop,
            done: Some(done),
            thread,
        }
    }
}

/// Returns a new handle to stop the next master, unless the thread is to end.
fn renewed(stop: &Mutex<Option<Stop>>) -> Option<Stop> {
    let mut held = stop.lock().unwrap_or_else(PoisonError::into_inner);
    held.as_mut().map(|held| {
        *held = Stop::new();
        held.clone()
    })
}

impl Drop for Steward {
    fn drop(&mut self) {
        let held = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stop) = held {
            stop.request(How::Now);
        }
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the others take over.
            let _ = thread.join();
        }
    }
}

/// A number below a hundred that differs from worker to worker.
fn chance() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    (now.map_or(0, |now| now.subsec_micros()) + std::process::id()) % 100
}

/// Returns the settings of a sweep's master.
pub(crate) fn config(sweep: &Sweep) -> MasterConfig {
    MasterConfig::default().batch(sweep.limits.batch)
}
