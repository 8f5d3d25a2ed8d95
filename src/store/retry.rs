//! New attempts for tasks that have failed.

use std::collections::BTreeSet;

use super::claim::Identity;
use super::marker::{Marker, make_marker};
use super::pick::{Place, Wanted, check_text};
use super::{State, Store};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::{self, Kind};
use crate::name::{Attempt, Stem, TaskId};

/// Which failed tasks a person wants to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// All that have failed.
    Failed,
    /// These, if they have failed; the others of their batches that have failed are tried again with them.
    Tasks(Vec<TaskId>),
}

/// What was granted new attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retried {
    /// The first task of each input file that is tried again.
    pub inputs: Vec<TaskId>,
    /// How many tasks these hold.
    pub tasks: u64,
    /// Named tasks that had not failed: they are open, or have an output.
    pub not_failed: u64,
    /// Named tasks that are not in the store, or not yet.
    pub absent: u64,
}

impl Store {
    /// Grants new attempts, as many as at the beginning, to tasks that have failed.
    ///
    /// `note` is handed to these attempts: [`Task::note`](crate::Task::note). Workers that are there take them up
    /// after a while; a master that was given the failure already does not wait for them, but one that is started
    /// again does, and is given what they end with. A stop file stays: see [`withdraw_stop`](Store::withdraw_stop).
    ///
    /// ```
    /// use flockwork::{Retry, Store, StoreConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("sweep.flock");
    /// let store = Store::create(&path, &StoreConfig::default())?;
    /// let retried = store.retry(&Retry::Failed, Some("timeout=600"))?;
    /// assert_eq!(retried.tasks, 0); // the store is empty
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] for a note of over 8 KiB; [`ErrorKind::Damaged`] for a done file; [`ErrorKind::Io`] if
    /// the store cannot be listed or written. What was granted before an error stays so; calling it again is safe.
    pub fn retry(&self, which: &Retry, note: Option<&str>) -> Result<Retried> {
        check_text(note.unwrap_or_default(), "note")?;
        let wanted = match which {
            Retry::Failed => Wanted::all(),
            Retry::Tasks(tasks) => Wanted::these(tasks),
        };
        let marker = Marker {
            note: note.map(str::to_owned),
            ..Marker::new("a person granted new attempts", Identity::new().id)
        };
        let mut retried = Retried::default();
        let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
        wanted.visit(self, |place| {
            let state = place.list(&mut entries)?;
            for picked in wanted.of(place, &state) {
                let named = wanted.named_in(place.round, &picked);
                if let State::Failed { last, .. } = state.inputs[picked.position].state {
                    grant(place, picked.stem, last, &marker)?;
                    retried.inputs.push(place.task(picked.stem));
                    retried.tasks += picked.tasks;
                } else {
                    retried.not_failed += named.len() as u64;
                }
                seen.extend(named);
            }
            Ok(())
        })?;
        let (ended, absent) = wanted.others(self, &seen)?;
        retried.not_failed += ended;
        retried.absent = absent;
        Ok(retried)
    }
}

fn grant(place: &Place<'_>, stem: Stem, last: Attempt, marker: &Marker) -> Result<()> {
    let base = stem.to_string();
    if marker.note.is_none() {
        return make_marker(&place.dir, &base, last, Kind::Again, marker)
            .map(drop)
            .during("cannot grant new attempts in", place.dir.path());
    }
    // In two stages: a worker may come as soon as the name is there, and is to find the note.
    let name = layout::attempt_name(&base, last, Kind::Again);
    let path = place.dir.path().join(&name);
    let text = serde_json::to_vec(marker)
        .map_err(|cause| Error::new(ErrorKind::Io, "cannot write").at(&path).because(cause))?;
    place
        .dir
        .replace(&name, &text, place.store.syncs_data())
        .during("cannot write", &path)
}
