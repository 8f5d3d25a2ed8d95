//! The directory `torture/` of a torture store: what it was made with, and who takes part.
//!
//! ```text
//! torture/
//!   setup.json      what all processes must agree on; put there last, in two stages
//!   HOST.host       notes of a host: what it did to its processes; appended to, never rewritten
//!   HOST.ended      the host has said all that it has to say
//!   parts/NAME      notes of a master or worker process, in the same way
//!   broken          a process has noted that a promise is broken: there is no need to go on
//!   enough          no more rounds: the run ends when the last one has
//!   failed          a promise was broken; the store is evidence
//! ```
//!
//! Whether a name is there is asked of fresh listings only: `stat` may deny it for a minute on NFS.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::listing;

const DIR: &str = "torture";
const PARTS: &str = "parts";
const SETUP: &str = "setup.json";
pub(super) const ENOUGH: &str = "enough";
pub(super) const BROKEN: &str = "broken";
pub(super) const FAILED: &str = "failed";
/// Ends the names of hosts' notes.
pub(super) const HOST: &str = ".host";
/// Ends the names by which hosts say that they have ended.
pub(super) const ENDED: &str = ".ended";

/// What all processes agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(super) seed: u64,
    /// Tasks of a round.
    pub(super) tasks: u64,
    pub(super) batch: u32,
    /// Milliseconds.
    pub(super) lease: u64,
    /// Milliseconds between two disturbances, on average.
    pub(super) pace: u64,
    /// Milliseconds after which a run in which nothing ends is stuck.
    pub(super) patience: u64,
    /// Other hosts may take part: look less often, and give names time to arrive.
    pub(super) network: bool,
}

impl Setup {
    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease)
    }

    pub(super) fn pace(&self) -> Duration {
        Duration::from_millis(self.pace)
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience)
    }

    pub(super) fn plan(&self) -> Plan {
        Plan {
            seed: self.seed,
            tasks: self.tasks,
        }
    }

    /// Input files of a shard: small shards end, and are cleaned, while others are worked on.
    pub(super) fn shard(&self) -> u32 {
        (48 / self.batch.max(1)).max(4)
    }
}

/// The directory, whether it is there or not.
#[derive(Debug, Clone)]
pub(crate) struct Site(PathBuf);

impl Site {
    pub(super) fn of(store: &Path) -> Site {
        Site(store.join(DIR))
    }

    /// Makes it; [`put`](Site::put) the setup when all else stands.
    pub(super) fn make(&self) -> io::Result<()> {
        std::fs::create_dir(&self.0)?;
        std::fs::create_dir(self.0.join(PARTS))
    }

    /// Publishes the setup.
    pub(super) fn put(&self, setup: &Setup) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(&mut file, setup)?;
        file.as_file().sync_all()?;
        file.persist(self.0.join(SETUP)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Reads the setup; `None` if there is none (yet).
    pub(super) fn setup(&self) -> io::Result<Option<Setup>> {
        if !self.has(SETUP)? {
            return Ok(None);
        }
        let bytes = std::fs::read(self.0.join(SETUP))?;
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Lists it afresh; nothing if it is not there.
    pub(super) fn names(&self) -> io::Result<BTreeSet<String>> {
        names(&self.0)
    }

    pub(super) fn has(&self, name: &str) -> io::Result<bool> {
        Ok(self.names()?.contains(name))
    }

    /// Makes an empty file; one that is there already is no error.
    pub(super) fn say(&self, name: &str) -> io::Result<()> {
        match std::fs::File::create_new(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where a part has its notes.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.0.join(PARTS).join(name)
    }

    /// All parts that have notes.
    pub(super) fn parts(&self) -> io::Result<BTreeSet<String>> {
        names(&self.0.join(PARTS))
    }
}

/// The names in a directory, from a fresh opendir.
pub(super) fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    match listing::names(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        names => Ok(names?.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_is_read_as_it_was_put() {
        let place = tempfile::tempdir().unwrap();
        let site = Site::of(place.path());
        assert_eq!(site.setup().unwrap(), None);
        site.make().unwrap();
        assert_eq!(site.setup().unwrap(), None);
        let setup = Setup {
            seed: u64::MAX,
            tasks: 400,
            batch: 5,
            lease: 2000,
            pace: 100,
            patience: 40_000,
            network: false,
        };
        site.put(&setup).unwrap();
        assert_eq!(site.setup().unwrap(), Some(setup));
        site.say(ENOUGH).unwrap();
        site.say(ENOUGH).unwrap();
        assert_eq!(site.names().unwrap().len(), 3, "{:?}", site.names());
    }
}
