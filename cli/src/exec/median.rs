//! The running median of how long tasks take, from which a timeout may follow.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many must have ended before the median counts.
const LEAST: usize = 10;
/// So many of the latest are looked at; a sweep may get slower as it goes.
const MOST: usize = 255;

/// The median of the latest times; shared by all slots of a worker.
#[derive(Debug, Default)]
pub(crate) struct Median(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    latest: Vec<Duration>,
    /// Where the next one goes once the list is full.
    next: usize,
    /// Known until another time comes in.
    median: Option<Duration>,
}

impl Median {
    /// Takes in how long a task took that is ok.
    pub(crate) fn add(&self, time: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.latest.len() < MOST {
            times.latest.push(time);
        } else {
            let next = times.next;
            times.latest[next] = time;
            times.next = (next + 1) % MOST;
        }
        times.median = None;
    }

    /// Takes in what others have measured.
    pub(crate) fn seed(&self, times: impl IntoIterator<Item = Duration>) {
        times.into_iter().for_each(|time| self.add(time));
    }

    /// Returns the median; `None` while too few tasks are done.
    pub(crate) fn get(&self) -> Option<Duration> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.latest.len() < LEAST {
            return None;
        }
        if times.median.is_none() {
            let mut sorted = times.latest.clone();
            let middle = sorted.len() / 2;
            times.median = Some(*sorted.select_nth_unstable(middle).1);
        }
        times.median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        times.into_iter().map(Duration::from_secs).collect()
    }

    #[test]
    fn it_counts_once_ten_are_done() {
        let median = Median::default();
        median.seed(seconds(1..=9));
        assert_eq!(median.get(), None);
        median.add(Duration::from_secs(1_000));
        assert_eq!(median.get(), Some(Duration::from_secs(6)));
    }

    #[test]
    fn it_follows_the_latest() {
        let median = Median::default();
        median.seed(seconds([1; 400]));
        assert_eq!(median.get(), Some(Duration::from_secs(1)));
        median.seed(seconds([9; 128]));
        assert_eq!(median.get(), Some(Duration::from_secs(9)));
    }
}
