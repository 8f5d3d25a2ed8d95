//! The user's master, with the bar out of its way while it may print.

use std::time::Duration;

use super::screen::Screen;
use crate::error::BoxError;
use crate::master::{Inputs, Master};
use crate::name::RoundNumber;
use crate::outcome::{Outcome, RoundSummary};

/// How many of the latest times are kept.
const KEPT: usize = 10_000;

/// A master that prints beside a bar, and whose tasks' times are kept for the summary.
#[derive(Debug)]
pub(super) struct Shown<M> {
    master: M,
    screen: Screen,
    times: Vec<Duration>,
    taken: usize,
    collected: bool,
}

impl<M> Shown<M> {
    pub(super) fn new(master: M, screen: &Screen) -> Shown<M> {
        Shown {
            master,
            screen: screen.clone(),
            times: Vec::new(),
            taken: 0,
            collected: false,
        }
    }

    /// Says whether the master was given any outcome.
    pub(super) fn was_called(&self) -> bool {
        self.collected
    }

    pub(super) fn into_inner(self) -> M {
        self.master
    }

    fn note_time(&mut self, time: Duration) {
        match self.times.get_mut(self.taken % KEPT) {
            Some(old) => *old = time,
            None => self.times.push(time),
        }
        self.taken += 1;
    }

    /// Returns the median and the 95th percentile of the times that were kept.
    pub(super) fn median_and_p95(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        Some((sorted[last / 2], sorted[last * 95 / 100]))
    }
}

impl<M: Master> Master for Shown<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<M::Input>>, BoxError> {
        let Shown { master, screen, .. } = self;
        screen.aside(|| master.create_inputs(round))
    }

    fn collect(&mut self, outcome: Outcome<M::Input, M::Output>) -> Result<(), BoxError> {
        self.collected = true;
        if outcome.result.is_ok() {
            self.note_time(outcome.elapsed);
        }
        let Shown { master, screen, .. } = self;
        screen.aside(|| master.collect(outcome))
    }

    fn end_round(&mut self, summary: &RoundSummary) -> Result<(), BoxError> {
        let Shown { master, screen, .. } = self;
        screen.aside(|| master.end_round(summary))
    }
}
