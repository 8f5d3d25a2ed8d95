//! The steward: one of the workers of a store is its master too, so that no other process has to live.
//!
//! Each worker has a thread that tries to be the master. One succeeds; it keeps the store filled with tasks, collects
//! what has ended, and at the end tells all workers to leave. When it leaves or dies, another takes over.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use flockwork::{ErrorKind, How, MasterConfig, Stop, Store};

use crate::master::SweepMaster;
use crate::sweep::spec::Sweep;

/// A thread that tries to be the master; it ends when this is dropped.
pub(crate) struct Steward {
    stop: Stop,
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Steward {
    pub(crate) fn start(store: &Store, sweep: &Sweep) -> Steward {
        let (done, is_done) = channel();
        let stop = Stop::new();
        let (store, sweep, theirs) = (store.clone(), sweep.clone(), stop.clone());
        let body = move || {
            loop {
                let master = &mut SweepMaster::new(&store, sweep.clone(), None);
                let ended = config(&sweep)
                    .stop(theirs.clone())
                    .withdraw_stop(false)
                    .run(&store, master);
                let retry = match ended {
                    Ok(_) => return,
                    Err(error) => error.kind() == ErrorKind::MasterBusy || error.kind() == ErrorKind::Io,
                };
                // A master that is alive is left alone; who looks how often is a matter of chance.
                let wait = store.lease() / 3 + store.lease() / 3 * chance() / 100;
                if !retry || is_done.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
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

impl Drop for Steward {
    fn drop(&mut self) {
        self.stop.request(How::Now);
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
