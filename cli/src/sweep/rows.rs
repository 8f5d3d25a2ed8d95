//! The rows of a sweep in the store, as they were submitted: one file for each submission that added some.
//!
//! `sweep/NNNNNNN.rows` holds the rows from task NNNNNNN on; see `rows/file.rs` for what is in it. A file is written
//! under another name, synced, and then linked to a name that is not taken yet, so each is whole, is never changed, and
//! the next one follows it without a gap.

pub(crate) mod cancelled;
pub(crate) mod file;
pub(super) mod spool;

use std::io;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Failed, NOT_OK};

use self::cancelled::Cancelled;
use self::file::RowsFile;
use super::pattern::name_of;
use super::shown;
use crate::listing;
use crate::task::{Bytes, Row};

/// Where the sweep of a store stands: its own file, its rows, and what was cancelled.
pub(super) fn folder(store: &Path) -> PathBuf {
    store.join("sweep")
}

/// The rows of a store.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    folder: PathBuf,
}

impl Rows {
    /// Means the rows of a store; nothing is read yet.
    pub(crate) fn open(store: &Path) -> Rows {
        Rows {
            folder: folder(store),
        }
    }

    /// Returns how many tasks there are: a listing and a small read of the last file.
    ///
    /// # Errors
    ///
    /// For a damaged file, and one that cannot be read.
    pub(crate) fn total(&self) -> Result<u64, Failed> {
        let last = self.files()?.last().copied();
        let mut total = match last {
            Some(last) => self.end_of(last)?.unwrap_or(0),
            None => 0,
        };
        // The listing of a network file system may be older than its files.
        while let Some(end) = self.end_of(total)? {
            total = end;
        }
        Ok(total)
    }

    /// Returns the rows from a task on, across all files; after its end the iterator may be asked again later.
    ///
    /// # Errors
    ///
    /// If the list of cancelled tasks cannot be read; the iterator itself gives an error once, and then nothing more.
    pub(crate) fn iter_from(&self, task: u64) -> Result<RowsIter, Failed> {
        let cancelled = Cancelled::load(&self.folder)?;
        Ok(RowsIter {
            rows: self.clone(),
            next: task,
            file: None,
            block: Vec::new().into_iter(),
            cancelled,
            failed: false,
        })
    }

    /// Returns the row of a task; `None`: there is no such task yet.
    ///
    /// It reads the index of one file and one block of it: at most 1,024 rows or some 1 MiB.
    ///
    /// # Errors
    ///
    /// For a damaged file, and one that cannot be read.
    pub(crate) fn get(&self, task: u64) -> Result<Option<Row>, Failed> {
        let Some(mut file) = self.file_with(task)? else {
            return Ok(None);
        };
        let cancelled = Cancelled::load(&self.folder)?.contains(task);
        Ok(file.from(task)?.next().map(|values| Row { values, cancelled }))
    }

    /// Returns the file that holds a task.
    fn file_with(&self, task: u64) -> Result<Option<RowsFile>, Failed> {
        if let Some(file) = self.open_file(task)? {
            return Ok(Some(file));
        }
        let files = self.files()?;
        let at = files.partition_point(|first| *first <= task);
        let mut end = 0;
        if let Some(first) = at.checked_sub(1).map(|before| files[before])
            && let Some(file) = self.open_file(first)?
        {
            if task < file.end() {
                return Ok(Some(file));
            }
            end = file.end();
        }
        match files.get(at) {
            Some(next) if end < *next => {
                // Perhaps the listing is older than the file that it lacks.
                match self.open_file(end)? {
                    Some(file) if task < file.end() => Ok(Some(file)),
                    Some(_) | None => Err(self.gap(end, *next)),
                }
            }
            _ => Ok(None),
        }
    }

    fn gap(&self, from: u64, to: u64) -> Failed {
        let text = format!(
            "the rows of the tasks {from} to {} are missing from {}",
            to - 1,
            shown::path(&self.folder)
        );
        Failed::new(
            BAD_STORE,
            text,
            Some("was a file removed by hand? submit to a new store".to_owned()),
        )
    }

    /// Returns the numbers of all files, sorted.
    fn files(&self) -> Result<Vec<u64>, Failed> {
        let mut files = Vec::new();
        for name in names(&self.folder)? {
            let number = name
                .strip_suffix(".rows")
                .and_then(|number| number.parse::<u64>().ok());
            files.extend(number.filter(|number| name_of(*number) + ".rows" == name));
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Returns the number of the task after the last of the file that begins with this one; `None`: there is none.
    fn end_of(&self, first: u64) -> Result<Option<u64>, Failed> {
        let path = self.path(first);
        let Some(count) = RowsFile::count(&path)? else {
            return Ok(None);
        };
        let end = first.checked_add(count).ok_or_else(|| {
            let text = format!("{} counts more tasks than there can be", shown::path(&path));
            Failed::new(BAD_STORE, text, Some("submit to a new store".to_owned()))
        })?;
        Ok(Some(end))
    }

    fn open_file(&self, first: u64) -> Result<Option<RowsFile>, Failed> {
        RowsFile::open(&self.path(first), Some(first))
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{}.rows", name_of(first)))
    }
}

/// Returns the names in a directory; none if there is no such directory.
fn names(folder: &Path) -> Result<Vec<String>, Failed> {
    match listing::names(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| failed("list", folder, &error)),
    }
}

/// A step on a file of the store that failed.
pub(super) fn failed(step: &str, path: &Path, error: &io::Error) -> Failed {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room and submit again; nothing was added"
        }
        io::ErrorKind::PermissionDenied => "check whose store it is, and its permissions",
        _ => "check the file system of the store, then do it again",
    };
    Failed::new(
        NOT_OK,
        format!("cannot {step} {}: {error}", shown::path(path)),
        Some(hint.to_owned()),
    )
}

/// Rows across files: `None` when all that are there now were given, and `Some` again when others came.
#[derive(Debug)]
pub(crate) struct RowsIter {
    rows: Rows,
    next: u64,
    file: Option<RowsFile>,
    block: std::vec::IntoIter<Vec<Bytes>>,
    cancelled: Cancelled,
    failed: bool,
}

impl RowsIter {
    /// Returns the number of the task that the next row belongs to.
    pub(crate) fn task(&self) -> u64 {
        self.next
    }

    fn advance(&mut self) -> Result<Option<Row>, Failed> {
        loop {
            if let Some(values) = self.block.next() {
                let cancelled = self.cancelled.contains(self.next);
                self.next += 1;
                return Ok(Some(Row { values, cancelled }));
            }
            match &mut self.file {
                Some(file) if self.next < file.end() => {
                    self.block = file.from(self.next)?;
                    self.cancelled.look_again()?;
                }
                _ => match self.rows.file_with(self.next)? {
                    Some(file) => self.file = Some(file),
                    None => {
                        self.file = None;
                        return Ok(None);
                    }
                },
            }
        }
    }
}

impl Iterator for RowsIter {
    type Item = Result<Row, Failed>;

    fn next(&mut self) -> Option<Result<Row, Failed>> {
        if self.failed {
            return None;
        }
        let row = self.advance().transpose();
        self.failed = matches!(row, Some(Err(_)));
        row
    }
}

#[cfg(test)]
mod tests;
