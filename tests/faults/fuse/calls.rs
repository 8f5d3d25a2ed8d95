//! The calls that the kernel makes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{self as sys, AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::chance::Chance;
use super::nodes::{Names, Node, Nodes, Open, attributes, kind};

/// Nothing is remembered by the kernel.
const TTL: Duration = Duration::ZERO;

/// Passes everything on, and fails on purpose.
#[derive(Debug)]
pub(super) struct Faulty {
    nodes: Nodes,
    chance: Chance,
}

impl Faulty {
    pub(super) fn of(below: &Path, chance: Chance) -> io::Result<Faulty> {
        Ok(Faulty {
            nodes: Nodes::of(below)?,
            chance,
        })
    }

    /// A call on a name in a directory.
    fn at<T>(
        &self,
        call: &'static str,
        parent: INodeNo,
        name: &OsStr,
        act: impl FnOnce(&Node, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        let parent = self.nodes.get(parent)?;
        let name = text(name)?;
        self.chance.on(call, name, || act(&parent, name))
    }

    /// A call on something that the kernel knows.
    fn of_node<T>(
        &self,
        call: &'static str,
        number: INodeNo,
        act: impl FnOnce(&Node) -> io::Result<T>,
    ) -> io::Result<T> {
        let node = self.nodes.get(number)?;
        self.chance.on(call, &node.name, || act(&node))
    }

    /// A call on an open file.
    fn of_file<T>(
        &self,
        call: &'static str,
        handle: FileHandle,
        act: impl FnOnce(&std::fs::File) -> io::Result<T>,
    ) -> io::Result<T> {
        let (fd, name) = self.nodes.file(handle)?;
        self.chance
            .on(call, &name, || act(&std::fs::File::from(fd.try_clone()?)))
    }

    fn open_file(&self, node: &Node, flags: OFlags) -> io::Result<FileHandle> {
        let fd = sys::openat(CWD, node.path(), flags | OFlags::CLOEXEC, Mode::empty())?;
        Ok(self.nodes.keep_open(Open::File(Arc::new(fd), node.name.clone())))
    }

    fn change(&self, node: &Node, change: &Change) -> io::Result<()> {
        if let Some(mode) = change.mode {
            sys::chmodat(CWD, node.path(), Mode::from_raw_mode(mode), AtFlags::empty())?;
        }
        if let Some(size) = change.size {
            let fd = sys::openat(CWD, node.path(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            sys::ftruncate(&fd, size)?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let times = Timestamps {
                last_access: timespec(change.atime),
                last_modification: timespec(change.mtime),
            };
            sys::utimensat(CWD, node.path(), &times, AtFlags::empty())?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Change {
    mode: Option<u32>,
    size: Option<u64>,
    atime: Option<TimeOrNow>,
    mtime: Option<TimeOrNow>,
}

fn text(name: &OsStr) -> io::Result<&str> {
    name.to_str().ok_or_else(|| rustix::io::Errno::ILSEQ.into())
}

fn timespec(time: Option<TimeOrNow>) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        None => (0, UTIME_OMIT),
        Some(TimeOrNow::Now) => (0, UTIME_NOW),
        Some(TimeOrNow::SpecificTime(time)) => {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            (
                i64::try_from(since.as_secs()).unwrap_or(0),
                since.subsec_nanos().into(),
            )
        }
    };
    Timespec { tv_sec, tv_nsec }
}

/// Flags that a file below is opened with; the kernel has done the others.
fn below(flags: i32) -> OFlags {
    // Whatever is appended comes with its offset.
    OFlags::from_bits_retain(flags.cast_unsigned()) & OFlags::ACCMODE
}

fn entry(answer: io::Result<FileAttr>, reply: ReplyEntry) {
    match answer {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(error) => reply.error(Errno::from(error)),
    }
}

fn empty(answer: io::Result<()>, reply: ReplyEmpty) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(Errno::from(error)),
    }
}

fn attr(answer: io::Result<FileAttr>, reply: ReplyAttr) {
    match answer {
        Ok(attr) => reply.attr(&TTL, &attr),
        Err(error) => reply.error(Errno::from(error)),
    }
}

fn opened(answer: io::Result<FileHandle>, reply: ReplyOpen, flags: FopenFlags) {
    match answer {
        Ok(handle) => reply.opened(handle, flags),
        Err(error) => reply.error(Errno::from(error)),
    }
}

impl Filesystem for Faulty {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(
            self.at("lookup", parent, name, |parent, name| {
                self.nodes.find(parent, name)
            }),
            reply,
        );
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.nodes.forget(number, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let answer = self.of_node("getattr", number, |node| Ok(attributes(number, &node.stat()?)));
        attr(answer, reply);
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change {
            mode,
            size,
            atime,
            mtime,
        };
        let answer = self.of_node("setattr", number, |node| {
            self.change(node, &change)?;
            Ok(attributes(number, &node.stat()?))
        });
        attr(answer, reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let answer = self.at("mkdir", parent, name, |parent, name| {
            sys::mkdirat(&parent.fd, name, Mode::from_raw_mode(mode & !umask))?;
            self.nodes.find(parent, name)
        });
        entry(answer, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self.at("unlink", parent, name, |parent, name| {
            Ok(sys::unlinkat(&parent.fd, name, AtFlags::empty())?)
        });
        empty(answer, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self.at("rmdir", parent, name, |parent, name| {
            Ok(sys::unlinkat(&parent.fd, name, AtFlags::REMOVEDIR)?)
        });
        empty(answer, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let answer = self.at("rename", parent, name, |parent, name| {
            let (to, new_name) = (self.nodes.get(new_parent)?, text(new_name)?);
            let flags = sys::RenameFlags::from_bits_retain(flags.bits());
            Ok(sys::renameat_with(&parent.fd, name, &to.fd, new_name, flags)?)
        });
        empty(answer, reply);
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let answer = self.at("link", parent, name, |parent, name| {
            let node = self.nodes.get(number)?;
            sys::linkat(CWD, node.path(), &parent.fd, name, AtFlags::SYMLINK_FOLLOW)?;
            self.nodes.find(parent, name)
        });
        entry(answer, reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let answer = self.at("create", parent, name, |parent, name| {
            let exclusive = OFlags::from_bits_retain(flags.cast_unsigned()) & (OFlags::EXCL | OFlags::TRUNC);
            let flags = below(flags) | exclusive | OFlags::CREATE | OFlags::CLOEXEC;
            let fd = sys::openat(&parent.fd, name, flags, Mode::from_raw_mode(mode & !umask))?;
            let attr = self.nodes.find(parent, name)?;
            Ok((
                attr,
                self.nodes.keep_open(Open::File(Arc::new(fd), name.to_owned())),
            ))
        });
        match answer {
            Ok((attr, handle)) => {
                reply.created(&TTL, &attr, Generation(0), handle, FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(Errno::from(error)),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let answer = self.of_node("open", number, |node| self.open_file(node, below(flags.0)));
        opened(answer, reply, FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        let answer = self.of_file("read", handle, |file| {
            let there = file.read_at(&mut buffer, offset)?;
            Ok(self.chance.part(there))
        });
        match answer {
            Ok(read) => reply.data(&buffer[..read]),
            Err(error) => reply.error(Errno::from(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let answer = self.of_file("write", handle, |file| {
            let part = self.chance.part(data.len());
            file.write_all_at(&data[..part], offset)?;
            Ok(part)
        });
        match answer {
            Ok(written) => reply.written(u32::try_from(written).unwrap_or(0)),
            Err(error) => reply.error(Errno::from(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        empty(self.of_file("close", handle, |_| Ok(())), reply);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.nodes.close(handle);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        // Power cuts are not what is tried here.
        empty(self.of_file("fsync", handle, |_| Ok(())), reply);
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let answer = self.of_node("opendir", number, |node| {
            let names = names(node)?;
            Ok(self.nodes.keep_open(Open::Dir(Arc::new(names))))
        });
        opened(answer, reply, FopenFlags::empty());
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names = self.of_node("readdir", number, |_| self.nodes.dir(handle));
        match names {
            Ok(names) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                for (at, (number, kind, name)) in (offset + 1..).zip(names.iter().skip(start)) {
                    if reply.add(INodeNo(*number), at, *kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(Errno::from(error)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.nodes.close(handle);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.of_node("fsyncdir", number, |_| Ok(())), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}

fn names(node: &Node) -> io::Result<Names> {
    let dir = sys::openat(
        CWD,
        node.path(),
        OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Names::new();
    for entry in sys::Dir::new(dir)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str() {
            names.push((entry.ino(), kind(entry.file_type()), name.to_owned()));
        }
    }
    Ok(names)
}
