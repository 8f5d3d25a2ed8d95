//! What a distribution has decided and done: lines that are only ever added, so that it can be begun again.
//!
//! ```json
//! {"begin":{"hosts":["n1","n2"],"dest":"data"}}
//! {"file":"img_1.fits","host":"n1"}
//! {"done":"img_1.fits","host":"n1","size":5,"mtime":1700000000,"sum":"..."}
//! ```
//!
//! Names are written as [`encode`](super::name::encode) does. A last line without an end was being written when
//! something broke: it does not count.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flockwork::app::exit::{Failed, NOT_OK};
use serde::{Deserialize, Serialize};

use super::Source;
use super::name;
use crate::sweep::shown;

/// What earlier runs have written.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The hosts and the directory of the last run.
    pub(crate) begin: Option<Begin>,
    /// The host of each file.
    pub(crate) hosts: HashMap<Vec<u8>, String>,
    /// What has arrived, as it was then.
    pub(crate) done: HashMap<Vec<u8>, Done>,
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) hosts: Vec<String>,
    pub(crate) dest: String,
}

/// A file that has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    done: String,
    pub(crate) host: String,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    sum: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Begin { begin: Begin },
    Done(Done),
    File { file: String, host: String },
}

/// The journal, open for more.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Past {
    /// Reads a journal; one that is not there is empty.
    ///
    /// # Errors
    ///
    /// If it cannot be read, and which line makes no sense.
    pub(crate) fn read(path: &Path) -> Result<Past, Failed> {
        match std::fs::read(path) {
            Ok(bytes) => Past::of(&bytes).map_err(|line| {
                let text = format!("{}, line {line}: this is no line of a journal", shown::path(path));
                Failed::new(
                    NOT_OK,
                    text,
                    Some("give another --journal, or move it away".to_owned()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Past::default()),
            Err(error) => {
                let text = format!("cannot read the journal {}: {error}", shown::path(path));
                Err(Failed::new(NOT_OK, text, None))
            }
        }
    }

    fn of(bytes: &[u8]) -> Result<Past, usize> {
        let mut past = Past::default();
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            // Without its end: inside a text, it would be an error of its own.
            let Some(line) = line.strip_suffix(b"\n").filter(|line| !line.is_empty()) else {
                continue;
            };
            let line = match serde_json::from_slice::<serde_json::Value>(line) {
                Ok(line) => serde_json::from_value(line).map_err(|_| number + 1)?,
                // A torn line that the next run has ended.
                Err(error) if error.is_eof() => continue,
                Err(_) => return Err(number + 1),
            };
            match line {
                Line::Begin { begin } => past.begin = Some(begin),
                Line::File { file, host } => {
                    let name = name::decode(&file).ok_or(number + 1)?;
                    past.hosts.insert(name, host);
                }
                Line::Done(done) => {
                    let name = name::decode(&done.done).ok_or(number + 1)?;
                    past.done.insert(name, done);
                }
            }
        }
        Ok(past)
    }

    /// Says whether a file has arrived at a host, and is still the same here.
    pub(crate) fn is_done(&self, name: &[u8], host: &str, size: u64, mtime: i64) -> bool {
        let done = self.done.get(name);
        done.is_some_and(|done| done.host == host && done.size == size && done.mtime == mtime)
    }
}

impl Journal {
    /// Opens it for adding, and adds how this run begins: the hosts, and where files go that are new.
    ///
    /// # Errors
    ///
    /// Those of opening and writing it.
    pub(crate) fn begin<'a>(
        path: &Path,
        begin: Begin,
        new: impl Iterator<Item = (&'a [u8], &'a str)>,
    ) -> Result<Journal, Failed> {
        let failed = |error: io::Error| {
            let text = format!("cannot write the journal {}: {error}", shown::path(path));
            let hint = "nothing was sent; give --journal FILE where you may write".to_owned();
            Failed::new(NOT_OK, text, Some(hint))
        };
        let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .custom_flags(nofollow)
            .open(path);
        let mut journal = Journal(file.map_err(failed)?);
        let is_new = journal.0.metadata().map_err(failed)?.len() == 0;
        // Ends a line that was torn.
        let mut text = String::from(if is_new { "" } else { "\n" });
        text.push_str(&line(&Line::Begin { begin }));
        for (name, host) in new {
            text.push_str(&line(&Line::File {
                file: name::encode(name),
                host: host.to_owned(),
            }));
        }
        journal.add(&text).map_err(failed)?;
        Ok(journal)
    }

    /// Adds that a file has arrived.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub(crate) fn done(&mut self, name: &[u8], host: &str, source: &Source) -> io::Result<()> {
        let done = Done {
            done: name::encode(name),
            host: host.to_owned(),
            size: source.size,
            mtime: source.mtime,
            sum: source.sum.to_string(),
        };
        self.add(&line(&Line::Done(done)))
    }

    fn add(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }
}

fn line(line: &Line) -> String {
    // Texts and numbers can always be written.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::transfer::Board;

    #[test]
    fn what_was_written_is_read_and_a_torn_line_does_not_count() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("j");
        let begin = || Begin {
            hosts: vec!["n1".to_owned()],
            dest: "d".to_owned(),
        };
        std::fs::write(place.path().join("f"), "abc").unwrap();
        let source = Source::read(&place.path().join("f"), &Board::reading(true)).unwrap();
        let new = [(&b"a\n\xff"[..], "n1")];
        let mut journal = Journal::begin(&path, begin(), new.into_iter()).unwrap();
        journal.done(b"a\n\xff", "n1", &source).unwrap();
        journal.add("{\"done\":\"b\",\"ho").unwrap();
        let past = Past::read(&path).unwrap();
        assert_eq!(past.begin, Some(begin()));
        assert_eq!(past.hosts[&b"a\n\xff"[..]], "n1");
        assert!(past.is_done(b"a\n\xff", "n1", 3, source.mtime));
        assert!(!past.is_done(b"a\n\xff", "n2", 3, source.mtime));
        assert!(!past.is_done(b"a\n\xff", "n1", 4, source.mtime));
        assert!(!past.is_done(b"b", "n1", 3, source.mtime));
        Journal::begin(&path, begin(), std::iter::empty()).unwrap();
        assert_eq!(Past::read(&path).unwrap().done.len(), 1);
        std::fs::write(&path, "\n{\"begin\":7}\n").unwrap();
        let text = Past::read(&path).unwrap_err().text();
        assert!(text.contains("line 2"), "{text}");
    }
}
