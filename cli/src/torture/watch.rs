//! A third party that reads every outcome as soon as it is there, and again as long as it stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::live;
use super::verdict::{Broken, Promise};

/// Every so many looks all outcomes are read again, not only the new ones.
const AGAIN: u32 = 5;

/// A thread that watches all outcomes of a store.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicBool,
    seen: AtomicU64,
    broken: Mutex<Vec<Broken>>,
}

impl Watch {
    /// Begins to watch; on a network file system less often, and what is not there at once is read again.
    pub(super) fn begin(store: &Path, network: bool) -> io::Result<Watch> {
        let shared = Arc::new(Shared::default());
        let mut eyes = Eyes::new(store, if network { 3 } else { 1 });
        let rest = Duration::from_millis(if network { 200 } else { 10 });
        let body = {
            let shared = Arc::clone(&shared);
            move || {
                while !shared.done.load(Ordering::SeqCst) {
                    eyes.look();
                    shared.seen.store(eyes.seen, Ordering::SeqCst);
                    shared.add(std::mem::take(&mut eyes.broken));
                    std::thread::sleep(rest);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("flockwork-watch".into())
            .spawn(body)?;
        Ok(Watch {
            shared,
            thread: Some(thread),
        })
    }

    /// Returns how many outcomes were seen so far.
    pub(super) fn seen(&self) -> u64 {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// Returns what was found broken since it was last asked.
    pub(super) fn broken(&self) -> Vec<Broken> {
        let mut broken = self
            .shared
            .broken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *broken)
    }

    /// Stops watching.
    pub(super) fn end(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            let what = "the thread that watches outcomes has panicked";
            self.shared.add(vec![Broken::new(Promise::Processes, "", what)]);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn add(&self, more: Vec<Broken>) {
        let mut broken = self
            .broken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        broken.extend(more);
    }
}

/// What was seen so far.
struct Eyes {
    store: PathBuf,
    /// How often a reading that is wrong is made anew before it counts.
    patience: u32,
    looks: u32,
    known: BTreeMap<u32, HashMap<PathBuf, u64>>,
    /// Rounds that have no shard any more.
    over: BTreeSet<u32>,
    seen: u64,
    broken: Vec<Broken>,
}

impl Eyes {
    fn new(store: &Path, patience: u32) -> Eyes {
        Eyes {
            store: store.to_owned(),
            patience,
            looks: 0,
            known: BTreeMap::new(),
            over: BTreeSet::new(),
            seen: 0,
            broken: Vec::new(),
        }
    }

    fn look(&mut self) {
        let rounds = live::rounds(&self.store).unwrap_or_default();
        let last = rounds.last().map(|round| round.number);
        let all = self.looks.is_multiple_of(AGAIN);
        self.looks = self.looks.wrapping_add(1);
        for round in rounds {
            if self.over.contains(&round.number) {
                continue;
            }
            match round.files(".out") {
                Ok(Some(outs)) => {
                    let mut known = self.known.remove(&round.number).unwrap_or_default();
                    for out in outs {
                        self.read(out, &mut known, all);
                    }
                    self.known.insert(round.number, known);
                }
                // A round that others follow has ended; it may have no shard yet if it is the last.
                Ok(None) if Some(round.number) != last => {
                    self.over.insert(round.number);
                    self.known.remove(&round.number);
                }
                Ok(None) | Err(_) => {}
            }
        }
    }

    fn read(&mut self, out: PathBuf, known: &mut HashMap<PathBuf, u64>, all: bool) {
        let before = known.get(&out).copied();
        if before.is_some() && !all {
            return;
        }
        let (mut wrong, mut changed) = (None, None);
        for look in 0..self.patience {
            if look > 0 {
                std::thread::sleep(Duration::from_millis(100));
            }
            // It may have been cleaned meanwhile.
            let Ok(bytes) = std::fs::read(&out) else { return };
            let hash = hash(&bytes);
            wrong = match before {
                _ if bytes.is_empty() => Some("a reader found it empty"),
                Some(before) if before != hash => {
                    changed = Some(hash);
                    Some("a reader found other bytes in it than before")
                }
                _ => {
                    if known.insert(out, hash).is_none() {
                        self.seen += 1;
                    }
                    return;
                }
            };
        }
        if let Some(what) = wrong {
            self.broken
                .push(Broken::new(Promise::Stable, &out.to_string_lossy(), what));
            // One change is told once.
            known.extend(changed.map(|hash| (out, hash)));
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_is_empty_or_changes_is_noticed_and_one_that_goes_is_not() {
        let place = tempfile::tempdir().unwrap();
        let shard = place.path().join("rounds/000000/0000000");
        std::fs::create_dir_all(&shard).unwrap();
        let mut eyes = Eyes::new(place.path(), 1);
        let write = |name: &str, text: &str| std::fs::write(shard.join(name), text).unwrap();
        let mut look = || {
            // All are read again.
            eyes.looks = 0;
            eyes.look();
            let what = |broken: Broken| match broken.what.contains("other bytes") {
                true => "changed".to_owned(),
                false => broken.what.rsplit(' ').next().unwrap().to_owned(),
            };
            (
                eyes.seen,
                std::mem::take(&mut eyes.broken)
                    .into_iter()
                    .map(what)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(look(), (0, vec![]));
        write("0000001.out", "one");
        write("0000002.out", "two");
        write("0000002.1.lock", "");
        assert_eq!(look(), (2, vec![]));
        std::fs::remove_file(shard.join("0000001.out")).unwrap();
        assert_eq!(look(), (2, vec![]));
        write("0000002.out", "owt");
        assert_eq!(look(), (2, vec!["changed".to_owned()]));
        assert_eq!(look(), (2, vec![]));
        write("0000003.out", "");
        assert_eq!(look(), (2, vec!["empty".to_owned()]));
    }
}
