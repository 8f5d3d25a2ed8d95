//! What a command has written: kept in files as it comes, and as much of it in memory as the summary needs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::link::Channel;
use crate::hosts::sum::{Sum, Summing};

/// As much of a line as is kept for the summary.
const LONGEST: usize = 400;

/// One stream of one host.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    file: Option<File>,
    summing: Summing,
    lines: Lines,
    pub(crate) bytes: u64,
    pub(crate) count: u64,
    /// The last line that is not blank.
    pub(crate) last: Vec<u8>,
}

impl Stream {
    /// Takes what came next, and gives each whole line.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; from then on it is not written any more.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) -> std::io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.summing.add(bytes);
        let (count, last) = (&mut self.count, &mut self.last);
        self.lines.feed(bytes, |text| {
            note(text, count, last);
            line(text);
        });
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        };
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// Gives the last line, if it has no end.
    pub(crate) fn end(&mut self, mut line: impl FnMut(&[u8])) {
        let (count, last) = (&mut self.count, &mut self.last);
        self.lines.end(|text| {
            note(text, count, last);
            line(text);
        });
        self.file = None;
    }

    /// Returns the checksum of all that came so far.
    pub(crate) fn sum(&self) -> Sum {
        self.summing.clone().end()
    }
}

fn note(line: &[u8], count: &mut u64, last: &mut Vec<u8>) {
    *count += 1;
    if !line.trim_ascii().is_empty() {
        last.clear();
        last.extend_from_slice(&line[..line.len().min(LONGEST)]);
    }
}

/// The two streams of a host, and its directory.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) out: Stream,
    pub(crate) err: Stream,
    pub(crate) dir: Option<PathBuf>,
}

impl Kept {
    /// Makes the directory and the files of a host, in the place of those of an earlier run.
    ///
    /// # Errors
    ///
    /// Those of the file system, with the path.
    pub(crate) fn below(out: &Path, host: &str) -> Result<Kept, (PathBuf, std::io::Error)> {
        let dir = out.join(safe_name(host));
        let at = |path: PathBuf| move |error| (path, error);
        std::fs::create_dir_all(&dir).map_err(at(dir.clone()))?;
        // What an earlier run has ended with must not be taken for this one's.
        match std::fs::remove_file(dir.join("status")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err((dir.join("status"), error));
            }
            _ => {}
        }
        let stream = |channel: Channel| {
            let path = dir.join(channel.name());
            let file = File::create(&path).map_err(at(path))?;
            Ok(Stream {
                file: Some(file),
                ..Stream::default()
            })
        };
        Ok(Kept {
            out: stream(Channel::Out)?,
            err: stream(Channel::Err)?,
            dir: Some(dir),
        })
    }

    /// Returns one of the two streams.
    pub(crate) fn stream(&mut self, channel: Channel) -> &mut Stream {
        match channel {
            Channel::Out => &mut self.out,
            Channel::Err => &mut self.err,
        }
    }

    /// Writes how it ended, in two stages.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub(crate) fn status(&self, line: &str) -> std::io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        writeln!(file, "{line}")?;
        file.persist(dir.join("status"))
            .map(drop)
            .map_err(|error| error.error)
    }
}

/// Returns a name for a directory: what could be a path or a hidden file is written as `%2f`. No two hosts share one.
pub(crate) fn safe_name(host: &str) -> String {
    let mut name = String::new();
    for (at, byte) in host.bytes().enumerate() {
        match byte {
            b'.' if at == 0 => name.push_str("%2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'@' | b':' => {
                name.push(char::from(byte));
            }
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_directory() {
        for (host, name) in [
            ("node01", "node01"),
            ("ana@n1:2222", "ana@n1:2222"),
            ("..", "%2e."),
            ("a/../../x", "a%2f..%2f..%2fx"),
            ("a%2fb", "a%252fb"),
            ("nöd", "n%c3%b6d"),
        ] {
            assert_eq!(safe_name(host), name);
        }
    }

    #[test]
    fn all_of_it_is_in_the_file_and_the_last_line_is_known() {
        let place = tempfile::tempdir().unwrap();
        let mut kept = Kept::below(place.path(), "n1").unwrap();
        let mut seen = 0;
        for piece in [b"one\ntw".as_slice(), b"o\xff\n\n", b"end"] {
            kept.out.feed(piece, |_| seen += 1).unwrap();
        }
        kept.out.end(|_| seen += 1);
        kept.status("exit 3").unwrap();
        let read = |name: &str| std::fs::read(place.path().join("n1").join(name)).unwrap();
        assert_eq!(read("stdout"), b"one\ntwo\xff\n\nend");
        assert_eq!(read("status"), b"exit 3\n");
        assert_eq!((seen, kept.out.count, kept.out.bytes), (4, 4, 13));
        assert_eq!(kept.out.last, b"end");
        // The next run begins anew.
        Kept::below(place.path(), "n1").unwrap();
        assert!(!place.path().join("n1/status").exists());
        assert_eq!(read("stdout"), b"");
    }
}
