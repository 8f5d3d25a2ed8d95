//! What the journals tell of the pace: how fast tasks end, how long they take, and how busy the workers are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use flockwork::{JournalEntry, JournalOutcome, Store};

/// The pace is that of the last five minutes, or of the last 50 tasks if those took longer.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);
const LATEST: usize = 50;
/// There is no pace before so many tasks have ended.
const FEWEST: u64 = 5;
const BIN: Duration = Duration::from_secs(30);
const BINS: usize = 10;
const FEWEST_BINS: usize = 3;
/// Errors that are kept; the rest are of the same kind.
const MOST_ERRORS: usize = 3;

/// What the journals of a store say, as seen at one moment.
#[derive(Debug, Default)]
pub(crate) struct Journals {
    now: u64,
    /// How many attempts a task has, so that its last failure ends it.
    attempts: u32,
    times: Times,
    pub(crate) workers: BTreeMap<Arc<str>, Worker>,
    window: Span,
    bins: [u64; BINS],
    latest: BinaryHeap<Reverse<(u64, u64, u64)>>,
    /// When the last attempt ended, in milliseconds since 1970.
    pub(crate) last_ms: Option<u64>,
    /// Journals that cannot be read, or lines that are none.
    pub(crate) troubles: Vec<String>,
}

/// Tasks that ended within a span of time.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    tasks: u64,
    began_ms: Option<u64>,
}

impl Span {
    fn add(&mut self, tasks: u64, began_ms: u64) {
        self.tasks += tasks;
        self.began_ms = Some(self.began_ms.map_or(began_ms, |before| before.min(began_ms)));
    }
}

/// What a worker has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Worker {
    /// Tasks with an output.
    pub(crate) ok: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// How long its attempts took together.
    pub(crate) busy: Duration,
    /// The same, within the window.
    pub(crate) busy_lately: Duration,
    /// When its first attempt began, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// When its last one ended.
    pub(crate) last_ms: u64,
}

/// How fast tasks end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Tasks a second.
    pub(crate) rate: f64,
    /// How uncertain that is, as a share of it.
    pub(crate) spread: Option<f64>,
}

impl Journals {
    /// Reads all journals of a store; what cannot be read is told in `troubles`.
    pub(crate) fn read(store: &Store, now: u64) -> Journals {
        let mut journals = Journals::new(now, attempts_allowed(store));
        match store.journal() {
            Ok(mut entries) => {
                for entry in entries.by_ref() {
                    match entry {
                        Ok(entry) => journals.add(&entry),
                        Err(error) if journals.troubles.len() < MOST_ERRORS => {
                            journals.troubles.push(error.to_string());
                        }
                        Err(_) => {}
                    }
                }
                if entries.skipped() > 0 {
                    let text = format!("{} lines of the journals make no sense", entries.skipped());
                    journals.troubles.push(text);
                }
            }
            Err(error) => journals.troubles.push(error.to_string()),
        }
        journals
    }

    fn new(now: u64, attempts: u32) -> Journals {
        Journals {
            now,
            attempts,
            ..Journals::default()
        }
    }

    fn add(&mut self, entry: &JournalEntry) {
        let run_ms = u64::try_from(entry.run.as_millis()).unwrap_or(u64::MAX);
        let began_ms = entry.ended_ms.saturating_sub(run_ms);
        self.last_ms = self.last_ms.max(Some(entry.ended_ms));
        let ok = entry.outcome == JournalOutcome::Ok;
        let failed = entry.outcome == JournalOutcome::Fail;
        self.add_to_worker(entry, began_ms);
        if ok && entry.tasks > 0 {
            let each = entry.run.div_f64(entry.tasks as f64);
            self.times.add(each, entry.tasks);
        }
        let ended = ok || (failed && entry.attempt >= self.attempts);
        if ended && entry.tasks > 0 {
            self.add_to_pace(entry.tasks, began_ms, entry.ended_ms);
        }
    }

    fn add_to_worker(&mut self, entry: &JournalEntry, began_ms: u64) {
        let lately = self.lately(began_ms, entry.ended_ms);
        let worker = match self.workers.get_mut(&entry.worker) {
            Some(worker) => worker,
            None => self.workers.entry(Arc::clone(&entry.worker)).or_insert(Worker {
                began_ms,
                ..Worker::default()
            }),
        };
        match entry.outcome {
            JournalOutcome::Ok => worker.ok += entry.tasks,
            JournalOutcome::Fail => worker.failed += 1,
            _ => {}
        }
        worker.busy = worker.busy.saturating_add(entry.run);
        worker.busy_lately += lately;
        worker.began_ms = worker.began_ms.min(began_ms);
        worker.last_ms = worker.last_ms.max(entry.ended_ms);
    }

    fn add_to_pace(&mut self, tasks: u64, began_ms: u64, ended_ms: u64) {
        let age = Duration::from_millis(self.now.saturating_sub(ended_ms));
        if age < WINDOW {
            self.window.add(tasks, began_ms);
            let bin = usize::try_from(age.as_secs() / BIN.as_secs()).unwrap_or(BINS);
            if let Some(bin) = self.bins.get_mut(bin) {
                *bin += tasks;
            }
        }
        self.latest.push(Reverse((ended_ms, began_ms, tasks)));
        if self.latest.len() > LATEST {
            self.latest.pop();
        }
    }

    /// Returns how much of an attempt lies in the window.
    pub(crate) fn lately(&self, began_ms: u64, ended_ms: u64) -> Duration {
        let window_ms = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let since = self.now.saturating_sub(window_ms).max(began_ms);
        Duration::from_millis(ended_ms.min(self.now).saturating_sub(since))
    }

    /// Returns how fast tasks end now.
    pub(crate) fn pace(&self) -> Option<Pace> {
        let mut span = self.window;
        let in_window = span.tasks >= LATEST as u64;
        if !in_window {
            span = Span::default();
            for Reverse((_, began_ms, tasks)) in &self.latest {
                span.add(*tasks, *began_ms);
            }
        }
        if span.tasks < FEWEST {
            return None;
        }
        let since = Duration::from_millis(self.now.saturating_sub(span.began_ms?));
        let took = if in_window { since.min(WINDOW) } else { since };
        let rate = span.tasks as f64 / took.as_secs_f64();
        let full = usize::try_from(took.as_secs() / BIN.as_secs()).unwrap_or(BINS);
        let spread = in_window.then(|| spread(&self.bins[..full.min(BINS)])).flatten();
        rate.is_finite().then_some(Pace { rate, spread })
    }

    /// Returns the median of the times that tasks with an output took.
    pub(crate) fn median(&self) -> Option<Duration> {
        self.times.quantile(0.5)
    }

    /// Returns the time that 95 % of them did not exceed.
    pub(crate) fn p95(&self) -> Option<Duration> {
        self.times.quantile(0.95)
    }
}

/// Returns how uncertain a rate is, as a share of it: the standard error of the counts of bins of equal length.
fn spread(bins: &[u64]) -> Option<f64> {
    if bins.len() < FEWEST_BINS {
        return None;
    }
    let count = bins.len() as f64;
    let mean = bins.iter().sum::<u64>() as f64 / count;
    let variance = bins.iter().map(|bin| (*bin as f64 - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean > 0.0).then(|| (variance / count).sqrt() / mean)
}

/// Returns how many attempts a task has that fails each time.
fn attempts_allowed(store: &Store) -> u32 {
    let settings = serde_json::to_value(store.config()).unwrap_or_default();
    let retries = settings.get("retries").and_then(serde_json::Value::as_u64);
    u32::try_from(retries.unwrap_or(2)).map_or(u32::MAX, |retries| retries.saturating_add(1))
}

/// How often which time was measured, to one percent: so the memory does not grow with the tasks.
#[derive(Debug, Default)]
struct Times {
    counts: BTreeMap<u16, u64>,
    total: u64,
}

const STEP: f64 = 1.01;

impl Times {
    fn add(&mut self, time: Duration, tasks: u64) {
        let nanos = time.as_nanos().max(1) as f64;
        // At most 44 / ln(1.01), for the nanoseconds of five hundred years.
        let step = (nanos.ln() / STEP.ln()).round() as u16;
        *self.counts.entry(step).or_default() += tasks;
        self.total += tasks;
    }

    fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.total.checked_sub(1)? as f64 * share) as u64;
        let mut before = 0;
        for (step, count) in &self.counts {
            before += count;
            if before > wanted {
                let nanos = STEP.powi(i32::from(*step));
                return Duration::try_from_secs_f64(nanos / 1e9).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
