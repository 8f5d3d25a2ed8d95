//! A thread for what may block long on a dead client's files: giving up attempts, and cleaning.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::fs::DirRef;
use crate::name::{ShardNumber, Stem};
use crate::observe::{Event, Observer};
use crate::store::{Identity, Reaper, RunningAttempt, Store, Tail, clean_shard};
use crate::wait::Stop;

/// What the janitor can be asked for.
#[derive(Debug)]
enum Job {
    Examine {
        running: Vec<RunningAttempt>,
        tail: Tail,
    },
    Clean {
        round: DirRef,
        shard: ShardNumber,
        stems: BTreeSet<Stem>,
    },
}

/// The way to the janitor; its thread begins with the first job, and ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Janitor {
    store: Store,
    me: Identity,
    observer: Observer,
    stop: Stop,
    capacity: usize,
    jobs: Option<SyncSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// How many shards are waiting to be cleaned, or being cleaned.
    cleaning: Arc<AtomicUsize>,
    /// In simulated time there is only one thread.
    #[cfg(test)]
    here: Option<Reaper>,
}

impl Janitor {
    /// `capacity`: how many attempts on a shared file system are watched at most.
    pub(crate) fn new(
        store: &Store,
        me: &Identity,
        observer: &Observer,
        stop: &Stop,
        capacity: usize,
    ) -> Janitor {
        Janitor {
            store: store.clone(),
            me: me.clone(),
            observer: observer.clone(),
            stop: stop.clone(),
            capacity,
            jobs: None,
            thread: None,
            cleaning: Arc::new(AtomicUsize::new(0)),
            #[cfg(test)]
            here: crate::clock::sim::is_on().then(|| Reaper::new(store, me, observer, capacity)),
        }
    }

    /// Has the attempts looked at; if an earlier look still goes on, this one is left out.
    pub(crate) fn examine(&mut self, running: Vec<RunningAttempt>, tail: Tail) {
        #[cfg(test)]
        if let Some(reaper) = &mut self.here {
            examine(reaper, &self.stop, &running, &tail);
            return;
        }
        if let Some(jobs) = self.jobs() {
            match jobs.try_send(Job::Examine { running, tail }) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Has a shard cleaned; waits if many are waiting to be.
    pub(crate) fn clean(&mut self, round: DirRef, shard: ShardNumber, stems: BTreeSet<Stem>) {
        #[cfg(test)]
        if self.here.is_some() {
            Unclean { round, shard, stems }.clean(&self.store, &self.observer);
            return;
        }
        let cleaning = Arc::clone(&self.cleaning);
        if let Some(jobs) = self.jobs() {
            cleaning.fetch_add(1, Ordering::SeqCst);
            // The thread only ends with this handle, unless it panicked; then cleaning is left to the next master.
            let _ = jobs.send(Job::Clean { round, shard, stems });
        }
    }

    /// Returns how many shards are waiting to be cleaned, or being cleaned.
    pub(crate) fn cleaning(&self) -> usize {
        self.cleaning.load(Ordering::SeqCst)
    }

    /// Waits until everything that was asked for is done.
    pub(crate) fn finish(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn jobs(&mut self) -> Option<&SyncSender<Job>> {
        if self.jobs.is_none() {
            let (sender, receiver) = sync_channel(4);
            let reaper = Reaper::new(&self.store, &self.me, &self.observer, self.capacity);
            let (store, observer, stop) = (self.store.clone(), self.observer.clone(), self.stop.clone());
            let cleaning = Arc::clone(&self.cleaning);
            let body = move || work(&store, reaper, &observer, &stop, &cleaning, &receiver);
            let thread = std::thread::Builder::new()
                .name("flockwork-janitor".into())
                .spawn(body);
            match thread {
                Ok(thread) => (self.jobs, self.thread) = (Some(sender), Some(thread)),
                Err(error) => {
                    self.observer.tell(|| Event::Trouble {
                        what: format!("cannot start a thread: {error}"),
                    });
                }
            }
        }
        self.jobs.as_ref()
    }
}

fn work(
    store: &Store,
    mut reaper: Reaper,
    observer: &Observer,
    stop: &Stop,
    cleaning: &AtomicUsize,
    jobs: &Receiver<Job>,
) {
    let mut later: Vec<Unclean> = Vec::new();
    for job in jobs {
        match job {
            Job::Examine { running, tail } => examine(&mut reaper, stop, &running, &tail),
            Job::Clean { round, shard, stems } => {
                let shard = Unclean { round, shard, stems };
                if !shard.clean(store, observer) {
                    later.push(shard);
                }
                cleaning.fetch_sub(1, Ordering::SeqCst);
                stop.waker().wake();
            }
        }
    }
    // Late workers have had time to close their files.
    for shard in later {
        shard.clean(store, observer);
    }
}

/// A shard that is to be cleaned.
struct Unclean {
    round: DirRef,
    shard: ShardNumber,
    stems: BTreeSet<Stem>,
}

impl Unclean {
    /// Says whether it is clean, or will not become so by trying again.
    fn clean(&self, store: &Store, observer: &Observer) -> bool {
        clean_shard(store, &self.round, self.shard, &self.stems).unwrap_or_else(|error| {
            observer.tell(|| Event::Trouble {
                what: format!(
                    "cannot clean shard {} in {}: {error}",
                    self.shard,
                    self.round.path().display()
                ),
            });
            true
        })
    }
}

fn examine(reaper: &mut Reaper, stop: &Stop, running: &[RunningAttempt], tail: &Tail) {
    if reaper.examine(running, tail) > 0 {
        stop.waker().wake();
    }
}
