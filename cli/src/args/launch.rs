//! Flags of `launch`: who starts the workers, how many, with what.

use std::time::Duration;

use clap::{Args, Subcommand};
use flockwork::app::{Place, times};

use super::launch_ssh::LaunchSshArgs;
use super::read::Format;

/// What `launch` is given.
#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    #[command(subcommand)]
    pub(crate) by: LaunchBy,
}

/// Who starts the workers.
#[derive(Debug, Subcommand)]
pub(crate) enum LaunchBy {
    /// Start workers here, in the background
    #[command(after_help = "Examples:\n  \
        flockwork launch local s.flock --workers 4\n  \
        flockwork launch local s.flock --status\n  \
        flockwork launch local s.flock --stop")]
    Local(LocalArgs),
    /// Start a worker on each of many hosts, by ssh
    #[command(after_help = "Examples:\n  \
        flockwork launch ssh /proj/s.flock -n node[01-64]:8\n  \
        flockwork launch ssh /proj/s.flock --hosts hosts.txt --slots 4 --platform Linux-aarch64=flockwork.arm\n  \
        flockwork launch ssh /proj/s.flock --status\n  \
        flockwork launch ssh /proj/s.flock --stop --remove-program")]
    Ssh(Box<LaunchSshArgs>),
    /// Submit workers as an array job of Slurm
    #[command(after_help = "Examples:\n  \
        flockwork launch slurm /proj/s.flock --workers 50 --time 2h --mem 4G --cpus 2\n  \
        flockwork launch slurm /proj/s.flock --workers 50 --time 2h --until-done\n  \
        flockwork launch slurm /proj/s.flock --workers 50 --time 2h --print > sweep.sbatch")]
    Slurm(BatchArgs),
    /// Submit workers as a cluster of HTCondor jobs
    #[command(after_help = "Examples:\n  \
        flockwork launch condor /proj/s.flock --workers 200 --mem 2G\n  \
        flockwork launch condor /proj/s.flock --workers 200 --print > sweep.sub")]
    Condor(BatchArgs),
    /// Submit workers as an array job of Grid Engine
    #[command(after_help = "Examples:\n  \
        flockwork launch sge /proj/s.flock --workers 50 --time 8h --mem 4G\n  \
        flockwork launch sge /proj/s.flock --workers 50 --print > sweep.sge")]
    Sge(BatchArgs),
}

impl LaunchArgs {
    /// Says whether workers are to be started, and nothing is only shown or ended.
    pub(crate) fn starts(&self) -> bool {
        let common = |common: &CommonArgs| !common.status && !common.stop;
        match &self.by {
            LaunchBy::Local(args) => common(&args.common),
            LaunchBy::Ssh(args) => !args.status && !args.stop && !args.print,
            LaunchBy::Slurm(args) | LaunchBy::Condor(args) | LaunchBy::Sge(args) => {
                common(&args.common) && !args.print
            }
        }
    }
}

/// What every way of launching is given.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// How many workers
    #[arg(short = 'w', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) workers: u32,
    /// How many tasks each worker runs at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) slots: Option<u32>,
    /// Never launch more workers than this on the store, all launches and replacements counted
    #[arg(long, value_name = "N")]
    pub(crate) max_submissions: Option<u64>,
    /// Say what has become of the workers that were launched in this way
    #[arg(long, conflicts_with_all = ["stop", "max_submissions", "flags"])]
    pub(crate) status: bool,
    /// End the workers that were launched in this way; their tasks are given back
    #[arg(long, conflicts_with_all = ["max_submissions", "flags"])]
    pub(crate) stop: bool,
    /// How --status and --stop write what they found on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Flags for each worker, as `flockwork worker --help` shows them
    #[arg(last = true, value_name = "WORKER FLAGS")]
    pub(crate) flags: Vec<String>,
}

/// What `launch local` is given.
#[derive(Debug, Args)]
pub(crate) struct LocalArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// What a batch engine is given.
#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) job: JobFlags,
    /// Write the submit file to stdout, and start nothing
    #[arg(long, conflicts_with_all = ["status", "stop", "until_done", "max_submissions"])]
    pub(crate) print: bool,
    /// A worker whose time is up while there is work left submits another one in its place
    #[arg(long, conflicts_with_all = ["status", "stop"])]
    pub(crate) until_done: bool,
    /// Submit although the store or the program lies where jobs are known not to see it
    #[arg(long)]
    pub(crate) force: bool,
}

/// What each job asks the engine for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Each job")]
pub(crate) struct JobFlags {
    /// How long a job may run [default: what the engine grants]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) time: Option<Duration>,
    /// Memory of a job, such as 4G [default: what the engine grants]
    #[arg(long, value_name = "BYTES")]
    pub(crate) mem: Option<String>,
    /// Processors of a job [default: as many as --slots]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cpus: Option<u32>,
}
