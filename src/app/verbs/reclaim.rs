//! `reclaim`: gives up attempts at once.

use crate::app::args::ReclaimArgs;
use crate::app::exit::{Ended, Failed, OK};
use crate::app::place;
use crate::app::screen::{self, Screen};
use crate::name::{RoundNumber, TaskId};
use crate::store::{Reclaim, Store};

/// Runs the verb `reclaim`; returns the exit code.
///
/// # Errors
///
/// What the store says, and what makes no sense in the arguments.
pub fn reclaim(args: &ReclaimArgs) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let tasks: Vec<TaskId> = args
        .tasks
        .iter()
        .map(|text| parse(text))
        .collect::<Result<_, _>>()?;
    let store = Store::open(&path)?;
    let which = match (tasks.is_empty(), args.silent) {
        (true, silent) => Reclaim::Silent(silent.unwrap_or(store.lease())),
        (false, _) => Reclaim::Tasks(tasks),
    };
    let given_up = store.reclaim(&which)?;
    for attempt in &given_up {
        let worker = attempt.worker.as_deref().unwrap_or("a worker");
        screen::result(&format!(
            "{} attempt {} of {worker}: {}",
            attempt.task, attempt.attempt, attempt.why
        ));
    }
    Screen::plain().line(&format!(
        "{}: {} attempts given up",
        path.display(),
        given_up.len()
    ));
    Ok(OK)
}

/// Reads a task as it is shown: `0/0000012`. A number alone is a task of round 0.
fn parse(text: &str) -> Result<TaskId, Failed> {
    let (round, number) = text.split_once('/').unwrap_or(("0", text));
    match (round.parse(), number.parse()) {
        (Ok(round), Ok(number)) => Ok(TaskId {
            round: RoundNumber(round),
            number,
        }),
        _ => Err(Failed::usage(
            format!("{text:?} is no task"),
            "write tasks as they are shown: ROUND/NUMBER, such as 0/0000012",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_read_as_they_are_shown() {
        let task = parse("2/0000123").unwrap();
        assert_eq!(task.to_string(), "2/0000123");
        assert_eq!(parse("7").unwrap().to_string(), "0/0000007");
        for text in ["", "x", "1/", "/1", "-1", "1/2/3"] {
            assert_eq!(
                parse(text).unwrap_err().code(),
                crate::app::exit::USAGE,
                "{text:?}"
            );
        }
    }
}
