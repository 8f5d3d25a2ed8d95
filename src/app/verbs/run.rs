//! `run`: the master here, and local workers, each a process of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::drive::Drive;
use crate::app::args::RunArgs;
use crate::app::board::Board;
use crate::app::crew::{Crew, Leave, Plan};
use crate::app::exit::{Ended, Failed, NO_WORKER, NOT_OK};
use crate::app::place;
use crate::app::screen::Screen;
use crate::app::signals::{self, OnSignal};
use crate::master::Master;
use crate::store::Store;
use crate::wait::{How, Stop, lock};

/// A worker may die so often in a row, beyond the attempts of one task, while no outcome comes in.
const DEATHS: u32 = 10;
/// After the end of a run the workers see the stop file; those that do not are sent TERM after this.
const LEAVE_BY_THEMSELVES: Duration = Duration::from_secs(1);
/// Workers that were sent TERM are killed so long after their grace.
const AFTER_GRACE: Duration = Duration::from_secs(5);

/// Runs the verb.
pub(in crate::app) fn run<M: Master + clap::Args, W: clap::Args>(args: RunArgs<M>, program: &str) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    check_worker_arguments::<W>(&args.worker_arguments)?;
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let workers = args.workers.unwrap_or_else(cores);
    let screen = Screen::with_bar();
    let store = place::open_or_create(&path, &args.store_flags, &screen)?;
    let (stop, board) = (Stop::new(), Arc::new(Mutex::new(Board::default())));
    let plan = plan(&args, workers, &store, &board, &stop)?;
    let crew = Crew::new(plan, &screen);
    let caught = signals::listen(ToRun {
        screen: screen.clone(),
        stop: stop.clone(),
        crew: crew.clone(),
        board: Arc::clone(&board),
    })?;
    let mut config = args.master_flags.config();
    if let Some((least, greatest)) = args.worker_flags.poll {
        config = config.poll(least, greatest);
    }
    let drive = Drive {
        store: &store,
        screen: &screen,
        board: &board,
        stop: &stop,
        config,
    };
    let theirs = crew.clone();
    let driven = drive.run(args.master, move || theirs.start());
    let grace = args.worker_flags.grace + AFTER_GRACE;
    let finish = args.worker_flags.on_signal() == How::Finish;
    let stopped_by_file = matches!(&driven.result, Ok(summary) if summary.stopped);
    crew.leave(match (&driven.result, caught.code(), stop.requested()) {
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
            kill_after: (!finish).then_some(grace),
        },
    });
    if crew.none_left() && stopped_by_file {
        return Err(Failed::Ours(
            NO_WORKER,
            format!("no worker stays alive for {}", path.display()),
            Some(format!("see what one says: {program} worker {}", path.display())),
        ));
    }
    drive.sum_up(driven, &caught)
}

/// A mistake in the workers' arguments should be told once, and before anything is begun.
fn check_worker_arguments<W: clap::Args>(arguments: &[OsString]) -> Result<(), Failed> {
    let command = W::augment_args(clap::Command::new("worker")).no_binary_name(true);
    match command.disable_help_flag(true).try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let first = text.lines().next().unwrap_or_default();
            Err(Failed::usage(
                format!("arguments of the workers (after `--`): {first}"),
                "`worker --help` shows what they take",
            ))
        }
    }
}

fn plan<M: clap::Args>(
    args: &RunArgs<M>,
    workers: u32,
    store: &Store,
    board: &Arc<Mutex<Board>>,
    stop: &Stop,
) -> Result<Plan, Failed> {
    let program = own_program()?;
    let mut arguments: Vec<OsString> = vec!["worker".into(), absolute(store.path()).into()];
    arguments.extend(args.worker_flags.arguments());
    arguments.extend([
        "--quiet".into(),
        "--parent".into(),
        std::process::id().to_string().into(),
    ]);
    arguments.extend(args.worker_arguments.iter().cloned());
    let (board, stop, store) = (Arc::clone(board), stop.clone(), store.clone());
    Ok(Plan {
        program,
        arguments,
        workers,
        deaths: DEATHS + store.attempts_allowed(),
        outcomes: Box::new(move || lock(&board).collected()),
        is_stopping: Box::new(move || matches!(store.stop_file(), Ok(Some(_)))),
        on_none_left: Box::new(move || stop.request(How::Now)),
    })
}

/// Returns the path of this program.
fn own_program() -> Result<PathBuf, Failed> {
    let path = std::env::current_exe().map_err(|error| {
        Failed::Ours(
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

/// A store whose name begins with a dash is no flag.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What signals do to a run.
struct ToRun {
    screen: Screen,
    stop: Stop,
    crew: Crew,
    board: Arc<Mutex<Board>>,
}

impl OnSignal for ToRun {
    fn first(&self, name: &str) {
        self.screen.line(&format!(
            "{name}: the workers give their tasks back or finish them; again to end at once"
        ));
        self.stop.request(How::Now);
        self.crew.term();
    }

    fn second(&self, name: &str) {
        self.crew.kill();
        self.screen.clear();
        self.screen.line(&format!("{name} again: ended at once"));
    }

    fn tell(&self) {
        let line = lock(&self.board).line(Instant::now());
        self.screen.line(&line);
    }
}
