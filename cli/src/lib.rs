//! The command `flockwork`: sweeps of any program, and looking after stores.
//!
//! It is a library only so that its parsers can be reached from `fuzz/`. Programs use the crate `flockwork`.
#![deny(missing_docs, clippy::disallowed_methods)]

mod args;
mod collect;
mod doctor;
mod exec;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod hosts;
mod launch;
mod listing;
mod local;
mod master;
mod nearest;
mod output;
mod settings;
mod signals;
mod steward;
mod sweep;
mod tally;
mod task;
mod token;
mod torture;
mod verbs;
mod view;
mod words;

use std::process::ExitCode;

use args::Verb;
use flockwork::app;
use flockwork::app::exit::Ended;

/// Does what the command line says, and returns the exit code.
pub fn main() -> ExitCode {
    app::conclude(settings::parse(args::command()).map(|cli| run(cli?)))
}

fn run(cli: args::Cli) -> Ended {
    output::color::set(cli.color);
    match cli.verb {
        Verb::Run(args) => verbs::run(*args),
        Verb::Submit(args) => verbs::submit(*args),
        Verb::Worker(args) => verbs::worker(args),
        Verb::Launch(args) => verbs::launch(*args),
        Verb::Wait(args) => verbs::wait(*args),
        Verb::Collect(args) => verbs::collect(&args),
        Verb::Status(args) => verbs::status(&args),
        Verb::Ls(args) => verbs::ls(&args),
        Verb::Show(args) => verbs::show(&args),
        Verb::Logs(args) => verbs::logs(&args),
        Verb::Explain(args) => verbs::explain(&args),
        Verb::Workers(args) => verbs::workers(&args),
        Verb::Retry(args) => verbs::retry(&args),
        Verb::Cancel(args) => verbs::cancel(&args),
        Verb::Pause(args) => verbs::pause(&args),
        Verb::Resume(args) => verbs::resume(&args),
        Verb::Reclaim(args) => app::reclaim(&args),
        Verb::Stop(args) => app::stop(&args),
        Verb::Clean(args) => verbs::clean(&args),
        Verb::Audit(args) => app::audit(&args),
        Verb::Doctor(args) => verbs::doctor(&args),
        Verb::Torture(args) => verbs::torture(&args),
        Verb::Ping(args) => verbs::ping(&args),
        Verb::Local(args) => verbs::local(&args),
        Verb::LocalService(args) => local::service::run(&args),
        Verb::Hosts(args) => verbs::hosts(args),
        Verb::Completions { shell } => verbs::completions(shell, &args::command()),
        Verb::Man { verb } => verbs::man(&verb, args::command()),
        Verb::TorturePart(args) => verbs::torture_part(&args),
        Verb::Guard { token } => Ok(exec::guard::main(&token)),
    }
}
