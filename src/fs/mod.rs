//! The only door to the disk: a few small steps, each one or two system calls.
//!
//! Directories are held open and names are single components, so that nothing outside of a held directory can
//! be reached, whatever is planted in it. The real implementation is [`os`]; tests put a simulated one behind
//! the same traits and fail the first step, the second, the third ...

mod listings;
pub(crate) mod os;
#[cfg(any(test, fuzzing))]
#[cfg_attr(
    fuzzing,
    expect(dead_code, reason = "fuzz targets plant files, and plan no faults")
)]
pub(crate) mod sim;
pub(crate) mod watch;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A held directory.
pub(crate) type DirRef = Arc<dyn Dir>;
/// An open file.
pub(crate) type FileRef = Box<dyn File>;

/// What sort of file system a directory lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FsKind {
    /// One kernel sees every change: flock and inotify tell all.
    Local,
    /// Other hosts may write too: sync before publishing, poll, trust the lease.
    Network,
}

/// What a fresh look at an open file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) len: u64,
    /// The file server's time of the last change, since 1970.
    pub(crate) mtime: Duration,
    /// How many names the file has; 0 when it was removed.
    pub(crate) links: u64,
}

/// What asking for a lock was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flock {
    /// The lock is ours.
    Held,
    /// Somebody else holds it.
    Busy,
    /// There is no flock on this file system.
    Unsupported,
}

/// A directory that is held open.
pub(crate) trait Dir: Send + Sync + Debug {
    /// Returns the path it was opened by, for texts only.
    fn path(&self) -> &Path;

    /// Returns what sort of file system it lies on.
    fn kind(&self) -> io::Result<FsKind>;

    /// Returns the free space of its file system in bytes.
    fn free_space(&self) -> io::Result<u64>;

    /// Opens a directory in it; a symbolic link is refused.
    fn open_dir(&self, name: &str) -> io::Result<DirRef>;

    /// Makes a directory in it.
    fn make_dir(&self, name: &str) -> io::Result<()>;

    /// Removes an empty directory in it.
    fn remove_dir(&self, name: &str) -> io::Result<()>;

    /// Hands over each name in it, from a fresh opendir: that makes an NFS client look again.
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()>;

    /// Makes a file that must not be there yet, open for reading and writing.
    fn create(&self, name: &str) -> io::Result<FileRef>;

    /// Opens a file for reading; never waits for a planted FIFO, never follows a link.
    fn open_read(&self, name: &str) -> io::Result<FileRef>;

    /// Opens a file for writing only, as a probe of its lock needs it.
    fn open_write(&self, name: &str) -> io::Result<FileRef>;

    /// Appends what a file holds to `buffer`: open, read, close.
    ///
    /// Fails with `FileTooLarge` beyond `limit` bytes; the first of them, 16 KiB at least, are in the buffer then.
    fn read(&self, name: &str, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()>;

    /// Says whether a name is there. On NFS the answer may be a minute old.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Renames a file or directory within this directory. A directory never replaces one that is not empty.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Renames a file within this directory unless the new name is taken (EEXIST).
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Puts a small file into place in two stages: readers see the old bytes or the new, never half.
    ///
    /// After an error readers may see either.
    fn replace(&self, name: &str, bytes: &[u8], sync: bool) -> io::Result<()>;

    /// Brings the directory itself to the disk.
    fn sync(&self) -> io::Result<()>;

    /// Brings everything on its file system to the disk.
    fn sync_all(&self) -> io::Result<()>;
}

/// An open file.
pub(crate) trait File: Send + Sync + Debug {
    /// Writes all the bytes at an offset.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Appends what the file holds to `buffer`; `FileTooLarge` beyond `limit` bytes, with the first of them appended.
    fn read(&self, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()>;

    /// Reads up to as many bytes as `buffer` takes from an offset on; 0 only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Brings the bytes to the disk, or to the file server's.
    fn sync_data(&self) -> io::Result<()>;

    /// Sets the time of the last change to now, by the file server's clock.
    fn touch(&self) -> io::Result<()>;

    /// Asks the file server, not the cache; ESTALE is told as a file without names.
    fn fresh(&self) -> io::Result<Stat>;

    /// Asks for the exclusive lock, without waiting.
    fn try_lock(&self) -> io::Result<Flock>;

    /// Gives this very file a second name in the directory it was opened in (EEXIST if that is taken).
    fn link(&self, name: &str) -> io::Result<()>;
}

/// Errors after which the store's own trouble is waited out: space, quota, permissions.
pub(crate) fn is_worth_parking(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::StorageFull | K::QuotaExceeded | K::ReadOnlyFilesystem | K::PermissionDenied
    )
}

/// Says whether the error means that the file or its directory is gone.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle
    )
}

/// Says whether the error means that another user's file is closed to us: its maker was killed before it could set the
/// mode of a group's store, or somebody has set another.
pub(crate) fn is_closed_to_us(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Says whether the file was removed or replaced by others, or this client's hold on it was lost.
///
/// NFS answers EIO when a lock was lost. Seen with NFSv4.2 (Linux 6.1): EBADF, for ever, when the client was cut off beyond
/// its lease and the file was removed meanwhile.
pub(crate) fn is_lost_file(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    is_gone(error) || matches!(errno, Some(Errno::IO | Errno::BADF))
}

/// Says whether the error means that the name holds nothing of ours, but a planted FIFO, link, directory, or a file
/// larger than any that we write.
pub(crate) fn is_foreign(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let no_file = matches!(
        errno,
        Some(Errno::SPIPE | Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV)
    );
    no_file || error.kind() == io::ErrorKind::FileTooLarge
}
