//! The files and directories that the kernel knows, and those that are open.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileHandle, FileType, INodeNo};
use rustix::fs::{self as sys, AtFlags, CWD, Mode, OFlags, Stat};

/// A file or directory below, held by a descriptor that only names it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) fd: OwnedFd,
    /// The name that it was first found by, for texts.
    pub(super) name: String,
    key: (u64, u64),
}

impl Node {
    /// A path to this very file, whatever its names are.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    pub(super) fn stat(&self) -> io::Result<Stat> {
        Ok(sys::statat(&self.fd, "", AtFlags::EMPTY_PATH)?)
    }
}

/// What a directory was opened with: its names, as they were then.
pub(super) type Names = Vec<(u64, FileType, String)>;

/// Something that is open.
#[derive(Debug, Clone)]
pub(super) enum Open {
    File(Arc<OwnedFd>, String),
    Dir(Arc<Names>),
}

#[derive(Debug, Default)]
struct Tables {
    nodes: HashMap<u64, (Arc<Node>, u64)>,
    by_key: HashMap<(u64, u64), u64>,
    open: HashMap<u64, Open>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Nodes(Mutex<Tables>);

impl Nodes {
    pub(super) fn of(root: &Path) -> io::Result<Nodes> {
        let fd = sys::openat(
            CWD,
            root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let stat = sys::fstat(&fd)?;
        let key = (stat.st_dev, stat.st_ino);
        let node = Node {
            fd,
            name: ".".to_owned(),
            key,
        };
        let mut tables = Tables {
            next: INodeNo::ROOT.0 + 1,
            ..Tables::default()
        };
        tables.nodes.insert(INodeNo::ROOT.0, (Arc::new(node), 1));
        tables.by_key.insert(key, INodeNo::ROOT.0);
        Ok(Nodes(Mutex::new(tables)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Tables) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn get(&self, number: INodeNo) -> io::Result<Arc<Node>> {
        let found = self.with(|tables| tables.nodes.get(&number.0).map(|(node, _)| Arc::clone(node)));
        found.ok_or_else(|| rustix::io::Errno::STALE.into())
    }

    /// Finds what a name stands for; the kernel then knows it once more.
    pub(super) fn find(&self, parent: &Node, name: &str) -> io::Result<FileAttr> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = sys::openat(&parent.fd, name, flags, Mode::empty())?;
        let stat = sys::fstat(&fd)?;
        let key = (stat.st_dev, stat.st_ino);
        let number = self.with(|tables| {
            // As long as it is held its number below is not used again.
            if let Some(number) = tables.by_key.get(&key).copied()
                && let Some((_, known)) = tables.nodes.get_mut(&number)
            {
                *known += 1;
                return number;
            }
            let number = tables.next;
            tables.next += 1;
            let node = Node {
                fd,
                name: name.to_owned(),
                key,
            };
            tables.nodes.insert(number, (Arc::new(node), 1));
            tables.by_key.insert(key, number);
            number
        });
        Ok(attributes(INodeNo(number), &stat))
    }

    pub(super) fn forget(&self, number: INodeNo, times: u64) {
        self.with(|tables| {
            let Some((node, known)) = tables.nodes.get_mut(&number.0) else {
                return;
            };
            *known = known.saturating_sub(times);
            if *known == 0 {
                let key = node.key;
                tables.nodes.remove(&number.0);
                tables.by_key.remove(&key);
            }
        });
    }

    pub(super) fn keep_open(&self, open: Open) -> FileHandle {
        self.with(|tables| {
            let handle = tables.next;
            tables.next += 1;
            tables.open.insert(handle, open);
            FileHandle(handle)
        })
    }

    pub(super) fn file(&self, handle: FileHandle) -> io::Result<(Arc<OwnedFd>, String)> {
        match self.with(|tables| tables.open.get(&handle.0).cloned()) {
            Some(Open::File(fd, name)) => Ok((fd, name)),
            _ => Err(rustix::io::Errno::BADF.into()),
        }
    }

    pub(super) fn dir(&self, handle: FileHandle) -> io::Result<Arc<Names>> {
        match self.with(|tables| tables.open.get(&handle.0).cloned()) {
            Some(Open::Dir(names)) => Ok(names),
            _ => Err(rustix::io::Errno::BADF.into()),
        }
    }

    pub(super) fn close(&self, handle: FileHandle) {
        let closed = self.with(|tables| tables.open.remove(&handle.0));
        drop(closed);
    }
}

fn time(seconds: i64, nanos: u64) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, u32::try_from(nanos).unwrap_or(0))
}

pub(super) fn attributes(ino: INodeNo, stat: &Stat) -> FileAttr {
    FileAttr {
        ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind: kind(sys::FileType::from_raw_mode(stat.st_mode)),
        perm: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

pub(super) fn kind(kind: sys::FileType) -> FileType {
    match kind {
        sys::FileType::Directory => FileType::Directory,
        sys::FileType::Symlink => FileType::Symlink,
        sys::FileType::Fifo => FileType::NamedPipe,
        _ => FileType::RegularFile,
    }
}
