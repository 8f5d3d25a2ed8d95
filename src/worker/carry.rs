//! What an attempt takes over from the one before: whole records, and which task killed its worker.

use std::collections::BTreeSet;
use std::io;

use crate::fs::{is_gone, is_no_file};
use crate::layout::{self, Kind};
use crate::name::{Attempt, Stem};
use crate::record::{self, AttemptHeader, RecordKind};
use crate::store::{Claim, Store};

/// The order in which the tasks of a batch are run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Positions in the batch; those at which earlier attempts were lost come last.
    pub(super) order: Vec<u32>,
}

impl Plan {
    fn new(tasks: u32, done: &BTreeSet<u32>, suspects: &[u32]) -> Plan {
        let open = |index: &u32| !done.contains(index);
        let suspected = |index: &u32| suspects.contains(index);
        let mut order: Vec<u32> = (0..tasks)
            .filter(|index| open(index) && !suspected(index))
            .collect();
        order.extend(suspects.iter().filter(|index| open(index) && **index < tasks));
        Plan { order }
    }

    /// All tasks of a first attempt.
    pub(super) fn whole(tasks: u32) -> Plan {
        Plan {
            order: (0..tasks).collect(),
        }
    }
}

/// What the records of an attempt tell.
#[derive(Debug, Default)]
struct Before {
    outputs: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    suspects: Vec<u32>,
}

/// Copies the outputs that the attempt before has left into the claim, and says what is to be run.
pub(super) fn take_over(
    store: &Store,
    claim: &mut Claim,
    stem: Stem,
    tasks: u32,
    was_lost: bool,
) -> io::Result<Plan> {
    let before = Attempt(claim.attempt().0 - 1);
    let name = layout::attempt_name(&stem.to_string(), before, Kind::Lock);
    let mut bytes = Vec::new();
    match claim.dir().read(&name, store.file_limit(), &mut bytes) {
        Ok(()) => {}
        // Removed by hand, or planted: then everything is run again.
        Err(error)
            if is_gone(&error) || is_no_file(&error) || error.kind() == io::ErrorKind::FileTooLarge =>
        {
            return Ok(Plan::whole(tasks));
        }
        Err(error) => return Err(error),
    }
    let mut seen = Before::default();
    for frame in record::frames(&bytes).map_while(Result::ok) {
        match frame.kind {
            RecordKind::Attempt => {
                if let Some(header) = record::from_json::<AttemptHeader>(&frame) {
                    seen.suspects = header.suspects;
                }
            }
            RecordKind::Output if frame.index < tasks => {
                if seen.outputs.insert(frame.index) {
                    record::push(claim.content(), frame);
                }
                seen.ended.insert(frame.index);
            }
            RecordKind::Failure => drop(seen.ended.insert(frame.index)),
            _ => {}
        }
    }
    let mut suspects = seen.suspects.clone();
    if was_lost && tasks > 1 {
        // The first task of its order without a record is the one at which it was lost.
        let order = Plan::new(tasks, &BTreeSet::new(), &seen.suspects).order;
        let killer = order.into_iter().find(|index| !seen.ended.contains(index));
        suspects.extend(killer.filter(|killer| !seen.suspects.contains(killer)));
    }
    if !suspects.is_empty() {
        claim.note_suspects(&suspects);
    }
    Ok(Plan::new(tasks, &seen.outputs, &suspects))
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
