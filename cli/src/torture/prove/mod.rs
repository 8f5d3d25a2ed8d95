//! The proof: what stands in the store, against what must.

mod answers;
mod executions;
mod leftovers;
mod reports;

use std::path::Path;

use flockwork::Store;
use flockwork::app::exit::Failed;

use super::host::trouble;
use super::setup::{Setup, Site};
use super::verdict::{Broken, Promise, Verdict};

/// Looks at a store at rest, and at the notes of all hosts; those of `silent` ones may lack their ends.
///
/// # Errors
///
/// If the store or the notes cannot be read at all.
pub(super) fn prove(store: &Store, site: &Site, setup: &Setup, silent: &[String]) -> Result<Verdict, Failed> {
    let mut verdict = Verdict {
        seed: setup.seed,
        batch: setup.batch,
        tasks_a_round: setup.tasks,
        lease: setup.lease(),
        ..Verdict::default()
    };
    let reports = reports::read(site).map_err(|error| trouble("cannot read the notes", &error))?;
    verdict.figures = reports.figures;
    reports.broken.into_iter().for_each(|broken| verdict.add(broken));
    let (rounds, tasks) = answers::check(store, &setup.plan(), &mut verdict)?;
    (verdict.figures.rounds, verdict.figures.tasks) = (rounds, tasks);
    audit(store, rounds * setup.tasks, &mut verdict)?;
    match silent {
        [] => reports.judgement.broken().for_each(|broken| verdict.add(broken)),
        hosts => verdict.remarks.push(format!(
            "{} took part and never said that it ended: how often tasks ran is not judged",
            hosts.join(", ")
        )),
    }
    (verdict.figures.executions, verdict.figures.redone) = reports.judgement.counts();
    let ended = !verdict
        .broken
        .iter()
        .any(|broken| broken.promise == Promise::Stuck);
    if ended {
        for path in leftovers::of(store.path()).map_err(|error| trouble("cannot list the store", &error))? {
            let what = "it is left over at the end of the run";
            verdict.add(Broken::new(Promise::LeftOver, &path.to_string_lossy(), what));
        }
    }
    if verdict.figures.tasks == 0 || verdict.figures.kills == 0 {
        let what = match verdict.figures.tasks {
            0 => "no task has ended: there is nothing to judge",
            _ => "nothing was killed: let it take longer, or give it a faster --pace",
        };
        verdict.add(Broken::new(Promise::Proof, &store.path().to_string_lossy(), what));
    }
    Ok(verdict)
}

/// Says whether anything is left over.
pub(super) fn is_untidy(store: &Path) -> Result<bool, Failed> {
    let left = leftovers::of(store).map_err(|error| trouble("cannot list the store", &error))?;
    Ok(!left.is_empty())
}

fn audit(store: &Store, tasks: u64, verdict: &mut Verdict) -> Result<(), Failed> {
    let audit = store.audit()?;
    for violation in &audit.violations {
        let place = violation.path.to_string_lossy();
        verdict.add(Broken::new(Promise::Audit, &place, violation.what.as_str()));
    }
    let place = store.path().to_string_lossy();
    if audit.tasks != tasks {
        let what = format!("it counts {} tasks, but there are {tasks}", audit.tasks);
        verdict.add(Broken::new(Promise::Audit, &place, what));
    }
    if audit.open > 0 {
        let what = format!("{} tasks have not ended", audit.open);
        verdict.add(Broken::new(Promise::Stuck, &place, what));
    }
    Ok(())
}
