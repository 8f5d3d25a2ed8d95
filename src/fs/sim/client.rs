//! What a client of a file server remembers: listings, and names that were not there.
//!
//! A host is a client; its processes share what it remembers. All of this is off until a test asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::disk::{Disk, SimDisk};
use super::process::ProcessId;
use super::tree::{Names, NodeId};
use crate::clock::Moment;
use crate::fs::listings::Listings;

/// What the clients of a disk remember, and for how long.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The tick of the clock that the server's change times are made by.
    coarse: Option<Duration>,
    remembers_missing: bool,
    /// Whether names are forgotten before a listing that may be out of date, as on a real disk (see [`Listings`]).
    forgets: bool,
    clients: BTreeMap<String, Client>,
    /// Up to when the server's clock has followed the processes' own.
    followed: Option<Moment>,
}

#[derive(Debug, Default)]
struct Client {
    /// Listings, each with the tick in which it was made.
    listings: BTreeMap<NodeId, (u128, Names)>,
    /// Names that were asked for and not there.
    missing: BTreeSet<(NodeId, String)>,
}

impl SimDisk {
    /// Lets each host remember listings, as NFS clients do where the server's change times are coarse.
    ///
    /// A listing is used again, by a fresh opendir too, until the directory changes in a later tick than the one in
    /// which it was made: only then does the server show another change time. So what another host changes in the very
    /// tick of a listing stays invisible until a name is made or removed, or the directory is touched, later on. (A
    /// real server shows it if the directory had not changed in that tick before the listing. Nobody should rely on
    /// that.) A host sees its own changes at once.
    ///
    /// The server's clock goes on with that of the processes (see `clock::sim`) from now on.
    pub(crate) fn set_coarse(&self, tick: Option<Duration>) {
        let disk = &mut *self.lock();
        disk.view.coarse = tick.filter(|tick| !tick.is_zero());
        disk.view.clients.clear();
    }

    /// Has hosts forget remembered names by the rule of the real disk.
    pub(crate) fn forget_kept_names(&self, does: bool) {
        self.lock().view.forgets = does;
    }

    /// Lets each host remember names that were not there: made elsewhere, they stay invisible when they are asked for
    /// by name, until the host lists the directory.
    pub(crate) fn remember_missing(&self, does: bool) {
        let disk = &mut *self.lock();
        disk.view.remembers_missing = does;
        disk.view.clients.clear();
    }
}

impl Disk {
    /// Finds a name as a process' host sees it.
    pub(super) fn find(&mut self, process: ProcessId, dir: NodeId, name: &str) -> io::Result<NodeId> {
        if !self.view.remembers_missing {
            return self.tree.lookup(dir, name);
        }
        let client = self.client(process);
        let key = (dir, name.to_owned());
        if client.missing.contains(&key) {
            return Err(Errno::NOENT.into());
        }
        let found = self.tree.lookup(dir, name);
        let is_missing = |error: &io::Error| Errno::from_io_error(error) == Some(Errno::NOENT);
        if found.as_ref().is_err_and(is_missing) {
            self.client(process).missing.insert(key);
        }
        found
    }

    /// Forgets what a process' host remembers of a directory, if the rule wants it before a listing.
    pub(super) fn forget_kept_names(&mut self, process: ProcessId, dir: NodeId, listings: &Mutex<Listings>) {
        let Some(tick) = self.view.coarse.filter(|_| self.view.forgets) else {
            return;
        };
        let stamp = (self.tree.changed(dir).as_nanos() / tick.as_nanos()) as i64;
        let mut listings = listings.lock().unwrap_or_else(PoisonError::into_inner);
        if listings.must_forget((stamp, 0), Moment::now()) {
            self.client(process).listings.remove(&dir);
        }
    }

    /// Returns the names that a listing by a process shows.
    pub(super) fn names_for(&mut self, process: ProcessId, dir: NodeId) -> Names {
        let names = self.tree.names(dir);
        let (now, changed) = (self.tree.now(), self.tree.changed(dir));
        let ticks = self
            .view
            .coarse
            .map(|tick| [now, changed].map(|time| time.as_nanos() / tick.as_nanos()));
        let client = self.client(process);
        if let Some([now, changed]) = ticks {
            match client.listings.get(&dir) {
                Some((listed, old)) if changed <= *listed => return Names::clone(old),
                _ => client.listings.insert(dir, (now, Names::clone(&names))),
            };
        }
        client.missing.retain(|(of, _)| *of != dir);
        names
    }

    /// Prepares a step: whose it is, and how late it is.
    pub(super) fn begin_step(&mut self, process: ProcessId) {
        self.tree.user = self.processes[process].user;
        self.tree.take_changes();
        if self.view.coarse.is_some() {
            let now = Moment::now();
            let before = self.view.followed.replace(now).unwrap_or(now);
            self.tree.advance(now.since(before));
        }
    }

    /// Ends a step: the host knows of its own changes.
    pub(super) fn end_step(&mut self, process: ProcessId) {
        for (dir, name) in self.tree.take_changes() {
            let client = self.client(process);
            client.listings.remove(&dir);
            client.missing.remove(&(dir, name));
        }
    }

    fn client(&mut self, process: ProcessId) -> &mut Client {
        let host = self.processes[process].host.clone();
        self.view.clients.entry(host).or_default()
    }
}
