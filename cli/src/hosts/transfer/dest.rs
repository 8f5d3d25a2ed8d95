//! Files that come from other hosts, written here: under held directories, and never through a link.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, mkdirat, openat, renameat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::name;
use crate::hosts::sum::{Sum, Summing};

/// The directory under which everything is made.
#[derive(Debug)]
pub(crate) struct Dest {
    root: OwnedFd,
}

/// A directory below it, and a name in it.
#[derive(Debug)]
pub(super) struct Spot {
    dir: OwnedFd,
    name: Vec<u8>,
}

/// What is to become of a file.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) mode: u32,
    pub(super) sum: Sum,
}

/// A file that grows under its hidden name.
#[derive(Debug)]
pub(super) struct Growing {
    spot: Spot,
    part: Vec<u8>,
    file: File,
    summing: Summing,
    /// The first error of writing; what comes after it is not written.
    failed: Option<io::Error>,
}

/// Directories of a tree get their own permissions when all is in them.
const PRIVATE: u32 = 0o700;
const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dest {
    /// Opens the directory, which is made if it is missing. The user named it, so links on the way to it are followed.
    ///
    /// # Errors
    ///
    /// Those of making and opening it.
    pub(crate) fn open(path: &Path) -> io::Result<Dest> {
        std::fs::create_dir_all(path)?;
        let root = openat(CWD, path, DIR, Mode::empty())?;
        Ok(Dest { root })
    }

    /// Returns a directory just below it, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// As of [`Dest::spot`].
    pub(crate) fn below(&self, name: &[u8]) -> io::Result<Dest> {
        let root = enter(&self.root, name, 0o777)?;
        Ok(Dest { root })
    }

    /// Returns where a path lies; directories on the way are made.
    ///
    /// # Errors
    ///
    /// If a part of the path is a link or no directory; those of making one.
    pub(super) fn spot(&self, parts: &[&[u8]]) -> io::Result<Spot> {
        let (last, dirs) = parts.split_last().ok_or(Errno::INVAL)?;
        let mut dir = self.root.try_clone()?;
        for part in dirs {
            dir = enter(&dir, part, PRIVATE)?;
        }
        Ok(Spot {
            dir,
            name: last.to_vec(),
        })
    }
}

/// Opens a directory in another, and makes it if it is missing.
fn enter(dir: &OwnedFd, name: &[u8], mode: u32) -> io::Result<OwnedFd> {
    match mkdirat(dir, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    openat(dir, name, DIR | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => {
            let text = format!("{} is a link, or no directory", name::shown(name));
            io::Error::other(text)
        }
        error => error.into(),
    })
}

impl Spot {
    /// Makes a directory of it.
    ///
    /// # Errors
    ///
    /// If something else has the name.
    pub(super) fn make(&self) -> io::Result<()> {
        enter(&self.dir, &self.name, PRIVATE).map(drop)
    }

    /// Gives a directory its permissions and its time.
    ///
    /// # Errors
    ///
    /// Those of the steps.
    pub(super) fn settle(&self, mode: u32, mtime: i64) -> io::Result<()> {
        let dir = File::from(enter(&self.dir, &self.name, PRIVATE)?);
        dress(&dir, mode, mtime)
    }

    /// Makes a link; an old one goes. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// If something that is no link has the name.
    pub(super) fn link(&self, target: &[u8]) -> io::Result<bool> {
        match rustix::fs::readlinkat(&self.dir, &self.name[..], Vec::new()) {
            Ok(old) if old.as_bytes() == target => return Ok(true),
            Ok(_) => unlinkat(&self.dir, &self.name[..], AtFlags::empty())?,
            Err(Errno::NOENT) => {}
            Err(Errno::INVAL) => return Err(io::Error::other("something that is no link is in its place")),
            Err(error) => return Err(error.into()),
        }
        symlinkat(target, &self.dir, &self.name[..])?;
        Ok(false)
    }

    /// Says whether the file is there already.
    ///
    /// # Errors
    ///
    /// If something that is no file has its name; those of reading it.
    pub(super) fn is_same(&self, wanted: &Wanted) -> io::Result<bool> {
        let Some(size) = size_at(&self.dir, &self.name)? else {
            return Ok(false);
        };
        if size != wanted.size {
            return Ok(false);
        }
        let mut file = open(&self.dir, &self.name)?;
        let (_, sum) = Sum::of_rest(&mut file)?;
        Ok(sum == wanted.sum)
    }

    /// Returns how long the part is that an earlier run has left, and its checksum.
    ///
    /// # Errors
    ///
    /// If something that is no file has its name; those of reading it.
    pub(super) fn part(&self, wanted: &Wanted) -> io::Result<Option<(u64, Sum)>> {
        let part = self.part_name(wanted);
        if size_at(&self.dir, &part)?.is_none() {
            return Ok(None);
        }
        Sum::of_rest(&mut open(&self.dir, &part)?).map(Some)
    }

    /// Begins to write: after the first so many bytes of the part, or with a new one.
    ///
    /// # Errors
    ///
    /// Those of opening and reading it.
    pub(super) fn grow(self, wanted: &Wanted, from: u64) -> io::Result<Growing> {
        let part = self.part_name(wanted);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if from == 0 {
            match unlinkat(&self.dir, &part[..], AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = if from == 0 {
            flags | OFlags::CREATE | OFlags::EXCL
        } else {
            flags
        };
        let mut file = File::from(openat(&self.dir, &part[..], flags, Mode::RUSR | Mode::WUSR)?);
        let mut summing = Summing::default();
        if summing.take(&mut file, from)? != from {
            return Err(io::Error::other("its part has become shorter"));
        }
        file.seek(SeekFrom::Start(from))?;
        Ok(Growing {
            spot: self,
            part,
            file,
            summing,
            failed: None,
        })
    }

    fn part_name(&self, wanted: &Wanted) -> Vec<u8> {
        name::part(&self.name, wanted.size, wanted.mtime, &wanted.sum)
    }
}

impl Growing {
    /// Writes more of it.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
            self.summing.add(bytes);
        }
    }

    /// Gives it its name, if it is what was wanted; says whether it is. A wrong one is removed.
    ///
    /// # Errors
    ///
    /// The first one of writing, and those of the steps. The part stays, to be gone on with.
    pub(super) fn finish(self, wanted: &Wanted) -> io::Result<bool> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let dir = &self.spot.dir;
        if self.summing.end() != wanted.sum {
            unlinkat(dir, &self.part[..], AtFlags::empty())?;
            return Ok(false);
        }
        dress(&self.file, wanted.mode, wanted.mtime)?;
        self.file.sync_all()?;
        // A link or a directory that has come to be there meanwhile is not replaced.
        size_at(dir, &self.spot.name)?;
        renameat(dir, &self.part[..], dir, &self.spot.name[..])?;
        Ok(true)
    }
}

fn dress(file: &File, mode: u32, mtime: i64) -> io::Result<()> {
    rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode & 0o777))?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime,
            tv_nsec: 0,
        },
    };
    Ok(rustix::fs::futimens(file.as_fd(), &times)?)
}

/// Returns the size of a file; `None` if nothing has the name.
fn size_at(dir: &OwnedFd, name: &[u8]) -> io::Result<Option<u64>> {
    let seen = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(seen) => seen,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match FileType::from_raw_mode(seen.st_mode) {
        FileType::RegularFile => Ok(Some(u64::try_from(seen.st_size).unwrap_or(0))),
        FileType::Symlink => Err(io::Error::other("a link is in its place")),
        FileType::Directory => Err(io::Error::other("a directory is in its place")),
        _ => Err(io::Error::other("something that is no file is in its place")),
    }
}

fn open(dir: &OwnedFd, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(openat(dir, name, flags, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn wanted(bytes: &[u8]) -> Wanted {
        Wanted {
            size: bytes.len() as u64,
            mtime: 1_000_000_000,
            mode: 0o640,
            sum: Sum::of(bytes),
        }
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_right_and_goes_on_where_it_was() {
        let place = tempfile::tempdir().unwrap();
        let dest = Dest::open(&place.path().join("new")).unwrap();
        let spot = || dest.spot(&[b"a", b"f"]).unwrap();
        let all = wanted(b"onetwo");
        let mut growing = spot().grow(&all, 0).unwrap();
        growing.add(b"one");
        drop(growing);
        assert_eq!(spot().part(&all).unwrap(), Some((3, Sum::of(b"one"))));
        assert!(!spot().is_same(&all).unwrap());
        let mut growing = spot().grow(&all, 3).unwrap();
        growing.add(b"two");
        assert!(growing.finish(&all).unwrap());
        let path = place.path().join("new/a/f");
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(spot().is_same(&all).unwrap());
        let mut growing = spot().grow(&all, 0).unwrap();
        growing.add(b"other");
        assert!(!growing.finish(&all).unwrap());
        let left = std::fs::read_dir(place.path().join("new/a")).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("f"), "mine").unwrap();
        let top = place.path().join("top");
        let dest = Dest::open(&top).unwrap();
        symlink(&outside, top.join("dir")).unwrap();
        symlink(outside.join("f"), top.join("f")).unwrap();
        let text = dest.spot(&[b"dir", b"x"]).unwrap_err().to_string();
        assert!(text.contains("dir is a link"), "{text}");
        assert!(dest.below(b"dir").is_err());
        let all = wanted(b"theirs");
        assert!(dest.spot(&[b"f"]).unwrap().is_same(&all).is_err());
        let mut growing = dest.spot(&[b"f"]).unwrap().grow(&all, 0).unwrap();
        growing.add(b"theirs");
        assert!(growing.finish(&all).unwrap_err().to_string().contains("a link"));
        // A link in the place of the part goes, and what it leads to stays.
        let spot = dest.spot(&[b"g"]).unwrap();
        let part = std::ffi::OsString::from(String::from_utf8(spot.part_name(&all)).unwrap());
        symlink(outside.join("f"), top.join(part)).unwrap();
        assert!(spot.part(&all).is_err());
        let mut growing = spot.grow(&all, 0).unwrap();
        growing.add(b"theirs");
        assert!(growing.finish(&all).unwrap());
        assert_eq!(std::fs::read(outside.join("f")).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    }
}
