//! An open file and the system calls on it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fs::{self as sys, AtFlags, StatxFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::dir::{component, retried};
use super::lock;
use crate::fs::{File, Flock, Stat};

/// Most records are smaller, so that one read takes them whole.
const READ_BUFFER: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct OsFile {
    file: fs::File,
    /// The directory it was opened in, for links.
    dir: Arc<OwnedFd>,
    name: String,
}

impl OsFile {
    pub(super) fn new(fd: OwnedFd, dir: Arc<OwnedFd>, name: &str) -> OsFile {
        OsFile {
            file: fs::File::from(fd),
            dir,
            name: name.to_owned(),
        }
    }
}

/// Says whether descriptors can be named by path, so that `link` takes the file and not its name.
pub(super) fn proc_is_mounted() -> bool {
    static MOUNTED: OnceLock<bool> = OnceLock::new();
    // Without opening it: that may fail for a moment, for want of descriptors.
    *MOUNTED.get_or_init(|| fs::symlink_metadata("/proc/self/fd").is_ok())
}

/// Appends all that a regular file holds; a FIFO is an error (ESPIPE).
pub(super) fn read_all(fd: impl AsFd, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let read =
        |buffer: &mut Vec<u8>, offset| retried(|| rustix::io::pread(&fd, spare_capacity(buffer), offset));
    let size = || Ok(sys::fstat(&fd)?.st_size.unsigned_abs());
    gather(limit, buffer, read, size)
}

/// Appends what `read` gives until that is nothing: a file system may cut a read short before the end of the file.
fn gather(
    limit: u64,
    buffer: &mut Vec<u8>,
    mut read: impl FnMut(&mut Vec<u8>, u64) -> io::Result<usize>,
    size: impl Fn() -> io::Result<u64>,
) -> io::Result<()> {
    let start = buffer.len();
    let too_large = || {
        let text = format!("it holds more than {limit} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    loop {
        let done = buffer.len() - start;
        if done as u64 > limit {
            return Err(too_large());
        }
        let room = READ_BUFFER.max(done);
        buffer.reserve(room);
        let read = read(buffer, done as u64)?;
        if read == 0 {
            return Ok(());
        }
        // A huge file, which may have been planted, is not read into memory first.
        if done == 0 && read >= room && size()? > limit {
            return Err(too_large());
        }
    }
}

impl File for OsFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read(&self, limit: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        read_all(&self.file, limit, buffer)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        retried(|| rustix::io::pread(&self.file, &mut *buffer, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn touch(&self) -> io::Result<()> {
        // "Now" and not a time of ours: the file server's clock decides, and a group's member may say it too.
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        Ok(sys::futimens(
            &self.file,
            &Timestamps {
                last_access: now,
                last_modification: now,
            },
        )?)
    }

    fn fresh(&self) -> io::Result<Stat> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        let wanted = StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::NLINK;
        match sys::statx(&self.file, "", flags, wanted) {
            Ok(stat) => Ok(Stat {
                len: stat.stx_size,
                mtime: Duration::new(
                    u64::try_from(stat.stx_mtime.tv_sec).unwrap_or(0),
                    stat.stx_mtime.tv_nsec,
                ),
                links: u64::from(stat.stx_nlink),
            }),
            Err(Errno::STALE) => Ok(Stat {
                len: 0,
                mtime: Duration::ZERO,
                links: 0,
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn try_lock(&self) -> io::Result<Flock> {
        lock::try_lock(&self.file)
    }

    fn link(&self, name: &str) -> io::Result<()> {
        let name = component(name)?;
        if proc_is_mounted() {
            let this = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            Ok(sys::linkat(
                sys::CWD,
                this,
                &*self.dir,
                name,
                AtFlags::SYMLINK_FOLLOW,
            )?)
        } else {
            // Attempts' names are used once, so the name is as good as the descriptor.
            Ok(sys::linkat(
                &*self.dir,
                self.name.as_str(),
                &*self.dir,
                name,
                AtFlags::empty(),
            )?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of which each read gives so many bytes at most.
    fn in_pieces(file: &[u8], most: usize, limit: u64) -> io::Result<Vec<u8>> {
        let mut buffer = b"before".to_vec();
        let read = |buffer: &mut Vec<u8>, offset: u64| {
            let rest = &file[usize::try_from(offset).unwrap().min(file.len())..];
            let piece = &rest[..rest.len().min(most)];
            buffer.extend_from_slice(piece);
            Ok(piece.len())
        };
        gather(limit, &mut buffer, read, || Ok(file.len() as u64))?;
        Ok(buffer.split_off(b"before".len()))
    }

    /// A read that a file system had cut short was taken for the end of the file: the outcome in it looked damaged, was
    /// put aside, and its task done again.
    #[test]
    fn a_read_that_is_cut_short_is_not_the_end_of_the_file() {
        let file: Vec<u8> = (0..50_000u32).map(|byte| byte as u8).collect();
        for most in [1, 7, 4096, READ_BUFFER, usize::MAX] {
            assert_eq!(in_pieces(&file, most, 50_000).unwrap(), file, "{most}");
            let too_large = in_pieces(&file, most, 49_999).unwrap_err();
            assert_eq!(too_large.kind(), io::ErrorKind::FileTooLarge);
        }
        assert_eq!(in_pieces(b"", 9, 0).unwrap(), b"");
    }
}
