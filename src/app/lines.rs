//! Events as lines for people.

use super::times;
use crate::observe::Event;

/// Who prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    /// A master: outcomes, and what it noticed.
    Master,
    /// A worker on its own: its attempts too.
    Worker,
    /// A worker whose master prints on the same screen: only what that cannot know.
    QuietWorker,
}

/// Returns the line for an event; `None` if it is of no interest.
pub(super) fn of(event: &Event, teller: Teller) -> Option<String> {
    let alone = teller == Teller::Worker;
    Some(match event {
        Event::Failed {
            task,
            attempt,
            failure,
        } if alone => format!(
            "FAIL  {task} attempt {attempt}: {}",
            one_line(&failure.to_string())
        ),
        Event::GivenBack { task, attempt, why } if alone => {
            format!("BACK  {task} attempt {attempt}: {why}")
        }
        Event::Discarded { task, attempt } if alone => {
            format!("LATE  {task} attempt {attempt}: another attempt was first")
        }
        Event::Collected {
            task,
            failure: Some(failure),
            attempt,
        } => {
            let failure = one_line(&failure.to_string());
            format!("FAIL  {task} after attempt {attempt}: {failure}")
        }
        Event::Lost {
            task,
            attempt,
            worker,
            why,
        } => {
            let worker = worker.as_deref().unwrap_or("a worker");
            format!("LOST  {task} attempt {attempt} of {worker}: {why}; the task is free again")
        }
        Event::Slow { task, attempt } => {
            format!("SLOW  {task} attempt {attempt} takes long; an idle worker may try it too")
        }
        Event::LockLost { task, attempt } => {
            format!("LOCK  {task} attempt {attempt} lost its lock; it goes on, the first outcome wins")
        }
        Event::Parked { error, wait } => {
            format!("WAIT  {error}; trying again in {}", times::short(*wait))
        }
        Event::Damaged { path, what } => {
            format!("DAMAGED  {}: {what}; it will be done again", path.display())
        }
        Event::LocksDoNotReach { host } => {
            format!("note: locks of {host} are not seen here; only its silence will tell that it is dead")
        }
        Event::WaitingForMaster { master, lease } => format!(
            "note: another master, {master}, is silent; it is replaced if it stays so for {}",
            times::short(*lease)
        ),
        Event::WokeUp { after } => format!(
            "WAKE  this worker was suspended for {}; it looks what has become of its tasks",
            times::short(*after)
        ),
        Event::LimitNear { left } if alone => format!(
            "LIMIT  the worker has {} left: it takes no new tasks, and leaves when its running ones have ended",
            times::short(*left)
        ),
        Event::Trouble { what } => format!("note: {what}"),
        _ => return None,
    })
}

/// The first line of a text, and not too much of it.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 200;
    let line = text.lines().next().unwrap_or_default();
    let clean = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MOST).collect();
    if short.len() < text.trim_end().len() {
        short.push_str(" ...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{RoundNumber, TaskId};
    use crate::outcome::{Failure, FailureKind};

    #[test]
    fn who_tells_what() {
        let task = TaskId {
            round: RoundNumber::FIRST,
            number: 7,
        };
        let failure = Failure::new(FailureKind::Error, "too\nbad");
        let failed = Event::Failed {
            task,
            attempt: 1,
            failure: failure.clone(),
        };
        assert_eq!(
            of(&failed, Teller::Worker).as_deref(),
            Some("FAIL  0000007 attempt 1: error: too ...")
        );
        assert_eq!(of(&failed, Teller::QuietWorker), None);
        let collected = |failure| Event::Collected {
            task,
            failure,
            attempt: 3,
        };
        assert!(of(&collected(Some(failure)), Teller::Master).is_some());
        assert_eq!(of(&collected(None), Teller::Master), None);
    }

    #[test]
    fn a_hostile_text_stays_on_its_line() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc"), "a [2Jb ...");
        assert_eq!(one_line(&"x".repeat(500)).len(), 204);
        assert_eq!(one_line("fine"), "fine");
    }
}
