//! Cleaning: the files of tasks whose outcomes are in a done file go away.

use std::collections::BTreeSet;
use std::io;

use super::Store;
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Entry, Kind};
use crate::name::{ShardNumber, Stem};

/// Removes the files of these input files from a shard, and the shard with them if nothing is left.
///
/// The order matters: first the inputs, so that a late worker stops at reading its input; then locks and
/// markers; then the outcomes, so that as long as a lock file can be linked there is something in its way.
/// Files that are gone already are no trouble: cleaning can be cut off anywhere, and begun again.
pub(crate) fn clean_shard(
    store: &Store,
    round: &DirRef,
    shard: ShardNumber,
    stems: &BTreeSet<Stem>,
) -> io::Result<()> {
    let name = layout::shard_name(shard);
    let dir = match round.open_dir(&name) {
        Err(error) if is_gone(&error) => return Ok(()),
        answer => answer?,
    };
    let mut entries = Vec::new();
    let mut names = 0;
    dir.list(&mut |name| {
        names += 1;
        entries.extend(Entry::parse(name));
    })?;
    let ours = |entry: &&Entry| stems.contains(&entry.stem) && entry.kind != Kind::End;
    let others = entries
        .iter()
        .any(|entry| !stems.contains(&entry.stem) && entry.kind == Kind::In);
    let phase = |entry: &Entry| match entry.kind {
        Kind::In => 0,
        Kind::Out => 2,
        _ => 1,
    };
    let mut removals: Vec<&Entry> = entries.iter().filter(ours).collect();
    removals.sort_by_key(|entry| (phase(entry), **entry));
    for entry in removals {
        gone_is_fine(dir.unlink(&file_name(entry)))?;
    }
    if others {
        return Ok(());
    }
    for entry in entries.iter().filter(|entry| entry.kind == Kind::End) {
        gone_is_fine(dir.unlink(&file_name(entry)))?;
    }
    match round.remove_dir(&name) {
        // Something of others is left: a late worker's file, or NFS's name of an open one.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && names > 0 => {
            sweep(round, &dir, &name)
        }
        answer => gone_is_fine(answer),
    }?;
    if store.syncs_names() { round.sync() } else { Ok(()) }
}

/// Removes what a late worker may have left in a shard without inputs: its lock, its markers, its temporary files.
fn sweep(round: &DirRef, dir: &DirRef, name: &str) -> io::Result<()> {
    let mut names = Vec::new();
    dir.list(&mut |name| {
        if Entry::parse(name).is_some() || layout::is_temporary(name) {
            names.push(name.to_owned());
        }
    })?;
    for name in names {
        gone_is_fine(dir.unlink(&name))?;
    }
    match round.remove_dir(name) {
        // The next cleaning takes it; foreign files are left alone.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        answer => gone_is_fine(answer),
    }
}

fn file_name(entry: &Entry) -> String {
    match entry.attempt {
        Some(attempt) => layout::attempt_name(&entry.stem.to_string(), attempt, entry.kind),
        None => layout::plain_name(entry.stem, entry.kind),
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
