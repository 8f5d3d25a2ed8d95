//! Waiting for something that another process or thread does, without sleeping for a guessed time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What a look has found: what was waited for, or what is there instead.
pub(crate) trait Look {
    /// What was waited for.
    type Found;
    /// Gives it, or a text that says what is there instead.
    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();
    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("not yet".into()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".into())
    }
}

impl<T, E: Debug> Look for Result<T, E> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:?}"))
    }
}

/// Looks again and again until it is there; panics after the limit with the last thing seen.
#[track_caller]
pub(crate) fn wait_until<L: Look>(what: &str, limit: Duration, mut look: impl FnMut() -> L) -> L::Found {
    let begun = Instant::now();
    loop {
        let seen = match look().found() {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(
            begun.elapsed() < limit,
            "waited {limit:?} for: {what}; the last thing seen: {seen}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
