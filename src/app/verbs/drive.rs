//! What `run` and `master` share: a master that is watched, and what is told at its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::app::board::Board;
use crate::app::exit::{self, Ended};
use crate::app::lines::{self, Teller};
use crate::app::progress::Progress;
use crate::app::screen::Screen;
use crate::app::shown::Shown;
use crate::app::signals::Caught;
use crate::app::times;
use crate::error::Result;
use crate::master::{Master, MasterConfig};
use crate::observe::Event;
use crate::outcome::RunSummary;
use crate::store::Store;
use crate::wait::{Stop, lock};

/// Failures beyond so many are only counted.
const MOST_FAILURES: u64 = 20;
/// Causes that the summary names.
const MOST_CAUSES: usize = 10;

/// All that a watched master needs.
pub(super) struct Drive<'a> {
    pub(super) store: &'a Store,
    pub(super) screen: &'a Screen,
    pub(super) board: &'a Arc<Mutex<Board>>,
    pub(super) stop: &'a Stop,
    pub(super) config: MasterConfig,
}

/// What a master's run has come to.
pub(super) struct Driven<M> {
    pub(super) result: Result<RunSummary>,
    shown: Shown<M>,
    took: Duration,
}

impl Drive<'_> {
    /// Runs the master; `on_work` is called, perhaps often, when there is something to do for workers.
    pub(super) fn run<M: Master>(&self, master: M, on_work: impl Fn() + Send + Sync + 'static) -> Driven<M> {
        let begun = Instant::now();
        let mut shown = Shown::new(master, self.screen);
        let progress = Progress::start(self.store, self.board, self.screen);
        let watcher = watcher(self.screen.clone(), Arc::clone(self.board), on_work);
        let config = self.config.clone().stop(self.stop.clone()).on_event(watcher);
        let result = config.run(self.store, &mut shown);
        progress.end(self.screen);
        Driven {
            result,
            shown,
            took: begun.elapsed(),
        }
    }

    /// Tells what it has come to, and with what code the program ends.
    pub(super) fn sum_up<M>(&self, driven: Driven<M>, caught: &Caught) -> Ended {
        let summary = match driven.result {
            Ok(summary) => summary,
            // Told to stop, a step that was waiting out the store's trouble ends with that trouble.
            Err(error) => match caught.code() {
                Some(code) => {
                    self.screen.line(&format!("note: {error}"));
                    return Ok(code);
                }
                None => return Err(error.into()),
            },
        };
        let board = lock(self.board);
        let took = times::short(driven.took);
        let mut line = format!("Summary [{took}]  {}", counts(&summary, &board));
        if let Some((median, p95)) = driven.shown.median_and_p95() {
            line.push_str(&format!(
                "   median {}  p95 {}",
                times::short(median),
                times::short(p95)
            ));
        }
        self.screen.line(&line);
        for (cause, count, tasks) in board.causes().into_iter().take(MOST_CAUSES) {
            let first: Vec<_> = tasks.iter().map(ToString::to_string).collect();
            let more = if count > first.len() as u64 { " ..." } else { "" };
            self.screen
                .line(&format!("  FAILED {count}x  {cause}   {}{more}", first.join(" ")));
        }
        if summary.stopped {
            let left = board.tasks().saturating_sub(board.collected());
            let left = if left == 0 { "work".to_owned() } else { tasks(left) };
            self.screen
                .line(&format!("stopped, with {left} left; the same command goes on"));
            return Ok(caught.code().unwrap_or(exit::STOPPED));
        }
        Ok(if summary.failed > 0 {
            exit::NOT_OK
        } else {
            exit::OK
        })
    }
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

fn watcher(
    screen: Screen,
    board: Arc<Mutex<Board>>,
    on_work: impl Fn() + Send + Sync + 'static,
) -> impl Fn(&Event) + Send + Sync + 'static {
    let failures = AtomicU64::new(0);
    move |event| {
        let has_work = {
            let mut board = lock(&board);
            board.note(event, Instant::now());
            matches!(event, Event::Published { .. }) && board.has_work()
        };
        if has_work {
            on_work();
        }
        if let Event::Resumed { outcomes } = event
            && *outcomes > 0
        {
            screen.line(&format!("resuming: {outcomes} outcomes are there already"));
        }
        if let Event::Collected { failure: Some(_), .. } = event {
            match failures.fetch_add(1, Ordering::SeqCst) {
                ..MOST_FAILURES => {}
                MOST_FAILURES => return screen.line("FAIL  more failures are counted, and shown at the end"),
                _ => return,
            }
        }
        if let Some(line) = lines::of(event, Teller::Master) {
            screen.line(&line);
        }
    }
}
