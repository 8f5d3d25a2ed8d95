//! Pings: every worker that lives answers through the file system, and how long that takes is measured.
//!
//! A ping is a file in the store whose name is its word. Workers see it in the listing that they make anyway for the stop
//! file, and add a line with the word to their own file.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use super::Store;
use super::workers::{WorkerSeen, read_workers};
use crate::clock::{Backoff, Moment, wall_millis};
use crate::error::{IoContext, Result};
use crate::fs::{FsKind, os};
use crate::layout;
use crate::wait::Stop;

/// A ping that is older was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// A worker's answer to a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pong {
    /// The worker, `HOST-PID-RANDOM`.
    pub worker: String,
    /// The job that it runs in, if it says so.
    pub job: Option<String>,
    /// After how long the answer was seen here, on this host's clock; `None`: not within the limit.
    pub seen_after: Option<Duration>,
    /// After how long the worker wrote it, on the file server's clock: most of it is its wait for its next look.
    ///
    /// What [`seen_after`](Pong::seen_after) is longer than this, the answer was on its way.
    pub written_after: Option<Duration>,
    /// Its process is known to be gone, or it is silent for over the lease: no answer is waited for.
    pub lost: bool,
}

impl Store {
    /// Asks every worker for a sign of life through the file system, and measures how long it takes.
    ///
    /// An idle worker answers at its next look (at once on a local file system, within 15 s elsewhere), a busy one at
    /// the latest with its heartbeat, every fifth of the lease (12 s, on network file systems 60 s). `answered` is told
    /// each answer as it is seen; it returns when all that live have answered, when the limit has passed, or when
    /// `stop` is requested.
    ///
    /// ```
    /// use std::time::Duration;
    /// use flockwork::{Stop, Store, StoreConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("sweep.flock");
    /// let store = Store::create(&path, &StoreConfig::default())?;
    /// let pongs = store.ping(Duration::from_secs(60), &Stop::new(), |pong| println!("{}", pong.worker))?;
    /// assert!(pongs.is_empty(), "no worker is there");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the store cannot be written or listed.
    pub fn ping(&self, limit: Duration, stop: &Stop, mut answered: impl FnMut(&Pong)) -> Result<Vec<Pong>> {
        let word = layout::ping_name(wall_millis(), std::process::id());
        let place = self.root().path().join(&word);
        let begun = Moment::now();
        let asked = self.put_ping(&word).during("cannot ping by", &place)?;
        let result = self.gather(&word, asked, begun, limit, stop, &mut answered);
        // Whoever pings next removes it otherwise.
        let _ = self.root().unlink(&word);
        result
    }

    /// Makes the file; returns the server's time.
    fn put_ping(&self, word: &str) -> io::Result<Duration> {
        let mut old = Vec::new();
        self.root().list(&mut |name| {
            let age = layout::ping_time(name).map(|made| wall_millis().saturating_sub(made));
            if age.is_some_and(|age| Duration::from_millis(age) > LEFT_BEHIND) {
                old.push(name.to_owned());
            }
        })?;
        for name in old {
            let _ = self.root().unlink(&name);
        }
        let file = self.root().create(word)?;
        file.touch()?;
        Ok(file.fresh()?.mtime)
    }

    fn gather(
        &self,
        word: &str,
        asked: Duration,
        begun: Moment,
        limit: Duration,
        stop: &Stop,
        answered: &mut dyn FnMut(&Pong),
    ) -> Result<Vec<Pong>> {
        let least = match self.kind() {
            FsKind::Local => Duration::from_millis(20),
            FsKind::Network => Duration::from_millis(500),
        };
        let mut poll = Backoff::new(least, Duration::from_secs(2));
        let mut pongs: Vec<Pong> = Vec::new();
        let mut done = BTreeSet::new();
        loop {
            let workers = read_workers(self).during("cannot list the workers of", self.root().path())?;
            let after = Moment::now().since(begun);
            let mut waiting = Vec::new();
            for seen in workers {
                let name = seen.record.worker.to_string();
                if done.contains(&name) {
                    continue;
                }
                let mut pong = pong_of(&seen, name);
                pong.lost = os::is_alive(&seen.record.process) == Some(false)
                    || asked.saturating_sub(seen.mtime) > self.lease();
                if seen.pongs.iter().any(|said| said == word) {
                    pong.seen_after = Some(after);
                    pong.written_after = Some(seen.mtime.saturating_sub(asked));
                } else if !pong.lost {
                    waiting.push(pong);
                    continue;
                }
                answered(&pong);
                done.insert(pong.worker.clone());
                pongs.push(pong);
            }
            if waiting.is_empty() || after >= limit || stop.requested().is_some() {
                waiting.iter().for_each(answered);
                pongs.append(&mut waiting);
                return Ok(pongs);
            }
            let at = stop.waker().seen();
            stop.waker().wait(at, poll.step().min(limit - after));
        }
    }
}

fn pong_of(seen: &WorkerSeen, worker: String) -> Pong {
    Pong {
        worker,
        job: seen.record.job.clone(),
        seen_after: None,
        written_after: None,
        lost: false,
    }
}
