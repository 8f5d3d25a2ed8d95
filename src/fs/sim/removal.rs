//! What becomes of open files that are removed: here as on a local file system, or as on NFS.

use std::collections::BTreeMap;
use std::io;

use rustix::io::Errno;

use super::disk::{Disk, Open, OpenId, SimDisk};
use super::process::ProcessId;
use super::tree::NodeId;

/// How files are removed, and the hidden names that were given.
#[derive(Debug, Default)]
pub(super) struct Removal {
    is_remote: bool,
    /// Removed files that the host still has open: where, under what name, and which host.
    silly: BTreeMap<NodeId, (NodeId, String, String)>,
    given: u64,
}

impl SimDisk {
    /// Removes files as NFS does.
    ///
    /// One that the removing host itself has open gets a name like `.nfs0000000000000001` until the host closes it,
    /// and can be linked. One that others have open is gone: they are answered ESTALE.
    pub(crate) fn set_remote_removal(&self, is_remote: bool) {
        self.lock().removal.is_remote = is_remote;
    }
}

impl Disk {
    pub(super) fn unlink(&mut self, process: ProcessId, dir: NodeId, name: &str) -> io::Result<()> {
        let node = self.tree.lookup(dir, name)?;
        let host = self.processes[process].host.clone();
        if !self.removal.is_remote || self.tree.is_dir(node) || !self.has_open(&host, node) {
            return self.tree.unlink(dir, name);
        }
        self.removal.given += 1;
        let hidden = format!(".nfs{:016x}", self.removal.given);
        self.tree.rename(dir, name, &hidden)?;
        self.removal.silly.insert(node, (dir, hidden, host));
        Ok(())
    }

    /// Removes the hidden name of a file once its host has closed it.
    pub(super) fn forget_silly_name(&mut self, closed: Open) {
        let Some((dir, name, host)) = self.removal.silly.get(&closed.node).cloned() else {
            return;
        };
        if !self.has_open(&host, closed.node) {
            self.removal.silly.remove(&closed.node);
            // Somebody may have removed it by its hidden name.
            let _ = self.tree.unlink(dir, &name);
        }
    }

    /// Answers ESTALE for a file that another host has removed.
    pub(super) fn check_handle(&self, id: OpenId) -> io::Result<()> {
        let node = self.of_open(id)?.node;
        if self.removal.is_remote && self.tree.stat(node).links == 0 {
            return Err(Errno::STALE.into());
        }
        Ok(())
    }

    fn has_open(&self, host: &str, node: NodeId) -> bool {
        let mut opens = self.opens.values();
        opens.any(|open| open.node == node && self.processes[open.process].host == host)
    }
}
