//! Which tasks `retry` and `cancel` mean.

use flockwork::app::exit::Failed;
use flockwork::{Store, TaskId, TaskState};

use crate::args::SelectFlags;
use crate::sweep::rows::Rows;
use crate::sweep::shown;
use crate::sweep::spec::Sweep;
use crate::view::selection::Selection;

/// Returns the tasks in such states that the flags name; `None`: nothing was named.
///
/// Tasks that are named by number come without a look at their states, for the store itself tells of those that do not
/// fit.
///
/// # Errors
///
/// Usage errors in numbers and patterns; whatever fails in the store.
pub(super) fn named(
    store: &Store,
    flags: &SelectFlags,
    wanted: impl Fn(TaskState) -> bool,
) -> Result<Option<Vec<TaskId>>, Failed> {
    if flags.task.is_empty() && flags.matching.is_empty() {
        return Ok(None);
    }
    let mut tasks = Vec::new();
    for text in &flags.task {
        add(text, &mut tasks)?;
    }
    if flags.matching.is_empty() {
        return Ok(Some(tasks));
    }
    let sweep = Sweep::load(store.path())?;
    let columns = sweep.map_or_else(Vec::new, |sweep| sweep.columns);
    let selection = Selection::new(&[], &flags.matching, &columns)?;
    let rows = Rows::open(store.path());
    let matches = |task: TaskId| -> Result<bool, Failed> {
        let row = rows.get(task.number)?;
        Ok(row.is_some_and(|row| selection.wants_values(&row.values)))
    };
    let mut chosen = Vec::new();
    if tasks.is_empty() {
        let mut published = 0;
        for span in store.states()? {
            let span = span?;
            let numbers = span.first.number..span.first.number + span.tasks;
            published = published.max(numbers.end);
            for number in numbers.filter(|_| wanted(span.state)) {
                let task = TaskId { number, ..span.first };
                if matches(task)? {
                    chosen.push(task);
                }
            }
        }
        // Rows that are not published yet are waiting.
        if wanted(TaskState::Waiting { attempts: 0 }) {
            let round = flockwork::RoundNumber::FIRST;
            for number in published..rows.total()? {
                let task = TaskId { round, number };
                if matches(task)? {
                    chosen.push(task);
                }
            }
        }
    } else {
        for task in tasks {
            if matches(task)? {
                chosen.push(task);
            }
        }
    }
    Ok(Some(chosen))
}

/// Reads a task, or a range of them: `377` or `401..410`.
fn add(text: &str, tasks: &mut Vec<TaskId>) -> Result<(), Failed> {
    const MOST: u64 = 10_000_000;
    let wrong = |why: &str| {
        Failed::usage(
            format!("{} names no tasks: {why}", shown::words([text])),
            "write numbers and ranges, as in --task 377,401..410",
        )
    };
    let parse = |text: &str| text.parse::<TaskId>().map_err(|error| wrong(&error.to_string()));
    let Some((first, last)) = text.split_once("..") else {
        tasks.push(parse(text)?);
        return Ok(());
    };
    let (first, last) = (parse(first)?, parse(last)?);
    if first.round != last.round || first.number > last.number {
        return Err(wrong(
            "a range goes from a smaller number to a larger one of the same round",
        ));
    }
    if last.number - first.number >= MOST {
        return Err(wrong("the range is longer than ten million"));
    }
    tasks.extend((first.number..=last.number).map(|number| TaskId { number, ..first }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_read() {
        let mut tasks = Vec::new();
        add("377", &mut tasks).unwrap();
        add("401..403", &mut tasks).unwrap();
        let numbers: Vec<_> = tasks.iter().map(|task| task.number).collect();
        assert_eq!(numbers, [377, 401, 402, 403]);
        for text in ["", "x", "5..3", "0/1..1/2", "1..99999999999"] {
            assert!(add(text, &mut tasks).is_err(), "{text:?}");
        }
    }
}
