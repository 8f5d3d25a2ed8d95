//! Waking up at once when something changes in a few quiet directories. The only file that names notify.
//!
//! Only local file systems are watched: inotify sees nothing of other hosts' changes. Shards are never watched:
//! they change with every task, and the events would cost more than the tasks.

use std::io;
use std::path::Path;
use std::sync::Arc;

use notify::{RecursiveMode, Watcher};

/// A watch on some directories; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: notify::RecommendedWatcher,
}

impl Watch {
    /// Calls `changed` from a thread of its own after each change.
    pub(crate) fn new(changed: impl Fn() + Send + Sync + 'static) -> io::Result<Watch> {
        #[cfg(test)]
        if crate::clock::sim::is_on() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let changed = Arc::new(changed);
        let handler = move |event: notify::Result<notify::Event>| {
            // Reading is no change; an overflow of the queue is told as an error, and counts as one.
            if event.map_or(true, |event| !event.kind.is_access()) {
                changed();
            }
        };
        Ok(Watch {
            watcher: notify::recommended_watcher(handler).map_err(io::Error::other)?,
        })
    }

    /// Adds a directory, without what is below it.
    pub(crate) fn add(&mut self, path: &Path) -> io::Result<()> {
        self.watcher
            .watch(path, RecursiveMode::NonRecursive)
            .map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::Stop;
    use std::time::Duration;

    #[test]
    fn a_new_name_wakes_the_waiter() {
        let root = tempfile::tempdir().unwrap();
        let stop = Stop::new();
        let waker = stop.clone();
        let mut watch = Watch::new(move || waker.waker().wake()).unwrap();
        watch.add(root.path()).unwrap();
        let seen = stop.waker().seen();
        std::fs::create_dir(root.path().join("000000")).unwrap();
        assert!(stop.waker().wait(seen, Duration::from_secs(20)), "no event came");
    }
}
