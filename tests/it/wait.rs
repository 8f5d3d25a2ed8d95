//! Waiting for something without sleeping blindly.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Asks until the answer is `Ok`; after `limit` it fails with the last thing seen.
#[track_caller]
pub(crate) fn wait_until<T, S: Debug>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<T, S>,
) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(value) => return value,
            Err(seen) => assert!(
                begun.elapsed() < limit,
                "waited {limit:?} in vain for: {what}; last seen: {seen:?}"
            ),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
