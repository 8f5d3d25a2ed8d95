//! A master that is watched: a bar or lines on stderr, orderly signals, and worker processes beside it if asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::board::Board;
use super::crew::{Crew, Leave, Plan};
use super::exit::{Failed, NO_WORKER, NOT_OK};
use super::job::Job;
use super::lines::{self, Teller};
use super::progress::Progress;
use super::screen::Screen;
use super::shown::Shown;
use super::signals::{self, Caught, OnSignal};
use super::watching;
use crate::error::{ErrorKind, Result as StoreResult};
use crate::master::{Master, MasterConfig};
use crate::name::TaskId;
use crate::observe::Event;
use crate::outcome::RunSummary;
use crate::store::Store;
use crate::wait::{How, Stop, lock};

/// A worker may die so often in a row, beyond the attempts of one task, while no outcome comes in.
const DEATHS: u32 = 10;
/// After the end of a run the workers see the stop file; those that do not are sent TERM after this.
const LEAVE_BY_THEMSELVES: Duration = Duration::from_secs(1);
/// Workers that were sent TERM are killed so long after their grace.
const AFTER_GRACE: Duration = Duration::from_secs(5);
/// Failures beyond so many are only counted.
const MOST_FAILURES: u64 = 20;

/// Worker processes beside a master: this same program, started again.
#[derive(Debug, Clone)]
pub struct Workers {
    /// How many.
    pub count: u32,
    /// The arguments of each, after the program's name: the verb, the store, flags.
    pub arguments: Vec<OsString>,
    /// How long a worker may take to leave after TERM.
    pub grace: Duration,
    /// Whether running tasks are finished at TERM, however long that takes.
    pub finish: bool,
}

/// A master in this process, watched by a person.
///
/// It is what the verbs `run` and `master` do; a program with verbs of its own can use it too.
pub struct Local<'a> {
    store: &'a Store,
    screen: &'a Screen,
    stop: Stop,
    config: MasterConfig,
    workers: Option<Workers>,
    tells_failures: bool,
    total: Option<Arc<Total>>,
    describe: Option<Arc<Describe>>,
}

/// Returns what a person may want to know of a task beside its number, such as its parameters.
pub type Describe = dyn Fn(TaskId) -> String + Send + Sync;

/// Tells how many tasks there are in all, also those that are not in the store yet.
pub type Total = dyn Fn() -> u64 + Send + Sync;

impl<'a> Local<'a> {
    /// Makes one for a store; `screen` is where it talks.
    pub fn new(store: &'a Store, screen: &'a Screen, config: MasterConfig) -> Local<'a> {
        Local {
            store,
            screen,
            stop: Stop::new(),
            config,
            workers: None,
            tells_failures: true,
            total: None,
            describe: None,
        }
    }

    /// Sets the worker processes that are started once there is work. Default: none.
    pub fn workers(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the handle that stops it from elsewhere in this process.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Leaves it to the master's `collect` to tell of failed tasks. Default: each of the first twenty is told.
    pub fn silent_failures(mut self) -> Self {
        self.tells_failures = false;
        self
    }

    /// Tells of all tasks, also those that are not published yet; and lets the run go on as a mere watcher if another
    /// master holds the store. Default: that is an error.
    pub fn total(mut self, total: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.total = Some(Arc::new(total));
        self
    }

    /// Says what stands at the end of lines that tell of slow and lost tasks. Default: nothing.
    pub fn describe(mut self, describe: impl Fn(TaskId) -> String + Send + Sync + 'static) -> Self {
        self.describe = Some(Arc::new(describe));
        self
    }

    /// Runs the master to its end, or until a signal or the stop file ends it.
    ///
    /// # Errors
    ///
    /// If signals cannot be listened to, if this program's own path cannot be told, and when no worker stays alive.
    /// What the master itself ended with is in [`Ran::result`].
    pub fn run<M: Master>(self, master: M) -> Result<Ran<M>, Failed> {
        let begun = Instant::now();
        let board = Arc::new(Mutex::new(Board::default()));
        if let Some(total) = &self.total {
            lock(&board).set_total(total());
        }
        let crew = match &self.workers {
            Some(workers) => Some(Crew::new(self.plan(workers, &board)?, self.screen)),
            None => None,
        };
        let caught = signals::listen(
            ToLocal {
                screen: self.screen.clone(),
                stop: self.stop.clone(),
                crew: crew.clone(),
                board: Arc::clone(&board),
            },
            Job::is_here(),
        )?;
        let mut shown = Shown::new(master, self.screen);
        let progress = Progress::start(self.store, &board, self.screen, self.total.clone());
        let theirs = crew.clone();
        let start = move || {
            if let Some(crew) = &theirs {
                crew.start();
            }
        };
        let watcher = self.watcher(Arc::clone(&board), start.clone());
        let config = self.config.clone().stop(self.stop.clone()).on_event(watcher);
        let mut result = config.clone().run(self.store, &mut shown);
        let mut watched = false;
        while let (Some(total), Err(error)) = (&self.total, &result)
            && error.kind() == ErrorKind::MasterBusy
        {
            if !std::mem::replace(&mut watched, true) {
                self.screen
                    .line(&format!("note: {error}; it goes on, and this process watches"));
                start();
            }
            let deposed = lock(&board).collected() > 0 && shown.was_called();
            match watching::until_done(self.store, &board, &self.stop, &**total) {
                Ok(Some(summary)) => result = Ok(summary),
                Err(error) => result = Err(error),
                // What was handed to `collect` once must not be handed over again.
                Ok(None) if deposed => {}
                Ok(None) => {
                    lock(&board).forget_counts();
                    result = config.clone().run(self.store, &mut shown);
                    watched = result.is_err();
                }
            }
        }
        progress.end(self.screen);
        self.dismiss(crew.as_ref(), &result, &caught)?;
        let (redone, left) = {
            let board = lock(&board);
            (board.redone, board.tasks().saturating_sub(board.collected()))
        };
        Ok(Ran {
            result,
            took: begun.elapsed(),
            redone,
            left,
            signal: caught.code(),
            watched,
            times: shown.median_and_p95(),
            master: shown.into_inner(),
            board,
        })
    }

    fn plan(&self, workers: &Workers, board: &Arc<Mutex<Board>>) -> Result<Plan, Failed> {
        let (board, stop, store) = (Arc::clone(board), self.stop.clone(), self.store.clone());
        Ok(Plan {
            program: own_program()?,
            arguments: workers.arguments.clone(),
            workers: workers.count,
            deaths: DEATHS + self.store.attempts_allowed(),
            outcomes: Box::new(move || lock(&board).collected()),
            is_stopping: Box::new(move || matches!(store.stop_file(), Ok(Some(_)))),
            on_none_left: Box::new(move || stop.request(How::Now)),
        })
    }

    /// Lets the workers leave, as is right for how the master ended.
    fn dismiss(
        &self,
        crew: Option<&Crew>,
        result: &StoreResult<RunSummary>,
        caught: &Caught,
    ) -> Result<(), Failed> {
        let (Some(crew), Some(workers)) = (crew, &self.workers) else {
            return Ok(());
        };
        let grace = workers.grace + AFTER_GRACE;
        let stopped_by_file = matches!(result, Ok(summary) if summary.stopped);
        crew.leave(match (result, caught.code(), self.stop.requested()) {
            (Ok(summary), _, _) if !summary.stopped => Leave {
                term_after: Some(LEAVE_BY_THEMSELVES),
                kill_after: Some(grace),
            },
            (_, None, Some(How::Finish)) if stopped_by_file => Leave {
                term_after: None,
                kill_after: None,
            },
            _ => Leave {
                term_after: Some(Duration::ZERO),
                kill_after: (!workers.finish).then_some(grace),
            },
        });
        if crew.none_left() && !crew.near_limit() && stopped_by_file {
            let store = self.store.path().display();
            return Err(Failed::new(
                NO_WORKER,
                format!("no worker stays alive for {store}"),
                Some(format!(
                    "see what one says: {} worker {store}",
                    super::program_name()
                )),
            ));
        }
        Ok(())
    }

    fn watcher(
        &self,
        board: Arc<Mutex<Board>>,
        on_work: impl Fn() + Send + Sync + 'static,
    ) -> impl Fn(&Event) + Send + Sync + 'static {
        let (screen, tells_failures) = (self.screen.clone(), self.tells_failures);
        let describe = self.describe.clone();
        move |event| {
            let (has_work, failures) = {
                let mut board = lock(&board);
                board.note(event, Instant::now());
                let has_work = matches!(event, Event::Published { .. }) && board.has_work();
                (has_work, board.failed)
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
                if !tells_failures || failures > MOST_FAILURES + 1 {
                    return;
                }
                if failures == MOST_FAILURES + 1 {
                    return screen.line("FAIL  more failures are counted, and shown at the end");
                }
            }
            if let Some(mut line) = lines::of(event, Teller::Master) {
                if let (Event::Slow { task, .. } | Event::Lost { task, .. }, Some(describe)) =
                    (event, &describe)
                {
                    line.push_str(&format!("   {}", describe(*task)));
                }
                screen.line(&line);
            }
        }
    }
}

/// What a run has come to.
#[derive(Debug)]
pub struct Ran<M> {
    /// The user's master, with what it has collected.
    pub master: M,
    /// How the master's run ended.
    pub result: StoreResult<RunSummary>,
    /// How long it took.
    pub took: Duration,
    /// Tasks that are ok after more than one attempt.
    pub redone: u64,
    /// Tasks that have not ended.
    pub left: u64,
    /// The exit code for the signal that asked it to stop, if one did.
    pub signal: Option<u8>,
    /// Another master held the store, and this one only watched: `collect` was not called for every task.
    pub watched: bool,
    /// The median and the 95th percentile of the times of tasks that are ok.
    pub times: Option<(Duration, Duration)>,
    pub(super) board: Arc<Mutex<Board>>,
}

/// Returns the path of this program.
fn own_program() -> Result<PathBuf, Failed> {
    let path = std::env::current_exe().map_err(|error| {
        Failed::new(
            NOT_OK,
            format!("cannot tell the path of this program: {error}"),
            None,
        )
    })?;
    // It was built anew while it runs: the kernel still has the file that we are.
    match path.exists() {
        true => Ok(path),
        false => Ok(PathBuf::from("/proc/self/exe")),
    }
}

/// Makes a path absolute, so that a store whose name begins with a dash is no flag.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What signals do.
struct ToLocal {
    screen: Screen,
    stop: Stop,
    crew: Option<Crew>,
    board: Arc<Mutex<Board>>,
}

impl OnSignal for ToLocal {
    fn first(&self, name: &str) {
        self.screen.line(&match self.crew {
            Some(_) => {
                format!("{name}: the workers give their tasks back or finish them; again to end at once")
            }
            None => format!("{name}: the master stops; the workers go on"),
        });
        self.stop.request(How::Now);
        if let Some(crew) = &self.crew {
            crew.term();
        }
    }

    fn again(&self, name: &str) -> bool {
        if let Some(crew) = &self.crew {
            crew.kill();
        }
        self.screen.clear();
        self.screen.line(&format!("{name} again: ended at once"));
        true
    }

    fn tell(&self) {
        let line = lock(&self.board).line(Instant::now());
        self.screen.line(&line);
    }
}
