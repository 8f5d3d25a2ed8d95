//! Markers: small files, made once, that end an attempt by their name.

use std::io;

use serde::{Deserialize, Serialize};

use super::create::new_token;
use super::{SMALL_FILE, Store};
use crate::clock::wall_millis;
use crate::fs::{DirRef, FileRef, FsKind, is_foreign, is_gone};
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
/// Whoever reads it at once may find its name without its text: this is for texts that only people look up.
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

/// Makes the marker in two stages: whoever sees its name finds its text, for a master hands that over as the reason of a
/// failure.
///
/// It never replaces one that is there. Where that cannot be done it is made as [`make_marker`] makes it.
pub(crate) fn make_whole_marker(
    store: &Store,
    dir: &DirRef,
    base: &str,
    attempt: Attempt,
    kind: Kind,
    marker: &Marker,
) -> io::Result<bool> {
    let name = layout::attempt_name(base, attempt, kind);
    let private = layout::temporary_name(&name, &new_token());
    let made = write_private(store, dir, &private, marker).and_then(|file| {
        file.link(&name).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            // There may be no hard links here.
            _ => dir.rename_new(&private, &name),
        })
    });
    let _ = dir.unlink(&private);
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A full disk, or one that can neither link nor rename so: an attempt must be ended there too.
        Err(_) => make_marker(dir, base, attempt, kind, marker),
    }
}

fn write_private(store: &Store, dir: &DirRef, name: &str, marker: &Marker) -> io::Result<FileRef> {
    let text = serde_json::to_vec(marker).map_err(io::Error::other)?;
    let file = dir.create(name)?;
    file.write_at(0, &text)?;
    if store.kind() == FsKind::Network {
        // Others would see the name before the bytes.
        file.sync_data()?;
    }
    Ok(file)
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
