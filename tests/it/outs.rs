//! A third party that reads every outcome as soon as it is there, and again as long as it stays.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::torture::files_of_shards;

/// Watches all outcomes of a store: what a reader saw at `U.out` never changes and is never empty.
#[derive(Debug)]
pub(crate) struct OutWatch {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
    seen: Arc<AtomicUsize>,
}

impl OutWatch {
    pub(crate) fn begin(store: &Path) -> OutWatch {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicUsize::new(0));
        let (until, count, store) = (Arc::clone(&done), Arc::clone(&seen), store.to_owned());
        let body = move || {
            let mut known: HashMap<PathBuf, u64> = HashMap::new();
            let mut broken = Vec::new();
            while !until.load(Ordering::SeqCst) {
                look(&store, &mut known, &mut broken);
                count.store(known.len(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(10));
            }
            broken
        };
        OutWatch {
            done,
            thread: std::thread::spawn(body),
            seen,
        }
    }

    /// Returns how many outcomes were seen.
    #[track_caller]
    pub(crate) fn end(self) -> usize {
        self.done.store(true, Ordering::SeqCst);
        let broken = self.thread.join().unwrap();
        assert!(broken.is_empty(), "{broken:#?}");
        self.seen.load(Ordering::SeqCst)
    }
}

fn look(store: &Path, known: &mut HashMap<PathBuf, u64>, broken: &mut Vec<String>) {
    for out in files_of_shards(store, "out") {
        // It may have been cleaned meanwhile.
        let Ok(bytes) = fs::read(&out) else { continue };
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        if bytes.is_empty() {
            broken.push(format!("{} is empty", out.display()));
        }
        let before = *known.entry(out.clone()).or_insert(hash);
        if before != hash {
            broken.push(format!("{} has changed", out.display()));
        }
    }
}
