//! Tasks that were cancelled, by number: `sweep/cancelled/*.json`, one file for each time somebody cancelled some.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Failed};
use serde::{Deserialize, Serialize};

use super::spool::{aside, sync_folder};
use super::{failed, folder, names};
use crate::sweep::shown;

const SCHEMA: &str = "flockwork.cancelled/1";

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    schema: String,
    /// First and last task of each range.
    tasks: Vec<(u64, u64)>,
}

/// What was cancelled while its row was on its way into the store, as a worker sees it.
///
/// Such a task is published after it was put on the list. Tasks are published in their order. So a worker looks again
/// when it meets a task beyond all that it has met: whatever comes before that one was published by then too.
#[derive(Debug)]
pub(crate) struct Later {
    list: Cancelled,
    met: Option<u64>,
}

impl Later {
    /// Reads the list of a store.
    ///
    /// # Errors
    ///
    /// For a damaged file, and one that cannot be read.
    pub(crate) fn of(store: &Path) -> Result<Later, Failed> {
        let list = Cancelled::of(store)?;
        Ok(Later { list, met: None })
    }

    /// Returns whether a task was cancelled that has been published.
    ///
    /// # Errors
    ///
    /// As of [`of`](Later::of).
    pub(crate) fn contains(&mut self, task: u64) -> Result<bool, Failed> {
        if self.met.is_none_or(|met| task > met) {
            self.list.look_again()?;
            self.met = Some(task);
        }
        Ok(self.list.contains(task))
    }
}

/// The tasks that were cancelled, as far as they were read.
///
/// Who reads rows looks again with each block, so a row that was in memory when its task was cancelled does not say so.
/// Workers therefore ask [`Later`] too.
#[derive(Debug)]
pub(crate) struct Cancelled {
    folder: PathBuf,
    read: HashSet<String>,
    /// Sorted, apart from each other.
    ranges: Vec<Range<u64>>,
}

impl Cancelled {
    /// Reads the list of a store.
    ///
    /// # Errors
    ///
    /// For a damaged file, and one that cannot be read.
    pub(crate) fn of(store: &Path) -> Result<Cancelled, Failed> {
        Cancelled::load(&folder(store))
    }

    pub(super) fn load(sweep: &Path) -> Result<Cancelled, Failed> {
        let mut cancelled = Cancelled {
            folder: sweep.join("cancelled"),
            read: HashSet::new(),
            ranges: Vec::new(),
        };
        cancelled.look_again()?;
        Ok(cancelled)
    }

    /// Adds tasks to the list of a store. Nothing takes one off.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn add(store: &Path, tasks: &[Range<u64>]) -> Result<(), Failed> {
        let folder = folder(store).join("cancelled");
        let tasks = tasks
            .iter()
            .filter(|range| !range.is_empty())
            .map(|range| (range.start, range.end - 1))
            .collect();
        let stored = Stored {
            schema: SCHEMA.to_owned(),
            tasks,
        };
        let write = || {
            fs::create_dir_all(&folder)?;
            let mut file = aside(&folder, "cancelled")?;
            file.write_all(&serde_json::to_vec(&stored)?)?;
            file.as_file().sync_data()?;
            // The random part of the temporary name makes a name of its own.
            let name = file
                .path()
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let name = name
                .trim_start_matches(".cancelled.")
                .trim_end_matches(".tmp")
                .to_owned();
            file.persist_noclobber(folder.join(format!("{name}.json")))?;
            Ok(())
        };
        write().map_err(|error| failed("write in", &folder, &error))?;
        sync_folder(&folder)
    }

    /// Returns whether a task was cancelled.
    pub(crate) fn contains(&self, task: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.end <= task);
        self.ranges.get(at).is_some_and(|range| range.contains(&task))
    }

    /// Reads the files that were added since.
    ///
    /// # Errors
    ///
    /// For a damaged file, and one that cannot be read.
    pub(crate) fn look_again(&mut self) -> Result<(), Failed> {
        let added =
            |name: &String| !name.starts_with('.') && name.ends_with(".json") && !self.read.contains(name);
        let new: Vec<String> = names(&self.folder)?.into_iter().filter(added).collect();
        if new.is_empty() {
            return Ok(());
        }
        for name in new {
            let path = self.folder.join(&name);
            let bytes = fs::read(&path).map_err(|error| failed("read", &path, &error))?;
            let stored: Stored =
                serde_json::from_slice(&bytes).map_err(|error| damaged(&path, &error.to_string()))?;
            if stored.schema != SCHEMA {
                return Err(damaged(
                    &path,
                    &format!("it is {}, not {SCHEMA}", shown::plain(&stored.schema)),
                ));
            }
            let ranges = stored
                .tasks
                .into_iter()
                .map(|(first, last)| first..last.saturating_add(1));
            self.ranges.extend(ranges);
            self.read.insert(name);
        }
        self.ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in self.ranges.drain(..) {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        self.ranges = merged;
        Ok(())
    }
}

fn damaged(path: &Path, what: &str) -> Failed {
    let text = format!("{} is damaged: {what}", shown::path(path));
    Failed::new(BAD_STORE, text, Some("remove it and cancel again".to_owned()))
}
