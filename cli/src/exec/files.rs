//! Files in an attempt's directory: those made for the command, and those it made.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Why a file that the command should have written cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoFile {
    Missing,
    /// Says what is wrong with it.
    Wrong(String),
}

/// Says whether a name stays below the directory that it is meant from.
pub(super) fn is_inside(name: &str) -> bool {
    let parts = || Path::new(name).components();
    parts().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        && parts().any(|part| matches!(part, Component::Normal(_)))
}

/// Makes a file below `dir`, and the directories on the way.
pub(super) fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    if !is_inside(name) {
        return Err(io::Error::other("the name leads out of the attempt's directory"));
    }
    let path = dir.join(name);
    if let Some(parent) = path.parent()
        && parent != dir
    {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes)
}

/// Reads a file that the command has made below `dir`, and follows no link on the way to it.
pub(super) fn read(dir: &Path, name: &str, most: u64) -> Result<Vec<u8>, NoFile> {
    if !is_inside(name) {
        return Err(wrong("its name leads out of the attempt's directory"));
    }
    // A program may have made a pipe, and nobody writes to it.
    let wanted = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut at = open(None, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
    let parts: Vec<_> = Path::new(name)
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let flags = if is_last {
            wanted
        } else {
            wanted | OFlags::DIRECTORY
        };
        at = open(Some(&at), part.as_ref(), flags)?;
    }
    let status = rustix::fs::fstat(&at).map_err(|error| wrong(io::Error::from(error)))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(wrong("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::from(at);
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(wrong)?;
    if bytes.len() as u64 > most {
        return Err(wrong(format!("it has more than the {most} bytes that are kept")));
    }
    Ok(bytes)
}

fn open(dir: Option<&OwnedFd>, path: &Path, flags: OFlags) -> Result<OwnedFd, NoFile> {
    let opened = match dir {
        Some(dir) => rustix::fs::openat(dir, path, flags, Mode::empty()),
        None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
    };
    opened.map_err(|error| match error {
        Errno::NOENT => NoFile::Missing,
        Errno::LOOP => wrong("it is a link"),
        // A link where a directory should be; or a file.
        Errno::NOTDIR => wrong("a part of its path is a link or no directory"),
        error => wrong(io::Error::from(error)),
    })
}

fn wrong(what: impl ToString) -> NoFile {
    NoFile::Wrong(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn why(result: Result<Vec<u8>, NoFile>) -> String {
        match result {
            Err(NoFile::Wrong(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_names_below_the_directory_are_inside() {
        for name in ["a", "a/b", "./a", "..a", "a/...", "-"] {
            assert!(is_inside(name), "{name}");
        }
        for name in ["", ".", "..", "/etc/passwd", "a/../b", "../a", "a/..", "//a"] {
            assert!(!is_inside(name), "{name}");
        }
    }

    #[test]
    fn a_file_is_read_as_far_as_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "deep/er/out.txt", b"12345\xff").unwrap();
        assert_eq!(
            read(dir.path(), "deep/./er/out.txt", 6),
            Ok(b"12345\xff".to_vec())
        );
        assert_eq!(
            why(read(dir.path(), "deep/er/out.txt", 5)),
            "it has more than the 5 bytes that are kept"
        );
        assert_eq!(read(dir.path(), "deep/out.txt", 6), Err(NoFile::Missing));
        assert_eq!(why(read(dir.path(), "deep", 6)), "it is no regular file");
    }

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
        symlink(outside.path(), dir.path().join("way")).unwrap();
        assert_eq!(why(read(dir.path(), "link", 100)), "it is a link");
        assert_eq!(
            why(read(dir.path(), "way/secret", 100)),
            "a part of its path is a link or no directory"
        );
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_does_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(why(read(dir.path(), "pipe", 100)), "it is no regular file");
    }

    #[test]
    fn nothing_is_written_outside() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../x", "/tmp/x", "a/../../x"] {
            assert!(write(dir.path(), name, b"x").is_err(), "{name}");
        }
    }
}
