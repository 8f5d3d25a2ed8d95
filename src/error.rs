//! The one error of the library: what was tried, on which path, why it failed, and a hint.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Any error of user code.
///
/// `?` turns every error type into it, and so does `.into()` from a `&str` or a `String`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of trouble an [`Error`] tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is nothing at the path of the store.
    Missing,
    /// The path is there but is no store.
    NotAStore,
    /// A store is already there, or something else is in the way.
    AlreadyThere,
    /// The store was made by a newer version of flockwork.
    NewerFormat,
    /// A file of the store does not hold what it should.
    Damaged,
    /// The store was made with other settings than those asked for.
    Mismatch,
    /// Another master holds the store, or took it over.
    MasterBusy,
    /// The file system lacks something that the store needs, or forbids it.
    Unsupported,
    /// An input or output could not be turned into bytes, or bytes into it.
    Codec,
    /// An input or output is larger than the store's limit.
    TooLarge,
    /// The user's own code returned an error.
    User,
    /// The user's own code panicked.
    Panic,
    /// As many tasks hang beyond their timeout as the worker has slots.
    Stuck,
    /// Somebody asked for a stop before everything was done.
    Stopped,
    /// A setting makes no sense.
    Setting,
    /// The system said no: see [`Error::io_error`].
    Io,
}

/// An error of the library.
///
/// Its text says what was tried, where, and why it failed; [`hint`](Error::hint) says what to do.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    step: String,
    path: Option<PathBuf>,
    cause: Option<BoxError>,
    hint: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, step: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            step: step.into(),
            path: None,
            cause: None,
            hint: None,
        }))
    }

    pub(crate) fn at(mut self, path: impl Into<PathBuf>) -> Error {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn because(mut self, cause: impl Into<BoxError>) -> Error {
        self.0.cause = Some(cause.into());
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Puts what was going on before the text.
    pub(crate) fn in_step(mut self, step: &str) -> Error {
        self.0.step = format!("{step}: {}", self.0.step);
        self
    }

    /// Returns what sort of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the file or directory that it is about, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns what can be done about it, as a sentence without a full stop.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the system's error, if that was the cause.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.0
            .cause
            .as_ref()
            .and_then(|cause| cause.downcast_ref::<io::Error>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.step)?;
        if let Some(path) = &self.0.path {
            write!(f, " {}", path.display())?;
        }
        if let Some(cause) = &self.0.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().and_then(|cause| cause.source())
    }
}

/// Adds the step and the path to a system's error, at the call.
pub(crate) trait IoContext<T> {
    /// Says what was tried, as a fragment that fits before the path, and on which path.
    fn during(self, step: &str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, step: &str, path: &Path) -> Result<T> {
        self.map_err(|cause| io_error(step, path, cause))
    }
}

/// Makes an [`Error`] of a system's error, with a hint where the cause is a usual one.
pub(crate) fn io_error(step: &str, path: &Path, cause: io::Error) -> Error {
    use io::ErrorKind as K;
    let hint = match cause.kind() {
        K::PermissionDenied => Some("check who owns the store and its mode with `ls -ld`"),
        K::StorageFull => Some("free some space on that file system; nothing in the store is lost"),
        K::QuotaExceeded => Some("your quota is used up there; nothing in the store is lost"),
        K::ReadOnlyFilesystem => Some("the file system is mounted read-only here"),
        K::StaleNetworkFileHandle => {
            Some("the directory was removed or the file server restarted; try again")
        }
        _ => None,
    };
    let error = Error::new(ErrorKind::Io, step).at(path).because(cause);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_where_and_why() {
        let cause = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = io_error("cannot list", Path::new("/x/rounds"), cause);
        assert_eq!(error.to_string(), "cannot list /x/rounds: permission denied");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.hint().is_some_and(|hint| hint.contains("ls -ld")));
        assert_eq!(
            error.io_error().map(io::Error::kind),
            Some(io::ErrorKind::PermissionDenied)
        );
    }
}
