//! The master of a sweep: takes its tasks from the rows in the store, and counts what they end with.

use std::ops::Range;

use flockwork::app::Screen;
use flockwork::{BoxError, How, Inputs, Master, Outcome, RoundNumber, Store, TaskState};

use crate::sweep::rows::Rows;
use crate::sweep::spec::Sweep;
use crate::tally::{self, Tally};
use crate::task::{Report, Row};
use crate::words;

/// Failures beyond so many are only counted.
const MOST_FAILURES: u64 = 20;

/// The master of a sweep.
pub(crate) struct SweepMaster {
    store: Store,
    sweep: Sweep,
    /// Where failed tasks are told of, if they are.
    screen: Option<Screen>,
    /// Tasks that had failed before: they are handed over again, and are no news.
    failed_before: Vec<Range<u64>>,
    /// Tasks that have failed since.
    failed_now: u64,
    pub(crate) tally: Tally,
}

impl SweepMaster {
    pub(crate) fn new(store: &Store, sweep: Sweep, screen: Option<Screen>) -> SweepMaster {
        SweepMaster {
            store: store.clone(),
            sweep,
            screen,
            failed_before: failed_before(store),
            failed_now: 0,
            tally: Tally::default(),
        }
    }

    fn tell(&self, outcome: &Outcome<Row, Report>) {
        let (Some(screen), Err(failure)) = (&self.screen, &outcome.result) else {
            return;
        };
        match self.failed_now {
            ..=MOST_FAILURES => {}
            failed if failed == MOST_FAILURES + 1 => {
                return screen.line("FAIL  more failures are counted, and shown at the end");
            }
            _ => return,
        }
        let parameters = words::parameters(&self.sweep.columns, &outcome.input.values);
        let host = match host_of(&outcome.worker) {
            "" => String::new(),
            host => format!("  {host}"),
        };
        screen.line(&format!(
            "FAIL  {}  {parameters}{host}  {}  attempt {}",
            outcome.task,
            tally::cause(failure),
            outcome.attempt
        ));
    }
}

/// Returns which tasks have failed by now; what cannot be read counts as news later.
fn failed_before(store: &Store) -> Vec<Range<u64>> {
    let spans = store.states().into_iter().flatten().flatten();
    spans
        .filter(|span| matches!(span.state, TaskState::Failed { .. }))
        .map(|span| span.first.number..span.first.number + span.tasks)
        .collect()
}

/// Returns the host in a worker's name, `HOST-PID-RANDOM`.
pub(crate) fn host_of(worker: &str) -> &str {
    let mut parts = worker.rsplitn(3, '-');
    parts.nth(2).unwrap_or_default()
}

impl Master for SweepMaster {
    type Input = Row;
    type Output = Report;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Row>>, BoxError> {
        if !round.is_first() {
            return Ok(None);
        }
        let rows = Rows::open(self.store.path());
        Ok(Some(Inputs::try_new(rows.iter_from(0)?).open_ended()))
    }

    fn collect(&mut self, outcome: Outcome<Row, Report>) -> Result<(), BoxError> {
        self.tally.add(&outcome);
        let number = outcome.task.number;
        let is_news = !self.failed_before.iter().any(|tasks| tasks.contains(&number));
        if outcome.result.is_err() && is_news {
            self.failed_now += 1;
            self.tell(&outcome);
            if self.sweep.limits.max_failures == Some(self.failed_now) {
                let failed = words::tasks(self.failed_now);
                let why = format!("{failed} failed, and that is the most allowed");
                self.store.stop(How::Now, &why)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_the_beginning_of_the_workers_name() {
        assert_eq!(host_of("node-17.x-812-3f2a"), "node-17.x");
        assert_eq!(host_of(""), "");
    }
}
