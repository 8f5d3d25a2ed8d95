//! New rows on their way into the store: written aside, then linked to the first name that is free.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use flockwork::app::exit::{Failed, NOT_OK};
use tempfile::NamedTempFile;

use super::file::{RowsFile, RowsWriter};
use super::{Rows, RowsIter, failed, name_of};
use crate::sweep::shown;
use crate::task::Bytes;

/// How often a name that is taken, but cannot be seen yet, is looked for again: ten seconds in all.
const LOOKS: u32 = 100;
/// Room is made for so many rows at most before they are seen.
const MOST_ROOM: u64 = 1 << 24;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// A value that tells rows apart; 128 bits, so that equal values mean equal rows.
fn fingerprint(values: &[Bytes]) -> Fingerprint {
    let half = |salt: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        salt.hash(&mut hasher);
        values.hash(&mut hasher);
        hasher.finish()
    };
    [half(1), half(2)]
}

type Fingerprint = [u64; 2];

/// How often each of some rows is there.
#[derive(Debug, Default)]
struct Counts(HashMap<Fingerprint, u32>);

impl Counts {
    /// Counts all rows that are left.
    fn of(rows: &mut RowsIter) -> Result<Counts, Failed> {
        // Room for all at once: growing would need the old and the new map together.
        let left = rows.rows.total()?.saturating_sub(rows.task());
        // A planted file may promise any number.
        let room = left.min(MOST_ROOM) as usize;
        let mut counts = Counts(HashMap::with_capacity(room + usize::from(room > 0)));
        for row in rows {
            counts.add(&row?.values);
        }
        Ok(counts)
    }

    fn add(&mut self, values: &[Bytes]) {
        *self.0.entry(fingerprint(values)).or_default() += 1;
    }

    /// Takes one such row away, if there is one.
    fn take(&mut self, values: &[Bytes]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        match self.0.get_mut(&fingerprint(values)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// The rows that the store has, compared with those of a table.
///
/// While both go on alike, one row of each is in memory. Where they part, the rest of the stored rows is read as counts.
#[derive(Debug)]
pub(in crate::sweep) struct Known {
    stored: RowsIter,
    rest: Option<Counts>,
}

impl Known {
    pub(in crate::sweep) fn new(rows: &Rows) -> Result<Known, Failed> {
        Ok(Known {
            stored: rows.iter_from(0)?,
            rest: None,
        })
    }

    /// Returns whether the store has this row, not counting those that were asked for before.
    pub(in crate::sweep) fn take(&mut self, values: &[Bytes]) -> Result<bool, Failed> {
        let rest = match &mut self.rest {
            Some(rest) => rest,
            None => {
                let next = self.stored.next().transpose()?;
                if next.as_ref().is_some_and(|row| row.values == values) {
                    return Ok(true);
                }
                let mut rest = Counts::of(&mut self.stored)?;
                if let Some(row) = next {
                    rest.add(&row.values);
                }
                self.rest.insert(rest)
            }
        };
        Ok(rest.take(values))
    }

    /// Returns the number of the first task after those that were compared.
    pub(in crate::sweep) fn end(&self) -> u64 {
        self.stored.task()
    }
}

/// Rows that are written aside.
pub(in crate::sweep) struct Spool {
    writer: RowsWriter<BufWriter<NamedTempFile>>,
    rows: Rows,
    first: u64,
    columns: Vec<String>,
}

impl Spool {
    /// Begins a file whose first row is for the task `first`.
    pub(in crate::sweep) fn new(rows: &Rows, first: u64, columns: &[String]) -> Result<Spool, Failed> {
        let begin = || {
            let file = aside(&rows.folder, &name_of(first))?;
            RowsWriter::new(BufWriter::with_capacity(1 << 18, file), first, columns)
        };
        let writer = begin().map_err(|error| failed("write rows in", &rows.folder, &error))?;
        Ok(Spool {
            writer,
            rows: rows.clone(),
            first,
            columns: columns.to_vec(),
        })
    }

    pub(in crate::sweep) fn push(&mut self, values: &[Bytes]) -> Result<(), Failed> {
        let pushed = self.writer.push(values);
        pushed.map_err(|error| failed("write rows in", &self.rows.folder, &error))
    }

    /// Syncs the rows; what follows is only a link.
    pub(in crate::sweep) fn ready(self) -> Result<Ready, Failed> {
        let count = self.writer.rows();
        let finish = || {
            let file = self
                .writer
                .finish()?
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_data()?;
            Ok(file)
        };
        let file = finish().map_err(|error| failed("write rows in", &self.rows.folder, &error))?;
        Ok(Ready {
            file,
            rows: self.rows,
            first: self.first,
            count,
            columns: self.columns,
        })
    }
}

/// Rows that are written and synced, and not in the store yet.
pub(in crate::sweep) struct Ready {
    file: NamedTempFile,
    rows: Rows,
    first: u64,
    count: u64,
    columns: Vec<String>,
}

impl Ready {
    /// Links the rows into the store and returns how many there are. If others were there first, those that they have
    /// added too are left out, and the rest follows theirs.
    pub(in crate::sweep) fn publish(mut self) -> Result<u64, Failed> {
        let mut looks = 0;
        while self.count > 0 {
            let path = self.rows.path(self.first);
            let file = match self.file.persist_noclobber(&path) {
                Ok(_) => {
                    sync_folder(&self.rows.folder)?;
                    return Ok(self.count);
                }
                Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => refused.file,
                Err(refused) => return Err(failed("link rows to", &path, &refused.error)),
            };
            let mut others = self.rows.iter_from(self.first)?;
            let mut counts = Counts::of(&mut others)?;
            if others.task() == self.first {
                looks += 1;
                if looks > LOOKS {
                    let text = format!("{} is there and cannot be read", shown::path(&path));
                    return Err(Failed::new(
                        NOT_OK,
                        text,
                        Some("submit again in a minute".to_owned()),
                    ));
                }
                std::thread::sleep(BETWEEN_LOOKS);
                self.file = file;
                continue;
            }
            let mut spool = Spool::new(&self.rows, others.task(), &self.columns)?;
            let mut mine = RowsFile::open(file.path(), None)?
                .ok_or_else(|| failed("read", file.path(), &io::Error::from(io::ErrorKind::NotFound)))?;
            let mut next = mine.first();
            while next < mine.end() {
                for values in mine.from(next)? {
                    next += 1;
                    if !counts.take(&values) {
                        spool.push(&values)?;
                    }
                }
            }
            self = spool.ready()?;
        }
        Ok(0)
    }
}

/// Makes a file beside its later name, with the permissions that other files get.
pub(in crate::sweep) fn aside(folder: &Path, name: &str) -> io::Result<NamedTempFile> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(&prefix)
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

/// Makes new names in a directory last.
pub(in crate::sweep) fn sync_folder(folder: &Path) -> Result<(), Failed> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|error| failed("sync", folder, &error))
}
