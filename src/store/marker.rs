//! Markers: small files, made once, that end an attempt by their name.

use std::io;

use serde::{Deserialize, Serialize};

use super::SMALL_FILE;
use crate::clock::wall_millis;
use crate::fs::{DirRef, is_foreign, is_gone};
use crate::layout::{self, Kind};
use crate::name::Attempt;

/// What a marker holds, for people and for the next attempt; no state is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) why: String,
    /// The worker or master that made it.
    pub(crate) by: String,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    /// What whoever granted new attempts has to say to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Marker {
    pub(crate) fn new(why: impl Into<String>, by: impl ToString) -> Marker {
        Marker {
            why: why.into(),
            by: by.to_string(),
            at: wall_millis(),
            note: None,
        }
    }
}

/// Makes the marker; says whether it was this call that made it.
///
/// A marker that is there already, or a shard that is gone, is not an error: the attempt has ended.
pub(crate) fn make_marker(
    dir: &DirRef,
    base: &str,
    attempt: Attempt,
    kind: Kind,
    marker: &Marker,
) -> io::Result<bool> {
    match dir.create(&layout::attempt_name(base, attempt, kind)) {
        Ok(file) => {
            let text = serde_json::to_vec(marker).map_err(io::Error::other)?;
            // The name alone counts: a full disk must not keep an attempt from being ended.
            let _ = file.write_at(0, &text);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists || is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads why an attempt was ended, as far as that is known.
pub(crate) fn read_marker(dir: &DirRef, base: &str, attempt: Attempt, kind: Kind) -> Option<Marker> {
    try_read_marker(dir, base, attempt, kind).ok().flatten()
}

/// Reads a marker; `None` if it is gone, or was made by hand.
pub(crate) fn try_read_marker(
    dir: &DirRef,
    base: &str,
    attempt: Attempt,
    kind: Kind,
) -> io::Result<Option<Marker>> {
    let mut bytes = Vec::new();
    match dir.read(&layout::attempt_name(base, attempt, kind), SMALL_FILE, &mut bytes) {
        Ok(()) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if is_gone(&error) || is_foreign(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
