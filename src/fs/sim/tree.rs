//! Inodes and names, each as they are and as a power cut would leave them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::body::Body;
use crate::fs::Stat;

/// The number of an inode; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

/// The directory that everything is in.
pub(super) const ROOT: NodeId = NodeId(0);

/// Names in a directory. Shared, so that a sync or a snapshot of a listing costs nothing.
pub(super) type Names = Arc<BTreeMap<String, NodeId>>;

/// Time goes on by this with every change, so that any two changes can be told apart.
const TICK: Duration = Duration::from_millis(1);
/// When the simulated server was switched on.
const START: Duration = Duration::from_secs(1_700_000_000);
/// The size of a disk without a limit.
const UNLIMITED: u64 = 1 << 50;
const LONGEST_NAME: usize = 255;

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Inode>,
    now: Duration,
    /// The names that were made or taken away since somebody last asked.
    changes: Vec<(NodeId, String)>,
    /// The user whose step it is.
    pub(super) user: User,
    /// Bytes of all files that have a name or are open.
    used: u64,
    pub(super) space: Option<u64>,
    pub(super) has_links: bool,
    pub(super) has_rename_new: bool,
}

#[derive(Debug, Clone)]
struct Inode {
    owner: User,
    /// Nobody but its owner can open it.
    is_private: bool,
    /// When the names in a directory changed last, or when it was touched.
    changed: Duration,
    /// How many names it has; a directory that was removed has none, and one otherwise.
    links: u64,
    opens: u64,
    mtime: Duration,
    body: Body,
}

/// Whose process makes a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) id: u32,
    /// The umask lets nobody else open what it makes.
    pub(super) makes_private: bool,
}

impl Inode {
    fn new(owner: User, now: Duration, body: Body) -> Inode {
        Inode {
            owner,
            is_private: owner.makes_private && matches!(body, Body::File { .. }),
            changed: now,
            links: 1,
            opens: 0,
            mtime: now,
            body,
        }
    }
}

impl Tree {
    pub(super) fn new() -> Tree {
        let root = Inode::new(User::default(), START, Body::new_dir());
        Tree {
            nodes: vec![root],
            now: START,
            changes: Vec::new(),
            user: User::default(),
            used: 0,
            space: None,
            has_links: true,
            has_rename_new: true,
        }
    }

    /// Returns what a power cut leaves: of names and of bytes, what was synced.
    pub(super) fn after_power_cut(&self) -> Tree {
        let mut nodes = self.nodes.clone();
        for inode in &mut nodes {
            (inode.links, inode.opens) = (0, 0);
            inode.body.lose_what_was_not_synced();
        }
        let mut tree = Tree {
            nodes,
            used: 0,
            changes: Vec::new(),
            ..*self
        };
        tree.node_mut(ROOT).links = 1;
        let mut dirs = vec![ROOT];
        while let Some(dir) = dirs.pop() {
            for id in tree.names(dir).values().copied() {
                let inode = tree.node_mut(id);
                inode.links += 1;
                match inode.body {
                    Body::Dir { .. } => dirs.push(id),
                    Body::File { .. } if inode.links == 1 => tree.used += tree.node(id).body.len(),
                    Body::File { .. } => {}
                }
            }
        }
        tree
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.now += duration;
    }

    pub(super) fn turn_back(&mut self, duration: Duration) {
        self.now -= duration;
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Returns when the names in a directory changed last.
    pub(super) fn changed(&self, dir: NodeId) -> Duration {
        self.node(dir).changed
    }

    /// Returns the names that were made or taken away since this was asked last.
    pub(super) fn take_changes(&mut self) -> Vec<(NodeId, String)> {
        std::mem::take(&mut self.changes)
    }

    pub(super) fn owner(&self, id: NodeId) -> u32 {
        self.node(id).owner.id
    }

    /// Says whether the user whose step it is may open a file.
    pub(super) fn may_open(&self, id: NodeId) -> bool {
        let inode = self.node(id);
        !inode.is_private || inode.owner.id == self.user.id
    }

    pub(super) fn free_space(&self) -> u64 {
        self.space.unwrap_or(UNLIMITED).saturating_sub(self.used)
    }

    pub(super) fn is_dir(&self, id: NodeId) -> bool {
        matches!(self.node(id).body, Body::Dir { .. })
    }

    /// Returns the names in a directory; none if it is a file.
    pub(super) fn names(&self, id: NodeId) -> Names {
        match &self.node(id).body {
            Body::Dir { names, .. } => Arc::clone(names),
            Body::File { .. } => Names::default(),
        }
    }

    /// Returns the names in each directory there is.
    pub(super) fn all_names(&self) -> BTreeMap<NodeId, Names> {
        let ids = (0..self.nodes.len()).map(NodeId);
        ids.filter(|id| self.is_dir(*id))
            .map(|id| (id, self.names(id)))
            .collect()
    }

    pub(super) fn lookup(&self, dir: NodeId, name: &str) -> io::Result<NodeId> {
        self.check(dir, name)?;
        Ok(*self.names(dir).get(name).ok_or(Errno::NOENT)?)
    }

    pub(super) fn make_file(&mut self, dir: NodeId, name: &str) -> io::Result<NodeId> {
        self.make(dir, name, Body::new_file())
    }

    /// Makes a file and writes to it; if that fails, the name stays.
    pub(super) fn write_new(&mut self, dir: NodeId, name: &str, bytes: &[u8]) -> io::Result<NodeId> {
        let id = self.make_file(dir, name)?;
        self.write(id, 0, bytes)?;
        Ok(id)
    }

    pub(super) fn make_dir(&mut self, dir: NodeId, name: &str) -> io::Result<NodeId> {
        self.make(dir, name, Body::new_dir())
    }

    pub(super) fn link(&mut self, id: NodeId, dir: NodeId, name: &str) -> io::Result<()> {
        // The kernel looks at the new name first.
        self.check_vacant(dir, name)?;
        if !self.has_links || self.is_dir(id) {
            return Err(Errno::PERM.into());
        }
        if self.node(id).links == 0 {
            return Err(Errno::NOENT.into());
        }
        self.node_mut(id).links += 1;
        self.put_name(dir, name, id);
        Ok(())
    }

    pub(super) fn unlink(&mut self, dir: NodeId, name: &str) -> io::Result<()> {
        let id = self.lookup(dir, name)?;
        if self.is_dir(id) {
            return Err(Errno::ISDIR.into());
        }
        self.take_name(dir, name);
        self.lose_link(id);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, dir: NodeId, name: &str) -> io::Result<()> {
        let id = self.lookup(dir, name)?;
        if !self.is_dir(id) {
            return Err(Errno::NOTDIR.into());
        }
        if !self.names(id).is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        self.take_name(dir, name);
        self.lose_link(id);
        Ok(())
    }

    pub(super) fn rename(&mut self, dir: NodeId, from: &str, to: &str) -> io::Result<()> {
        self.check(dir, to)?;
        let id = self.lookup(dir, from)?;
        let old = self.names(dir).get(to).copied();
        if let Some(old) = old {
            if old == id {
                // Two names of one file: both stay.
                return Ok(());
            }
            match (self.is_dir(id), self.is_dir(old)) {
                (true, false) => return Err(Errno::NOTDIR.into()),
                (false, true) => return Err(Errno::ISDIR.into()),
                (true, true) if !self.names(old).is_empty() => return Err(Errno::NOTEMPTY.into()),
                _ => {}
            }
        }
        self.take_name(dir, from);
        self.put_name(dir, to, id);
        if let Some(old) = old {
            self.lose_link(old);
        }
        Ok(())
    }

    pub(super) fn rename_new(&mut self, dir: NodeId, from: &str, to: &str) -> io::Result<()> {
        self.check(dir, to)?;
        self.lookup(dir, from)?;
        self.check_vacant(dir, to)?;
        if !self.has_rename_new {
            return Err(Errno::INVAL.into());
        }
        self.rename(dir, from, to)
    }

    /// Writes as much as there is space for.
    pub(super) fn write(&mut self, id: NodeId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let room = self.free_space();
        let now = self.tick();
        let inode = self.node_mut(id);
        let Body::File { bytes: content, .. } = &mut inode.body else {
            return Err(Errno::ISDIR.into());
        };
        let too_big = |_| io::Error::from(Errno::FBIG);
        let length = content.len() as u64;
        let growth = offset.saturating_add(bytes.len() as u64).saturating_sub(length);
        let lacking = usize::try_from(growth.saturating_sub(room)).map_err(too_big)?;
        let fitting = &bytes[..bytes.len().saturating_sub(lacking)];
        let start = usize::try_from(offset).map_err(too_big)?;
        if !fitting.is_empty() {
            let end = start + fitting.len();
            let content = Arc::make_mut(content);
            content.resize(content.len().max(end), 0);
            content[start..end].copy_from_slice(fitting);
            inode.mtime = now;
            self.used += self.node(id).body.len() - length;
        }
        if lacking > 0 {
            Err(Errno::NOSPC.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn bytes(&self, id: NodeId) -> io::Result<Arc<Vec<u8>>> {
        match &self.node(id).body {
            Body::File { bytes, .. } => Ok(Arc::clone(bytes)),
            Body::Dir { .. } => Err(Errno::ISDIR.into()),
        }
    }

    pub(super) fn stat(&self, id: NodeId) -> Stat {
        let inode = self.node(id);
        Stat {
            len: inode.body.len(),
            mtime: inode.mtime,
            links: inode.links,
        }
    }

    pub(super) fn touch(&mut self, id: NodeId) {
        let now = self.tick();
        let inode = self.node_mut(id);
        (inode.mtime, inode.changed) = (now, now);
    }

    /// Counts one more open file description; the bytes stay until the last one is closed.
    pub(super) fn opened(&mut self, id: NodeId) {
        self.node_mut(id).opens += 1;
    }

    pub(super) fn closed(&mut self, id: NodeId) {
        self.node_mut(id).opens -= 1;
        self.free_if_gone(id);
    }

    /// Brings a file's bytes or a directory's names to the disk.
    pub(super) fn sync(&mut self, id: NodeId) {
        self.node_mut(id).body.sync();
    }

    /// Drops the bytes that a sync could not bring to the disk. A kernel does so: it tells of them once, and a later sync
    /// succeeds without them.
    pub(super) fn drop_unsynced(&mut self, id: NodeId) {
        let before = self.node(id).body.len();
        self.node_mut(id).body.lose_what_was_not_synced();
        self.used = self.used + self.node(id).body.len() - before;
    }

    pub(super) fn sync_all(&mut self) {
        self.nodes.iter_mut().for_each(|inode| inode.body.sync());
    }

    /// Brings all names to the disk, but no bytes.
    pub(super) fn sync_names(&mut self) {
        let dirs = self.nodes.iter_mut().map(|inode| &mut inode.body);
        dirs.filter(|body| matches!(body, Body::Dir { .. }))
            .for_each(Body::sync);
    }

    /// Puts a name and what it names to the disk, and nothing else of the directory.
    pub(super) fn sync_entry(&mut self, dir: NodeId, name: &str, id: NodeId) {
        if let Body::Dir { synced, .. } = &mut self.node_mut(dir).body {
            Arc::make_mut(synced).insert(name.to_owned(), id);
        }
        if !self.is_dir(id) {
            self.sync(id);
        }
    }

    fn make(&mut self, dir: NodeId, name: &str, body: Body) -> io::Result<NodeId> {
        self.check_vacant(dir, name)?;
        if self.free_space() == 0 {
            return Err(Errno::NOSPC.into());
        }
        let id = NodeId(self.nodes.len());
        let now = self.tick();
        self.nodes.push(Inode::new(self.user, now, body));
        self.put_name(dir, name, id);
        Ok(id)
    }

    /// Refuses what is not a single component, as the real one does.
    fn check(&self, dir: NodeId, name: &str) -> io::Result<()> {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(Errno::INVAL.into());
        }
        if !self.is_dir(dir) {
            return Err(Errno::NOTDIR.into());
        }
        if name.len() > LONGEST_NAME {
            Err(Errno::NAMETOOLONG.into())
        } else {
            Ok(())
        }
    }

    /// Fails if a name cannot be made here.
    fn check_vacant(&self, dir: NodeId, name: &str) -> io::Result<()> {
        self.check(dir, name)?;
        if self.names(dir).contains_key(name) {
            return Err(Errno::EXIST.into());
        }
        // Nothing can be made in a directory that was removed.
        if self.node(dir).links == 0 {
            Err(Errno::NOENT.into())
        } else {
            Ok(())
        }
    }

    fn put_name(&mut self, dir: NodeId, name: &str, id: NodeId) {
        self.note_change(dir, name);
        if let Body::Dir { names, .. } = &mut self.node_mut(dir).body {
            Arc::make_mut(names).insert(name.to_owned(), id);
        }
    }

    fn take_name(&mut self, dir: NodeId, name: &str) {
        self.note_change(dir, name);
        if let Body::Dir { names, .. } = &mut self.node_mut(dir).body {
            Arc::make_mut(names).remove(name);
        }
    }

    fn note_change(&mut self, dir: NodeId, name: &str) {
        self.node_mut(dir).changed = self.tick();
        self.changes.push((dir, name.to_owned()));
    }

    fn lose_link(&mut self, id: NodeId) {
        self.node_mut(id).links -= 1;
        self.free_if_gone(id);
    }

    /// Frees the space of a file that nobody can reach any more; what was synced of it is kept for a power cut.
    fn free_if_gone(&mut self, id: NodeId) {
        let inode = self.node_mut(id);
        if inode.links > 0 || inode.opens > 0 {
            return;
        }
        let length = inode.body.len();
        if let Body::File { bytes, .. } = &mut inode.body {
            *bytes = Arc::default();
        }
        self.used -= length;
    }

    fn tick(&mut self) -> Duration {
        self.now += TICK;
        self.now
    }

    fn node(&self, id: NodeId) -> &Inode {
        &self.nodes[id.0]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Inode {
        &mut self.nodes[id.0]
    }
}
