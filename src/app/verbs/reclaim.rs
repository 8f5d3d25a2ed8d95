//! `reclaim`: gives up attempts at once.

use crate::app::args::ReclaimArgs;
use crate::app::exit::{Ended, Failed, OK};
use crate::app::place;
use crate::app::screen::{self, Screen};
use crate::name::{ParseTaskIdError, TaskId};
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

/// Reads a task as it is shown: `0000012`. A number alone is a task of round 0.
fn parse(text: &str) -> Result<TaskId, Failed> {
    text.parse().map_err(|error: ParseTaskIdError| {
        Failed::usage(
            error.to_string(),
            "copy the task from `status` or from the events",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_task_is_an_error_of_usage() {
        assert_eq!(parse("2/0000123").unwrap().to_string(), "2/0000123");
        assert_eq!(parse("1/2/3").unwrap_err().code(), crate::app::exit::USAGE);
    }
}
