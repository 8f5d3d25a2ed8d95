//! A worker whose time is up while there is work left asks for another one in its place.

use std::time::Duration;

use flockwork::app::Screen;
use flockwork::app::exit::{Failed, NOT_OK};
use flockwork::{Status, Store, WhyLeft};

use super::Engine;
use super::records::{Draft, Launches, Record};
use super::request::Request;
use super::submit::{submit, submit_text};
use super::text::slurm_warns;
use crate::sweep::rows::Rows;

/// An engine may give its warning earlier by so long.
const EARLY: Duration = Duration::from_secs(60);

/// What came of asking for another worker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    By {
        number: u64,
        job: String,
    },
    /// There is none, and why.
    Not(&'static str),
}

/// Submits one worker in the place of one of a launch, if there is work left.
///
/// It is meant for a worker whose time is up, once. Where an engine runs the job again by itself, it must not be called.
///
/// # Errors
///
/// If the cap is reached, the records cannot be read or written, or the engine does not take it.
pub(crate) fn replace(store: &Store, number: u64) -> Result<Replaced, Failed> {
    let launches = Launches::of(store.path());
    let parent = find(&launches, number)?;
    if !parent.asked.until_done || parent.engine == Engine::Local {
        return Ok(Replaced::Not("nobody has asked for replacements"));
    }
    if let Some(why) = needs_none(store)? {
        return Ok(Replaced::Not(why));
    }
    let stopped = || -> Result<bool, Failed> {
        let first = launches.is_stopped(parent.family())?;
        Ok(first || launches.is_stopped(parent.number)?)
    };
    if stopped()? {
        return Ok(Replaced::Not("its launch was stopped"));
    }
    let draft = Draft {
        engine: parent.engine,
        asked: Request {
            workers: 1,
            ..parent.asked.clone()
        },
        parent: Some(&parent),
        cap: parent.cap,
        text: &submit_text(parent.engine),
    };
    // Whoever stops the launch now sees the new record, or is seen here.
    let may = || Ok(stopped()?.then(|| "its launch was stopped".to_owned()));
    let submitted = submit(&launches, &draft, may)?;
    Ok(Replaced::By {
        number: submitted.record.number,
        job: submitted.job,
    })
}

/// Does so for a worker whose end is near, if its time is up; tells what came of it.
pub(crate) fn near_end(store: &Store, number: u64, why: WhyLeft, ran: Duration) {
    let screen = Screen::plain();
    let replaced = || -> Result<Option<Replaced>, Failed> {
        let parent = find(&Launches::of(store.path()), number)?;
        match is_due(&parent, why, ran) {
            true => replace(store, number).map(Some),
            false => Ok(None),
        }
    };
    match replaced() {
        Ok(None) => {}
        Ok(Some(Replaced::By { number, job })) => {
            screen.line(&format!("replaced by launch {number}, job {job}"));
        }
        Ok(Some(Replaced::Not(why))) => screen.line(&format!("not replaced: {why}")),
        Err(failed) => screen.line(&format!("note: not replaced: {failed}")),
    }
}

/// Says whether a worker is at the end of its time; one that was told to leave before was sent away.
fn is_due(parent: &Record, why: WhyLeft, ran: Duration) -> bool {
    match why {
        WhyLeft::TimeLimit => true,
        // HTCondor itself runs a job again that it has vacated.
        _ if parent.engine == Engine::Condor => false,
        // Engines warn before the end by the same signals by which they send away.
        _ => parent
            .asked
            .time()
            .is_some_and(|time| ran + slurm_warns() + EARLY >= time),
    }
}

fn find(launches: &Launches, number: u64) -> Result<Record, Failed> {
    let records = launches.records()?;
    let found = records.into_iter().find(|record| record.number == number);
    found.ok_or_else(|| Failed::new(NOT_OK, format!("the store has no launch {number}"), None))
}

/// Says why a store needs no more workers.
fn needs_none(store: &Store) -> Result<Option<&'static str>, Failed> {
    let status = store.status()?;
    let left = open(&status, Rows::open(store.path()).total()?);
    Ok(match &status.stopped {
        _ if left == 0 => Some("all tasks have ended"),
        Some(_) => Some("the store has stopped"),
        None => None,
    })
}

/// Returns how many tasks have not ended, with those that nobody has published yet.
fn open(status: &Status, submitted: u64) -> u64 {
    let unpublished = submitted.saturating_sub(status.tasks());
    status
        .running()
        .saturating_add(status.waiting())
        .saturating_add(unpublished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::records::tests::record;
    use crate::view::tests::World;

    #[test]
    fn only_a_worker_at_the_end_of_its_time_is_replaced() {
        let mut parent = record(1, 5, None);
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let told = |parent: &Record, ran| is_due(parent, WhyLeft::Asked, ran);
        assert!(told(&parent, minutes(120)) && told(&parent, minutes(117)));
        assert!(!told(&parent, minutes(116)));
        assert!(is_due(&parent, WhyLeft::TimeLimit, minutes(1)));
        parent.engine = Engine::Condor;
        assert!(!told(&parent, minutes(120)), "HTCondor may run it again");
        assert!(
            is_due(&parent, WhyLeft::TimeLimit, minutes(1)),
            "it has left by itself"
        );
        parent.engine = Engine::Sge;
        assert!(told(&parent, minutes(120)));
        parent.asked.seconds = None;
        assert!(!told(&parent, minutes(10_000)));
    }

    #[test]
    fn a_store_without_open_tasks_needs_nobody() {
        let world = World::sweep("{\"alpha\": 1, \"name\": \"a\"}\n");
        assert_eq!(
            needs_none(&world.store).unwrap(),
            None,
            "it was submitted, though not published"
        );
        world.run(|_, _| Ok(crate::view::tests::report(b"", b"")));
        assert_eq!(needs_none(&world.store).unwrap(), Some("all tasks have ended"));
        world.submit("{\"alpha\": 2, \"name\": \"b\"}\n");
        world.store.withdraw_stop().unwrap();
        assert_eq!(needs_none(&world.store).unwrap(), None);
        world.store.stop(flockwork::How::Finish, "enough").unwrap();
        assert_eq!(needs_none(&world.store).unwrap(), Some("the store has stopped"));
    }
}
