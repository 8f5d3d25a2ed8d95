//! Notes of processes, a line each, in files that are only appended to.
//!
//! A line is one write at the end of the file, so a process that is killed leaves whole lines, and on NFS no two
//! clients ever write one file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::setup::{BROKEN, Site};
use super::verdict::Broken;

/// Something that a process did or noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    /// A host takes part, with choices of this seed.
    Host {
        host: String,
        seed: u64,
    },
    /// A sign of life.
    Beat,
    /// A process is killed.
    Kill {
        part: String,
        master: bool,
    },
    /// A process was killed, and not by the host that has started it.
    Died {
        part: String,
        master: bool,
    },
    /// A process is stopped for so many milliseconds.
    Stop {
        part: String,
        master: bool,
        millis: u64,
    },
    /// A lock file is about to be removed: of this round and input file.
    Remove {
        round: u32,
        stem: u64,
    },
    /// It was.
    Removed,
    /// So many outcomes were watched.
    Watched {
        outcomes: u64,
    },

    /// A worker begins an attempt at an input file.
    Attempt {
        round: u32,
        stem: u64,
        attempt: u32,
    },
    /// An execution of a task begins.
    Begin {
        task: u64,
    },
    /// It went on from a checkpoint.
    Restored,
    /// It kills its own process; in a batch, after so many tasks of it.
    Die {
        after: u64,
    },
    /// It has ended.
    End {
        ok: bool,
    },
    /// The attempt took so long that others may have given it up.
    Late,
    /// What the attempt ended with.
    Accepted,
    Discarded,
    Failed,
    Back,
    /// An attempt was given up.
    Lost {
        round: u32,
        stem: u64,
        attempt: u32,
    },
    /// A lock was found lost, the store's trouble was waited out, or something else went wrong that stops nothing.
    LockLost,
    Parked {
        error: String,
    },
    Trouble {
        what: String,
    },

    /// A promise is broken.
    Broken(Broken),
    /// The process ends in good order.
    Left,
}

/// Where a process writes its notes.
#[derive(Debug)]
pub(super) struct Notes {
    file: File,
    site: Site,
    /// What went wrong first: notes that are missing must not go unnoticed.
    trouble: Mutex<Option<String>>,
}

impl Notes {
    /// Begins new notes; no other process has notes of that name.
    pub(super) fn begin(site: &Site, path: &Path) -> io::Result<Notes> {
        let file = File::options().append(true).create_new(true).open(path)?;
        Ok(Notes {
            file,
            site: site.clone(),
            trouble: Mutex::default(),
        })
    }

    pub(super) fn note(&self, note: &Note) {
        if let Err(error) = self.write(note) {
            let mut trouble = self
                .trouble
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            trouble.get_or_insert_with(|| error.to_string());
        }
    }

    fn write(&self, note: &Note) -> io::Result<()> {
        let mut line = serde_json::to_vec(note)?;
        line.push(b'\n');
        (&self.file).write_all(&line)?;
        match note {
            Note::Broken(_) => self.site.say(BROKEN),
            _ => Ok(()),
        }
    }

    /// Brings them to the file server, for other hosts to see.
    pub(super) fn sync(&self) {
        // What cannot be written is told by the next note.
        let _ = self.file.sync_data();
    }

    /// Returns why notes are missing, if some are.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self
            .trouble
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        trouble.clone()
    }
}

/// Reads notes one by one; a last line that was cut by a kill is none.
///
/// # Errors
///
/// Those of reading, and a line that is no note.
pub(super) fn read(path: &Path, mut each: impl FnMut(Note)) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        match line.last() {
            Some(b'\n') => each(serde_json::from_slice(&line)?),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written_but_for_a_line_that_was_cut() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notes");
        let site = Site::of(place.path());
        let notes = Notes::begin(&site, &path).unwrap();
        let written = [
            Note::Attempt {
                round: 1,
                stem: 5,
                attempt: 2,
            },
            Note::End { ok: false },
            Note::Left,
        ];
        written.iter().for_each(|note| notes.note(note));
        (&notes.file).write_all(b"{\"begin\":{\"ta").unwrap();
        let mut found = Vec::new();
        read(&path, |note| found.push(note)).unwrap();
        assert_eq!(found, written);
        assert_eq!(notes.trouble(), None);
        // Names are used once.
        assert!(Notes::begin(&site, &path).is_err());
        // A line that is whole but makes no sense is not passed over.
        std::fs::write(&path, "{}\n").unwrap();
        assert!(read(&path, |_| ()).is_err());
    }

    #[test]
    fn a_note_that_could_not_be_written_is_not_forgotten() {
        let notes = Notes {
            file: File::options().append(true).open("/dev/full").unwrap(),
            site: Site::of(Path::new("/")),
            trouble: Mutex::default(),
        };
        notes.note(&Note::Left);
        assert!(notes.trouble().is_some());
    }
}
