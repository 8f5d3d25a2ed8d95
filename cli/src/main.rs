//! The command `flockwork`: sweeps of any program, and looking after stores.

mod args;
mod doctor;
mod exec;
mod nearest;
mod output;
mod settings;
mod sweep;
mod task;
mod verbs;

use std::process::ExitCode;

use flockwork::app::exit::Ended;

fn main() -> ExitCode {
    flockwork::app::conclude(settings::parse(args::command()).map(|cli| run(cli?)))
}

fn run(cli: args::Cli) -> Ended {
    output::color::set(cli.color);
    match cli.verb {
        args::Verb::Stop(args) => flockwork::app::stop(&args),
        args::Verb::Reclaim(args) => flockwork::app::reclaim(&args),
        args::Verb::Audit(args) => flockwork::app::audit(&args),
        args::Verb::Doctor(args) => verbs::doctor(&args),
        args::Verb::Completions { shell } => verbs::completions(shell, &args::command()),
        args::Verb::Man { verb } => verbs::man(verb.as_deref(), args::command()),
        _ => Ok(0),
    }
}
