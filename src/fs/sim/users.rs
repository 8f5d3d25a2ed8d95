//! Files of other users: what they may not open, remove or link. All processes are one user's unless a test says so.

use std::io;

use rustix::io::Errno;

use super::disk::{Disk, SimDisk};
use super::process::ProcessId;
use super::tree::NodeId;

impl SimDisk {
    /// Makes all directories sticky: names are removed and renamed by the file's owner or the directory's alone.
    pub(crate) fn set_sticky(&self, is_sticky: bool) {
        self.lock().is_sticky = is_sticky;
    }
}

impl Disk {
    /// Finds a file that the process may open.
    pub(super) fn find_to_open(&mut self, process: ProcessId, dir: NodeId, name: &str) -> io::Result<NodeId> {
        let node = self.find(process, dir, name)?;
        if self.tree.may_open(node) {
            Ok(node)
        } else {
            Err(Errno::ACCESS.into())
        }
    }

    /// Fails if the process does not see the name, or may not take it away.
    pub(super) fn may_take(&mut self, process: ProcessId, dir: NodeId, name: &str) -> io::Result<()> {
        let node = self.find(process, dir, name)?;
        let user = self.processes[process].user.id;
        if self.is_sticky && self.tree.owner(node) != user && self.tree.owner(dir) != user {
            return Err(Errno::PERM.into());
        }
        Ok(())
    }

    /// Another user's file cannot be linked (`fs.protected_hardlinks`).
    pub(super) fn may_link(&self, process: ProcessId, node: NodeId) -> io::Result<()> {
        if self.tree.owner(node) != self.processes[process].user.id {
            return Err(Errno::PERM.into());
        }
        Ok(())
    }
}
