//! Giving up attempts whose worker is dead or silent.
//!
//! Calls on a dead NFS client's files can block for minutes, so all of this runs in a thread of its own, with no
//! lock held that others need.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::claim::{Identity, read_header};
use super::create::new_token;
use super::marker::{Marker, make_whole_marker};
use super::scan::{list_round, list_rounds, list_shard};
use super::{State, Store};
use crate::clock::Moment;
use crate::error::{IoContext, Result};
use crate::fs::{DirRef, Flock, FsKind, is_foreign, is_gone, os};
use crate::layout::{self, Kind, WORKERS};
use crate::name::{Attempt, RoundNumber, Stem, TaskId, WorkerId};
use crate::observe::{Event, Observer};
pub(crate) use crate::policy::Tail;
use crate::policy::{Reach, Sight};
use crate::record::AttemptHeader;

/// Short attempts are not worth a look.
const YOUNG: Duration = Duration::from_millis(200);

/// An attempt that a scan saw running.
#[derive(Debug, Clone)]
pub(crate) struct RunningAttempt {
    pub(crate) round: RoundNumber,
    pub(crate) dir: DirRef,
    pub(crate) stem: Stem,
    pub(crate) attempt: Attempt,
    pub(crate) doubled: bool,
}

/// What is known of the locks of another host, and by which of its workers' files.
#[derive(Debug)]
struct Probing {
    worker: WorkerId,
    reach: Reach,
}

#[derive(Debug)]
struct Known {
    sight: Sight,
    header: Option<AttemptHeader>,
}

/// Watches running attempts, and gives up those that are dead or silent.
#[derive(Debug)]
pub(crate) struct Reaper {
    store: Store,
    me: Identity,
    observer: Observer,
    known: HashMap<(RoundNumber, Stem, Attempt), Known>,
    /// By host name and boot: there may be two hosts of one name.
    reach: HashMap<(String, String), Probing>,
    /// At most so many attempts are watched, always the same ones, so that a thousand idle workers do not ask
    /// a million things.
    capacity: usize,
}

/// What is to be done with an attempt.
enum Verdict {
    Leave,
    Lost(&'static str),
    Slow,
}

impl Reaper {
    pub(crate) fn new(store: &Store, me: &Identity, observer: &Observer, capacity: usize) -> Reaper {
        Reaper {
            store: store.clone(),
            me: me.clone(),
            observer: observer.clone(),
            known: HashMap::new(),
            reach: HashMap::new(),
            capacity: if store.kind() == FsKind::Local {
                usize::MAX
            } else {
                capacity
            },
        }
    }

    /// Looks at all attempts that are running now; says how many input files became free.
    pub(crate) fn examine(&mut self, running: &[RunningAttempt], tail: &Tail) -> usize {
        let now = Moment::now();
        let keys: std::collections::HashSet<_> = running.iter().map(key).collect();
        self.known.retain(|key, _| keys.contains(key));
        let mut freed = 0;
        for attempt in running {
            if !self.known.contains_key(&key(attempt)) {
                if self.known.len() < self.capacity {
                    self.known.insert(
                        key(attempt),
                        Known {
                            sight: Sight::new(now),
                            header: None,
                        },
                    );
                }
                continue;
            }
            match self.judge(attempt, tail, Moment::now()) {
                Ok(Verdict::Leave) => {}
                Ok(Verdict::Lost(why)) => freed += usize::from(self.mark(attempt, Kind::Lost, why)),
                Ok(Verdict::Slow) => {
                    freed +=
                        usize::from(self.mark(attempt, Kind::Slow, "it takes far longer than the others"));
                }
                // It was cleaned or removed meanwhile.
                Err(error) if is_gone(&error) => {}
                Err(error) => self.observer.tell(|| Event::Trouble {
                    what: format!(
                        "cannot look at an attempt in {}: {error}",
                        attempt.dir.path().display()
                    ),
                }),
            }
        }
        freed
    }

    fn judge(&mut self, attempt: &RunningAttempt, tail: &Tail, now: Moment) -> io::Result<Verdict> {
        let (store, lease) = (self.store.clone(), self.store.lease());
        let base = attempt.stem.to_string();
        let Some(known) = self.known.get_mut(&key(attempt)) else {
            return Ok(Verdict::Leave);
        };
        if known.sight.known_for(now) < YOUNG {
            return Ok(Verdict::Leave);
        }
        let looks = known.sight.wants_look(now, lease);
        if known.header.is_none() && looks {
            known.header = read_header(&attempt.dir, &base, attempt.attempt)?;
        }
        let mut lives_here = false;
        if let Some(header) = &known.header {
            if header.worker == self.me.id {
                return Ok(Verdict::Leave);
            }
            match os::is_alive(&header.process) {
                Some(false) => return Ok(Verdict::Lost("its process is gone")),
                Some(true) => lives_here = true,
                None => {}
            }
        }
        if looks {
            let lock = layout::attempt_name(&base, attempt.attempt, Kind::Lock);
            let looked = attempt
                .dir
                .open_write(&lock)
                .and_then(|probe| Ok((probe.fresh()?, probe)));
            let (state, probe) = match looked {
                Ok((stat, probe)) => ((stat.mtime, stat.len), Some(probe)),
                Err(error) if is_gone(&error) => return Err(error),
                Err(error) if is_foreign(&error) => return Ok(Verdict::Lost("its lock is no file")),
                // One that cannot be looked at is silent too, after a whole lease of that.
                Err(_) => ((Duration::ZERO, 0), None),
            };
            known.sight.look(now, lease, state);
            if known.sight.is_silent(now, lease) {
                return Ok(Verdict::Lost("it gave no sign of life for the whole lease"));
            }
            // A live process may have lost its lock to the file server; then only its silence counts.
            let settled = !lives_here && known.sight.lock_has_settled(now);
            let header = known.header.clone();
            if let (true, Some(header)) = (settled, &header)
                && header.worker_flock
            {
                if self.worker_is_dead(header)? {
                    return Ok(Verdict::Lost("its worker's lock is free"));
                }
            } else if let (true, Some(probe)) = (settled, probe)
                && self.lock_tells(header.as_ref())?
                && probe.try_lock()? == Flock::Held
            {
                return Ok(Verdict::Lost("its lock is free"));
            }
        }
        let Some(known) = self.known.get(&key(attempt)) else {
            return Ok(Verdict::Leave);
        };
        let slow = !attempt.doubled && tail.allows_double(store.config().tail, known.sight.known_for(now));
        Ok(if slow { Verdict::Slow } else { Verdict::Leave })
    }

    /// Says whether a free lock proves that this attempt's worker is dead.
    fn lock_tells(&mut self, header: Option<&AttemptHeader>) -> io::Result<bool> {
        let Some(header) = header else {
            // Dead before it wrote its header; only one kernel can know that.
            return Ok(self.store.kind() == FsKind::Local);
        };
        let this = &self.me.process;
        if !header.flock {
            return Ok(false);
        }
        // Of this kernel, or of one that was here before: its machine has booted since.
        let one_kernel = self.store.kind() == FsKind::Local;
        if one_kernel || header.process.host == this.host && header.process.boot == this.boot {
            return Ok(true);
        }
        self.locks_reach(header)
    }

    /// Says whether the lock that a worker holds as long as it lives is free.
    fn worker_is_dead(&mut self, header: &AttemptHeader) -> io::Result<bool> {
        let this = &self.me.process;
        let is_here = header.process.host == this.host && header.process.boot == this.boot;
        if !is_here && !self.locks_reach(header)? {
            return Ok(false);
        }
        let workers = self.store.root().open_dir(WORKERS)?;
        match workers.open_write(header.worker.as_str()) {
            Ok(probe) => Ok(probe.try_lock()? == Flock::Held),
            // It has left, or a new master has tidied up; silence tells the rest.
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tries the lock of the *file* of a worker of that host: if it is busy while the worker lives, its locks are seen
    /// here; if it can be taken, they are not.
    fn locks_reach(&mut self, header: &AttemptHeader) -> io::Result<bool> {
        let host = &header.process.host;
        let probing = self
            .reach
            .entry((host.clone(), header.process.boot.clone()))
            .or_insert_with(|| Probing {
                worker: header.worker.clone(),
                reach: Reach::default(),
            });
        if probing.reach.is_known() {
            return Ok(probing.reach == Reach::Yes);
        }
        if probing.worker != header.worker {
            (probing.worker, probing.reach) = (header.worker.clone(), Reach::default());
        }
        let workers = self.store.root().open_dir(WORKERS)?;
        let probe = match workers.open_write(header.worker.as_str()) {
            Ok(probe) => probe,
            // It has left, or was cleaned after its death.
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        // In this order, and with the lock still held, so that a later sign of life is one of a worker without it.
        let taken = probe.try_lock()? != Flock::Busy;
        let stat = probe.fresh()?;
        probing.reach = probing.reach.tried(taken, (stat.mtime, stat.len));
        if probing.reach == Reach::No {
            self.observer
                .tell(|| Event::LocksDoNotReach { host: host.clone() });
        }
        Ok(probing.reach == Reach::Yes)
    }

    fn mark(&self, attempt: &RunningAttempt, kind: Kind, why: &str) -> bool {
        let base = attempt.stem.to_string();
        let made = make_whole_marker(
            &self.store,
            &attempt.dir,
            &base,
            attempt.attempt,
            kind,
            &Marker::new(why, &self.me.id),
        );
        let task = TaskId {
            round: attempt.round,
            number: attempt.stem.0,
        };
        match made {
            Ok(true) => {
                let worker = self
                    .known
                    .get(&key(attempt))
                    .and_then(|known| known.header.as_ref());
                let worker = worker.map(|header| header.worker.to_string());
                self.observer.tell(|| match kind {
                    Kind::Slow => Event::Slow {
                        task,
                        attempt: attempt.attempt.0,
                    },
                    _ => Event::Lost {
                        task,
                        attempt: attempt.attempt.0,
                        worker,
                        why: why.to_owned(),
                    },
                });
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.observer.tell(|| Event::Trouble {
                    what: format!("cannot give up the attempt of {task}: {error}"),
                });
                false
            }
        }
    }
}

fn key(attempt: &RunningAttempt) -> (RoundNumber, Stem, Attempt) {
    (attempt.round, attempt.stem, attempt.attempt)
}

/// Which running attempts a person wants to be given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reclaim {
    /// Those whose process is gone, and those that gave no sign of life for this long by the file server's clock.
    Silent(Duration),
    /// The ones of these input files (named by their first task), whoever holds them.
    Tasks(Vec<TaskId>),
}

/// An attempt that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reclaimed {
    /// The first task of its input file.
    pub task: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// Its worker, if that is known.
    pub worker: Option<String>,
    /// Why it was given up.
    pub why: String,
}

impl Store {
    /// Gives up running attempts at once, so that other workers take their tasks.
    ///
    /// If a worker that was given up lives after all, nothing is damaged: the first outcome wins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the store cannot be listed or written.
    pub fn reclaim(&self, which: &Reclaim) -> Result<Vec<Reclaimed>> {
        let me = Identity::new();
        let server_now = self.server_time()?;
        let mut reclaimed = Vec::new();
        for attempt in self.running_attempts()? {
            let task = TaskId {
                round: attempt.round,
                number: attempt.stem.0,
            };
            let base = attempt.stem.to_string();
            let header = read_header(&attempt.dir, &base, attempt.attempt).ok().flatten();
            let why = match which {
                Reclaim::Tasks(tasks) => tasks.contains(&task).then(|| "a person asked for it".to_owned()),
                Reclaim::Silent(limit) => {
                    let gone =
                        header.as_ref().and_then(|header| os::is_alive(&header.process)) == Some(false);
                    let lock = layout::attempt_name(&base, attempt.attempt, Kind::Lock);
                    let stat = attempt.dir.open_write(&lock).and_then(|file| file.fresh());
                    let silence = stat.map_or(Duration::ZERO, |stat| server_now.saturating_sub(stat.mtime));
                    match (gone, silence > *limit) {
                        (true, _) => Some("its process is gone".to_owned()),
                        (_, true) => Some(format!("it gave no sign of life for {} s", silence.as_secs())),
                        _ => None,
                    }
                }
            };
            let Some(why) = why else { continue };
            let made = make_whole_marker(
                self,
                &attempt.dir,
                &base,
                attempt.attempt,
                Kind::Lost,
                &Marker::new(&*why, &me.id),
            )
            .during("cannot give up an attempt in", attempt.dir.path())?;
            if made {
                let worker = header.map(|header| header.worker.to_string());
                reclaimed.push(Reclaimed {
                    task,
                    attempt: attempt.attempt.0,
                    worker,
                    why,
                });
            }
        }
        Ok(reclaimed)
    }

    /// Asks the file server what time it is, by touching a file of our own.
    pub(crate) fn server_time(&self) -> Result<Duration> {
        let name = layout::temporary_name("time", &new_token());
        let asked = (|| {
            let file = self.root().create(&name)?;
            file.touch()?;
            let stat = file.fresh();
            self.root().unlink(&name)?;
            stat
        })();
        Ok(asked
            .during("cannot ask for the time of", self.root().path())?
            .mtime)
    }

    fn running_attempts(&self) -> Result<Vec<RunningAttempt>> {
        let mut running = Vec::new();
        let mut entries = Vec::new();
        for round in list_rounds(self)? {
            let round_dir = self.round_dir(round)?;
            let listing = list_round(&round_dir).during("cannot list", round_dir.path())?;
            for shard in listing.shards {
                let dir = match self.shard_dir(&round_dir, shard) {
                    Err(error) if error.io_error().is_some_and(is_gone) => continue,
                    answer => answer?,
                };
                let state = match list_shard(&dir, shard, self.attempts_allowed(), &mut entries) {
                    // Cleaned since the round was listed: nothing runs there any more.
                    Err(error) if is_gone(&error) => continue,
                    answer => answer.during("cannot list", dir.path())?,
                };
                running.extend(state.inputs.iter().filter_map(|input| match input.state {
                    State::Running { attempt } => {
                        let (dir, doubled) = (dir.clone(), input.doubled);
                        Some(RunningAttempt {
                            round,
                            dir,
                            stem: input.stem,
                            attempt,
                            doubled,
                        })
                    }
                    _ => None,
                }));
            }
        }
        Ok(running)
    }
}
