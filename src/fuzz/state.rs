//! The small files of a store: what is read is written as it was, and makes sense.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fs::sim::SimDisk;
use crate::record::{AttemptHeader, DoneHeader};
use crate::store::{JournalOutcome, Marker, RoundFile, StopFile, Store, StoreFile, WorkerRecord};
use crate::{ErrorKind, StoreConfig};

/// Any bytes, as each of the files in JSON.
pub fn store_json(bytes: &[u8]) {
    match StoreFile::parse(bytes, Path::new("/sim")) {
        Ok(file) => {
            assert_eq!(file.settings.problem(), None);
            comes_back(&file);
        }
        Err(error) => {
            assert!(matches!(
                error.kind(),
                ErrorKind::Damaged | ErrorKind::NewerFormat
            ));
            assert!(error.hint().is_some());
        }
    }
    each::<StopFile>(bytes);
    each::<Marker>(bytes);
    each::<AttemptHeader>(bytes);
    each::<DoneHeader>(bytes);
    each::<WorkerRecord>(bytes);
    each::<RoundFile>(bytes);
}

fn each<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        comes_back(&value);
    }
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_vec(value).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<T>(&text).ok().as_ref(), Some(value));
}

/// A journal of any bytes: no line is lost, none is made up, and one that was read is read again as it was.
pub fn journal(bytes: &[u8]) {
    let entries = read(bytes);
    assert_eq!(entries.0.len() as u64 + entries.1, lines(bytes));
    // Wherever the pieces end in which it is read, it is the same.
    let mut shifted = b"#\n".repeat((READ_AT_ONCE - bytes.len().min(READ_AT_ONCE) / 2) / 2);
    shifted.extend_from_slice(bytes);
    assert_eq!(read(&shifted), entries);
    let mut text =
        "#flockwork.journal/1\tround\tinput\tattempt\ttasks\tended_ms\trun_us\toutcome\n".to_owned();
    for (number, line) in entries.0.iter().enumerate() {
        let [round, input, attempt, tasks, ended, run, outcome] = line;
        if number % 2 == 0 {
            text.push_str(&format!(
                "{round}\t{input:07}\t{attempt}\t{tasks}\t{ended}\t{run}\t{}\n",
                WORDS[*outcome as usize]
            ));
        } else {
            // Another order of the columns, and one that is not known here.
            text.push_str(
                "#flockwork.journal/1\toutcome\tnew\trun_us\tround\tinput\tattempt\ttasks\tended_ms\n",
            );
            text.push_str(&format!(
                "{}\t\t{run}\t{round}\t{input}\t{attempt}\t{tasks}\t{ended}\n",
                WORDS[*outcome as usize]
            ));
            text.push_str("#flockwork.journal/1\tround\tinput\tattempt\ttasks\tended_ms\trun_us\toutcome\n");
        }
    }
    assert_eq!(read(text.as_bytes()), (entries.0, 0));
}

/// How much of a journal is read at once, and the longest line.
const READ_AT_ONCE: usize = 64 << 10;
const LONGEST: usize = 4 << 10;

/// Counts the lines that are whole, and no headlines.
fn lines(bytes: &[u8]) -> u64 {
    let whole = bytes.split_inclusive(|byte| *byte == b'\n');
    let whole = whole.filter_map(|line| line.strip_suffix(b"\n"));
    let is_head =
        |line: &[u8]| line.len() <= LONGEST && line.starts_with(b"#") && std::str::from_utf8(line).is_ok();
    whole.filter(|line| !is_head(line)).count() as u64
}

const WORDS: [&str; 4] = ["ok", "fail", "back", "twin"];

/// Returns the lines of a journal as numbers, and how many were left out.
fn read(bytes: &[u8]) -> (Vec<[u64; 7]>, u64) {
    let disk = SimDisk::new();
    let store = Store::on(disk.process("reader").root(), &StoreConfig::default());
    let Ok(store) = store else {
        return Default::default();
    };
    assert!(disk.plant("journal/host-1-00abcd", bytes).is_ok());
    let Ok(mut entries) = store.journal() else {
        return Default::default();
    };
    let mut found = Vec::new();
    for entry in entries.by_ref() {
        let Ok(entry) = entry else { continue };
        assert!(entry.run <= Duration::from_micros(u64::MAX));
        let outcome = WORDS
            .iter()
            .position(|word| *word == JournalOutcome::as_str(entry.outcome));
        found.push([
            entry.first.round.get().into(),
            entry.first.number,
            entry.attempt.into(),
            entry.tasks,
            entry.ended_ms,
            u64::try_from(entry.run.as_micros()).unwrap_or(u64::MAX),
            outcome.unwrap_or(WORDS.len()) as u64,
        ]);
    }
    (found, entries.skipped())
}
