//! When what a network client knows of a directory's names may be out of date although the directory looks unchanged.
//!
//! A client keeps a listing until the directory's time of change moves. On NFSv3 that time is a clock of some
//! milliseconds (on old servers a second): a name that is made in the same tick as the change before, with a listing in
//! between, is in no listing of that client until the directory changes again. Seen with Linux 6.1 clients and servers:
//! 16 of 25 names that were made so stayed invisible to each fresh `opendir`; NFSv4.2 has a counter instead of a clock,
//! and none did.
//!
//! So a listing is only trusted when it was fetched well after the last change. Until then the kernel is asked to forget
//! the names that it keeps (`posix_fadvise(DONTNEED)` on the directory), and fetches them again.

use std::time::Duration;

use crate::clock::Moment;

/// The coarsest clock of changes that is met.
const TICK: Duration = Duration::from_secs(2);

/// A directory's time of change, in seconds and nanoseconds.
pub(super) type Stamp = (i64, i64);

/// What is known of the listings of one directory.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// The time of change at the last listing, and when it was first seen.
    seen: Option<(Stamp, Moment)>,
    /// Whether names were fetched so long after that change that no later one can bear the same time.
    settled: bool,
}

impl Listings {
    /// Says whether the kept names must be forgotten before a listing that is made now, of a directory in this state.
    pub(super) fn must_forget(&mut self, stamp: Stamp, now: Moment) -> bool {
        match self.seen {
            Some((seen, _)) if seen == stamp && self.settled => return false,
            Some((seen, since)) if seen == stamp => self.settled = now.since(since) >= TICK,
            _ => (self.seen, self.settled) = (Some((stamp, now)), false),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fetched_until_the_last_change_is_long_ago() {
        let start = Moment::now();
        let at = |millis| start.plus(Duration::from_millis(millis));
        let mut listings = Listings::default();
        let mut ask = |stamp, millis| listings.must_forget((stamp, 0), at(millis));
        assert!(ask(1, 0), "others of this host may have listed it just then");
        assert!(ask(1, 100));
        assert!(ask(1, 1999));
        assert!(ask(1, 2100), "this one is fetched late enough ...");
        assert!(!ask(1, 2200), "... and can be kept");
        assert!(!ask(1, 90_000));
        assert!(ask(2, 90_100), "a change begins it anew");
        assert!(ask(2, 90_200));
        assert!(ask(1, 90_300), "so does one back in time");
        assert!(ask(1, 95_000));
        assert!(!ask(1, 95_001));
    }
}
