//! The master: makes the errands of a plan, and checks each answer that it is handed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber};

use super::notes::{Note, Notes};
use super::plan::{Carry, Errand, Plan};
use super::setup::{ENOUGH, Site, names};
use super::verdict::{Broken, Promise};

/// The library's master. What is wrong is noted, and the run goes on with the right answer: one mistake should not
/// hide the next.
#[derive(Debug)]
pub(super) struct Planner {
    plan: Plan,
    site: Site,
    rounds: PathBuf,
    notes: Arc<Notes>,
    round: u32,
    /// What the round before has handed to this one.
    before: Carry,
    /// What this round has come to so far.
    carry: Carry,
    seen: Vec<bool>,
}

impl Planner {
    pub(super) fn new(plan: Plan, store: &std::path::Path, notes: Arc<Notes>) -> Planner {
        Planner {
            plan,
            site: Site::of(store),
            rounds: store.join("rounds"),
            notes,
            round: 0,
            before: Carry::default(),
            carry: Carry::default(),
            seen: Vec::new(),
        }
    }

    /// Once it is enough, the rounds that stand are ended and no other is begun.
    fn has_round(&self, round: u32) -> io::Result<bool> {
        Ok(!self.site.has(ENOUGH)? || names(&self.rounds)?.contains(&format!("{round:06}")))
    }

    fn broken(&self, place: &str, what: impl Into<String>) {
        self.notes
            .note(&Note::Broken(Broken::new(Promise::Answers, place, what)));
    }
}

impl Master for Planner {
    type Input = Errand;
    type Output = u64;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Errand>>, BoxError> {
        if !round.is_first() {
            let missing = self.plan.tasks - self.seen.iter().filter(|seen| **seen).count() as u64;
            if missing > 0 {
                let what = format!("the master was not handed the outcomes of {missing} tasks of this round");
                self.broken(&format!("round {}", self.round), what);
            }
        }
        self.round = round.get();
        if !self.has_round(self.round)? {
            return Ok(None);
        }
        self.before = std::mem::take(&mut self.carry);
        self.seen = vec![false; usize::try_from(self.plan.tasks)?];
        Ok(Some(Inputs::new(self.plan.errands(self.round, self.before))))
    }

    fn collect(&mut self, outcome: Outcome<Errand, u64>) -> Result<(), BoxError> {
        let task = outcome.task.to_string();
        let errand = self.plan.errand(self.round, self.before, outcome.task.number);
        let at = usize::try_from(outcome.task.number)?;
        match self.seen.get_mut(at).map(|seen| std::mem::replace(seen, true)) {
            Some(false) if outcome.task.round.get() == self.round => {}
            Some(_) => self.broken(
                &task,
                "the master was handed its outcome twice, or in another round",
            ),
            None => self.broken(&task, "there is no such task"),
        }
        if outcome.input != errand {
            self.broken(&task, "its input is not the one that was made");
        }
        match outcome.result {
            Ok(answer) if answer == errand.answer() => {}
            Ok(_) => self.broken(&task, "its answer is not the answer to its input"),
            Err(failure) => self.broken(&task, format!("it failed for good: {failure}")),
        }
        self.carry = self.carry.with(errand.answer());
        match self.notes.trouble() {
            None => Ok(()),
            Some(error) => Err(format!("notes cannot be written: {error}").into()),
        }
    }
}
