//! Which worker was started on which host: one line each, beside the record of the launch.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{Failed, NOT_OK};
use serde::{Deserialize, Serialize};

use crate::sweep::shown;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// A worker that was started on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// As it was named: what ssh is asked for.
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) slots: u32,
    /// The program there.
    pub(crate) program: String,
    /// Whether it is a copy that was made by a launch.
    pub(crate) copied: bool,
}

/// The notes of one launch, which only it writes.
#[derive(Debug)]
pub(crate) struct Notes {
    path: PathBuf,
    file: File,
}

impl Notes {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub(crate) fn make(store: &Path, launch: &str) -> Result<Notes, Failed> {
        let path = path_of(store, launch);
        let made = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = made.map_err(|error| failed("cannot make", &path, &error))?;
        Ok(Notes { path, file })
    }

    /// Adds a line.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn add(&mut self, note: &Note) -> Result<(), Failed> {
        let mut line =
            serde_json::to_vec(note).map_err(|error| failed("cannot write", &self.path, &error))?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.map_err(|error| failed("cannot write", &self.path, &error))
    }
}

/// Reads the notes of a launch; a line that was cut off is not there.
///
/// # Errors
///
/// If the file is there and cannot be read.
pub(crate) fn read(store: &Path, launch: &str) -> Result<Vec<Note>, Failed> {
    use std::io::Read;
    let path = path_of(store, launch);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("cannot read", &path, &error)),
    }
}

fn path_of(store: &Path, launch: &str) -> PathBuf {
    store.join("launch").join(format!("{launch}.hosts"))
}

fn failed(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Failed {
    Failed::new(NOT_OK, format!("{what} {}: {error}", shown::path(path)), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_a_line_that_was_cut_off_does_not() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(read(place.path(), "000001").unwrap(), []);
        std::fs::create_dir(place.path().join("launch")).unwrap();
        let mut notes = Notes::make(place.path(), "000001").unwrap();
        assert!(
            Notes::make(place.path(), "000001").is_err(),
            "two launches of one number"
        );
        let note = |host: &str| Note {
            host: host.into(),
            pid: 7,
            slots: 4,
            program: "/p".into(),
            copied: true,
        };
        notes.add(&note("n1")).unwrap();
        notes.add(&note("n2")).unwrap();
        let path = place.path().join("launch/000001.hosts");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        assert_eq!(read(place.path(), "000001").unwrap(), [note("n1")]);
    }
}
