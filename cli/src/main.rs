//! The command `flockwork`: sweeps of any program, and looking after stores.

mod args;
mod exec;
mod nearest;
mod output;
mod sweep;
mod task;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    flockwork::app::conclude(args::parse().map(|cli| match cli.verb {
        args::Verb::Stop(args) => flockwork::app::stop(&args),
        args::Verb::Reclaim(args) => flockwork::app::reclaim(&args),
        args::Verb::Audit(args) => flockwork::app::audit(&args),
        _ => Ok(0),
    }))
}
