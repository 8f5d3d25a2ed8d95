//! What a run has come to so far, from the master's events; the time is given.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::lines::one_line;
use super::times;
use crate::name::{RoundNumber, TaskId};
use crate::observe::Event;
use crate::outcome::Failure;

/// The rate is that of the last so long, or of so many completions if those took longer.
const WINDOW: (Duration, u64) = (Duration::from_secs(300), 50);
/// There is no rate, and no estimate, before so many completions.
const FEWEST: u64 = 5;
/// How many causes of failure are told apart.
const MOST_CAUSES: usize = 100;

/// The figures of a run.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// How many tasks each round has so far.
    tasks: BTreeMap<RoundNumber, u64>,
    /// Whether the newest round has all its inputs.
    complete: bool,
    /// How many tasks there are in all, if somebody knows more than the store.
    total: Option<u64>,
    pub(super) ok: u64,
    pub(super) failed: u64,
    /// Outcomes of a second or later attempt.
    pub(super) redone: u64,
    /// Tasks at which somebody is, when that was last counted.
    pub(super) running: Option<u64>,
    /// Collected so far, at some times: the oldest first.
    samples: VecDeque<(Instant, u64)>,
    /// Failures by cause: how many, and the first tasks.
    causes: BTreeMap<String, (u64, Vec<TaskId>)>,
}

/// How fast it goes, and how long it will take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Tasks a second.
    pub(super) rate: f64,
    /// Until the end of the round, if all its inputs are there.
    pub(super) left: Option<Duration>,
    /// How far off that may be, if there is enough to tell.
    pub(super) give_or_take: Option<Duration>,
}

impl Board {
    /// Takes note of how many tasks there are in all, also those that are not in the store yet.
    pub(super) fn set_total(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Begins to count anew: every outcome is handed over once more.
    pub(super) fn forget_counts(&mut self) {
        (self.ok, self.failed) = (0, 0);
        self.samples.clear();
    }

    /// Takes note of what the store's status says, when no events come.
    pub(super) fn set_counts(&mut self, ok: u64, failed: u64, total: u64, now: Instant) {
        (self.ok, self.failed, self.total) = (ok, failed, Some(total));
        if self.samples.is_empty() {
            self.samples.push_back((now, ok + failed));
        }
    }

    /// Takes note of an event.
    pub(super) fn note(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Published {
                round,
                tasks,
                complete,
            } => {
                self.tasks.insert(*round, *tasks);
                self.complete = *complete;
                if self.samples.is_empty() {
                    self.samples.push_back((now, self.collected()));
                }
            }
            // What was handed over once more says nothing about the pace.
            Event::Resumed { .. } => self.samples.clear(),
            Event::Collected {
                task,
                failure,
                attempt,
            } => {
                self.redone += u64::from(*attempt > 1 && failure.is_none());
                match failure {
                    None => self.ok += 1,
                    Some(failure) => self.note_failure(*task, failure),
                }
            }
            _ => {}
        }
    }

    fn note_failure(&mut self, task: TaskId, failure: &Failure) {
        self.failed += 1;
        let mut cause = one_line(&failure.to_string());
        if self.causes.len() >= MOST_CAUSES && !self.causes.contains_key(&cause) {
            cause = "other causes".to_owned();
        }
        let (count, first) = self.causes.entry(cause).or_default();
        *count += 1;
        if first.len() < 5 {
            first.push(task);
        }
    }

    pub(super) fn collected(&self) -> u64 {
        self.ok + self.failed
    }

    /// How many tasks there are so far, in all rounds.
    pub(super) fn tasks(&self) -> u64 {
        let published = self.tasks.values().sum();
        self.total.map_or(published, |total| total.max(published))
    }

    fn is_complete(&self) -> bool {
        self.complete || self.total.is_some()
    }

    /// Whether there are tasks that have not ended.
    pub(super) fn has_work(&self) -> bool {
        self.tasks() > self.collected()
    }

    pub(super) fn rounds(&self) -> usize {
        self.tasks.len()
    }

    /// Returns the causes of failure, the most frequent first.
    pub(super) fn causes(&self) -> Vec<(&str, u64, &[TaskId])> {
        let mut causes: Vec<_> = self
            .causes
            .iter()
            .map(|(cause, (count, first))| (cause.as_str(), *count, first.as_slice()))
            .collect();
        causes.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        causes
    }

    /// Takes a sample, so that the pace can be told.
    pub(super) fn sample(&mut self, now: Instant) {
        let collected = self.collected();
        if let Some((last, _)) = self.samples.back()
            && now.saturating_duration_since(*last) >= Duration::from_secs(1)
        {
            self.samples.push_back((now, collected));
        }
        let (longest, enough) = WINDOW;
        while let [_, (second, count), ..] = self.samples.make_contiguous()
            && now.saturating_duration_since(*second) > longest
            && collected.saturating_sub(*count) >= enough
        {
            self.samples.pop_front();
        }
    }

    pub(super) fn pace(&self, now: Instant) -> Option<Pace> {
        let (begun, before) = *self.samples.front()?;
        let completions = self.collected().checked_sub(before)?;
        let seconds = now.saturating_duration_since(begun).as_secs_f64();
        if completions < FEWEST || seconds <= 0.0 {
            return None;
        }
        let rate = completions as f64 / seconds;
        let rest = self.tasks().saturating_sub(self.collected()) as f64 / rate;
        let left = Duration::try_from_secs_f64(rest)
            .ok()
            .filter(|_| self.is_complete());
        let spread = spread(&self.samples, rate);
        let give_or_take = left
            .zip(spread)
            .map(|(left, spread)| left.mul_f64(spread.min(9.0)));
        Some(Pace {
            rate,
            left,
            give_or_take,
        })
    }

    /// Returns `612/1200 51%`; a `+` says that there will be more.
    fn share(&self) -> String {
        let (collected, tasks) = (self.collected(), self.tasks());
        match self.is_complete() {
            true => format!("{collected}/{tasks} {}%", collected * 100 / tasks.max(1)),
            false => format!("{collected}/{tasks}+"),
        }
    }

    /// Returns the text beside the bar.
    pub(super) fn beside_bar(&self, now: Instant) -> String {
        let mut text = self.share();
        if let Some(running) = self.running {
            text.push_str(&format!("  {running} running"));
        }
        text.push_str(&format!("  {} failed", self.failed));
        if let Some(pace) = self.pace(now) {
            text.push_str(&format!("  {}/s", rate(pace.rate)));
            if let Some(left) = pace.left {
                let about = pace.give_or_take.map(|by| format!(" ±{}", times::short(by)));
                let (end, left) = (times::time_after(left), times::short(left));
                text.push_str(&format!("  ETA {end} ({left}{})", about.unwrap_or_default()));
            }
        }
        text
    }

    /// Returns the progress line for a log: below 80 characters.
    pub(super) fn line(&self, now: Instant) -> String {
        let mut line = format!("{} {}", times::time_of_day(), self.share());
        if let Some(running) = self.running {
            line.push_str(&format!(" running={running}"));
        }
        line.push_str(&format!(" failed={}", self.failed));
        if let Some(pace) = self.pace(now) {
            line.push_str(&format!(" rate={}/s", rate(pace.rate)));
            if let Some(left) = pace.left {
                line.push_str(&format!(" eta={}", times::time_after(left)));
            }
        }
        line.truncate(79);
        line
    }
}

/// Returns how uncertain the rate is, as a share of it: the standard error of the rates of some bins of time.
///
/// Bins of 30 s, or shorter ones if there are not yet six of them.
fn spread(samples: &VecDeque<(Instant, u64)>, rate: f64) -> Option<f64> {
    const BIN: Duration = Duration::from_secs(30);
    const FEWEST_BINS: usize = 3;
    let (first, last) = (samples.front()?.0, samples.back()?.0);
    let bin = BIN.min(last.saturating_duration_since(first) / 6);
    let mut rates = Vec::new();
    let (mut since, mut before) = *samples.front()?;
    for (at, count) in samples.iter().skip(1) {
        let took = at.saturating_duration_since(since);
        if took >= bin && !took.is_zero() {
            rates.push(count.saturating_sub(before) as f64 / took.as_secs_f64());
            (since, before) = (*at, *count);
        }
    }
    if rates.len() < FEWEST_BINS || rate <= 0.0 {
        return None;
    }
    let bins = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / bins;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (bins - 1.0);
    Some((variance / bins).sqrt() / rate)
}

fn rate(rate: f64) -> String {
    match rate {
        10.0.. => format!("{rate:.0}"),
        0.1.. => format!("{rate:.1}"),
        _ => format!("{rate:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FailureKind;

    fn collected(number: u64, failure: Option<&str>) -> Event {
        Event::Collected {
            task: TaskId {
                round: RoundNumber::FIRST,
                number,
            },
            failure: failure.map(|text| Failure::new(FailureKind::Error, text)),
            attempt: 1,
        }
    }

    fn published(tasks: u64, complete: bool) -> Event {
        Event::Published {
            round: RoundNumber::FIRST,
            tasks,
            complete,
        }
    }

    #[test]
    fn the_pace_needs_five_completions_and_all_inputs() {
        let begun = Instant::now();
        let now = begun + Duration::from_secs(10);
        let mut board = Board::default();
        board.note(&published(100, false), begun);
        for number in 0..4 {
            board.note(&collected(number, None), now);
        }
        assert_eq!(board.pace(now), None);
        board.note(&collected(4, None), now);
        let pace = board.pace(now).unwrap();
        assert_eq!((pace.rate, pace.left), (0.5, None));
        assert!(
            board.line(now).contains(" 5/100+ failed=0 rate=0.5/s"),
            "{}",
            board.line(now)
        );
        board.note(&published(100, true), now);
        assert_eq!(board.pace(now).unwrap().left, Some(Duration::from_secs(190)));
        assert!(board.line(now).contains("5/100 5%"), "{}", board.line(now));
    }

    #[test]
    fn the_estimate_says_how_far_off_it_may_be() {
        let begun = Instant::now();
        let run = |rate_of: &dyn Fn(u64) -> u64| {
            let mut board = Board::default();
            board.note(&published(100_000, true), begun);
            for second in 1..=200 {
                for number in 0..rate_of(second) {
                    board.note(&collected(number, None), begun);
                }
                board.sample(begun + Duration::from_secs(second));
            }
            board.pace(begun + Duration::from_secs(200)).unwrap()
        };
        let even = run(&|_| 10);
        assert!(even.give_or_take.unwrap() < Duration::from_secs(2), "{even:?}");
        // A minute of twenty, a minute of none.
        let uneven = run(&|second| if second / 60 % 2 == 0 { 20 } else { 0 });
        let (left, by) = (uneven.left.unwrap(), uneven.give_or_take.unwrap());
        assert!(by > left / 10 && by < left, "{uneven:?}");
    }

    #[test]
    fn tasks_that_are_not_published_yet_count_if_they_are_known() {
        let mut board = Board::default();
        board.set_total(500);
        board.note(&published(100, false), Instant::now());
        assert_eq!(board.tasks(), 500);
        assert!(board.line(Instant::now()).contains(" 0/500 0%"));
    }

    #[test]
    fn what_was_there_already_says_nothing_about_the_pace() {
        let begun = Instant::now();
        let mut board = Board::default();
        for number in 0..50 {
            board.note(&collected(number, None), begun);
        }
        board.note(&Event::Resumed { outcomes: 50 }, begun);
        board.note(&published(100, true), begun);
        assert!(board.has_work());
        assert_eq!(board.pace(begun + Duration::from_secs(60)), None);
    }

    #[test]
    fn the_window_forgets_old_samples() {
        let begun = Instant::now();
        let mut board = Board::default();
        board.note(&published(10_000, true), begun);
        for second in 1..=1000 {
            // The first hundred seconds are slow.
            let tasks = if second <= 100 { 1 } else { 10 };
            for number in 0..tasks {
                board.note(&collected(number, None), begun);
            }
            board.sample(begun + Duration::from_secs(second));
        }
        let pace = board.pace(begun + Duration::from_secs(1000)).unwrap();
        assert!((pace.rate - 10.0).abs() < 0.1, "{pace:?}");
        assert!(board.samples.len() < 400, "{}", board.samples.len());
    }

    #[test]
    fn failures_are_grouped_by_cause() {
        let mut board = Board::default();
        for number in 0..9 {
            let text = if number % 3 == 0 { "no disk" } else { "no luck" };
            board.note(&collected(number, Some(text)), Instant::now());
        }
        let causes = board.causes();
        assert_eq!((causes[0].0, causes[0].1), ("error: no luck", 6));
        assert_eq!((causes[1].0, causes[1].2[1].number), ("error: no disk", 3));
    }

    #[test]
    fn a_line_is_never_wider_than_a_terminal() {
        let mut board = Board {
            running: Some(u64::MAX / 1000),
            ..Board::default()
        };
        board.note(&published(1_000_000_000_000, true), Instant::now());
        board.failed = 999_999_999_999;
        assert!(board.line(Instant::now()).len() < 80);
    }
}
