//! A whole store with files that somebody has planted: everything that reads it comes to an end, and agrees.
//!
//! The input is a list of files: the length of the path (one byte), the path, the length of the content (two bytes,
//! little-endian), the content.

use super::mended;
use crate::fs::sim::SimDisk;
use crate::store::{Entry, Store};
use crate::{ErrorKind, StoreConfig, TaskId};

/// So many tasks of a list are looked at: a planted name may speak of more than anybody could read.
const MOST: usize = 200;

/// A list of files: see the head of this file.
pub fn store(bytes: &[u8]) {
    let disk = SimDisk::new();
    let process = disk.process("reader");
    let Ok(store) = Store::on(process.root(), &StoreConfig::default()) else {
        return;
    };
    for (path, content) in files(bytes) {
        let is_name = |name: &str| !["", ".", ".."].contains(&name) && !name.contains('\0');
        if path.split('/').all(is_name) {
            // Where a file stands in the way of a directory, nothing is planted.
            let _ = disk.plant(&path, &mended(content));
        }
    }
    let status = store.status();
    let mut counted = Some(0_u64);
    let mut some = Vec::new();
    for span in store.states().into_iter().flatten().take(MOST) {
        let Ok(span) = span else {
            counted = None;
            continue;
        };
        assert!(span.first.number.checked_add(span.tasks).is_some(), "{span:?}");
        counted = counted.map(|counted| counted.saturating_add(span.tasks));
        some.push(span.first);
    }
    if let (Ok(status), Some(counted), true) = (&status, counted, some.len() < MOST) {
        assert_eq!(status.tasks(), counted, "who counts and who lists agree");
    }
    check_outcomes(&store);
    for task in some.iter().take(3) {
        check_task(&store, *task);
    }
    let _ = store.audit();
    for entry in store.running().into_iter().flatten().take(MOST) {
        let _ = entry;
    }
    for entry in store.journal().into_iter().flatten().take(MOST) {
        let _ = entry;
    }
    assert!(process.steps() < 100_000, "so small a store takes few steps");
}

/// Takes the list of files apart.
fn files(bytes: &[u8]) -> impl Iterator<Item = (String, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first()?;
        let (path, after) = after.split_at_checked(usize::from(*length))?;
        let (length, after) = after.split_at_checked(2)?;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let (content, after) = after.split_at(length.min(after.len()));
        rest = after;
        Some((String::from_utf8_lossy(path).into_owned(), content))
    })
}

fn check_outcomes(store: &Store) {
    for entry in store.outcomes::<u64, u64>().into_iter().flatten().take(MOST) {
        match entry {
            Ok(Entry::Ended(outcome)) => assert!(!outcome.worker.contains('/')),
            Ok(_) => {}
            Err(error) => assert!(matches!(
                error.kind(),
                ErrorKind::Damaged | ErrorKind::Codec | ErrorKind::Io
            )),
        }
    }
}

fn check_task(store: &Store, task: TaskId) {
    if let Ok(Some(entry)) = store.task::<u64, u64>(task) {
        assert_eq!(entry.task(), task);
    }
    for attempt in store.attempts(task).into_iter().flatten() {
        assert!(attempt.attempt > 0);
    }
}
