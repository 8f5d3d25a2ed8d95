//! Cleaning: the files of tasks whose outcomes are in a done file go away.

use std::collections::BTreeSet;
use std::io;

use super::Store;
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Entry, Kind};
use crate::name::{ShardNumber, Stem};

/// Late workers may put new files into a shard while it is cleaned; after so many rounds they are left for later.
const PASSES: u32 = 8;

/// Removes the files of these input files from a shard, and the shard with them if nothing is left.
///
/// The order matters: first the inputs, so that a late worker stops at reading its input; then, by listings made
/// after that, locks and markers; and the outcomes only when no lock is left, so that as long as a lock file can be
/// linked there is something in its way. Files that are gone already are no trouble: cleaning can be cut off
/// anywhere, and begun again.
///
/// Returns `false` if something is in the way that may go by itself: call again later.
pub(crate) fn clean_shard(
    store: &Store,
    round: &DirRef,
    shard: ShardNumber,
    stems: &BTreeSet<Stem>,
) -> io::Result<bool> {
    let name = layout::shard_name(shard);
    let dir = match round.open_dir(&name) {
        Err(error) if is_gone(&error) => return Ok(true),
        answer => answer?,
    };
    let cleaning = Cleaning { dir: &dir, stems };
    cleaning.remove_inputs(store)?;
    for _ in 0..PASSES {
        let listing = cleaning.list()?;
        if !listing.locks.is_empty() {
            cleaning.remove(&listing.locks)?;
            continue;
        }
        if listing.has_open_files {
            return Ok(false);
        }
        cleaning.remove(&listing.outcomes)?;
        if listing.others {
            return Ok(true);
        }
        cleaning.remove(&listing.ends)?;
        match round.remove_dir(&name) {
            // A late worker has made a file meanwhile: once more from the locks on.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            answer => {
                gone_is_fine(answer)?;
                if store.syncs_names() {
                    round.sync()?;
                }
                return Ok(true);
            }
        }
    }
    Ok(false)
}

struct Cleaning<'a> {
    dir: &'a DirRef,
    stems: &'a BTreeSet<Stem>,
}

#[derive(Default)]
struct Listing {
    locks: Vec<String>,
    outcomes: Vec<String>,
    ends: Vec<String>,
    /// NFS keeps a removed file that this host still has open under such a name: it can still be linked.
    has_open_files: bool,
    /// Input files that are not to be cleaned: they failed, and may be tried again.
    others: bool,
}

impl Cleaning<'_> {
    fn remove_inputs(&self, store: &Store) -> io::Result<()> {
        let mut inputs = Vec::new();
        self.dir.list(&mut |name| {
            let ours = |entry: &Entry| entry.kind == Kind::In && self.stems.contains(&entry.stem);
            if Entry::parse(name).as_ref().is_some_and(ours) {
                inputs.push(name.to_owned());
            }
        })?;
        self.remove(&inputs)?;
        // A power cut must not bring an input back whose outcome is gone.
        if store.syncs_names() && !inputs.is_empty() {
            self.dir.sync()
        } else {
            Ok(())
        }
    }

    fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        self.dir.list(&mut |name| {
            listing.has_open_files |= name.starts_with(".nfs");
            let Some(entry) = Entry::parse(name) else {
                if self.is_temporary(name) {
                    listing.locks.push(name.to_owned());
                }
                return;
            };
            match (entry.kind, self.stems.contains(&entry.stem)) {
                (Kind::End, _) => listing.ends.push(name.to_owned()),
                (Kind::In, false) => listing.others = true,
                (_, false) => {}
                (Kind::Out, true) => listing.outcomes.push(name.to_owned()),
                (_, true) => listing.locks.push(name.to_owned()),
            }
        })?;
        Ok(listing)
    }

    /// A temporary file of a worker that died while it published one of our input files.
    fn is_temporary(&self, name: &str) -> bool {
        let stem = name
            .strip_prefix('.')
            .and_then(|rest| rest.split('.').next())
            .and_then(|stem| stem.parse().ok());
        layout::is_temporary(name) && stem.is_some_and(|stem| self.stems.contains(&Stem(stem)))
    }

    fn remove(&self, names: &[String]) -> io::Result<()> {
        names
            .iter()
            .try_for_each(|name| gone_is_fine(self.dir.unlink(name)))
    }
}

fn gone_is_fine(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        Err(error) if is_gone(&error) => Ok(()),
        // A directory that somebody planted under one of our names: it keeps the shard's, and nothing else.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(()),
        answer => answer,
    }
}
