//! The simulated disk: its modes, its open files and locks, and what tests ask of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::client::View;
use super::process::{Process, ProcessId, SimProcess};
use super::removal::Removal;
use super::tree::{NodeId, ROOT, Tree, User};
use crate::clock::Random;
use crate::fs::FsKind;

/// What flock(2) does on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlockMode {
    /// A lock excludes every other process.
    Works,
    /// A lock excludes only processes of the same host.
    NodeLocal,
    /// There are no locks.
    Unsupported,
}

/// A disk in memory that processes share; clones are the same disk.
///
/// A new one is local, has locks, hard links and `rename_new`, and no limit of space. All of that can be
/// changed at any time.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<Disk>>);

impl SimDisk {
    pub(crate) fn new() -> SimDisk {
        SimDisk::of(Disk::new(Tree::new()))
    }

    /// Starts a process on a host.
    pub(crate) fn process(&self, host: &str) -> SimProcess {
        let mut disk = self.lock();
        disk.processes.push(Process::new(host));
        SimProcess::new(self.clone(), disk.processes.len() - 1)
    }

    /// Sets what locks do from now on; locks that are held stay.
    pub(crate) fn set_flock(&self, mode: FlockMode) {
        self.lock().flock = mode;
    }

    /// Says whether there are hard links; without, `link` answers EPERM.
    pub(crate) fn set_links(&self, are_there: bool) {
        self.lock().tree.has_links = are_there;
    }

    /// Says whether `rename_new` works; without, it answers EINVAL, as on NFS.
    pub(crate) fn set_rename_new(&self, works: bool) {
        self.lock().tree.has_rename_new = works;
    }

    pub(crate) fn set_kind(&self, kind: FsKind) {
        self.lock().kind = kind;
    }

    /// Limits the bytes of all files together; `None` takes the limit away.
    ///
    /// A write stops where the space ends. At or beyond the limit nothing can be created, but names can be
    /// linked, renamed and removed. A file that was removed takes space until it is closed.
    pub(crate) fn set_space(&self, bytes: Option<u64>) {
        self.lock().tree.space = bytes;
    }

    /// Lets the file server's clock go on.
    pub(crate) fn advance(&self, duration: Duration) {
        self.lock().tree.advance(duration);
    }

    /// Turns the file server's clock back.
    pub(crate) fn turn_back(&self, duration: Duration) {
        self.lock().tree.turn_back(duration);
    }

    /// Takes all its locks from a process, which is not told: others can take them.
    pub(crate) fn lose_locks(&self, process: &SimProcess) {
        let id = self.id_of(process);
        let disk = &mut *self.lock();
        for holders in disk.locks.values_mut() {
            holders.retain(|open| disk.opens.get(open).is_some_and(|open| open.process != id));
        }
    }

    /// The same, and each byte that goes through the files that were locked is answered with EIO, as on NFS.
    ///
    /// Their names and times, and all other files, can be used as before.
    pub(crate) fn break_locks(&self, process: &SimProcess) {
        let id = self.id_of(process);
        {
            let disk = &mut *self.lock();
            let held = disk.locks.values().flatten().copied();
            let of_process = |open: &OpenId| disk.opens.get(open).is_some_and(|open| open.process == id);
            disk.broken.extend(held.filter(of_process));
        }
        self.lose_locks(process);
    }

    /// Lets the next `count` listings of a process show every directory as it is now.
    ///
    /// Directories that are made later are shown as they are.
    pub(crate) fn stale_listing(&self, process: &SimProcess, count: usize) {
        let id = self.id_of(process);
        let disk = &mut *self.lock();
        disk.processes[id].stale = Some((count, disk.tree.all_names()));
    }

    /// Lets the next `count` listings of a process leave out some names, at least one each.
    pub(crate) fn torn_listing(&self, process: &SimProcess, count: usize, seed: u64) {
        let id = self.id_of(process);
        // Small seeds are alike in their first numbers, so they are spread.
        let random = Random::seeded(
            seed.wrapping_mul(2)
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
        self.lock().processes[id].torn = Some((count, random));
    }

    /// Returns the disk after a power cut now, without processes: only what was synced is there.
    ///
    /// Names come back if their directory was synced since they were made (`Dir::sync`, `Dir::sync_all`,
    /// `Dir::replace` with sync), bytes if the file was (`File::sync_data` and the latter two). A name without
    /// its bytes is an empty file. Every step that was synced is needed: nothing is there by luck.
    /// This disk goes on as if nothing had happened.
    pub(crate) fn power_cut(&self) -> SimDisk {
        let disk = self.lock();
        let after = Disk {
            kind: disk.kind,
            flock: disk.flock,
            // A temporary file that stayed keeps its name.
            next_number: disk.next_number,
            ..Disk::new(disk.tree.after_power_cut())
        };
        SimDisk::of(after)
    }

    /// Brings all names to the disk but no bytes, as ext4's journal does by itself every few seconds.
    ///
    /// After that, a power cut shows results that were published without a sync as empty files.
    pub(crate) fn commit_names(&self) {
        self.lock().tree.sync_names();
    }

    /// Returns all paths below the root with their lengths, sorted; those of directories end in `/`.
    pub(crate) fn paths(&self) -> Vec<(String, u64)> {
        let disk = self.lock();
        let mut paths = Vec::new();
        let mut dirs = vec![(ROOT, String::new())];
        while let Some((dir, prefix)) = dirs.pop() {
            for (name, id) in disk.tree.names(dir).iter() {
                if disk.tree.is_dir(*id) {
                    let path = format!("{prefix}{name}/");
                    paths.push((path.clone(), 0));
                    dirs.push((*id, path));
                } else {
                    paths.push((format!("{prefix}{name}"), disk.tree.stat(*id).len));
                }
            }
        }
        paths.sort();
        paths
    }

    /// Returns what the file at a path below the root holds, if there is one.
    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let disk = self.lock();
        let found = path
            .split('/')
            .try_fold(ROOT, |dir, name| disk.tree.lookup(dir, name))
            .ok()?;
        disk.tree.bytes(found).ok().map(|bytes| bytes.to_vec())
    }

    /// Puts a new file, safe from power cuts, at a path below the root, with the directories on the way.
    ///
    /// A file that had the name loses it.
    pub(crate) fn plant(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.tree.user = User::default();
        let (dirs, file) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = ROOT;
        for name in dirs.split('/').filter(|name| !name.is_empty()) {
            let inner = disk
                .tree
                .lookup(dir, name)
                .or_else(|_| disk.tree.make_dir(dir, name))?;
            disk.tree.sync_entry(dir, name, inner);
            dir = inner;
        }
        if disk.tree.lookup(dir, file).is_ok() {
            disk.tree.unlink(dir, file)?;
        }
        let id = disk.tree.write_new(dir, file, bytes)?;
        disk.tree.sync_entry(dir, file, id);
        disk.tree.take_changes();
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(disk: Disk) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(disk)))
    }

    fn id_of(&self, process: &SimProcess) -> ProcessId {
        assert!(
            Arc::ptr_eq(&self.0, &process.disk().0),
            "the process uses another disk"
        );
        process.id()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

/// What the lock of a [`SimDisk`] guards.
pub(super) struct Disk {
    pub(super) tree: Tree,
    pub(super) kind: FsKind,
    pub(super) processes: Vec<Process>,
    pub(super) view: View,
    pub(super) removal: Removal,
    pub(super) is_sticky: bool,
    flock: FlockMode,
    pub(super) opens: BTreeMap<OpenId, Open>,
    /// Numbers open file descriptions and temporary files.
    next_number: u64,
    /// Who holds the lock of an inode; more than one only if it does not reach all hosts.
    locks: BTreeMap<NodeId, Vec<OpenId>>,
    /// Files whose lock was lost, as NFS shows it: no bytes can be read, written or synced.
    broken: BTreeSet<OpenId>,
}

/// The number of an open file description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpenId(u64);

/// An open file description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) node: NodeId,
    pub(super) process: ProcessId,
    pub(super) access: Access,
}

/// What a file was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Both,
}

impl Disk {
    fn new(tree: Tree) -> Disk {
        Disk {
            tree,
            kind: FsKind::Local,
            processes: Vec::new(),
            view: View::default(),
            removal: Removal::default(),
            is_sticky: false,
            flock: FlockMode::Works,
            opens: BTreeMap::new(),
            next_number: 0,
            locks: BTreeMap::new(),
            broken: BTreeSet::new(),
        }
    }

    pub(super) fn open(&mut self, node: NodeId, process: ProcessId, access: Access) -> OpenId {
        let id = OpenId(self.next_number());
        self.opens.insert(
            id,
            Open {
                node,
                process,
                access,
            },
        );
        self.tree.opened(node);
        id
    }

    /// Returns a name like those that the crate tempfile makes.
    pub(super) fn temporary_name(&mut self) -> String {
        format!(".{:06}.tmp", self.next_number())
    }

    pub(super) fn of_open(&self, id: OpenId) -> io::Result<Open> {
        Ok(*self.opens.get(&id).ok_or(Errno::BADF)?)
    }

    /// Closes a file and gives its lock back. The process may have crashed before: then it is closed already.
    pub(super) fn close(&mut self, id: OpenId) {
        let Some(open) = self.opens.remove(&id) else {
            return;
        };
        if let Some(holders) = self.locks.get_mut(&open.node) {
            holders.retain(|holder| *holder != id);
        }
        self.broken.remove(&id);
        self.tree.closed(open.node);
        self.forget_silly_name(open);
    }

    /// Answers EIO for a file whose lock was lost, ESTALE for one that another host has removed.
    pub(super) fn check_bytes(&self, id: OpenId) -> io::Result<()> {
        self.check_handle(id)?;
        if self.broken.contains(&id) {
            return Err(Errno::IO.into());
        }
        Ok(())
    }

    /// Ends a process as kill -9 does.
    pub(super) fn crash(&mut self, process: ProcessId) {
        self.processes[process].is_crashed = true;
        let of_process = |(id, open): (&OpenId, &Open)| (open.process == process).then_some(*id);
        let ids: Vec<OpenId> = self.opens.iter().filter_map(of_process).collect();
        ids.into_iter().for_each(|id| self.close(id));
    }

    /// Asks for the exclusive lock; EWOULDBLOCK if somebody else holds it.
    pub(super) fn try_lock(&mut self, id: OpenId) -> io::Result<()> {
        let this = self.of_open(id)?;
        if self.flock == FlockMode::Unsupported {
            return Err(Errno::NOLCK.into());
        }
        // NFS makes a byte range lock of it, and that needs a file that is open for writing.
        if self.kind == FsKind::Network && this.access == Access::Read {
            return Err(Errno::BADF.into());
        }
        let host_of = |open: &Open| &self.processes[open.process].host;
        let excludes = |holder: &OpenId| {
            self.flock == FlockMode::Works
                || self
                    .opens
                    .get(holder)
                    .is_some_and(|open| host_of(open) == host_of(&this))
        };
        let holders = self.locks.entry(this.node).or_default();
        if holders.contains(&id) {
            return Ok(());
        }
        if holders.iter().any(excludes) {
            return Err(Errno::WOULDBLOCK.into());
        }
        holders.push(id);
        Ok(())
    }

    /// Returns what a process sees in a directory, in an order that is not that of the names.
    ///
    /// A directory that was removed has no listing, not even an empty one; an old view does not know.
    pub(super) fn list(&mut self, process: ProcessId, dir: NodeId) -> io::Result<Vec<String>> {
        let mut is_there = self.tree.stat(dir).links > 0;
        let mut names = self.names_for(process, dir);
        let process = &mut self.processes[process];
        if let Some((count, then)) = &mut process.stale
            && *count > 0
        {
            *count -= 1;
            if let Some(old) = then.get(&dir) {
                (names, is_there) = (Arc::clone(old), true);
            }
        }
        if !is_there {
            return Err(Errno::NOENT.into());
        }
        let mut listed: Vec<String> = names.keys().cloned().collect();
        if let Some((count, random)) = &mut process.torn
            && *count > 0
            && !listed.is_empty()
        {
            *count -= 1;
            listed.remove(random.below(listed.len()));
            listed.retain(|_| random.below(3) > 0);
        }
        // Real directories are tables of hashes too; nobody should rely on sorted names.
        listed.sort_by_cached_key(|name| {
            name.bytes()
                .fold(5381u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte))
        });
        Ok(listed)
    }

    fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}
