//! What has come of each file on each host, and how far all of it is.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flockwork::app::times;

use crate::hosts::Trouble;
use crate::output::{bytes, count};

/// How often a terminal is told, and anything else.
const OFTEN: Duration = Duration::from_millis(200);
const RARELY: Duration = Duration::from_secs(10);

/// What a file has ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It is there, and its checksum was right.
    Done,
    /// It was there before.
    Same,
    /// What came to be there has another checksum.
    Differs,
    /// Why it is not there.
    No(String),
}

impl End {
    /// Says whether all is well with it.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, End::Done | End::Same)
    }

    /// Returns why it is not there.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            End::Done | End::Same => None,
            End::Differs => Some("checksum differs"),
            End::No(reason) => Some(reason),
        }
    }
}

/// What has come of one host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Each file, directory and link, with its end; `None`: nobody knows.
    pub(crate) ends: Vec<(Vec<u8>, Option<End>)>,
    /// How many of them are files and links.
    pub(crate) files: u64,
    pub(crate) done: u64,
    pub(crate) same: u64,
    /// Bytes that are there now and were not before.
    pub(crate) bytes: u64,
    /// Why the host could not be worked with to the end.
    pub(crate) trouble: Option<Trouble>,
    /// Which host has sent it what it has; `None`: this machine.
    pub(crate) from: Option<String>,
}

impl Outcome {
    /// Counts the ends; a size of `None` is a directory's.
    pub(super) fn of(
        ends: impl Iterator<Item = ((Vec<u8>, Option<u64>), Option<End>)>,
        trouble: Option<Trouble>,
    ) -> Outcome {
        let mut outcome = Outcome {
            trouble,
            ..Outcome::default()
        };
        for ((path, size), end) in ends {
            if let Some(size) = size {
                outcome.files += 1;
                match &end {
                    Some(End::Done) => {
                        outcome.done += 1;
                        outcome.bytes += size;
                    }
                    Some(End::Same) => outcome.same += 1,
                    _ => {}
                }
            }
            outcome.ends.push((path, end));
        }
        outcome
    }

    /// Adds a file that was not sent.
    pub(crate) fn add(&mut self, path: Vec<u8>, end: End) {
        self.files += 1;
        self.ends.push((path, Some(end)));
    }

    /// Adds files that are there since an earlier time.
    pub(crate) fn add_same(&mut self, files: u64) {
        self.files += files;
        self.same += files;
    }

    /// Gives a file another end.
    pub(crate) fn fail(&mut self, path: Vec<u8>, reason: String) {
        if let Some((_, end)) = self.ends.iter_mut().find(|(known, _)| *known == path) {
            *end = Some(End::No(reason));
        }
    }

    /// Says whether everything is there.
    pub(crate) fn is_ok(&self) -> bool {
        let all = self
            .ends
            .iter()
            .all(|(_, end)| end.as_ref().is_some_and(End::is_ok));
        self.trouble.is_none() && all
    }
}

/// The figures while it goes on, told on stderr.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    begun: Instant,
    terminal: bool,
    quiet: bool,
    /// Stands before the figures.
    word: &'static str,
    /// Whether checksums are compared.
    checks: bool,
}

#[derive(Debug, Default)]
struct State {
    files: u64,
    of_files: u64,
    bytes: u64,
    of_bytes: u64,
    differ: u64,
    told: Option<Instant>,
    is_shown: bool,
}

impl Board {
    /// Begins.
    pub(crate) fn new(quiet: bool, word: &'static str) -> Board {
        Board {
            state: Mutex::default(),
            begun: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            quiet,
            word,
            checks: true,
        }
    }

    /// Begins, for files that are read here to make their checksums.
    pub(crate) fn reading(quiet: bool) -> Board {
        Board {
            checks: false,
            ..Board::new(quiet, "reading here: ")
        }
    }

    /// There is more to do than was known.
    pub(crate) fn expect(&self, files: u64, bytes: u64) {
        self.change(|state| {
            state.of_files += files;
            state.of_bytes += bytes;
        });
    }

    /// Bytes have arrived, or need not be sent.
    pub(crate) fn moved(&self, bytes: u64) {
        self.change(|state| state.bytes += bytes);
    }

    /// A file has ended well.
    pub(crate) fn arrived(&self) {
        self.change(|state| state.files += 1);
    }

    /// A checksum was wrong.
    pub(crate) fn differs(&self) {
        self.change(|state| state.differ += 1);
    }

    /// Clears the line.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.is_shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let every = if self.terminal { OFTEN } else { RARELY };
        let since = state.told.unwrap_or(self.begun).elapsed();
        if self.quiet || since < every {
            return;
        }
        state.told = Some(Instant::now());
        let mut line = format!("{}{}", self.word, state.line(self.begun.elapsed()));
        if self.checks {
            line.push_str(&format!(" · {} failed checksum", count(state.differ)));
        }
        // Whoever closes stderr wants none.
        let _ = match self.terminal {
            true => write!(std::io::stderr(), "\r{line}\x1b[K"),
            false => writeln!(std::io::stderr(), "{line}"),
        };
        state.is_shown = self.terminal;
    }
}

impl State {
    /// At most 80 columns in all but absurd cases.
    fn line(&self, elapsed: Duration) -> String {
        let rate = self.bytes as f64 / elapsed.as_secs_f64().max(0.001);
        let left = self.of_bytes.saturating_sub(self.bytes) as f64 / rate.max(1.0);
        let left = match self.bytes {
            0 => String::new(),
            _ => format!(
                " · {} left",
                times::short(Duration::from_secs(left.min(1e9) as u64))
            ),
        };
        format!(
            "{}/{} files · {}/{} · {}/s{left}",
            count(self.files),
            count(self.of_files),
            bytes(self.bytes),
            bytes(self.of_bytes),
            bytes(rate as u64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_bytes_rate_and_what_is_left() {
        let state = State {
            files: 18_597,
            of_files: 22_280,
            bytes: 1 << 30,
            of_bytes: 2 << 30,
            ..State::default()
        };
        let line = state.line(Duration::from_secs(64));
        assert_eq!(
            line,
            "18,597/22,280 files · 1.0 GiB/2.0 GiB · 16 MiB/s · 1m04s left"
        );
        assert!(!State::default().line(Duration::ZERO).contains("left"));
    }
}
