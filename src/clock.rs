//! Time that runs on while the machine sleeps, and backoff with jitter.

#[cfg(test)]
pub(crate) mod sim;

use std::time::Duration;

/// A moment on this machine's own clock since boot.
///
/// It goes on while the machine is suspended, so that a gap in one's own watching is seen. Moments of two
/// machines, or of two boots, are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// Reads CLOCK_BOOTTIME.
    pub(crate) fn now() -> Moment {
        #[cfg(test)]
        if let Some(now) = sim::now() {
            return Moment(now);
        }
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Moment(Duration::new(seconds, nanos))
    }

    #[cfg(test)]
    pub(crate) fn at_seconds(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    /// Returns how long after `earlier` this is; zero if it is not.
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn plus(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}

/// Lets the thread sleep.
pub(crate) fn pause(duration: Duration) {
    #[cfg(test)]
    if sim::pause(duration) {
        return;
    }
    std::thread::sleep(duration);
}

/// Returns the wall clock in milliseconds since 1970, for people to read; nothing is decided by it.
pub(crate) fn wall_millis() -> u64 {
    #[cfg(test)]
    if let Some(millis) = sim::wall_millis() {
        return millis;
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |duration| {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A small random number generator (xorshift64*), for jitter, shuffles and tokens; not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeds it from the system, so that two processes that start at once differ.
    pub(crate) fn new() -> Random {
        use std::hash::{BuildHasher, Hasher};
        #[cfg(test)]
        if let Some(seed) = sim::seed() {
            return Random::seeded(seed);
        }
        // RandomState is seeded from the system's random numbers.
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.write_u64(wall_millis());
        Random::seeded(hasher.finish())
    }

    pub(crate) fn seeded(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `bound`, or 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            0
        } else {
            (self.next() >> 11) as usize % bound
        }
    }

    /// Puts the items into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Returns between three quarters of the duration and all of it.
    pub(crate) fn jitter(&mut self, duration: Duration) -> Duration {
        let share = (self.next() >> 40) as f64 / (1u64 << 24) as f64;
        duration.mul_f64(0.75 + 0.25 * share)
    }
}

/// A wait that doubles from `least` to `greatest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    least: Duration,
    greatest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(least: Duration, greatest: Duration) -> Backoff {
        Backoff {
            least,
            greatest: greatest.max(least),
            next: least,
        }
    }

    /// Returns the wait for this time, and doubles the next.
    pub(crate) fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = (self.next * 2).min(self.greatest);
        now
    }

    /// Begins again at the least wait.
    pub(crate) fn reset(&mut self) {
        self.next = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_backwards_gives_zero() {
        let (early, late) = (Moment::at_seconds(1.0), Moment::at_seconds(3.5));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_millis(2500));
        assert_eq!(early.plus(Duration::from_millis(2500)), late);
        let before = Moment::now();
        assert!(Moment::now() >= before);
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_begins_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits: Vec<u64> = (0..5).map(|_| backoff.step().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.step().as_secs(), 1);
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_shuffles_keep_every_item() {
        let mut random = Random::new();
        let mut items: Vec<u32> = (0..100).collect();
        random.shuffle(&mut items);
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        for _ in 0..1000 {
            let wait = random.jitter(Duration::from_secs(4));
            assert!((3.0..=4.0).contains(&wait.as_secs_f64()), "{wait:?}");
        }
        assert_eq!(random.below(0), 0);
    }
}
