//! The command line: what can be typed, and nothing done with it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};

use super::flags::{MasterFlags, ProgramStoreFlags, WorkerFlags};
use super::{help, times};

/// The whole command line of a user's program.
#[derive(Debug, Parser)]
#[command(
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Cli<M: Args, W: Args> {
    #[command(subcommand)]
    pub(super) verb: Verb<M, W>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb<M: Args, W: Args> {
    /// Run the master here, with local workers, to the end
    Run(RunArgs<M>),
    /// Run the master only; workers are started elsewhere
    Master(MasterArgs<M>),
    /// Run one worker until there is nothing left to do
    Worker(WorkerArgs<W>),
    #[command(flatten)]
    Tool(Tool),
}

/// The verbs that need only a store.
#[derive(Debug, Subcommand)]
pub(super) enum Tool {
    /// Show what is in the store
    Status(ReadArgs),
    /// Ask the master and all workers to stop
    Stop(StopArgs),
    /// Give up attempts of dead or silent workers at once
    Reclaim(ReclaimArgs),
    /// Check that nothing was lost and nothing was done twice
    Audit(ReadArgs),
}

/// Which store.
///
/// The positional argument of every verb.
#[derive(Debug, Args)]
pub struct Place {
    /// The directory of the store, by habit NAME.flock; if it is not given, the only *.flock here
    #[arg(value_name = "STORE", env = "FLOCKWORK_STORE")]
    pub store: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs<M: Args> {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) master: M,
    /// How many worker processes to start here [default: the number of processors]
    #[arg(short = 'w', long, value_name = "N", help_heading = "Workers", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) workers: Option<u32>,
    #[command(flatten)]
    pub(super) worker_flags: WorkerFlags,
    #[command(flatten)]
    pub(super) master_flags: MasterFlags,
    #[command(flatten)]
    pub(super) store_flags: ProgramStoreFlags,
    /// Arguments for the workers, after `--`
    #[arg(last = true, value_name = "WORKER ARGUMENTS", help_heading = "Workers")]
    pub(super) worker_arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct MasterArgs<M: Args> {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) master: M,
    #[command(flatten)]
    pub(super) master_flags: MasterFlags,
    #[command(flatten)]
    pub(super) store_flags: ProgramStoreFlags,
    /// Least and greatest wait between two looks: LEAST..GREATEST
    #[arg(long, value_name = "TIMES", value_parser = times::parse_range, help_heading = "Master")]
    pub(super) poll: Option<(Duration, Duration)>,
}

#[derive(Debug, Args)]
pub(super) struct WorkerArgs<W: Args> {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) worker: W,
    #[command(flatten)]
    pub(super) flags: WorkerFlags,
    /// Tell only of trouble
    #[arg(short, long, help_heading = "Workers")]
    pub(super) quiet: bool,
    /// Leave when the parent is no longer this process
    #[arg(long, value_name = "PID", hide = true)]
    pub(super) parent: Option<u32>,
}

/// What the verbs that only read are given.
#[derive(Debug, Args)]
pub struct ReadArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

/// How something is written on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; may change
    Table,
    /// For programs; only ever grows
    Json,
}

/// What the verb `stop` is given.
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// Give running tasks back instead of finishing them
    #[arg(long)]
    pub(super) now: bool,
    /// Why; it is shown by `status`
    #[arg(long, value_name = "TEXT", default_value = "a person asked for it")]
    pub(super) why: String,
}

/// What the verb `reclaim` is given.
#[derive(Debug, Args)]
pub struct ReclaimArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// First tasks of input files, as ROUND/NUMBER, whoever holds them; name the store before them
    #[arg(value_name = "TASK")]
    pub(super) tasks: Vec<String>,
    /// Give up those that gave no sign of life for this long [default: the store's lease]
    #[arg(long, value_name = "TIME", value_parser = times::parse, conflicts_with = "tasks")]
    pub(super) silent: Option<Duration>,
}

/// Returns the parser, with the program's own name, the user's description and our examples.
pub(super) fn command<M: Args, W: Args>(program: &str) -> Command {
    let users = M::augment_args(Command::new("users"));
    let about = users.get_about().map_or_else(
        || "A program with a work queue that is a directory".to_owned(),
        ToString::to_string,
    );
    // A program's own positional arguments stand after the store, so then the store must be named.
    let for_master = positionals(&users);
    let for_worker = positionals(&W::augment_args(Command::new("users")));
    let mut command = Cli::<M, W>::command()
        .bin_name(program)
        .display_name(program)
        .about(about)
        .after_help(help::examples("", program, ""))
        .after_long_help(help::long("", program, ""));
    // Flattened arguments bring the user's description with them; the verbs keep their own.
    for (verb, _) in help::VERBS {
        let more = match *verb {
            "run" | "master" => for_master.as_str(),
            "worker" => for_worker.as_str(),
            _ => "",
        };
        command = with_help(command, verb, program, more);
        if !more.is_empty() {
            command = command.mut_subcommand(verb, |command| {
                command.mut_args(|arg| {
                    if arg.get_id() == "store" {
                        arg.required(true)
                    } else {
                        arg
                    }
                })
            });
        }
    }
    command
}

fn with_help(command: Command, verb: &str, program: &str, more: &str) -> Command {
    let about = help::VERBS
        .iter()
        .find(|(name, _)| *name == verb)
        .map_or("", |(_, about)| *about);
    command.mut_subcommand(verb, |command| {
        command
            .about(about)
            .long_about(about)
            .after_help(help::examples(verb, program, more))
            .after_long_help(help::long(verb, program, more))
    })
}

/// Returns the names of positional arguments, each after a blank.
fn positionals(command: &Command) -> String {
    let names = command.get_positionals().map(|arg| {
        let names = arg.get_value_names().and_then(|names| names.first());
        format!(
            " {}",
            names
                .map_or_else(|| arg.get_id().as_str(), |name| name.as_str())
                .to_uppercase()
        )
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Args)]
    struct WithFile {
        file: PathBuf,
    }

    #[derive(Debug, Args)]
    struct Plain {}

    #[test]
    fn the_parser_is_sound() {
        command::<WithFile, Plain>("factor").debug_assert();
        command::<Plain, WithFile>("factor").debug_assert();
        let parsed =
            command::<WithFile, Plain>("factor").try_get_matches_from(["x", "run", "x.flock", "numbers"]);
        let parsed =
            <Cli<WithFile, Plain> as clap::FromArgMatches>::from_arg_matches(&parsed.unwrap()).unwrap();
        let Verb::Run(run) = parsed.verb else {
            panic!("{parsed:?}")
        };
        assert_eq!(run.place.store.as_deref(), Some(std::path::Path::new("x.flock")));
        assert_eq!(run.master.file, PathBuf::from("numbers"));
    }

    #[test]
    fn every_verb_has_its_help() {
        let command = command::<Plain, Plain>("factor");
        let verbs: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        let told: Vec<_> = help::VERBS.iter().map(|(verb, _)| *verb).collect();
        assert_eq!(verbs, told);
        for verb in verbs {
            let text = help::examples(verb, "factor", "");
            assert!(text.contains(&format!("factor {verb}")), "{text}");
        }
    }
}
