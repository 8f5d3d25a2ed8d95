//! The stop file: asks all masters and workers of a store to leave.

use std::io;

use serde::{Deserialize, Serialize};

use super::{SMALL_FILE, Store};
use crate::clock::wall_millis;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::os;
use crate::layout::STOP_FILE;
use crate::wait::How;

/// What the stop file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopFile {
    /// The id of the store: one that was copied from another store asks for nothing.
    store: String,
    pub(crate) how: How,
    pub(crate) why: String,
    by: String,
    /// Milliseconds since 1970, for people.
    at: u64,
}

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
        let file = StopFile {
            store: self.id().to_owned(),
            how,
            why: why.to_owned(),
            by: format!("{}:{}", os::host_name(), std::process::id()),
            at: wall_millis(),
        };
        let path = self.root().path().join(STOP_FILE);
        let text = serde_json::to_vec(&file)
            .map_err(|cause| Error::new(ErrorKind::Io, "cannot write").at(&path).because(cause))?;
        self.root()
            .replace(STOP_FILE, &text, false)
            .during("cannot write", &path)
    }

    /// Withdraws a request to stop; says whether there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the stop file cannot be removed.
    pub fn withdraw_stop(&self) -> Result<bool> {
        match self.root().unlink(STOP_FILE) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).during("cannot remove", &self.root().path().join(STOP_FILE)),
        }
    }

    /// Looks for the stop file, by a fresh listing: asked by name, a network file system may say "no" for a minute.
    pub(crate) fn stop_file(&self) -> io::Result<Option<StopFile>> {
        let mut found = false;
        self.root().list(&mut |name| found |= name == STOP_FILE)?;
        if !found {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        match self.root().read(STOP_FILE, SMALL_FILE, &mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        // A person may have made it with `touch`: then it means what its name says.
        let by_hand = StopFile {
            store: self.id().to_owned(),
            how: How::Finish,
            why: "made by hand".into(),
            by: String::new(),
            at: 0,
        };
        let file: StopFile = serde_json::from_slice(&bytes).unwrap_or(by_hand);
        Ok((file.store == self.id()).then_some(file))
    }
}
