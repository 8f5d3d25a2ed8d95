//! What the verbs end with: few codes, each with one meaning.

use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// All that was asked for is done, and every task is ok. Also: a worker left because it was told to, or was idle.
pub const OK: u8 = 0;
/// The run ended and some tasks are not ok; or the verb failed for a reason that has no code of its own.
pub const NOT_OK: u8 = 1;
/// The command line, a setting or the inputs make no sense for this store.
pub const USAGE: u8 = 2;
/// The stop file, or the verb `stop`, ended the run; there is work left.
pub const STOPPED: u8 = 3;
/// The store is missing, damaged, no store, or of a newer format.
pub const BAD_STORE: u8 = 4;
/// Another master holds the store.
pub const OTHER_MASTER: u8 = 5;
/// No worker could be started, or none stayed alive.
pub const NO_WORKER: u8 = 7;
/// Between `run` and its workers alone: a worker left because its time limit is near, and so would the next.
pub(super) const NEAR_LIMIT: u8 = 8;
/// Added to the number of the signal that ended the program: 130 after INT, 143 after TERM.
pub const SIGNAL: u8 = 128;

/// Returns the code for an error of the library.
pub(super) fn code_of(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Missing
        | ErrorKind::NotAStore
        | ErrorKind::AlreadyThere
        | ErrorKind::NewerFormat
        | ErrorKind::Damaged => BAD_STORE,
        ErrorKind::Mismatch | ErrorKind::Setting => USAGE,
        ErrorKind::MasterBusy => OTHER_MASTER,
        _ => NOT_OK,
    }
}

/// Returns the code for a signal that ended the program.
pub(super) fn code_of_signal(signal: i32) -> u8 {
    SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(0))
}

/// What a verb returns: a code, or an error that is shown before the program ends with the error's code.
pub type Ended = Result<u8, Failed>;

/// Why a verb could not do its work.
#[derive(Debug)]
pub enum Failed {
    /// The library said so.
    Library(Error),
    /// We say so: code, text, hint.
    Ours(u8, String, Option<String>),
}

impl Failed {
    /// Makes one with a code, what went wrong, and what to do about it.
    pub fn new(code: u8, text: impl Into<String>, hint: Option<String>) -> Failed {
        Failed::Ours(code, text.into(), hint)
    }

    /// The command line, a setting or an input makes no sense: what, and what to do.
    pub fn usage(text: impl Into<String>, hint: impl Into<String>) -> Failed {
        Failed::Ours(USAGE, text.into(), Some(hint.into()))
    }

    /// Returns the exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failed::Library(error) => code_of(error),
            Failed::Ours(code, ..) => *code,
        }
    }

    /// Returns the lines that a person sees.
    pub fn text(&self) -> String {
        let (text, hint) = match self {
            Failed::Library(error) => {
                let hint = match error.kind() {
                    ErrorKind::Missing => Some("check the path; `run` and `master` make a store"),
                    _ => error.hint(),
                };
                (error.to_string(), hint.map(str::to_owned))
            }
            Failed::Ours(_, text, hint) => (text.clone(), hint.clone()),
        };
        match hint {
            Some(hint) => format!("error: {text}\nhint: {hint}"),
            None => format!("error: {text}"),
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Library(error) => error.fmt(f),
            Failed::Ours(_, text, _) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failed {}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Library(error)
    }
}

pub(super) fn exit(code: u8) -> ExitCode {
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_code_and_its_hint() {
        let busy = Failed::from(Error::new(ErrorKind::MasterBusy, "another master").with_hint("wait"));
        assert_eq!(busy.code(), OTHER_MASTER);
        assert_eq!(busy.text(), "error: another master\nhint: wait");
        assert_eq!(code_of(&Error::new(ErrorKind::Damaged, "x")), BAD_STORE);
        assert_eq!((code_of_signal(2), code_of_signal(15)), (130, 143));
    }
}
