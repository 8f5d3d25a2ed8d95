//! The one master: the lock file `master.K.lock`, by the same steps as an attempt's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{Flock, FsKind, is_gone, os};
use crate::layout::{self, Kind, MASTER};
use crate::name::Attempt;
use crate::observe::{Event, Observer};
use crate::policy::Sight;
use crate::record::AttemptHeader;
use crate::store::{Claim, Claiming, Identity, Marker, Pulse, Store, make_marker, read_header};
use crate::wait::{Stop, lock};

/// The role of the one master, held.
#[derive(Debug)]
pub(super) struct Mastership {
    store: Store,
    claim: Arc<Mutex<Option<Claim>>>,
    attempt: Attempt,
    deposed: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    stop: Stop,
}

/// Becomes the one master; `None`: told to stop while waiting for a silent one.
///
/// # Errors
///
/// [`ErrorKind::MasterBusy`] with the name of the other master.
pub(super) fn acquire(
    store: &Store,
    me: &Identity,
    observer: &Observer,
    stop: &Stop,
) -> Result<Option<Mastership>> {
    let mut rival: Option<Rival> = None;
    loop {
        if stop.requested().is_some() {
            return Ok(None);
        }
        let seen = stop.waker().seen();
        let (last, ended) = latest(store)?;
        let next = last.map_or(Attempt::FIRST, Attempt::next);
        if ended {
            match Claim::of_master(me, store, next)
                .during("cannot make the master's lock in", store.root().path())?
            {
                Claiming::Won(claim) => return Mastership::begin(store, claim, observer, stop).map(Some),
                Claiming::Busy | Claiming::Gone => continue,
            }
        }
        let Some(last) = last else { continue };
        let rival = match &mut rival {
            Some(rival) if rival.attempt == last => rival,
            _ => rival.insert(Rival::new(last)),
        };
        if let Some(why) = rival.judge(store, observer)? {
            let marker = Marker::new(why, &me.id);
            make_marker(store.root(), MASTER, last, Kind::Lost, &marker)
                .during("cannot give up the silent master in", store.root().path())?;
            continue;
        }
        stop.waker()
            .wait(seen, (store.lease() / 12).min(Duration::from_secs(1)));
    }
}

/// Returns the highest attempt at being the master, and whether the role is free.
fn latest(store: &Store) -> Result<(Option<Attempt>, bool)> {
    let mut names = Vec::new();
    let root = store.root();
    root.list(&mut |name| names.extend(layout::parse_master(name)))
        .during("cannot list", root.path())?;
    let last = names.iter().map(|(attempt, _)| *attempt).max();
    let ended = names
        .iter()
        .any(|(attempt, kind)| Some(*attempt) == last && *kind != Kind::Lock);
    Ok((last, last.is_none() || ended))
}

/// Says whether the names show this attempt as the one that is at it.
fn is_held((last, ended): (Option<Attempt>, bool), attempt: Attempt) -> bool {
    last == Some(attempt) && !ended
}

/// Another master whose lock is there.
struct Rival {
    attempt: Attempt,
    sight: Sight,
    header: Option<AttemptHeader>,
    announced: bool,
}

impl Rival {
    fn new(attempt: Attempt) -> Rival {
        Rival {
            attempt,
            sight: Sight::new(Moment::now()),
            header: None,
            announced: false,
        }
    }

    /// Returns why it is to be given up, if it is.
    fn judge(&mut self, store: &Store, observer: &Observer) -> Result<Option<&'static str>> {
        let (now, lease) = (Moment::now(), store.lease());
        let path = store
            .root()
            .path()
            .join(layout::attempt_name(MASTER, self.attempt, Kind::Lock));
        if self.header.is_none() {
            self.header = match read_header(store.root(), MASTER, self.attempt) {
                Err(error) if is_gone(&error) => return Ok(None),
                answer => answer.during("cannot read", &path)?,
            };
        }
        match self
            .header
            .as_ref()
            .and_then(|header| os::is_alive(&header.process))
        {
            Some(false) => return Ok(Some("its process is gone")),
            Some(true) => return Err(self.busy(store)),
            None => {}
        }
        let name = layout::attempt_name(MASTER, self.attempt, Kind::Lock);
        let probe = match store.root().open_write(&name) {
            Err(error) if is_gone(&error) => return Ok(None),
            answer => answer.during("cannot open", &path)?,
        };
        let stat = probe.fresh().during("cannot look at", &path)?;
        self.sight.look(now, lease, (stat.mtime, stat.len));
        let flock = probe.try_lock().during("cannot try the lock of", &path)?;
        if flock == Flock::Busy || self.sight.has_moved() {
            return Err(self.busy(store));
        }
        if self.sight.is_silent(now, lease) {
            return Ok(Some("it gave no sign of life for the whole lease"));
        }
        // Only within one kernel a free lock tells that its holder is dead, whoever it was: also one of before the machine
        // booted.
        let one_kernel = store.kind() == FsKind::Local;
        let tells = one_kernel && self.header.as_ref().is_none_or(|header| header.flock);
        if tells && flock == Flock::Held && self.sight.lock_has_settled(now) {
            return Ok(Some("its lock is free"));
        }
        if !std::mem::replace(&mut self.announced, true) {
            observer.tell(|| Event::WaitingForMaster {
                master: self.name(),
                lease,
            });
        }
        Ok(None)
    }

    fn name(&self) -> String {
        self.header.as_ref().map_or_else(
            || "of unknown name".to_owned(),
            |header| header.worker.to_string(),
        )
    }

    fn busy(&self, store: &Store) -> Error {
        let who = match &self.header {
            Some(header) => format!(
                "{} (host {}, pid {})",
                header.worker, header.process.host, header.process.pid
            ),
            None => self.name(),
        };
        Error::new(ErrorKind::MasterBusy, format!("another master, {who}, holds"))
            .at(store.path())
            .with_hint("let it go on; or stop it with the verb `stop`, or kill it, and start again")
    }
}

impl Mastership {
    fn begin(store: &Store, claim: Claim, observer: &Observer, stop: &Stop) -> Result<Mastership> {
        let attempt = claim.attempt();
        let held = Mastership {
            store: store.clone(),
            claim: Arc::new(Mutex::new(Some(claim))),
            attempt,
            deposed: Arc::new(AtomicBool::new(false)),
            done: Arc::new(AtomicBool::new(false)),
            stop: stop.clone(),
        };
        held.remove_earlier();
        held.start_heartbeats(observer)?;
        Ok(held)
    }

    /// Earlier masters' names are of no use any more: the highest number alone decides.
    fn remove_earlier(&self) {
        let mut names = Vec::new();
        let is_earlier =
            |name: &str| layout::parse_master(name).is_some_and(|(attempt, _)| attempt < self.attempt);
        // Best effort: they do no harm.
        let _ = self.store.root().list(&mut |name| {
            if is_earlier(name) {
                names.push(name.to_owned());
            }
        });
        for name in names {
            let _ = self.store.root().unlink(&name);
        }
    }

    fn start_heartbeats(&self, observer: &Observer) -> Result<()> {
        #[cfg(test)]
        if crate::clock::sim::is_on() {
            return Ok(());
        }
        let every = self.store.heartbeat();
        let (claim, deposed, done) = (
            Arc::clone(&self.claim),
            Arc::clone(&self.deposed),
            Arc::clone(&self.done),
        );
        let (observer, stop) = (observer.clone(), self.stop.clone());
        let (store, attempt) = (self.store.clone(), self.attempt);
        let body = move || {
            let mut next = Moment::now().plus(every);
            while !done.load(Ordering::SeqCst) {
                let seen = stop.waker().seen();
                let now = Moment::now();
                if now >= next {
                    next = now.plus(every);
                    match lock(&claim).as_ref().map(Claim::heartbeat) {
                        // The lock only saves work: the names tell whether another master is there. Where they cannot
                        // be listed, the look before each step will tell.
                        Some(Ok(Pulse::Lost))
                            if latest(&store).is_ok_and(|latest| !is_held(latest, attempt)) =>
                        {
                            deposed.store(true, Ordering::SeqCst);
                        }
                        Some(Err(error)) => {
                            observer.tell(|| Event::Trouble {
                                what: format!("no heartbeat could be given: {error}"),
                            });
                        }
                        _ => {}
                    }
                }
                stop.waker().wait(seen, next.since(Moment::now()));
            }
        };
        let thread = std::thread::Builder::new()
            .name("flockwork-master-keeper".into())
            .spawn(body);
        thread
            .map(drop)
            .during("cannot start a thread for", self.store.path())
    }

    /// Makes sure, before each step that others see, that no other master took over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MasterBusy`] if one did.
    pub(super) fn check(&self) -> Result<()> {
        let latest = latest(&self.store)?;
        if self.deposed.load(Ordering::SeqCst) || !is_held(latest, self.attempt) {
            return Err(Error::new(
                ErrorKind::MasterBusy,
                "this master was silent for too long; another took over",
            )
            .at(self.store.path())
            .with_hint("let the other master go on; nothing is lost"));
        }
        Ok(())
    }

    /// Lets the role go.
    pub(super) fn release(self, why: &str) {
        self.done.store(true, Ordering::SeqCst);
        if let Some(claim) = lock(&self.claim).take() {
            claim.release(why);
        }
        self.stop.waker().wake();
    }
}
