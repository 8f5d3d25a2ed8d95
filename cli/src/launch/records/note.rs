//! What came of a launch: a line each, in a file that one process appends to.
//!
//! A line counts when its line break is there, so a process that is killed leaves nothing that is half written.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::launch::process::Process;
use crate::words;

/// Lines of an engine's words that are shown, and the longest text of them.
const SHOWN: usize = 2;
const LONGEST: usize = 300;

/// Something that came of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// The engine has taken it, under this number.
    Submitted { at: u64, job: String },
    /// It was not, or not all of it, started: in the engine's own words.
    Failed { at: u64, said: String },
    /// A process was started.
    Started {
        at: u64,
        #[serde(flatten)]
        process: Process,
        /// Where its output goes.
        log: String,
    },
    /// A worker was started on a host that ssh reaches.
    Reached {
        at: u64,
        #[serde(flatten)]
        worker: Reached,
    },
}

/// A worker on a host that ssh reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// As it was named: what ssh is asked for.
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) slots: u32,
    /// The program there.
    pub(crate) program: String,
    /// Whether it is a copy that was made by this launch.
    pub(crate) copied: bool,
}

/// Where the notes of a launch are written.
#[derive(Debug)]
pub(crate) struct Notes(File);

impl Notes {
    pub(super) fn begin(path: &Path) -> io::Result<Notes> {
        Ok(Notes(File::options().append(true).create_new(true).open(path)?))
    }

    /// Returns notes that find no room.
    #[cfg(test)]
    pub(crate) fn full() -> Notes {
        Notes(File::options().append(true).open("/dev/full").unwrap())
    }

    /// Adds a line, and brings it to the disk.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub(crate) fn add(&mut self, note: &Note) -> io::Result<()> {
        let mut line = serde_json::to_vec(note)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.sync_all()
    }
}

/// Returns what people are shown of an engine's words: the end, where it says what it comes to.
pub(crate) fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    words::tame(&lines[lines.len().saturating_sub(SHOWN)..].join("; "), LONGEST)
}

/// All that came of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Came {
    pub(crate) job: Option<String>,
    pub(crate) failed: Option<String>,
    /// Processes with their logs.
    pub(crate) started: Vec<(Process, String)>,
    pub(crate) reached: Vec<Reached>,
}

impl Came {
    /// Reads the notes; nothing if there are none.
    pub(super) fn read(path: &Path) -> io::Result<Came> {
        match super::bytes(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Came::default()),
            bytes => Came::parse(&bytes?),
        }
    }

    fn parse(bytes: &[u8]) -> io::Result<Came> {
        let mut came = Came::default();
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines = bytes[..whole].split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line)? {
                Note::Submitted { job, .. } => came.job = Some(job),
                Note::Failed { said, .. } => came.failed = Some(said),
                Note::Started { process, log, .. } => came.started.push((process, log)),
                Note::Reached { worker, .. } => came.reached.push(worker),
            }
        }
        Ok(came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_an_engine_says_is_shown() {
        let said = "error: attempt 1\nerror: attempt 2\n\nerror: no host\x1b[2J\nfailed\n";
        assert_eq!(last_words(said), "error: no host\\x1b[2J; failed");
        assert_eq!(
            (last_words(""), last_words("one")),
            (String::new(), "one".to_owned())
        );
    }

    #[test]
    fn notes_are_read_as_they_were_written_but_for_a_line_that_was_cut() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("000001.job");
        assert_eq!(Came::read(&path).unwrap(), Came::default());
        let mut notes = Notes::begin(&path).unwrap();
        let process = Process::of(std::process::id()).unwrap();
        let log = "logs/x".to_owned();
        notes
            .add(&Note::Started {
                at: 1,
                process: process.clone(),
                log: log.clone(),
            })
            .unwrap();
        notes
            .add(&Note::Failed {
                at: 2,
                said: "no\nluck".to_owned(),
            })
            .unwrap();
        notes
            .0
            .write_all(b"{\"submitted\":{\"at\":3,\"job\":\"9")
            .unwrap();
        let came = Came::read(&path).unwrap();
        let expected = Came {
            job: None,
            failed: Some("no\nluck".to_owned()),
            started: vec![(process, log)],
            reached: Vec::new(),
        };
        assert_eq!(came, expected);
        // A launch has one writer.
        assert!(Notes::begin(&path).is_err());
        // What is whole and makes no sense is not passed over.
        assert!(Came::parse(b"{}\n").is_err());
    }
}
