//! The journals of all workers, read line by line: what ended when, and how long it ran.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{IoContext, Result};
use crate::fs::{DirRef, FileRef, is_gone};
use crate::layout::JOURNAL;
use crate::name::{RoundNumber, TaskId, WorkerId};
use crate::store::Store;
use crate::store::journal::HEAD;

/// Our lines are below 200 bytes; longer ones are not ours, and cost no memory.
const LONGEST: usize = 4 << 10;
const READ_AT_ONCE: usize = 64 << 10;

/// An attempt that ended, as its worker noted it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalEntry {
    /// The worker, as `HOST-PID-RANDOM`.
    pub worker: Arc<str>,
    /// The first task of the input file.
    pub first: TaskId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How many tasks ended with it; 0 unless it is [`Ok`](JournalOutcome::Ok) or [`Fail`](JournalOutcome::Fail).
    pub tasks: u64,
    /// When it ended by the worker's clock, in milliseconds since 1970.
    pub ended_ms: u64,
    /// How long it ran.
    pub run: Duration,
    /// What it ended with.
    pub outcome: JournalOutcome,
}

/// What an attempt ended with, as its worker noted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JournalOutcome {
    /// Its outcome was accepted.
    Ok,
    /// A task of it failed.
    Fail,
    /// It was given back.
    Back,
    /// Another attempt was first.
    Twin,
}

impl JournalOutcome {
    /// Returns the word that stands in the journal: `ok`, `fail`, `back` or `twin`.
    pub fn as_str(self) -> &'static str {
        match self {
            JournalOutcome::Ok => "ok",
            JournalOutcome::Fail => "fail",
            JournalOutcome::Back => "back",
            JournalOutcome::Twin => "twin",
        }
    }

    fn of(word: &str) -> Option<JournalOutcome> {
        use JournalOutcome as O;
        [O::Ok, O::Fail, O::Back, O::Twin]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// The lines of all journals of a store, one worker after the other: see [`Store::journal`].
#[derive(Debug)]
pub struct JournalEntries {
    dir: Option<DirRef>,
    names: VecDeque<WorkerId>,
    file: Option<Lines>,
    skipped: u64,
}

impl JournalEntries {
    /// Returns how many lines so far were not understood, and left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn open_next(&mut self) -> Option<Result<()>> {
        let dir = self.dir.as_ref()?;
        let name = self.names.pop_front()?;
        match dir.open_read(name.as_str()) {
            Ok(file) => {
                self.file = Some(Lines::new(file, name.as_str(), dir.path().join(name.as_str())));
                Some(Ok(()))
            }
            // Somebody tidied up.
            Err(error) if is_gone(&error) => Some(Ok(())),
            Err(error) => Some(Err(error).during("cannot read", &dir.path().join(name.as_str()))),
        }
    }
}

impl Iterator for JournalEntries {
    type Item = Result<JournalEntry>;

    fn next(&mut self) -> Option<Result<JournalEntry>> {
        loop {
            if let Some(file) = &mut self.file {
                match file.next_entry(&mut self.skipped) {
                    Ok(Some(entry)) => return Some(Ok(entry)),
                    Ok(None) => self.file = None,
                    Err(error) => {
                        let path = file.path.clone();
                        self.file = None;
                        if !is_gone(&error) {
                            return Some(Err(error).during("cannot read", &path));
                        }
                    }
                }
            } else if let Err(error) = self.open_next()? {
                return Some(Err(error));
            }
        }
    }
}

/// The lines of one journal.
#[derive(Debug)]
struct Lines {
    worker: Arc<str>,
    path: PathBuf,
    file: FileRef,
    /// Where in the file the next bytes are read.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    next: usize,
    /// Whether the rest of a line that is too long is left out.
    in_long_line: bool,
    columns: Columns,
}

impl Lines {
    fn new(file: FileRef, worker: &str, path: PathBuf) -> Lines {
        Lines {
            worker: worker.into(),
            path,
            file,
            offset: 0,
            buffer: Vec::new(),
            next: 0,
            in_long_line: false,
            columns: Columns::of(HEAD.trim_end()).unwrap_or_default(),
        }
    }

    fn next_entry(&mut self, skipped: &mut u64) -> io::Result<Option<JournalEntry>> {
        while let Some(line) = self.next_line(skipped)? {
            let text = std::str::from_utf8(&self.buffer[line]).unwrap_or("?");
            if text.starts_with('#') {
                self.columns = Columns::of(text).unwrap_or(self.columns);
                continue;
            }
            match self.columns.entry(text, &self.worker) {
                Some(entry) => return Ok(Some(entry)),
                None => *skipped += 1,
            }
        }
        Ok(None)
    }

    /// Returns where the next whole line lies in the buffer. What stands behind the last line break is still being
    /// written, or was cut off.
    fn next_line(&mut self, skipped: &mut u64) -> io::Result<Option<std::ops::Range<usize>>> {
        loop {
            let rest = &self.buffer[self.next..];
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.next..self.next + length;
                self.next = line.end + 1;
                if std::mem::take(&mut self.in_long_line) || length > LONGEST {
                    *skipped += 1;
                    continue;
                }
                return Ok(Some(line));
            }
            if rest.len() > LONGEST {
                self.in_long_line = true;
                self.next = self.buffer.len();
            }
            self.buffer.drain(..self.next);
            self.next = 0;
            let kept = self.buffer.len();
            self.buffer.resize(kept + READ_AT_ONCE, 0);
            let read = self.file.read_at(self.offset, &mut self.buffer[kept..])?;
            self.buffer.truncate(kept + read);
            self.offset += read as u64;
            if read == 0 {
                return Ok(None);
            }
        }
    }
}

/// In which column of the journal what stands.
#[derive(Debug, Clone, Copy, Default)]
struct Columns([usize; 7]);

impl Columns {
    const NAMES: [&str; 7] = [
        "round", "input", "attempt", "tasks", "ended_ms", "run_us", "outcome",
    ];

    /// Reads the head line. Columns that are not known here may stand anywhere.
    fn of(head: &str) -> Option<Columns> {
        let names: Vec<&str> = head.split('\t').skip(1).collect();
        let mut places = [0; 7];
        for (place, wanted) in places.iter_mut().zip(Self::NAMES) {
            *place = names.iter().position(|name| *name == wanted)?;
        }
        Some(Columns(places))
    }

    fn entry(&self, line: &str, worker: &Arc<str>) -> Option<JournalEntry> {
        let mut cells = [None; 7];
        for (at, cell) in line.split('\t').enumerate() {
            if let Some(found) = self.0.iter().position(|place| *place == at) {
                cells[found] = Some(cell);
            }
        }
        let [round, input, attempt, tasks, ended, run, outcome] = cells;
        Some(JournalEntry {
            worker: worker.clone(),
            first: TaskId {
                round: RoundNumber(number(round)?),
                number: number(input)?,
            },
            attempt: number(attempt)?,
            // As many as a worker can note, so that sums of them do not overflow.
            tasks: number::<u32>(tasks)?.into(),
            ended_ms: number(ended)?,
            run: Duration::from_micros(number(run)?),
            outcome: JournalOutcome::of(outcome?)?,
        })
    }
}

fn number<T: FromStr>(cell: Option<&str>) -> Option<T> {
    // Rust would also read a plus.
    cell?
        .parse()
        .ok()
        .filter(|_| cell.is_some_and(|cell| !cell.starts_with('+')))
}

impl Store {
    /// Reads what all workers, also those that are long gone, have noted of the attempts that ended: for medians,
    /// rates and pictures.
    ///
    /// The order is that of the workers' names, and within a worker that of time. Nothing stands on it but statistics:
    /// a worker that was killed lacks its last lines, and one that lives notes them up to a second late. The journals
    /// of tasks whose other files were cleaned are still there. Lines that are cut off, or not understood, are left
    /// out: see [`JournalEntries::skipped`]. A journal of any length costs no more memory than a short one.
    ///
    /// An item that is an error ([`ErrorKind::Io`](crate::ErrorKind::Io)) speaks of one journal; the others follow.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("squares.flock");
    /// flockwork::map(&path, 1..=10u64, |n| Ok(n * n)).collect()?;
    /// let store = flockwork::Store::open(&path)?;
    /// let tasks: u64 = store.journal()?.filter_map(Result::ok).map(|entry| entry.tasks).sum();
    /// assert_eq!(tasks, 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the journals cannot be listed.
    pub fn journal(&self) -> Result<JournalEntries> {
        let path = self.root().path().join(JOURNAL);
        let mut names = Vec::new();
        let dir = match self.root().open_dir(JOURNAL) {
            Ok(dir) => {
                dir.list(&mut |name| names.extend(WorkerId::parse(name)))
                    .during("cannot list", &path)?;
                Some(dir)
            }
            Err(error) if is_gone(&error) => None,
            Err(error) => return Err(error).during("cannot open", &path),
        };
        names.sort_unstable();
        Ok(JournalEntries {
            dir,
            names: names.into(),
            file: None,
            skipped: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(head: &str, lines: &[&str]) -> Vec<Option<JournalEntry>> {
        let columns = Columns::of(head).unwrap();
        let worker = Arc::from("w");
        lines.iter().map(|line| columns.entry(line, &worker)).collect()
    }

    #[test]
    fn columns_are_known_by_their_names_and_others_are_ignored() {
        let line = "1\t0000012\t2\t3\t1700000000000\t1500\tfail";
        let plain = entries(HEAD.trim_end(), &[line]);
        let entry = plain[0].clone().unwrap();
        assert_eq!(
            (entry.first.to_string().as_str(), entry.attempt),
            ("1/0000012", 2)
        );
        assert_eq!((entry.tasks, entry.run), (3, Duration::from_micros(1500)));
        assert_eq!(
            (entry.ended_ms, entry.outcome),
            (1_700_000_000_000, JournalOutcome::Fail)
        );
        let wide = "#flockwork.journal/1\tcpu_us\tround\tinput\tattempt\tnew\ttasks\tended_ms\trun_us\toutcome\thost";
        let shifted = entries(
            wide,
            &["9\t1\t0000012\t2\tx\t3\t1700000000000\t1500\tfail\tnode01"],
        );
        assert_eq!(shifted, plain);
    }

    #[test]
    fn lines_that_are_not_whole_are_no_entries() {
        let head = HEAD.trim_end();
        for line in [
            "",
            "1\t2\t3",
            "0\t1\t1\t1\t1\t-1\tok",
            "0\t1\t1\t1\t1\t1\todd",
            "0\t1\t1\t4294967296\t1\t1\tok",
            "0\t+1\t1\t1\t1\t1\tok",
            "\0\0\0\0",
        ] {
            assert_eq!(entries(head, &[line]), [None], "{line:?}");
        }
        assert!(Columns::of("#flockwork.journal/9\tround").is_none());
    }
}
