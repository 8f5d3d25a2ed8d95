//! What an attempt takes over from the one before: whole records, and which task killed its worker.

use std::collections::BTreeSet;
use std::io;

use crate::fs::{is_closed_to_us, is_foreign, is_gone};
use crate::layout::{self, Kind};
use crate::name::{Attempt, Stem};
use crate::record::{self, AttemptHeader, RecordKind};
use crate::store::{Claim, SecondLook, Store, attempts_up_to, is_last_failure};

/// The order in which the tasks of a batch are run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Positions in the batch; those at which earlier attempts were lost come last.
    pub(super) order: Vec<u32>,
    /// So many others have failed in earlier attempts and are not to be tried again.
    pub(super) failed_for_good: u64,
}

impl Plan {
    fn new(tasks: u32, done: &BTreeSet<u32>, suspects: &[u32]) -> Plan {
        let open = |index: &u32| !done.contains(index);
        let suspected = |index: &u32| suspects.contains(index);
        let mut order: Vec<u32> = (0..tasks)
            .filter(|index| open(index) && !suspected(index))
            .collect();
        order.extend(suspects.iter().filter(|index| open(index) && **index < tasks));
        Plan {
            order,
            failed_for_good: 0,
        }
    }

    /// All tasks of a first attempt.
    pub(super) fn whole(tasks: u32) -> Plan {
        Plan {
            order: (0..tasks).collect(),
            failed_for_good: 0,
        }
    }

    /// The positions from this one on, in the order in which they are run.
    pub(super) fn from(&self, index: u32) -> Vec<u32> {
        let rest = self.order.iter().skip_while(|other| **other != index);
        rest.copied().collect()
    }
}

/// Copies the outputs that earlier attempts have left into the claim, and the failures of tasks that are not to be
/// tried again; says what is to be run.
///
/// The attempt before has usually copied what was there before it; where it had no time for that, the one before
/// that is asked, and so on.
pub(super) fn take_over(
    store: &Store,
    claim: &mut Claim,
    stem: Stem,
    tasks: u32,
    look: &SecondLook,
) -> io::Result<Plan> {
    let mut before = Before::default();
    let before_it = Attempt(claim.attempt().0.saturating_sub(1));
    for earlier in attempts_up_to(claim.dir(), stem, before_it)?.into_iter().rev() {
        let mut bytes = Vec::new();
        let name = layout::attempt_name(&stem.to_string(), earlier, Kind::Lock);
        match claim.dir().read(&name, store.file_limit(), &mut bytes) {
            Ok(()) => {}
            // Removed by hand, planted, or another user's alone: there is nothing to be taken from it.
            Err(error) if is_gone(&error) || is_foreign(&error) || is_closed_to_us(&error) => continue,
            Err(error) => return Err(error),
        }
        // Granted new attempts, every task that has no output is tried again.
        let keeps_failures = Some(earlier) > look.again;
        before.read(&bytes, tasks, keeps_failures, claim.content());
        if !before.ended.is_empty() || !before.suspects.is_empty() {
            break;
        }
    }
    let mut suspects = before.suspects.clone();
    if look.was_lost && tasks > 1 {
        // The first task of its order without a record is the one at which it was lost.
        let order = Plan::new(tasks, &before.ended, &suspects).order;
        let killer = order.into_iter().find(|index| !before.failed.contains(index));
        suspects.extend(killer.filter(|killer| !before.suspects.contains(killer)));
    }
    if !suspects.is_empty() {
        claim.note_suspects(&suspects);
    }
    Ok(Plan {
        failed_for_good: before.failed_for_good,
        ..Plan::new(tasks, &before.ended, &suspects)
    })
}

/// What the records of earlier attempts tell.
#[derive(Debug, Default)]
struct Before {
    /// Those with an output, and those that are not to be tried again.
    ended: BTreeSet<u32>,
    failed_for_good: u64,
    failed: BTreeSet<u32>,
    suspects: Vec<u32>,
}

impl Before {
    /// Reads the records of one attempt, and copies what ended a task.
    fn read(&mut self, bytes: &[u8], tasks: u32, keeps_failures: bool, copy: &mut Vec<u8>) {
        for frame in record::frames(bytes).map_while(Result::ok) {
            match frame.kind {
                RecordKind::Attempt => {
                    if let Some(header) = record::from_json::<AttemptHeader>(&frame) {
                        self.suspects = header.suspects;
                    }
                }
                RecordKind::Output if frame.index < tasks => {
                    let is_new = self.ended.insert(frame.index);
                    copy.extend_from_slice(if is_new { frame.raw } else { &[] });
                }
                RecordKind::Failure if frame.index < tasks && keeps_failures && is_last_failure(&frame) => {
                    let is_new = self.ended.insert(frame.index);
                    copy.extend_from_slice(if is_new { frame.raw } else { &[] });
                    self.failed_for_good += u64::from(is_new);
                }
                // New attempts were granted after it.
                RecordKind::Failure if is_last_failure(&frame) => {}
                RecordKind::Failure => drop(self.failed.insert(frame.index)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspects_come_last_and_what_is_done_not_at_all() {
        let done = BTreeSet::from([0, 3]);
        assert_eq!(Plan::new(6, &done, &[2, 3, 9]).order, [1, 4, 5, 2]);
        assert_eq!(Plan::whole(3).order, [0, 1, 2]);
    }
}
