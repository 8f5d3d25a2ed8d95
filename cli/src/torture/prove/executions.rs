//! No task is run more often than once, and once more for each fault that its input file suffered. Pure.
//!
//! A fault is an attempt that failed, was given back, was given up by somebody, took longer than half a lease, or has
//! no end in the notes of its worker, which was killed; and a lock file that was removed by hand. That an outcome was
//! dropped is none: two who claim the same attempt would be taken for well else.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::torture::notes::Note;
use crate::torture::verdict::{Broken, Promise};

/// Round and number of an input file, or of a task.
type Place = (u32, u64);

/// What the notes of workers tell of executions.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    current: Option<Attempt>,
    /// How often each task was run, and in which input file it is.
    runs: BTreeMap<Place, (u64, u64)>,
    faults: HashMap<Place, u64>,
    /// Attempts without a fault of their own, by number: somebody may have given them up.
    fine: HashMap<(Place, u32), u64>,
    lost: HashSet<(Place, u32)>,
    accepted: HashMap<Place, u64>,
}

/// An attempt, as far as its worker has noted it.
#[derive(Debug)]
struct Attempt {
    file: Place,
    number: u32,
    ended: bool,
    fault: bool,
}

impl Judgement {
    /// The notes of another process begin.
    pub(super) fn begin(&mut self) {
        self.end();
    }

    /// They have ended.
    pub(super) fn end(&mut self) {
        let Some(attempt) = self.current.take() else {
            return;
        };
        match attempt.ended && !attempt.fault {
            true => *self.fine.entry((attempt.file, attempt.number)).or_default() += 1,
            false => self.fault(attempt.file),
        }
    }

    pub(super) fn take(&mut self, note: &Note) {
        match *note {
            Note::Attempt { round, stem, attempt } => {
                self.end();
                self.current = Some(Attempt {
                    file: (round, stem),
                    number: attempt,
                    ended: false,
                    fault: false,
                });
            }
            Note::Remove { round, stem } => self.fault((round, stem)),
            Note::Lost { round, stem, attempt } => {
                self.lost.insert(((round, stem), attempt));
            }
            _ => self.take_within(note),
        }
    }

    fn take_within(&mut self, note: &Note) {
        let Some(attempt) = &mut self.current else { return };
        match note {
            Note::Begin { task } => {
                let (round, stem) = attempt.file;
                self.runs.entry((round, *task)).or_insert((0, stem)).0 += 1;
            }
            Note::End { ok: false } | Note::Late | Note::Failed | Note::Back => attempt.fault = true,
            Note::Accepted => {
                attempt.ended = true;
                *self.accepted.entry(attempt.file).or_default() += 1;
            }
            Note::Discarded => attempt.ended = true,
            _ => {}
        }
    }

    fn fault(&mut self, file: Place) {
        *self.faults.entry(file).or_default() += 1;
    }

    /// Returns how many executions there were, and how many of them were not the first of their task.
    pub(super) fn counts(&self) -> (u64, u64) {
        let all: u64 = self.runs.values().map(|(runs, _)| runs).sum();
        (all, all - self.runs.len() as u64)
    }

    /// Returns what was run too often.
    pub(super) fn broken(&self) -> impl Iterator<Item = Broken> {
        let mut faults = self.faults.clone();
        for (file, attempt) in &self.lost {
            *faults.entry(*file).or_default() += self.fine.get(&(*file, *attempt)).copied().unwrap_or(0);
        }
        let too_often = self
            .runs
            .iter()
            .filter_map(move |(&(round, task), &(runs, stem))| {
                let most = 1 + faults.get(&(round, stem)).copied().unwrap_or(0);
                let what = format!("it was run {runs} times, with faults for {most} at most");
                (runs > most).then(|| Broken::new(Promise::Executions, &format!("{round}/{task:07}"), what))
            });
        let twice = self.accepted.iter().filter(|(_, count)| **count > 1);
        let twice = twice.map(|((round, stem), count)| {
            let what = format!("{count} attempts were told that their outcome was accepted");
            Broken::new(Promise::Answers, &format!("{round}/{stem:07}"), what)
        });
        too_often.chain(twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: Note = Note::Attempt {
        round: 0,
        stem: 4,
        attempt: 1,
    };
    const SECOND: Note = Note::Attempt {
        round: 0,
        stem: 4,
        attempt: 2,
    };
    const RUN: Note = Note::Begin { task: 5 };
    const WELL: Note = Note::End { ok: true };
    const LOST: Note = Note::Lost {
        round: 0,
        stem: 4,
        attempt: 1,
    };

    fn broken(files: &[&[Note]]) -> Vec<String> {
        let mut judgement = Judgement::default();
        for file in files {
            judgement.begin();
            file.iter().for_each(|note| judgement.take(note));
            judgement.end();
        }
        judgement.broken().map(|broken| broken.to_string()).collect()
    }

    #[test]
    fn each_fault_allows_for_one_more_execution_and_no_fault_for_none() {
        let second = [SECOND, RUN, WELL, Note::Accepted];
        let too_often = ["executions: 0/0000005: it was run 2 times, with faults for 1 at most"];
        // Two who have claimed without a fault: one is told that the other was first.
        let claimed_twice = [ATTEMPT, RUN, WELL, Note::Discarded];
        assert_eq!(broken(&[&claimed_twice, &second]), too_often);
        // The same, when somebody has given the first up.
        assert_eq!(broken(&[&claimed_twice, &second, &[LOST]]), [""; 0]);
        let remove = Note::Remove { round: 0, stem: 4 };
        assert_eq!(broken(&[&claimed_twice, &second, &[remove]]), [""; 0]);
        // Another file's fault does not count.
        let other = Note::Remove { round: 1, stem: 4 };
        assert_eq!(broken(&[&claimed_twice, &second, &[other]]), too_often);
        for first in [
            // Killed in the middle, after the end, before the outcome was accepted.
            vec![ATTEMPT, RUN],
            vec![ATTEMPT, RUN, WELL],
            vec![ATTEMPT, RUN, Note::End { ok: false }, Note::Failed],
            vec![ATTEMPT, RUN, WELL, Note::Late, Note::Discarded],
            vec![ATTEMPT, RUN, WELL, Note::Back],
        ] {
            assert_eq!(broken(&[&first, &second]), [""; 0], "{first:?}");
            assert_eq!(broken(&[&first, &second, &claimed_twice]).len(), 1, "{first:?}");
        }
    }

    #[test]
    fn an_attempt_that_ended_and_was_given_up_counts_once() {
        let failed = [ATTEMPT, RUN, Note::End { ok: false }, Note::Failed];
        let again = [SECOND, RUN, WELL, Note::Discarded];
        let once_more = [SECOND, RUN, WELL, Note::Accepted];
        assert_eq!(broken(&[&failed, &[LOST], &again, &once_more]).len(), 1);
    }

    #[test]
    fn two_accepted_outcomes_of_one_input_file_are_found() {
        let accepted = [ATTEMPT, RUN, WELL, Note::Accepted];
        let killed = [SECOND, RUN, WELL, Note::Late, Note::Accepted];
        let found = broken(&[&accepted, &killed]);
        assert_eq!(
            found,
            ["answers: 0/0000004: 2 attempts were told that their outcome was accepted"]
        );
    }
}
