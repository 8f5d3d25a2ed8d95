//! Which call fails, and whether before or after it was done.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

use crate::random::Random;

/// The errors that calls are answered with.
const ERRORS: [Errno; 5] = [Errno::IO, Errno::STALE, Errno::NOSPC, Errno::NOENT, Errno::EXIST];

/// How many of a thousand calls fail.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Reads and writes that are done for a part of the bytes only.
    pub(crate) short: u64,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) call: &'static str,
    /// The name, or the directory, that it was about.
    pub(crate) name: String,
    pub(crate) errno: i32,
    pub(crate) done: bool,
}

#[derive(Debug)]
struct State {
    random: Random,
    rates: Rates,
    faults: Vec<Fault>,
    short: usize,
    calls: usize,
}

/// Decides; shared by the file system and the test.
#[derive(Debug, Clone)]
pub(crate) struct Chance(Arc<Mutex<State>>);

impl Chance {
    /// Nothing fails at first.
    pub(crate) fn new(random: Random) -> Chance {
        let (rates, faults) = (Rates::default(), Vec::new());
        Chance(Arc::new(Mutex::new(State {
            random,
            rates,
            faults,
            short: 0,
            calls: 0,
        })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, rates: Rates) {
        self.with(|state| state.rates = rates);
    }

    /// The faults so far.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.with(|state| state.faults.clone())
    }

    /// How many calls there were, and how many of them were done for a part only.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.with(|state| (state.calls, state.short))
    }

    /// Does a call, unless it is to fail before; and answers an error although it was done, if it is to fail after.
    pub(super) fn on<T>(
        &self,
        call: &'static str,
        name: &str,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let fate = self.with(|state| {
            state.calls += 1;
            let chance = state.random.below(1000);
            let done = chance >= state.rates.before;
            if chance >= state.rates.before + state.rates.after {
                return None;
            }
            let errno = *state.random.pick(&ERRORS);
            let (name, errno) = (name.to_owned(), errno.raw_os_error());
            state.faults.push(Fault {
                call,
                name,
                errno,
                done,
            });
            Some((errno, done))
        });
        match fate {
            None => act(),
            Some((errno, false)) => Err(io::Error::from_raw_os_error(errno)),
            Some((errno, true)) => {
                // What an undone call is answered with is right in any case.
                act()?;
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    /// How many of so many bytes are read or written.
    pub(super) fn part(&self, bytes: usize) -> usize {
        self.with(|state| {
            if bytes < 2 || state.random.below(1000) >= state.rates.short {
                return bytes;
            }
            state.short += 1;
            let part = 1 + state.random.below(bytes as u64 - 1);
            usize::try_from(part).unwrap_or(bytes)
        })
    }
}
