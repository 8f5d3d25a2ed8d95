//! What `run` and `master` share: what is told at the end.

use crate::app::board::Board;
use crate::app::exit::{self, Ended};
use crate::app::local::Ran;
use crate::app::screen::Screen;
use crate::app::times;
use crate::outcome::RunSummary;
use crate::wait::lock;

/// Causes that the summary names.
const MOST_CAUSES: usize = 10;

/// Tells what a run has come to, and with what code the program ends.
pub(super) fn sum_up<M>(ran: Ran<M>, screen: &Screen) -> Ended {
    let summary = match ran.result {
        Ok(summary) => summary,
        // Told to stop, a step that was waiting out the store's trouble ends with that trouble.
        Err(error) => match ran.signal {
            Some(code) => {
                screen.line(&format!("note: {error}"));
                return Ok(code);
            }
            None => return Err(error.into()),
        },
    };
    let board = lock(&ran.board);
    let took = times::short(ran.took);
    let mut line = format!("Summary [{took}]  {}", counts(&summary, &board));
    if let Some((median, p95)) = ran.times {
        line.push_str(&format!(
            "   median {}  p95 {}",
            times::short(median),
            times::short(p95)
        ));
    }
    screen.line(&line);
    for (cause, count, tasks) in board.causes().into_iter().take(MOST_CAUSES) {
        let first: Vec<_> = tasks.iter().map(ToString::to_string).collect();
        let more = if count > first.len() as u64 { " ..." } else { "" };
        screen.line(&format!("  FAILED {count}x  {cause}   {}{more}", first.join(" ")));
    }
    if summary.stopped {
        let left = if ran.left == 0 {
            "work".to_owned()
        } else {
            tasks(ran.left)
        };
        screen.line(&format!("stopped, with {left} left; the same command goes on"));
        return Ok(ran.signal.unwrap_or(exit::STOPPED));
    }
    Ok(if summary.failed > 0 {
        exit::NOT_OK
    } else {
        exit::OK
    })
}

fn counts(summary: &RunSummary, board: &Board) -> String {
    let rounds = match board.rounds() {
        0 | 1 => String::new(),
        rounds => format!(" in {rounds} rounds"),
    };
    let mut text = format!("{}{rounds}: {} ok", tasks(summary.tasks), summary.ok);
    let mut asides = Vec::new();
    if board.redone > 0 {
        asides.push(format!("{} redone", board.redone));
    }
    if summary.replayed > 0 {
        asides.push(format!("{} were there already", summary.replayed));
    }
    if !asides.is_empty() {
        text.push_str(&format!(" ({})", asides.join(", ")));
    }
    if summary.failed > 0 {
        text.push_str(&format!(", {} failed", summary.failed));
    }
    text
}

fn tasks(count: u64) -> String {
    format!("{count} task{}", if count == 1 { "" } else { "s" })
}
