//! A directory that is held open: each step of the tests, by a name that is one component.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    self as sys, AtFlags, Mode, OFlags, RenameFlags, StatxFlags, Timespec, Timestamps, UTIME_NOW,
};

use crate::listing;

/// A held directory. No name is followed if it is a symbolic link.
#[derive(Debug)]
pub(super) struct Held(OwnedFd);

/// What a fresh look at an open file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The file server's time of the last change, in nanoseconds since 1970.
    pub(super) mtime: i64,
    pub(super) links: u32,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// What planted links and FIFOs could do is refused.
const FILE: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);
/// The longest file of ours.
const LONGEST: u64 = 64 << 10;

impl Held {
    pub(super) fn open(path: &Path) -> io::Result<Held> {
        Ok(Held(sys::open(path, DIRECTORY, Mode::empty())?))
    }

    pub(super) fn open_dir(&self, name: &str) -> io::Result<Held> {
        let flags = DIRECTORY.union(OFlags::NOFOLLOW);
        Ok(Held(sys::openat(&self.0, name, flags, Mode::empty())?))
    }

    pub(super) fn make_dir(&self, name: &str) -> io::Result<()> {
        Ok(sys::mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?)
    }

    /// Makes a file that must not be there yet.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    pub(super) fn open_read(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlags::RDONLY)
    }

    pub(super) fn open_write(&self, name: &str) -> io::Result<File> {
        self.file(name, OFlags::WRONLY)
    }

    fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let mode = Mode::from_raw_mode(0o666);
        Ok(File::from(sys::openat(&self.0, name, flags | FILE, mode)?))
    }

    /// Puts a small file into place in two stages.
    pub(super) fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let private = format!("{name}.tmp");
        let mut file = self.create(&private)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        drop(file);
        self.rename(&private, name)
    }

    /// Reads a small file.
    pub(super) fn get(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        self.open_read(name)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Lists it afresh. Names that are no UTF-8 are not ours.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        listing::names_in(&self.0)
    }

    /// Says by a plain stat whether a name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        sys::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub(super) fn is_dir(&self, name: &str) -> bool {
        let stat = sys::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| sys::FileType::from_raw_mode(stat.st_mode) == sys::FileType::Directory)
    }

    pub(super) fn link(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(sys::linkat(&self.0, from, &self.0, to, AtFlags::empty())?)
    }

    /// Links an open file, not a name.
    pub(super) fn link_file(&self, file: &File, to: &str) -> io::Result<()> {
        let this = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(sys::linkat(sys::CWD, this, &self.0, to, AtFlags::SYMLINK_FOLLOW)?)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(sys::renameat(&self.0, from, &self.0, to)?)
    }

    /// Renames unless the new name is taken.
    pub(super) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(sys::renameat_with(
            &self.0,
            from,
            &self.0,
            to,
            RenameFlags::NOREPLACE,
        )?)
    }

    pub(super) fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(sys::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn remove_dir(&self, name: &str) -> io::Result<()> {
        Ok(sys::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a directory with all that is in it, as far as it can.
    pub(super) fn remove_all(&self, name: &str) {
        if let Ok(dir) = self.open_dir(name) {
            for inner in dir.list().unwrap_or_default() {
                match dir.is_dir(&inner) {
                    true => dir.remove_all(&inner),
                    // What is left makes the directory stay, which is seen.
                    false => drop(dir.unlink(&inner)),
                }
            }
        }
        let _ = self.remove_dir(name);
    }

    /// Brings the directory to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(sys::fsync(&self.0)?)
    }
}

/// Sets the time of the last change to now, by the file server's clock.
pub(super) fn touch(file: &File) -> io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(sys::futimens(file, &times)?)
}

/// Asks the file server, not the cache.
pub(super) fn look(file: &File) -> io::Result<Look> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let stat = sys::statx(file, "", flags, StatxFlags::MTIME | StatxFlags::NLINK)?;
    Ok(Look {
        mtime: nanos(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        links: stat.stx_nlink,
    })
}

fn nanos(seconds: i64, nanos: u32) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(nanos))
}

/// Returns this host's time in nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
