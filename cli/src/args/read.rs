//! Flags of the verbs that read: what is going on, and what it has come to.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flockwork::app::{Place, times};

/// How something is written on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; may change
    Table,
    /// One document, with a schema that only ever grows
    Json,
    /// An object in each line
    Jsonl,
    Csv,
    /// Cells separated by tabs, without a headline
    Plain,
}

/// What a verb is given that only reads.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What `status` is given.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Show it again every two seconds, until everything has ended
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    Waiting,
    Running,
    /// Running, without a sign of life
    Stale,
    Ok,
    Failed,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Task,
    /// The longest time since it began first; of tasks that ended, the longest run time
    Age,
    /// The most attempts first
    Attempts,
}

/// What `ls` is given.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Only tasks in these states
    #[arg(short, long, value_enum, value_delimiter = ',', value_name = "STATES")]
    pub(crate) state: Vec<StateArg>,
    /// Only tasks whose parameter matches: `alpha=0.9*`; several must all match
    #[arg(short, long = "match", value_name = "NAME=PATTERN")]
    pub(crate) matching: Vec<String>,
    #[arg(long, value_enum, default_value_t = Sort::Task)]
    pub(crate) sort: Sort,
    /// Show at most so many; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

/// What `workers` is given.
#[derive(Debug, Args)]
pub(crate) struct WorkersArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Only workers on these hosts: `node[01-04]`, `10.0.0.1..20`, `a,b`
    #[arg(long, value_name = "HOSTS")]
    pub(crate) host: Option<String>,
}

/// What `show` is given.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What `explain` is given.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// A store and a task in it; if only one is given it is the task.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The store and the task's number, as in `sweep.flock 377`; the store may be left out as elsewhere
    #[arg(value_name = "STORE TASK", num_args = 1..=2, required = true)]
    pub(crate) what: Vec<String>,
}

/// What `logs` is given.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) one: OneArgs,
    /// Go on while the task runs
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The output of this attempt [default: the last]
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// Only stdout
    #[arg(long, conflicts_with = "stderr")]
    pub(crate) stdout: bool,
    /// Only stderr
    #[arg(long)]
    pub(crate) stderr: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// A row for each task: parameters, results, host, seconds, attempt
    Csv,
    /// An object for each task
    Jsonl,
    /// The results alone, one after the other, in the order of the tasks
    Concat,
    /// As concat, each preceded by its parameters
    Blocks,
}

/// Where results go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct OutputFlags {
    /// Write the results to this file; those that failed go to failed.csv beside results.csv, x.failed.csv beside x.csv
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How the results are written [default: by the file's name, else csv]
    #[arg(long = "as", value_enum, value_name = "HOW")]
    pub(crate) how: Option<As>,
}

/// What `collect` is given.
#[derive(Debug, Args)]
pub(crate) struct CollectArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    /// Write what is there, although tasks are missing
    #[arg(long)]
    pub(crate) partial: bool,
    /// Write results as tasks end, until all have ended; to stdout, or to the file in the end
    #[arg(long)]
    pub(crate) follow: bool,
}

/// What `doctor` is given.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A store, or any directory; if it is not given, the only *.flock here, else this directory
    #[arg(value_name = "DIR", env = "FLOCKWORK_STORE")]
    pub(crate) dir: Option<PathBuf>,
    /// Also do the tests that need two hosts: run the same command on both at about the same time
    #[arg(long)]
    pub(crate) peer: bool,
    /// How long to wait for the other host, with --peer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = times::parse)]
    pub(crate) timeout: Duration,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What `ping` is given.
#[derive(Debug, Args)]
pub(crate) struct PingStoreArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// How long to wait for answers
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = times::parse)]
    pub(crate) timeout: Duration,
}
