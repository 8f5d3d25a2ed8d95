//! What a running command has written so far: the files `logs/TASK.ATTEMPT.stdout` and `.stderr` of the store.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::task::Captured;

const READ_AT_ONCE: usize = 64 << 10;

/// One of the two streams of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// A file that grows. It stays open, so its end can be read after it was removed.
#[derive(Debug)]
pub(crate) struct Live {
    logs: PathBuf,
    name: String,
    file: Option<File>,
    /// How many bytes were read.
    pub(crate) read: u64,
}

impl Live {
    pub(crate) fn new(store: &Path, task: u64, attempt: u32, stream: Stream) -> Live {
        Live {
            logs: store.join("logs"),
            name: format!("{task:07}.{attempt}.{}", stream.as_str()),
            file: None,
            read: 0,
        }
    }

    /// Reads what has come since, and hands it on.
    ///
    /// # Errors
    ///
    /// Those of `to`, and those of reading; a file that is not there yet, or not any more, is none.
    pub(crate) fn read_on<E: From<io::Error>>(
        &mut self,
        to: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match open(&self.logs, &self.name)? {
                Some(file) => self.file.insert(file),
                None => return Ok(()),
            },
        };
        let mut buffer = vec![0; READ_AT_ONCE];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    self.read += length as u64;
                    to(&buffer[..length])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Removed on another host: what it held is in the outcome.
                Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Opens a file of that name without following links; `None` if there is none.
fn open(logs: &Path, name: &str) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, logs, flags | OFlags::DIRECTORY, Mode::empty()).and_then(|dir| {
        rustix::fs::openat(
            &dir,
            name,
            flags | OFlags::NONBLOCK | OFlags::NOCTTY,
            Mode::empty(),
        )
    });
    let file = match opened {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => {
            return Err(io::Error::other(format!(
                "logs/{name} is a link, and none is followed"
            )));
        }
        Err(error) => return Err(error.into()),
    };
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(Some(File::from(file))),
        _ => Err(io::Error::other(format!("logs/{name} is no regular file"))),
    }
}

/// Returns what is kept of a stream beyond its first bytes, and how many bytes are missing before it.
pub(crate) fn rest(captured: &Captured, read: u64) -> (u64, &[u8]) {
    let (head, tail) = (&captured.head.0, &captured.tail.0);
    let at = usize::try_from(read).unwrap_or(usize::MAX);
    if tail.is_empty() {
        return (0, &head[at.min(head.len())..]);
    }
    // The file ends with a word of ours once the limit is reached, so it may be longer than what is kept.
    let read = read.min((head.len() + tail.len()) as u64);
    let tail_at = captured.total.saturating_sub(tail.len() as u64);
    match tail_at.checked_sub(read) {
        Some(missing) => (missing, tail),
        None => {
            let known = usize::try_from(read - tail_at).unwrap_or(usize::MAX);
            (0, &tail[known.min(tail.len())..])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn read(live: &mut Live) -> Result<String, io::Error> {
        let mut text = Vec::new();
        live.read_on(&mut |bytes| {
            text.extend_from_slice(bytes);
            Ok::<(), io::Error>(())
        })?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_file_is_followed_from_before_it_is_there_until_after_it_is_gone() {
        let store = tempfile::tempdir().unwrap();
        let mut live = Live::new(store.path(), 377, 2, Stream::Stdout);
        assert_eq!(read(&mut live).unwrap(), "");
        std::fs::create_dir(store.path().join("logs")).unwrap();
        let path = store.path().join("logs/0000377.2.stdout");
        std::fs::write(&path, "one ").unwrap();
        assert_eq!(read(&mut live).unwrap(), "one ");
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, b"two"))
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&mut live).unwrap(), "two");
        assert_eq!((read(&mut live).unwrap().as_str(), live.read), ("", 7));
    }

    #[test]
    fn links_and_pipes_are_not_read() {
        let store = tempfile::tempdir().unwrap();
        let logs = store.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        std::fs::write(store.path().join("secret"), "secret").unwrap();
        symlink(store.path().join("secret"), logs.join("0000001.1.stdout")).unwrap();
        std::process::Command::new("mkfifo")
            .arg(logs.join("0000001.1.stderr"))
            .status()
            .unwrap();
        for (stream, why) in [(Stream::Stdout, "is a link"), (Stream::Stderr, "no regular file")] {
            let error = read(&mut Live::new(store.path(), 1, 1, stream)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn the_rest_of_a_stream_follows_what_was_read() {
        let whole = Captured {
            head: "abcdef".into(),
            tail: "".into(),
            total: 6,
        };
        assert_eq!(rest(&whole, 0), (0, b"abcdef".as_slice()));
        assert_eq!(rest(&whole, 4), (0, b"ef".as_slice()));
        assert_eq!(rest(&whole, 99), (0, b"".as_slice()));
        let cut = Captured {
            head: "abc".into(),
            tail: "xyz".into(),
            total: 26,
        };
        // The file held six letters, and then said that it is full.
        assert_eq!(rest(&cut, 80), (17, b"xyz".as_slice()));
        assert_eq!(rest(&cut, 2), (21, b"xyz".as_slice()));
        let nearly = Captured { total: 7, ..cut };
        assert_eq!(rest(&nearly, 80), (0, b"z".as_slice()));
    }
}
