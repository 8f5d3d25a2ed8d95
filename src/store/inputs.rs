//! Publishing inputs: a shard is written as a hidden directory, then renamed into place.

use std::io;
use std::path::Path;

use super::Store;
use super::create::new_token;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::DirRef;
use crate::layout::{self, Kind};
use crate::name::{ShardNumber, Stem};
use crate::record::{self, RecordKind};

/// A shard that is being written; nobody else sees it yet.
#[derive(Debug)]
pub(crate) struct ShardWriter<'a> {
    store: &'a Store,
    round: &'a DirRef,
    hidden: String,
    dir: DirRef,
    first: ShardNumber,
    next: u64,
}

impl<'a> ShardWriter<'a> {
    /// Begins a shard whose first task has this number.
    pub(crate) fn begin(
        store: &'a Store,
        round: &'a DirRef,
        first: ShardNumber,
    ) -> io::Result<ShardWriter<'a>> {
        let hidden = layout::temporary_name(&layout::shard_name(first), &new_token());
        round.make_dir(&hidden)?;
        let dir = round.open_dir(&hidden)?;
        Ok(ShardWriter {
            store,
            round,
            hidden,
            dir,
            first,
            next: first.0,
        })
    }

    /// Adds an input file with this many tasks; may be called again after an error.
    pub(crate) fn add(&mut self, records: &[u8], tasks: u64) -> io::Result<Stem> {
        let stem = Stem(self.next);
        let name = layout::plain_name(stem, Kind::In);
        let file = match self.dir.create(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by an earlier try; nobody else knows this directory.
                self.dir.unlink(&name)?;
                self.dir.create(&name)?
            }
            answer => answer?,
        };
        file.write_at(0, records)?;
        if self.store.kind() == crate::fs::FsKind::Network {
            // A full disk is told only now there.
            file.sync_data()?;
        }
        self.next += tasks;
        Ok(stem)
    }

    /// Returns the number of the first task that is no longer in the shard.
    pub(crate) fn end(&self) -> u64 {
        self.next
    }

    /// Renames the shard into place; may be called again after an error of the system.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MasterBusy`] if another master has published a shard of this number.
    pub(crate) fn publish(&mut self) -> Result<DirRef> {
        let path = self.round.path().join(layout::shard_name(self.first));
        let end = layout::plain_name(Stem(self.next), Kind::End);
        match self.dir.create(&end) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).during("cannot make", &self.dir.path().join(&end));
            }
            _ => {}
        }
        // Also with durability `process`, once for a thousand files: what is lost of outcomes can be made again from
        // inputs, but what is lost of inputs from nothing.
        if self.store.syncs_names() || self.store.kind() == crate::fs::FsKind::Local {
            self.dir.sync_all().during("cannot sync", self.dir.path())?;
        }
        let name = layout::shard_name(self.first);
        if let Err(error) = self.round.rename(&self.hidden, &name) {
            use io::ErrorKind as K;
            if matches!(error.kind(), K::AlreadyExists | K::DirectoryNotEmpty) {
                return Err(published_by_another(&path));
            }
            // The hidden name bears a token of ours: if it is gone, the rename was done.
            if self
                .round
                .exists(&self.hidden)
                .during("cannot look into", self.round.path())?
            {
                return Err(error).during("cannot publish", &path);
            }
        }
        self.check_not_archived(&path)?;
        if self.store.syncs_names() {
            self.round.sync().during("cannot sync", self.round.path())?;
        }
        self.round.open_dir(&name).during("cannot open", &path)
    }

    /// A shard of another master may have been worked off and cleaned meanwhile: then nothing was in our way.
    fn check_not_archived(&self, path: &Path) -> Result<()> {
        let done = self
            .round
            .exists(&layout::done_name(self.first))
            .during("cannot look into", self.round.path())?;
        if !done {
            return Ok(());
        }
        remove_hidden(self.round, &layout::shard_name(self.first), &self.dir);
        Err(published_by_another(path))
    }

    /// Takes back what was written so far.
    pub(crate) fn abandon(self) {
        remove_hidden(self.round, &self.hidden, &self.dir);
    }
}

fn published_by_another(path: &Path) -> Error {
    Error::new(ErrorKind::MasterBusy, "another master has published")
        .at(path)
        .with_hint("let the other master go on, or stop it first with the verb `stop`")
}

fn remove_hidden(round: &DirRef, hidden: &str, dir: &DirRef) {
    let mut names = Vec::new();
    // Best effort: what stays is removed by the next master.
    let _ = dir.list(&mut |name| names.push(name.to_owned()));
    for name in names {
        let _ = dir.unlink(&name);
    }
    let _ = round.remove_dir(hidden);
}

/// Removes the hidden shards that dead masters left in a round. Only the one master may call it.
pub(crate) fn remove_leftovers(round: &DirRef) -> io::Result<()> {
    let mut hidden = Vec::new();
    round.list(&mut |name| {
        if layout::is_temporary(name) {
            hidden.push(name.to_owned());
        }
    })?;
    for name in hidden {
        match round.open_dir(&name) {
            Ok(dir) => remove_hidden(round, &name, &dir),
            // A temporary file of a two-stage write.
            Err(_) => drop(round.unlink(&name)),
        }
    }
    Ok(())
}

/// Reads how many tasks an input file holds.
pub(super) fn tasks_in(store: &Store, dir: &DirRef, name: &str) -> io::Result<u64> {
    let mut bytes = Vec::new();
    dir.read(name, store.file_limit(), &mut bytes)?;
    Ok(record::frames(&bytes)
        .map_while(Result::ok)
        .filter(|frame| frame.kind == RecordKind::Input)
        .count() as u64)
}
