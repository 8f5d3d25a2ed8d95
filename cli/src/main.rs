//! The command `flockwork`: sweeps of any program, and looking after stores.

mod args;
mod collect;
mod exec;
mod master;
mod nearest;
mod output;
mod steward;
mod sweep;
mod tally;
mod task;
mod verbs;
mod view;
mod words;

use std::process::ExitCode;

use args::Verb;

fn main() -> ExitCode {
    flockwork::app::conclude(args::parse().map(|cli| {
        output::color::set(cli.color);
        match cli.verb {
            Verb::Run(args) => verbs::run(*args),
            Verb::Submit(args) => verbs::submit(*args),
            Verb::Worker(args) => verbs::worker(args),
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
            Verb::Clean(args) => verbs::clean(&args),
            Verb::Stop(args) => flockwork::app::stop(&args),
            Verb::Reclaim(args) => flockwork::app::reclaim(&args),
            Verb::Audit(args) => flockwork::app::audit(&args),
            Verb::Guard { token } => Ok(exec::guard::main(&token)),
            _ => Ok(0),
        }
    }))
}
