//! How long ago something was.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flockwork::app::times;

/// Returns the age of what happened at `then`, in milliseconds since 1970; nothing is younger than `0s`.
pub(crate) fn age(then: u64, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(then))
}

/// Writes an age for people: `3.0s ago`, `4m10s ago`.
pub(crate) fn ago(age: Duration) -> String {
    format!("{} ago", times::short(age))
}

/// Returns the time by this host's clock, in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_seems_to_come_is_not_younger_than_now() {
        assert_eq!(ago(age(1_000, 251_000)), "4m10s ago");
        assert_eq!(ago(age(2_000, 1_000)), "0s ago");
        assert!(now() > 1_700_000_000_000);
    }
}
