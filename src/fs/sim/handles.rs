//! The traits, for a process: each call is one step.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::disk::{Access, Disk, OpenId};
use super::process::SimProcess;
use super::tree::{NodeId, Tree};
use crate::fs::listings::Listings;
use crate::fs::{Dir, DirRef, File, FileRef, Flock, FsKind, Stat};

/// A held directory, as a process sees it.
#[derive(Debug)]
pub(super) struct SimDir {
    process: SimProcess,
    node: NodeId,
    path: PathBuf,
    listings: Mutex<Listings>,
}

/// An open file description of a process.
#[derive(Debug)]
struct SimFile {
    process: SimProcess,
    open: OpenId,
    /// The directory it was opened in, for links.
    dir: NodeId,
    name: String,
}

impl SimDir {
    pub(super) fn new(process: SimProcess, node: NodeId, path: PathBuf) -> SimDir {
        SimDir {
            process,
            node,
            path,
            listings: Mutex::default(),
        }
    }

    /// A step on the directory itself.
    fn step<T>(&self, verb: &'static str, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let name = self.path.file_name().unwrap_or_default();
        self.process.step(verb, &name.to_string_lossy(), act)
    }

    fn open(&self, disk: &mut Disk, node: NodeId, name: &str, access: Access) -> FileRef {
        let open = disk.open(node, self.process.id(), access);
        Box::new(SimFile {
            process: self.process.clone(),
            open,
            dir: self.node,
            name: name.to_owned(),
        })
    }
}

impl Dir for SimDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn kind(&self) -> io::Result<FsKind> {
        self.step("kind", |disk| Ok(disk.kind))
    }

    fn free_space(&self) -> io::Result<u64> {
        self.step("free_space", |disk| Ok(disk.tree.free_space()))
    }

    fn open_dir(&self, name: &str) -> io::Result<DirRef> {
        self.process.step("open_dir", name, |disk| {
            let node = disk.find(self.process.id(), self.node, name)?;
            if !disk.tree.is_dir(node) {
                return Err(Errno::NOTDIR.into());
            }
            Ok(Arc::new(SimDir::new(self.process.clone(), node, self.path.join(name))) as DirRef)
        })
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        self.process.step("make_dir", name, |disk| {
            disk.tree.make_dir(self.node, name).map(drop)
        })
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        self.process.step("remove_dir", name, |disk| {
            disk.may_take(self.process.id(), self.node, name)?;
            disk.tree.remove_dir(self.node, name)
        })
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let mut names = Vec::new();
        let result = self.step("list", |disk| {
            disk.forget_kept_names(self.process.id(), self.node, &self.listings);
            names = disk.list(self.process.id(), self.node)?;
            Ok(())
        });
        // An error may come after names were handed over. The disk is unlocked: `each` may use it.
        names.iter().for_each(|name| each(name));
        result
    }

    fn create(&self, name: &str) -> io::Result<FileRef> {
        self.process.step("create", name, |disk| {
            let node = disk.tree.make_file(self.node, name)?;
            Ok(self.open(disk, node, name, Access::Both))
        })
    }

    fn open_read(&self, name: &str) -> io::Result<FileRef> {
        self.process.step("open_read", name, |disk| {
            let node = disk.find_to_open(self.process.id(), self.node, name)?;
            Ok(self.open(disk, node, name, Access::Read))
        })
    }

    fn open_write(&self, name: &str) -> io::Result<FileRef> {
        self.process.step("open_write", name, |disk| {
            let node = disk.find_to_open(self.process.id(), self.node, name)?;
            if disk.tree.is_dir(node) {
                return Err(Errno::ISDIR.into());
            }
            Ok(self.open(disk, node, name, Access::Write))
        })
    }

    fn read(&self, name: &str, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.process.step("read", name, |disk| {
            let node = disk.find_to_open(self.process.id(), self.node, name)?;
            read_all(&disk.tree, node, limit, buffer)
        })
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let found = self.process.step("exists", name, |disk| {
            disk.find(self.process.id(), self.node, name)
        });
        match found {
            Ok(_) => Ok(true),
            Err(error) if errno(&error) == Some(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.process.step("rename", &format!("{from} -> {to}"), |disk| {
            disk.may_take(self.process.id(), self.node, from)?;
            disk.tree.rename(self.node, from, to)
        })
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let what = format!("{from} -> {to}");
        self.process.step("rename_new", &what, |disk| {
            disk.may_take(self.process.id(), self.node, from)?;
            disk.tree.rename_new(self.node, from, to)
        })
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.process.step("unlink", name, |disk| {
            disk.may_take(self.process.id(), self.node, name)?;
            disk.unlink(self.process.id(), self.node, name)
        })
    }

    fn replace(&self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
        self.process.step_of_many(
            "replace",
            name,
            |disk| {
                let temporary = disk.temporary_name();
                disk.tree
                    .write_new(self.node, &temporary, &bytes[..bytes.len() / 2])
                    .map(drop)
            },
            |disk| {
                let temporary = disk.temporary_name();
                let tree = &mut disk.tree;
                let done = tree.write_new(self.node, &temporary, bytes).and_then(|node| {
                    tree.rename(self.node, &temporary, name)?;
                    if sync {
                        tree.sync(node);
                        tree.sync(self.node);
                    }
                    Ok(())
                });
                if done.is_err() {
                    // Perhaps it could not even be made; the first error is the one to tell.
                    let _ = tree.unlink(self.node, &temporary);
                }
                done
            },
        )
    }

    fn sync(&self) -> io::Result<()> {
        self.step("sync", |disk| {
            disk.tree.sync(self.node);
            Ok(())
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.step("sync_all", |disk| {
            disk.tree.sync_all();
            Ok(())
        })
    }
}

impl SimFile {
    fn step<T>(
        &self,
        verb: &'static str,
        act: impl FnOnce(&mut Disk, NodeId) -> io::Result<T>,
    ) -> io::Result<T> {
        self.process.step(verb, &self.name, |disk| {
            let node = disk.of_open(self.open)?.node;
            act(disk, node)
        })
    }

    fn write(&self, disk: &mut Disk, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let open = disk.of_open(self.open)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if open.access == Access::Read {
            return Err(Errno::BADF.into());
        }
        disk.check_bytes(self.open)?;
        disk.tree.write(open.node, offset, bytes)
    }
}

impl File for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.process.step_of_many(
            "write_at",
            &self.name,
            |disk| self.write(disk, offset, &bytes[..bytes.len() / 2]),
            |disk| self.write(disk, offset, bytes),
        )
    }

    fn read(&self, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.step("read", |disk, node| {
            if disk.of_open(self.open)?.access == Access::Write {
                return Err(Errno::BADF.into());
            }
            disk.check_bytes(self.open)?;
            read_all(&disk.tree, node, limit, buffer)
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.step("read_at", |disk, node| {
            if disk.of_open(self.open)?.access == Access::Write {
                return Err(Errno::BADF.into());
            }
            disk.check_bytes(self.open)?;
            let bytes = disk.tree.bytes(node)?;
            let rest = usize::try_from(offset)
                .ok()
                .and_then(|offset| bytes.get(offset..));
            let rest = rest.unwrap_or_default();
            let taken = rest.len().min(buffer.len());
            buffer[..taken].copy_from_slice(&rest[..taken]);
            Ok(taken)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.step("sync_data", |disk, node| {
            disk.check_bytes(self.open)?;
            disk.tree.sync(node);
            Ok(())
        });
        if synced.is_err() {
            let mut disk = self.process.disk().lock();
            if let Ok(node) = disk.of_open(self.open).map(|open| open.node) {
                disk.tree.drop_unsynced(node);
            }
        }
        synced
    }

    fn touch(&self) -> io::Result<()> {
        self.step("touch", |disk, node| {
            disk.check_handle(self.open)?;
            disk.tree.touch(node);
            Ok(())
        })
    }

    fn fresh(&self) -> io::Result<Stat> {
        let stat = self.step("fresh", |disk, node| {
            disk.check_handle(self.open)?;
            Ok(disk.tree.stat(node))
        });
        match stat {
            Err(error) if errno(&error) == Some(Errno::STALE) => Ok(Stat {
                len: 0,
                mtime: std::time::Duration::ZERO,
                links: 0,
            }),
            answer => answer,
        }
    }

    fn try_lock(&self) -> io::Result<Flock> {
        let locked = self.step("try_lock", |disk, _| {
            disk.check_handle(self.open)?;
            disk.try_lock(self.open)
        });
        let Err(error) = locked else {
            return Ok(Flock::Held);
        };
        // The same meanings as in os/lock.rs.
        match errno(&error) {
            Some(Errno::WOULDBLOCK | Errno::ACCESS) => Ok(Flock::Busy),
            Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::BADF) => {
                Ok(Flock::Unsupported)
            }
            _ => Err(error),
        }
    }

    fn link(&self, name: &str) -> io::Result<()> {
        let what = format!("{} -> {name}", self.name);
        self.process.step("link", &what, |disk| {
            let node = disk.of_open(self.open)?.node;
            disk.may_link(self.process.id(), node)?;
            disk.tree.link(node, self.dir, name)
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.process.disk().lock().close(self.open);
    }
}

fn read_all(tree: &Tree, node: NodeId, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let bytes = tree.bytes(node)?;
    // The real one reads before it knows the size, so a file that is too large leaves bytes behind too.
    buffer.extend_from_slice(&bytes);
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it holds more than {limit} bytes"),
        ));
    }
    Ok(())
}

fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}
