//! What stands in a store beside the library's own files: rows, and the sweep.

use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::sweep::command::CommandLine;
use crate::sweep::rows::file::{RowsFile, RowsWriter};
use crate::sweep::spec::Sweep;
use crate::task::{Bytes, Report, Row};

/// Longer files than these are not looked at row by row.
const MOST: u64 = 10_000;

/// A file of rows: each task of it has a row, or is told to be damaged.
pub fn rows(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), mended(bytes)] {
        check(&bytes);
    }
}

fn check(bytes: &[u8]) {
    let Some(mut file) = open(bytes) else { return };
    let (first, end) = (file.first(), file.end());
    assert!(first < end, "a file has rows");
    if end - first > MOST {
        return;
    }
    let mut found: Vec<Vec<Bytes>> = Vec::new();
    let mut task = first;
    while task < end {
        let Ok(rows) = file.from(task) else { return };
        assert!(rows.len() > 0, "task {task} of {first}..{end} has no row");
        task += rows.len() as u64;
        found.extend(rows);
    }
    assert_eq!(task, end);
    assert!(file.from(end).is_ok_and(|rows| rows.len() == 0));
    // It is written as it was read.
    let columns = file.columns().to_vec();
    assert!(found.iter().all(|row| row.len() == columns.len()));
    let written = RowsWriter::new(Vec::new(), first, &columns).and_then(|mut writer| {
        found.iter().try_for_each(|row| writer.push(row))?;
        writer.finish()
    });
    let again = written.ok().and_then(|bytes| open(&bytes));
    let again = again.and_then(|mut file| file.from(first).ok());
    let again: Vec<_> = again.into_iter().flatten().collect();
    assert!(!again.is_empty() && found.starts_with(&again));
}

fn open(bytes: &[u8]) -> Option<RowsFile> {
    let file = tempfile::tempfile().ok()?;
    file.write_all_at(bytes, 0).ok()?;
    RowsFile::check(file, Path::new("0.rows"), None).ok()
}

/// Makes the checksums right, as far as the places in the file allow.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    let place = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
        word.and_then(|word| usize::try_from(u64::from_le_bytes(word)).ok())
    };
    let Some(trailer) = bytes.len().checked_sub(32) else {
        return mended;
    };
    let Some(index) = place(bytes, trailer).filter(|index| *index <= trailer) else {
        return mended;
    };
    let mut begins: Vec<usize> = (index..trailer)
        .step_by(20)
        .filter_map(|entry| place(bytes, entry + 8))
        .collect();
    let head = begins.first().copied().unwrap_or(index).min(index);
    begins.push(index);
    for (number, pair) in begins.windows(2).enumerate() {
        let crc = bytes
            .get(pair[0]..pair[1].max(pair[0]))
            .map_or(0, crc32fast::hash);
        if let Some(place) = mended.get_mut(index + number * 20 + 16..index + number * 20 + 20) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&mended[..head]);
    crc.update(&mended[index..trailer]);
    mended[trailer + 16..trailer + 20].copy_from_slice(&crc.finalize().to_le_bytes());
    let crc = crc32fast::hash(&mended[trailer..trailer + 20]);
    mended[trailer + 20..trailer + 24].copy_from_slice(&crc.to_le_bytes());
    mended[trailer + 24..].copy_from_slice(b"rows/end");
    mended
}

/// Any bytes as the sweep of a store, and as rows and reports in JSON.
pub fn sweep_json(bytes: &[u8]) {
    if let Ok(sweep) = Sweep::parse(bytes, Path::new("sweep.json")) {
        let text = serde_json::to_vec(&sweep).unwrap_or_default();
        let again = Sweep::parse(&text, Path::new("sweep.json"));
        assert!(again.is_ok_and(|again| again == sweep));
        // Whoever may write it says what is run; but a pattern that does not parse is told.
        let _ = CommandLine::of(&sweep);
        let _ = CommandLine::ok_if(&sweep);
    }
    if let Ok(row) = serde_json::from_slice::<Row>(bytes) {
        let text = serde_json::to_vec(&row).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Row>(&text).ok(), Some(row));
    }
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        report.stdout.omitted();
        let text = serde_json::to_vec(&report).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Report>(&text).ok(), Some(report));
    }
}
