//! The command line: what can be typed, and nothing done with it.

mod cp;
mod distribute;
mod help;
mod hosts;
mod read;
mod steer;
mod sweep;
mod torture;
mod work;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use cp::CpArgs;
pub(crate) use distribute::{By, DistributeArgs};
pub(crate) use help::describe;
pub(crate) use hosts::{HostFlags, HostsArgs, HostsVerb, SshFlags};
pub(crate) use read::{
    As, CollectArgs, DoctorArgs, ExplainArgs, Format, LogsArgs, LsArgs, OutputFlags, ShowArgs, Sort,
    StateArg, StatusArgs, WorkersArgs,
};
pub(crate) use steer::{CancelArgs, CleanArgs, PauseArgs, ResumeArgs, RetryArgs, SelectFlags};
pub(crate) use sweep::{LimitFlags, SubmitArgs, SweepFlags};
pub(crate) use torture::{PartArgs, Role, TortureArgs};
pub(crate) use work::{RunArgs, WaitArgs, WorkFlags, WorkerArgs};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "flockwork",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(about = "A work queue that is a directory: no server, no database, and it does not lose work")]
pub(crate) struct Cli {
    /// Colour on a terminal
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "FLOCKWORK_COLOR")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// When there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// The verbs, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Box<RunArgs>),
    Submit(Box<SubmitArgs>),
    Worker(WorkerArgs),
    Wait(Box<WaitArgs>),
    Collect(CollectArgs),
    Status(StatusArgs),
    Ls(LsArgs),
    Show(ShowArgs),
    Logs(LogsArgs),
    Explain(ExplainArgs),
    Workers(WorkersArgs),
    Retry(RetryArgs),
    Cancel(CancelArgs),
    Pause(PauseArgs),
    Resume(ResumeArgs),
    Reclaim(flockwork::app::ReclaimArgs),
    Stop(flockwork::app::StopArgs),
    Clean(CleanArgs),
    Audit(flockwork::app::ReadArgs),
    Doctor(DoctorArgs),
    Torture(TortureArgs),
    Hosts(HostsArgs),
    /// Write completions for a shell to stdout
    Completions {
        shell: clap_complete::Shell,
    },
    /// Write the man page of the command, or of one verb, to stdout
    Man {
        verb: Option<String>,
    },
    /// Kill what a worker that was killed has left behind
    #[command(hide = true)]
    Guard {
        token: String,
    },
    /// Be a master or a worker of a torture
    #[command(hide = true)]
    TorturePart(PartArgs),
}

/// Returns the parser, with descriptions and examples.
pub(crate) fn command() -> clap::Command {
    describe(Cli::command())
}

/// Parses the command line.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_has_a_description_and_an_example() {
        described(&command(), "flockwork");
    }

    fn described(command: &clap::Command, name: &str) {
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = format!("{name} {}", verb.get_name());
            assert!(verb.get_about().is_some(), "{name}");
            let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&name), "{name}");
            described(verb, &name);
        }
    }
}
