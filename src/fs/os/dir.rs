//! A held directory descriptor and the system calls on it.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{self as sys, Advice, AtFlags, Mode, OFlags, RawDir, RenameFlags};
use rustix::path::Arg;

use super::Modes;
use super::file::OsFile;
use crate::clock::Moment;
use crate::fs::listings::Listings;
use crate::fs::{Dir, DirRef, FileRef, FsKind};

/// File systems of which one kernel sees every change (statfs(2) `f_type`); all others count as shared.
const LOCAL_FILE_SYSTEMS: [u32; 12] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x2fc1_2fc1, // zfs
    0xf2f5_2010, // f2fs
    0x794c_7630, // overlayfs
    0x5265_4973, // reiserfs
    0x3153_464a, // jfs
    0xca45_1a4e, // bcachefs
    0x0000_4d44, // vfat
];

/// A name in a listing is short; this holds some two thousand of them for each system call.
const LISTING_BUFFER: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct OsDir {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    modes: Modes,
    kind: OnceLock<FsKind>,
    listings: Mutex<Listings>,
}

impl OsDir {
    pub(super) fn open(path: &Path, modes: Modes) -> io::Result<OsDir> {
        let fd = sys::openat(sys::CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(OsDir::new(fd, path.to_owned(), modes))
    }

    fn new(fd: OwnedFd, path: PathBuf, modes: Modes) -> OsDir {
        OsDir {
            fd: Arc::new(fd),
            path,
            modes,
            kind: OnceLock::new(),
            listings: Mutex::default(),
        }
    }

    /// Has a network client fetch the names anew where what it keeps of them may be out of date. See [`Listings`].
    fn forget_kept_names(&self, opened: &OwnedFd) -> io::Result<()> {
        if self.kind()? == FsKind::Local {
            return Ok(());
        }
        // Opening it has just brought this up to date.
        let stat = sys::fstat(opened)?;
        let stamp = (stat.st_ctime as i64, stat.st_ctime_nsec as i64);
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        if listings.must_forget(stamp, Moment::now()) {
            // Where the kernel cannot, it keeps nothing either, or there is no more to be done.
            let _ = sys::fadvise(opened, 0, None, Advice::DontNeed);
        }
        Ok(())
    }

    /// Opens one component in this directory; never through a symbolic link.
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        retried(|| sys::openat(&*self.fd, component(name)?, flags, mode))
    }

    fn file(&self, fd: OwnedFd, name: &str) -> FileRef {
        Box::new(OsFile::new(fd, Arc::clone(&self.fd), name))
    }

    /// A path to this very directory, also after somebody renamed it.
    fn sure_path(&self) -> PathBuf {
        match super::file::proc_is_mounted() {
            true => PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd())),
            false => self.path.clone(),
        }
    }
}

/// Refuses what is not a single component; names are made by `layout`, so this is a second fence.
pub(super) fn component(name: &str) -> rustix::io::Result<&str> {
    let single = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    if single {
        Ok(name)
    } else {
        Err(rustix::io::Errno::INVAL)
    }
}

/// Repeats a call that a signal interrupted.
pub(super) fn retried<T>(call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    Ok(rustix::io::retry_on_intr(call)?)
}

pub(super) fn make_dir_at(at: impl AsFd, name: impl Arg + Copy, modes: Modes) -> io::Result<()> {
    sys::mkdirat(&at, name, Mode::from_raw_mode(modes.dir))?;
    if modes.beyond_umask {
        sys::chmodat(&at, name, Mode::from_raw_mode(modes.dir), AtFlags::empty())?;
    }
    Ok(())
}

impl Dir for OsDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn kind(&self) -> io::Result<FsKind> {
        if let Some(kind) = self.kind.get() {
            return Ok(*kind);
        }
        // The constants are 32 bits wide; the field's type differs between architectures.
        let magic = sys::fstatfs(&*self.fd)?.f_type as u32;
        let kind = match LOCAL_FILE_SYSTEMS.contains(&magic) {
            true => FsKind::Local,
            false => FsKind::Network,
        };
        Ok(*self.kind.get_or_init(|| kind))
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = sys::fstatvfs(&*self.fd)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn open_dir(&self, name: &str) -> io::Result<DirRef> {
        let fd = self.open_at(name, OFlags::DIRECTORY, Mode::empty())?;
        let dir = OsDir::new(fd, self.path.join(name), self.modes);
        // Stores are not spread over file systems.
        if let Some(kind) = self.kind.get() {
            let _ = dir.kind.set(*kind);
        }
        Ok(Arc::new(dir))
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        make_dir_at(&*self.fd, component(name)?, self.modes)
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        Ok(sys::unlinkat(&*self.fd, component(name)?, AtFlags::REMOVEDIR)?)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fresh = retried(|| sys::openat(&*self.fd, ".", flags, Mode::empty()))?;
        self.forget_kept_names(&fresh)?;
        let mut buffer: Vec<u8> = Vec::with_capacity(LISTING_BUFFER);
        let mut entries = RawDir::new(&fresh, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            // A name that is not UTF-8 is not one of ours.
            match entry?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => each(name),
            }
        }
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<FileRef> {
        let mode = Mode::from_raw_mode(self.modes.file);
        let fd = self.open_at(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)?;
        if self.modes.beyond_umask {
            sys::fchmod(&fd, mode)?;
        }
        Ok(self.file(fd, name))
    }

    fn open_read(&self, name: &str) -> io::Result<FileRef> {
        let fd = self.open_at(name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        Ok(self.file(fd, name))
    }

    fn open_write(&self, name: &str) -> io::Result<FileRef> {
        let fd = self.open_at(name, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?;
        Ok(self.file(fd, name))
    }

    fn read(&self, name: &str, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        let fd = self.open_at(name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        super::file::read_all(&fd, limit, buffer)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        match sys::statat(&*self.fd, component(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(sys::renameat(
            &*self.fd,
            component(from)?,
            &*self.fd,
            component(to)?,
        )?)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        Ok(sys::renameat_with(
            &*self.fd,
            component(from)?,
            &*self.fd,
            component(to)?,
            flags,
        )?)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(sys::unlinkat(&*self.fd, component(name)?, AtFlags::empty())?)
    }

    fn replace(&self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.sure_path();
        let mut file = tempfile::Builder::new()
            .prefix(&format!(".{}.", component(name)?))
            .suffix(".tmp")
            .permissions(fs::Permissions::from_mode(self.modes.file))
            .tempfile_in(&path)?;
        if self.modes.beyond_umask {
            sys::fchmod(file.as_file(), Mode::from_raw_mode(self.modes.file))?;
        }
        file.write_all(bytes)?;
        if sync {
            file.as_file().sync_data()?;
        }
        file.persist(path.join(component(name)?))
            .map_err(|error| error.error)?;
        if sync { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        retried(|| sys::fsync(&*self.fd))
    }

    fn sync_all(&self) -> io::Result<()> {
        retried(|| sys::syncfs(&*self.fd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sharing;
    use crate::fs::Flock;
    use std::os::unix::fs::PermissionsExt;

    fn names(dir: &dyn Dir) -> Vec<String> {
        let mut names = Vec::new();
        dir.list(&mut |name| names.push(name.to_owned())).unwrap();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_once_locked_once_and_linked_once() {
        let root = tempfile::tempdir().unwrap();
        let dir = super::super::open(root.path(), Sharing::Private).unwrap();
        let file = dir.create("a.lock").unwrap();
        assert_eq!(
            dir.create("a.lock").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(file.try_lock().unwrap(), Flock::Held);
        let probe = dir.open_write("a.lock").unwrap();
        assert_eq!(probe.try_lock().unwrap(), Flock::Busy);
        file.write_at(0, b"hello").unwrap();
        file.link("a.out").unwrap();
        assert_eq!(file.fresh().unwrap().links, 2);
        assert_eq!(
            file.link("a.out").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        drop(file);
        // A process that another test is just starting may share our descriptors for a moment.
        let freed = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            probe.try_lock().unwrap() == Flock::Held
        });
        assert!(freed, "the lock did not go with its file");
        let mut bytes = Vec::new();
        dir.read("a.out", 100, &mut bytes).unwrap();
        assert_eq!(bytes, b"hello");
        assert_eq!(
            dir.read("a.out", 4, &mut bytes).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn a_file_that_was_removed_can_no_longer_be_linked() {
        let root = tempfile::tempdir().unwrap();
        let dir = super::super::open(root.path(), Sharing::Private).unwrap();
        let file = dir.create("a.lock").unwrap();
        dir.unlink("a.lock").unwrap();
        let _other = dir.create("a.lock").unwrap();
        assert_eq!(file.link("a.out").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(file.fresh().unwrap().links, 0);
        assert_eq!(names(&*dir), ["a.lock"]);
    }

    #[test]
    fn planted_links_and_fifos_are_refused_at_once() {
        let root = tempfile::tempdir().unwrap();
        let dir = super::super::open(root.path(), Sharing::Private).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("dir")).unwrap();
        let fifo = root.path().join("fifo");
        sys::mknodat(sys::CWD, &fifo, sys::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut bytes = Vec::new();
        assert!(dir.read("link", 100, &mut bytes).is_err());
        assert!(dir.read("fifo", 100, &mut bytes).is_err());
        assert!(dir.open_write("fifo").is_err());
        assert!(dir.open_dir("dir").is_err());
        for name in ["..", ".", "", "a/b", "../x"] {
            assert!(dir.create(name).is_err(), "{name:?}");
            assert!(dir.unlink(name).is_err(), "{name:?}");
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_group_store_is_open_to_the_group_whatever_the_umask() {
        let root = tempfile::tempdir().unwrap();
        let dir = super::super::open(root.path(), Sharing::Group).unwrap();
        dir.make_dir("d").unwrap();
        dir.create("f").unwrap();
        dir.replace("r", b"x", true).unwrap();
        let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("d"), mode("f"), mode("r")), (0o2770, 0o660, 0o660));
    }

    #[test]
    fn long_listings_are_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = super::super::open(root.path(), Sharing::Private).unwrap();
        let mut made: Vec<String> = (0..3000).map(|n| format!("{n:07}.1.lock")).collect();
        for name in &made {
            dir.create(name).unwrap();
        }
        made.sort();
        let listed: Vec<String> = names(&*dir);
        assert_eq!(listed, made);
    }

    #[test]
    fn a_directory_never_replaces_one_that_is_not_empty() {
        let root = tempfile::tempdir().unwrap();
        let dir = super::super::open(root.path(), Sharing::Private).unwrap();
        for name in ["old", "new"] {
            dir.make_dir(name).unwrap();
            dir.open_dir(name).unwrap().create("x").unwrap();
        }
        assert!(dir.rename("new", "old").is_err());
        assert!(dir.rename_new("new", "old").is_err());
        dir.replace("f", b"1", false).unwrap();
        dir.replace("f", b"22", true).unwrap();
        let mut bytes = Vec::new();
        dir.read("f", 9, &mut bytes).unwrap();
        assert_eq!(
            (bytes.as_slice(), names(&*dir)),
            (&b"22"[..], vec!["f".into(), "new".into(), "old".into()])
        );
    }
}
