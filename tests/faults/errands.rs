//! The master and the worker that the processes run: numbers whose answers are known beforehand.

use std::collections::BTreeMap;

use flockwork::{BoxError, Event, Inputs, Master, Outcome, RoundNumber, Task, Worker};

/// So many tasks has a run.
pub(crate) const TASKS: u64 = 6;

pub(crate) fn input_of(number: u64) -> u64 {
    1000 + number
}

pub(crate) fn answer(input: u64) -> u64 {
    input * input + 7
}

/// Whoever is told what happens.
pub(crate) trait Ear: Send + Sync + 'static {
    fn tell(&self, text: &str);
}

/// Gives the inputs, and keeps every answer.
#[derive(Debug, Default)]
pub(crate) struct Giver {
    pub(crate) got: BTreeMap<u64, Result<u64, String>>,
}

impl Master for Giver {
    type Input = u64;
    type Output = u64;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
        Ok(round.is_first().then(|| Inputs::new((0..TASKS).map(input_of))))
    }

    fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
        let number = outcome.task.number;
        let result = outcome.result.map_err(|failure| failure.to_string());
        match self.got.insert(number, result) {
            None => Ok(()),
            Some(_) => Err(format!("task {number} was collected twice").into()),
        }
    }
}

/// Computes the answers, and tells of each execution.
pub(crate) struct Doer<E>(pub(crate) E);

impl<E: Ear> Worker for Doer<E> {
    type Input = u64;
    type Output = u64;

    fn process(&self, input: u64, task: &Task<'_>) -> Result<u64, BoxError> {
        self.0.tell(&format!("begin {}", task.id().number));
        // One that cannot be written is no reason to fail.
        let _ = task.checkpoint(&input);
        Ok(answer(input))
    }
}

/// Tells of what happens to attempts and to the store.
pub(crate) fn tell_event(ear: &impl Ear, event: &Event) {
    match event {
        Event::Started { .. }
        | Event::Accepted { .. }
        | Event::Collected { .. }
        | Event::Published { .. } => {}
        event => ear.tell(&format!("event {event:?}")),
    }
}
