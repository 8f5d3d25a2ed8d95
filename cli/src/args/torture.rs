//! Flags of `torture`, and of the processes that it starts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flockwork::app::{Format, times};

/// What `torture` is given.
#[derive(Debug, Args)]
pub(crate) struct TortureArgs {
    /// Where a store of its own is made: a path on the file system in question, where nothing is yet
    #[arg(value_name = "STORE")]
    pub(crate) store: PathBuf,
    /// Take part in a torture that another host begins: workers here, and kills of these
    #[arg(long, conflicts_with_all = ["duration", "kills", "tasks", "batch", "lease", "pace", "patience", "keep", "format"])]
    pub(crate) join: bool,
    /// How long to disturb [default: 2m, or until --kills]
    #[arg(long = "for", value_name = "TIME", value_parser = times::parse)]
    pub(crate) duration: Option<Duration>,
    /// Disturb until so many processes of this host were killed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) kills: Option<u64>,
    /// How many worker processes to start here
    #[arg(short = 'w', long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) workers: u32,
    /// Tasks of a round; the next round's inputs depend on all answers of a round
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) tasks: u64,
    /// Tasks that share one input file
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// Makes the same random choices again
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// After how long a silent worker is given up [default: 2s; 20s on a network file system]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) lease: Option<Duration>,
    /// The time between two disturbances, on average
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = times::parse)]
    pub(crate) pace: Duration,
    /// A run in which no outcome comes in for so long is stuck [default: ten leases and 20s]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) patience: Option<Duration>,
    /// Keep the store also when every promise was held
    #[arg(long)]
    pub(crate) keep: bool,
    /// How to write the verdict on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What a process of a torture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Master,
    Worker,
}

/// What a process of a torture is given.
#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    #[arg(value_enum)]
    pub(crate) role: Role,
    pub(crate) store: PathBuf,
    /// Its own name, under which it makes notes
    pub(crate) name: String,
    /// The process that looks after it
    #[arg(long, value_name = "PID")]
    pub(crate) parent: u32,
}
