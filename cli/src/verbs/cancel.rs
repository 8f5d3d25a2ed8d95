//! `cancel`: ends tasks that have not ended.

use std::ops::Range;

use flockwork::app::exit::{Ended, Failed, OK};
use flockwork::app::{self, Screen};
use flockwork::{Cancel, Store, TaskId, TaskState};

use super::select;
use crate::args::CancelArgs;
use crate::sweep::rows::Rows;
use crate::sweep::rows::cancelled::Cancelled;
use crate::words;

/// Runs the verb.
pub(crate) fn cancel(args: &CancelArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let store = Store::open(&path)?;
    let open = |state| matches!(state, TaskState::Waiting { .. } | TaskState::Running { .. });
    let all = Rows::open(store.path()).total()?;
    let (which, rows) = match (select::named(&store, &args.select, open)?, args.all) {
        (Some(_), true) => {
            return Err(Failed::usage(
                "--all and a choice of tasks cannot both be meant",
                "leave one of them out",
            ));
        }
        (None, false) => {
            return Err(Failed::usage(
                "nothing says which tasks are meant",
                "flockwork cancel STORE --task 377,401..410, --match 'alpha=0.9*', or --all",
            ));
        }
        (None, true) => (Cancel::Open, std::iter::once(0..all).collect()),
        (Some(tasks), false) => {
            let rows = ranges(&tasks);
            (Cancel::Tasks(tasks), rows)
        }
    };
    let before = store.status()?;
    // First those that are not published yet: none slips through in between.
    if all > 0 && !rows.is_empty() {
        Cancelled::add(store.path(), &rows)?;
    }
    let cancelled = store.cancel(&which, &args.why)?;
    let waiting = match which {
        // A master that publishes at this moment makes tasks of rows, so only their sum is sure.
        Cancel::Open => (all.max(before.tasks()) - before.ok() - before.failed())
            .saturating_sub(cancelled.free + cancelled.running),
        _ => cancelled.absent,
    };
    Screen::plain().line(&format!(
        "{}: {} cancelled: {} waiting, {} running (these end within {})",
        super::name(&path),
        words::tasks(cancelled.free + cancelled.running + waiting),
        words::count(cancelled.free + waiting),
        words::count(cancelled.running),
        app::times::short(store.lease() / 5),
    ));
    if cancelled.ended > 0 {
        Screen::plain().line(&format!(
            "note: {} had ended before",
            words::tasks(cancelled.ended)
        ));
    }
    Ok(OK)
}

/// Returns the numbers of tasks as ranges.
fn ranges(tasks: &[TaskId]) -> Vec<Range<u64>> {
    let mut numbers: Vec<_> = tasks.iter().map(|task| task.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(range) if range.end == number => range.end += 1,
            _ => ranges.push(number..number + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        let task = |number| TaskId {
            round: flockwork::RoundNumber::FIRST,
            number,
        };
        assert_eq!(ranges(&[7, 1, 2, 3, 2].map(task)), [1..4, 7..8]);
        assert!(ranges(&[]).is_empty());
    }
}
