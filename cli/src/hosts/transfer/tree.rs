//! What is to be sent: files, directories and links, as they stand on this disk.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{Failed, NOT_OK};
use rustix::fs::{Mode, OFlags};

use super::{Board, name};
use crate::hosts::fan;
use crate::hosts::sum::{Sum, Summing};
use crate::sweep::shown;

/// So many bytes are read between two words to the board.
const TOLD: u64 = 16 << 20;

/// Something to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its path below the destination.
    pub(crate) path: Vec<u8>,
    pub(crate) what: What,
}

/// What it is.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Dir { mode: u32, mtime: i64 },
    File(Source),
    Link { target: Vec<u8> },
}

/// A file here, as it was when its checksum was made.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    /// Permissions only: nothing becomes set-user-id elsewhere.
    pub(crate) mode: u32,
    pub(crate) sum: Sum,
    mark: Mark,
}

/// What tells a file from what it is after a change.
type Mark = (u64, u64, u64, i64, i64);

impl Entry {
    /// Returns how many bytes its content has.
    pub(crate) fn size(&self) -> u64 {
        match &self.what {
            What::File(source) => source.size,
            _ => 0,
        }
    }
}

impl Source {
    /// Reads a file and makes its checksum, and tells the board. A link is not followed.
    ///
    /// # Errors
    ///
    /// Those of opening and reading it; if it is no file, or changes at that moment.
    pub(crate) fn read(path: &Path, board: &Board) -> io::Result<Source> {
        let mut file = open(path)?;
        let seen = file.metadata()?;
        let (mut size, mut summing) = (0, Summing::default());
        while let taken @ 1.. = summing.take(&mut file, TOLD)? {
            size += taken;
            board.moved(taken);
        }
        board.arrived();
        if size != seen.len() || mark(&file.metadata()?) != mark(&seen) {
            return Err(io::Error::other("it changes while it is read"));
        }
        Ok(Source {
            path: path.to_owned(),
            size,
            mtime: seen.mtime(),
            mode: seen.mode() & 0o777,
            sum: summing.end(),
            mark: mark(&seen),
        })
    }

    /// Opens it again.
    ///
    /// # Errors
    ///
    /// Those of opening it; if it has changed since.
    pub(crate) fn open(&self) -> io::Result<File> {
        let file = open(&self.path)?;
        match mark(&file.metadata()?) == self.mark {
            true => Ok(file),
            false => Err(io::Error::other("it has changed since it was read")),
        }
    }
}

fn mark(seen: &Metadata) -> Mark {
    (
        seen.dev(),
        seen.ino(),
        seen.len(),
        seen.mtime(),
        seen.mtime_nsec(),
    )
}

/// Opens a file, and nothing else: no link, and no pipe that would have us wait.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

/// Finds all that the words on the command line name, and makes the checksums; the board is told how far that is.
///
/// # Errors
///
/// What cannot be read; two sources that would become one.
pub(crate) fn walk(sources: &[PathBuf], board: &Board) -> Result<Vec<Entry>, Failed> {
    let mut found = Vec::new();
    for source in sources {
        let name = top(source)?;
        if found.iter().any(|(path, ..): &Found| *path == name) {
            return Err(Failed::usage(
                format!("two sources are called {}", name::shown(&name)),
                "send one of them to another directory",
            ));
        }
        let slash = source.as_os_str().as_bytes().ends_with(b"/");
        let seen = match slash {
            true => std::fs::metadata(source),
            false => std::fs::symlink_metadata(source),
        };
        let seen = seen.map_err(|error| cannot("read", source, &error))?;
        add(source, name, &seen, &mut found)?;
    }
    for (_, _, seen) in found.iter().filter(|(_, _, seen)| seen.is_file()) {
        board.expect(1, seen.len());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = fan::each(
        &found,
        cores,
        |(_, path, seen)| what(path, seen, board),
        |_, _| (),
    );
    board.end();
    let entries = found
        .into_iter()
        .zip(read)
        .map(|((path, ..), what)| Ok(Entry { path, what: what? }));
    entries.collect()
}

type Found = (Vec<u8>, PathBuf, Metadata);

/// Returns the name that a source has at the destination: its last one.
fn top(source: &Path) -> Result<Vec<u8>, Failed> {
    let name = source.file_name().map(|name| name.as_bytes().to_vec());
    // `.` and `..` have the name of the directory that they mean.
    let name = name.or_else(|| {
        let real = std::fs::canonicalize(source).ok()?;
        Some(real.file_name()?.as_bytes().to_vec())
    });
    name.ok_or_else(|| {
        let text = format!("{} has no name", shown::path(source));
        Failed::usage(text, "name a file or a directory")
    })
}

fn add(path: &Path, name: Vec<u8>, seen: &Metadata, found: &mut Vec<Found>) -> Result<(), Failed> {
    let is_dir = seen.is_dir();
    found.push((name.clone(), path.to_owned(), seen.clone()));
    if !is_dir {
        return Ok(());
    }
    let failed = |error: &io::Error| cannot("list", path, error);
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| failed(&error))? {
        inside.push(entry.map_err(|error| failed(&error))?);
    }
    inside.sort_by_key(std::fs::DirEntry::file_name);
    for entry in inside {
        let seen = entry
            .metadata()
            .map_err(|error| cannot("read", &entry.path(), &error))?;
        let name = name::join(&name, entry.file_name().as_bytes());
        add(&entry.path(), name, &seen, found)?;
    }
    Ok(())
}

fn what(path: &Path, seen: &Metadata, board: &Board) -> Result<What, Failed> {
    if seen.is_dir() {
        return Ok(What::Dir {
            mode: seen.mode() & 0o777,
            mtime: seen.mtime(),
        });
    }
    if seen.is_symlink() {
        let target = std::fs::read_link(path).map_err(|error| cannot("read", path, &error))?;
        let target = target.into_os_string().into_vec();
        return Ok(What::Link { target });
    }
    let source = Source::read(path, board).map_err(|error| cannot("read", path, &error))?;
    Ok(What::File(source))
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failed {
    let text = format!("cannot {verb} {}: {error}", shown::path(path));
    Failed::new(NOT_OK, text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_walked_in_order_and_links_stay_links() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("data");
        let board = Board::reading(true);
        std::fs::create_dir_all(top.join("b/c")).unwrap();
        std::fs::write(top.join("a"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", top.join("b/etc")).unwrap();
        let entries = walk(std::slice::from_ref(&top), &board).unwrap();
        let paths: Vec<_> = entries.iter().map(|entry| name::shown(&entry.path)).collect();
        assert_eq!(paths, ["data", "data/a", "data/b", "data/b/c", "data/b/etc"]);
        assert!(matches!(&entries[4].what, What::Link { target } if target == b"/etc"));
        let text = walk(&[top.clone(), top.clone()], &board).unwrap_err().text();
        assert!(text.contains("two sources"), "{text}");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            top.join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let text = walk(&[top], &board).unwrap_err().text();
        assert!(text.contains("pipe: it is no file"), "{text}");
    }

    #[test]
    fn a_file_that_has_changed_is_not_opened_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let source = Source::read(&path, &Board::reading(true)).unwrap();
        assert!(source.open().is_ok());
        std::fs::write(&path, "other").unwrap();
        assert!(source.open().unwrap_err().to_string().contains("has changed"));
    }
}
