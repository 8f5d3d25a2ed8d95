//! The journal: an append-only file per worker with a line for each attempt that ended.
//!
//! Statistics and pictures read these and not the outcomes. Lines are kept in memory for up to a second, so a
//! killed worker may lack its last ones: nothing but statistics stands on them.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::Store;
use super::claim::Identity;
use crate::clock::{Moment, wall_millis};
use crate::fs::FileRef;
use crate::layout::JOURNAL;
use crate::name::{Attempt, RoundNumber, Stem};

pub(super) const HEAD: &str =
    "#flockwork.journal/1\tround\tinput\tattempt\ttasks\tended_ms\trun_us\toutcome\n";
const LARGEST_PENDING: usize = 1 << 20;
const KEEP: Duration = Duration::from_secs(1);

/// One attempt that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalLine {
    pub(crate) round: RoundNumber,
    pub(crate) stem: Stem,
    pub(crate) attempt: Attempt,
    pub(crate) tasks: u32,
    pub(crate) run: Duration,
    /// `ok`, `fail`, `back`, `twin`.
    pub(crate) outcome: &'static str,
}

/// The journal of this worker.
#[derive(Debug)]
pub(crate) struct Journal {
    file: FileRef,
    written: u64,
    pending: String,
    flushed: Moment,
}

impl Journal {
    pub(crate) fn make(store: &Store, me: &Identity) -> io::Result<Journal> {
        let file = store.root().open_dir(JOURNAL)?.create(me.id.as_str())?;
        Ok(Journal {
            file,
            written: 0,
            pending: HEAD.to_owned(),
            flushed: Moment::now(),
        })
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: JournalLine) {
        let JournalLine {
            round,
            stem,
            attempt,
            tasks,
            run,
            outcome,
        } = line;
        let (ended, run) = (wall_millis(), run.as_micros());
        // Writing to a String does not fail.
        let _ = writeln!(
            self.pending,
            "{round}\t{stem}\t{attempt}\t{tasks}\t{ended}\t{run}\t{outcome}"
        );
        if Moment::now().since(self.flushed) > KEEP {
            self.flush();
        }
    }

    /// Writes the lines that are waiting; what cannot be written is tried again with the next ones.
    pub(crate) fn flush(&mut self) {
        self.flushed = Moment::now();
        if !self.pending.is_empty() && self.file.write_at(self.written, self.pending.as_bytes()).is_ok() {
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        // A disk that stays full costs statistics, not memory.
        if self.pending.len() > LARGEST_PENDING {
            self.pending.clear();
        }
    }
}
