//! The command line: what can be typed, and nothing done with it.

mod cp;
mod distribute;
mod help;
mod hosts;
mod launch;
mod launch_ssh;
mod local;
mod read;
mod steer;
mod sweep;
mod torture;
mod work;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use cp::CpArgs;
pub(crate) use distribute::{By, DistributeArgs};
pub(crate) use help::describe;
pub(crate) use hosts::{
    HostFlags, HostsArgs, HostsMkdirArgs, HostsRunArgs, HostsStatusArgs, HostsVerb, SshFlags,
};
pub(crate) use launch::{BatchArgs, CommonArgs, JobFlags, LaunchArgs, LaunchBy, LocalArgs};
pub(crate) use launch_ssh::LaunchSshArgs;
pub(crate) use local::{EndArgs, LocalVerb, PingArgs, ServiceArgs, ServiceVerbs, ServicesFlags, StartArgs};
pub(crate) use read::{
    As, CollectArgs, DoctorArgs, ExplainArgs, Format, LogsArgs, LsArgs, OutputFlags, PingStoreArgs, ShowArgs,
    Sort, StateArg, StatusArgs, WorkersArgs,
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
    Launch(Box<LaunchArgs>),
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
    Ping(PingStoreArgs),
    Local(ServiceVerbs),
    Hosts(HostsArgs),
    /// Write completions for a shell to stdout
    Completions {
        shell: clap_complete::Shell,
    },
    /// Write the man page of the command, or of one verb, to stdout
    Man {
        verb: Vec<String>,
    },
    /// Kill what a worker that was killed has left behind
    #[command(hide = true)]
    Guard {
        token: String,
    },
    /// Be a service of `local start`
    #[command(hide = true)]
    LocalService(ServiceArgs),
    /// Be a master or a worker of a torture
    #[command(hide = true)]
    TorturePart(PartArgs),
}

/// Returns the parser, with descriptions and examples.
pub(crate) fn command() -> clap::Command {
    describe(Cli::command())
}

/// Says whether `worker` would understand these flags.
///
/// # Errors
///
/// In the parser's words.
pub(crate) fn check_worker_flags(flags: &[String]) -> Result<(), clap::Error> {
    let line = ["flockwork", "worker", "STORE"].map(str::to_owned);
    let matches = command().try_get_matches_from(line.iter().chain(flags))?;
    Cli::from_arg_matches(&matches).map(drop)
}

/// Parses what stands after `flockwork launch`.
pub(crate) fn launch_of(words: &[String]) -> Result<LaunchArgs, clap::Error> {
    let line = ["launch".to_owned()].into_iter().chain(words.iter().cloned());
    LaunchArgs::from_arg_matches(
        &LaunchArgs::augment_args(clap::Command::new("launch")).try_get_matches_from(line)?,
    )
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
        fn check(path: &str, verb: &clap::Command) {
            assert!(verb.get_about().is_some(), "{path}");
            let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(path), "{path}: {after}");
            for verb in verb.get_subcommands().filter(|verb| !verb.is_hide_set()) {
                check(&format!("{path} {}", verb.get_name()), verb);
            }
        }
        for verb in command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            check(&format!("flockwork {}", verb.get_name()), verb);
        }
    }
}
