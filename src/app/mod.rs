//! The verbs of a user's own program: `run`, `master`, `worker`, `status`, `stop`, `reclaim`, `audit`.
//!
//! One program has two roles. Started as `run`, it is the master and starts itself again as workers. On a cluster it
//! is started once as `master`, and as `worker` on every machine that mounts the store.
//!
//! ```no_run
//! use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber, Task, Worker};
//!
//! /// Adds up squares
//! #[derive(clap::Args)]
//! struct Sum {
//!     /// Up to which number
//!     #[arg(long, default_value_t = 1000)]
//!     to: u64,
//!     #[arg(skip)]
//!     sum: u64,
//! }
//!
//! impl Master for Sum {
//!     type Input = u64;
//!     type Output = u64;
//!
//!     fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
//!         Ok(round.is_first().then(|| Inputs::new(1..=self.to)))
//!     }
//!
//!     fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
//!         self.sum += outcome.result?;
//!         Ok(())
//!     }
//! }
//!
//! #[derive(clap::Args)]
//! struct Square;
//!
//! impl Worker for Square {
//!     type Input = u64;
//!     type Output = u64;
//!
//!     fn process(&self, n: u64, _task: &Task<'_>) -> Result<u64, BoxError> {
//!         Ok(n * n)
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     flockwork::app::main::<Sum, Square>()
//! }
//! ```
//!
//! The flags of the program are those of its two types, which derive [`clap::Args`], beside those of the verbs. The
//! doc comment of the master's type is the program's description.
//!
//! # What a person sees
//!
//! Results are the program's own affair and go to stdout. All talk goes to stderr: a bar on a terminal, one line each
//! 10 s elsewhere, a line for every lost worker and every failed task, a summary. Exit codes are in [`exit`].
//!
//! # Signals
//!
//! The first INT, TERM, HUP, USR2 or XCPU stops in an orderly way. A worker asks its tasks to stop and gives them back
//! within its grace (`--on-term finish` finishes them instead). `run` passes TERM on to its workers and waits for them.
//! The second one ends the program at once; a worker that finishes its tasks gives them back then, and only the third ends
//! it. What follows within a second belongs to the first, for batch engines signal twice; but INT after INT always counts.
//! USR1 tells what runs now; in a job of a batch engine it is a warning like the others. Signals that were ignored at the
//! start, as `nohup` does with HUP, stay ignored.
//!
//! A `run` that is killed outright cannot tell its workers: they notice within a quarter of a second that it is gone,
//! give their tasks back and leave.

mod args;
mod board;
mod crew;
pub mod exit;
mod flags;
mod help;
mod job;
mod lines;
mod local;
mod near_end;
mod place;
mod progress;
mod screen;
mod shown;
mod signals;
pub mod times;
mod verbs;
mod watching;
mod work;

use std::path::Path;
use std::process::ExitCode;

pub use clap;
use clap::FromArgMatches;

use self::args::{Cli, Tool, Verb};
pub use self::args::{Format, Place, ReadArgs, ReclaimArgs, StopArgs};
pub use self::flags::{StoreFlags, WorkerFlags};
pub use self::help::CODES;
pub use self::job::{Engine, Job};
pub use self::local::{Describe, Local, Ran, Total, Workers, absolute};
pub use self::near_end::OnNearEnd;
pub use self::place::named;
pub use self::screen::{Screen, set_colour};
pub use self::verbs::{audit, reclaim, stop};
pub use self::work::{Work, task_times};
use crate::master::Master;
use crate::worker::Worker;

/// Parses the command line, does what it says, and returns the exit code.
///
/// The flags of `M` and `W` must have other names than those of the verbs (`--help` shows them), for the two are one
/// command line. If one of them has positional arguments, these stand after the store, which must then be named.
///
/// See the [module](self) for an example.
pub fn main<M, W>() -> ExitCode
where
    M: Master + clap::Args,
    W: Worker<Input = M::Input, Output = M::Output> + clap::Args,
{
    let program = program_name();
    let parsed = args::command::<M, W>(&program)
        .try_get_matches()
        .and_then(|matches| Cli::<M, W>::from_arg_matches(&matches));
    conclude(parsed.map(|cli| match cli.verb {
        Verb::Run(args) => verbs::run::<M, W>(args),
        Verb::Master(args) => verbs::master(args, &program),
        Verb::Worker(args) => verbs::worker(args),
        Verb::Tool(tool) => use_tool(&tool),
    }))
}

fn use_tool(tool: &Tool) -> Result<u8, exit::Failed> {
    match tool {
        Tool::Status(args) => verbs::status(args),
        Tool::Stop(args) => verbs::stop(args),
        Tool::Reclaim(args) => verbs::reclaim(args),
        Tool::Audit(args) => verbs::audit(args),
    }
}

fn program_name() -> String {
    let first = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&first).file_name();
    name.map_or_else(
        || "flockwork".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Tells what went wrong, if anything did, and gives the exit code.
///
/// Help goes to stdout, errors to stderr.
pub fn conclude(done: Result<Result<u8, exit::Failed>, clap::Error>) -> ExitCode {
    match done {
        Ok(ended) => exit::exit(ended.unwrap_or_else(|failed| {
            Screen::plain().line(&failed.text());
            failed.code()
        })),
        Err(error) => {
            // Help goes to stdout, usage errors to stderr. Nobody may listen.
            let _ = error.print();
            exit::exit(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
        }
    }
}
