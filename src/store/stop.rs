//! The stop file and the pause file: they ask all processes of a store to leave, or to rest.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{SMALL_FILE, Store};
use crate::clock::wall_millis;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{FsKind, os};
use crate::layout::{PAUSE_FILE, STOP_FILE, ping_time};
use crate::wait::How;

/// What a person who made such a file with `touch` would say.
const BY_HAND: &str = "made by hand";

/// What the stop file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopFile {
    pub(crate) how: How,
    #[serde(flatten)]
    pub(crate) request: Request,
}

/// Who asks for what; alone it is what the pause file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The id of the store: a file that was copied from another store asks for nothing.
    store: String,
    pub(crate) why: String,
    by: String,
    /// Milliseconds since 1970, for people.
    at: u64,
}

/// What one listing of the store says to its processes.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub(crate) stop: Option<StopFile>,
    /// Why the store is paused, if it is.
    pub(crate) paused: Option<String>,
    /// The pings that are to be answered.
    pub(crate) pings: Vec<String>,
}

/// The most pings that are answered at once; who wants more asks in vain.
const MOST_PINGS: usize = 16;

impl Store {
    /// Asks all masters and workers of the store to stop.
    ///
    /// Workers notice at their next look (between tasks, and every fifth of the lease while one runs). Starting a
    /// master again withdraws it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the stop file cannot be written.
    pub fn stop(&self, how: How, why: &str) -> Result<()> {
        let request = self.request(why);
        self.put_file(STOP_FILE, &StopFile { how, request })
    }

    /// Withdraws a request to stop; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the stop file cannot be removed.
    pub fn withdraw_stop(&self) -> Result<bool> {
        self.remove_file(STOP_FILE)
    }

    /// Asks all workers of the store to take no new tasks until [`resume`](Store::resume) is called.
    ///
    /// Tasks that run go on, and so does the master. Workers notice at their next look (between tasks, and every fifth
    /// of the lease while one runs), stay, and do not count the time as idle.
    ///
    /// ```
    /// use flockwork::{Store, StoreConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("sweep.flock");
    /// let store = Store::create(&path, &StoreConfig::default())?;
    /// store.pause("the licence server is down")?;
    /// assert_eq!(store.status()?.paused.as_deref(), Some("the licence server is down"));
    /// assert!(store.resume()?);
    /// assert_eq!(store.status()?.paused, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the pause file cannot be written.
    pub fn pause(&self, why: &str) -> Result<()> {
        self.put_file(PAUSE_FILE, &self.request(why))
    }

    /// Lets the workers of a paused store go on; says whether it was paused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the pause file cannot be removed.
    pub fn resume(&self) -> Result<bool> {
        self.remove_file(PAUSE_FILE)
    }

    /// Looks for the stop file, by a fresh listing: asked by name, a network file system may say "no" for a minute.
    pub(crate) fn stop_file(&self) -> io::Result<Option<StopFile>> {
        Ok(self.signs()?.stop)
    }

    /// Looks for the stop file, the pause file and pings in one fresh listing.
    pub(crate) fn signs(&self) -> io::Result<Signs> {
        let (mut stops, mut pauses, mut pings) = (false, false, Vec::new());
        self.root().list(&mut |name| {
            stops |= name == STOP_FILE;
            pauses |= name == PAUSE_FILE;
            if ping_time(name).is_some() && pings.len() < MOST_PINGS {
                pings.push(name.to_owned());
            }
        })?;
        let by_hand = || Request {
            store: self.id().to_owned(),
            why: BY_HAND.into(),
            by: String::new(),
            at: 0,
        };
        let mut signs = Signs {
            pings,
            ..Signs::default()
        };
        if stops {
            let stop = self.read_file(STOP_FILE, || StopFile {
                how: How::Finish,
                request: by_hand(),
            })?;
            signs.stop = stop.filter(|stop| stop.request.store == self.id());
        }
        if pauses {
            let pause = self.read_file(PAUSE_FILE, by_hand)?;
            signs.paused = pause
                .filter(|pause| pause.store == self.id())
                .map(|pause| pause.why);
        }
        Ok(signs)
    }

    fn request(&self, why: &str) -> Request {
        Request {
            store: self.id().to_owned(),
            why: why.to_owned(),
            by: format!("{}:{}", os::host_name(), std::process::id()),
            at: wall_millis(),
        }
    }

    fn put_file(&self, name: &str, content: &impl Serialize) -> Result<()> {
        let path = self.root().path().join(name);
        let text = serde_json::to_vec(content)
            .map_err(|cause| Error::new(ErrorKind::Io, "cannot write").at(&path).because(cause))?;
        // On a shared file system a full disk is told only by the sync, and others could see the name before the text.
        let sync = self.kind() == FsKind::Network;
        self.root()
            .replace(name, &text, sync)
            .during("cannot write", &path)
    }

    fn remove_file(&self, name: &str) -> Result<bool> {
        match self.root().unlink(name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).during("cannot remove", &self.root().path().join(name)),
        }
    }

    /// Reads such a file; `None` if it is gone. A person may have made it with `touch`: then it means what its name
    /// says.
    fn read_file<T: DeserializeOwned>(
        &self,
        name: &str,
        by_hand: impl FnOnce() -> T,
    ) -> io::Result<Option<T>> {
        let mut bytes = Vec::new();
        match self.root().read(name, SMALL_FILE, &mut bytes) {
            Ok(()) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| by_hand()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
