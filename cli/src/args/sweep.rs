//! Flags that say what is run: shared by `run` and `submit`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flockwork::app::{Place, times};
use flockwork::{Durability, Sharing, StoreConfig};

use crate::sweep::table::Format;

/// What `submit` is given.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) sweep: SweepFlags,
    #[command(flatten)]
    pub(crate) store: StoreFlags,
}

/// What is run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What to run")]
pub(crate) struct SweepFlags {
    /// A table of parameters: cells separated by `|` under a line of names; also .csv, .tsv and .jsonl; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "each_line")]
    pub(crate) params: Option<PathBuf>,
    /// How the table is written, if its name does not tell
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) params_format: Option<Format>,
    /// A parameter and its values: `alpha=0.1,0.2`, `seed=1..100`, `x=0..1..0.1`; several give all combinations
    #[arg(long, value_name = "NAME=VALUES")]
    pub(crate) sweep: Vec<String>,
    /// Walk the lists of --sweep side by side instead of combining them
    #[arg(long, requires = "sweep")]
    pub(crate) zip: bool,
    /// A task for each line of a file (`-` is stdin); the parameter's name is `line`
    #[arg(long, value_name = "FILE")]
    pub(crate) each_line: Option<PathBuf>,
    /// Make NAME in the task's directory from the template FILE, in which `{{ alpha }}` stands for a parameter
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) input: Vec<String>,
    /// What the command reads: a text, or `@FILE`; both are templates
    #[arg(long, value_name = "TEXT")]
    pub(crate) stdin: Option<String>,
    /// A variable of this environment that tasks get too, with its value now
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Vec<String>,
    /// A result: `NAME=stdout`, `stderr`, `file:PATH`, `json` or `regex:PATTERN`
    #[arg(long, value_name = "NAME=SOURCE")]
    pub(crate) result: Vec<String>,
    /// A command that says by its exit status whether a task is ok; `{stdout}` and `{stderr}` are files
    #[arg(long, value_name = "COMMAND")]
    pub(crate) ok_if: Option<String>,
    /// Give the command to `sh -c`; values are quoted
    #[arg(long)]
    pub(crate) shell: bool,
    /// Where tasks run [default: each attempt in a directory of its own]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    /// Show what would be run, and make nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The command, after `--`: `{alpha}` stands for a parameter, `{#}` for the number of the task
    #[arg(last = true, value_name = "COMMAND", help_heading = "What to run")]
    pub(crate) command: Vec<String>,
}

/// What an attempt may use.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of a task")]
pub(crate) struct LimitFlags {
    /// How long an attempt may take: `4m`, or `20x` the median (once ten tasks are done) [default: no limit]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// Between TERM and KILL [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) kill_after: Option<Duration>,
    /// The most that is kept of each of stdout and stderr: its head and its tail [default: 1M]
    #[arg(long, value_name = "BYTES")]
    pub(crate) output_limit: Option<String>,
    /// Processors that a task needs [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cpus: Option<u32>,
    /// Memory that a task needs: `512M`, `4G` [default: not looked at]
    #[arg(long, value_name = "BYTES")]
    pub(crate) mem: Option<String>,
    /// Exit codes after which a task is tried again [default: all]
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) retry_on: Vec<i32>,
    /// Exit codes after which it is not
    #[arg(
        long,
        value_name = "CODES",
        value_delimiter = ',',
        conflicts_with = "retry_on"
    )]
    pub(crate) no_retry_on: Vec<i32>,
    /// Stop when so many tasks have failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_failures: Option<u64>,
    /// Stop at the first task that fails
    #[arg(long, conflicts_with = "max_failures")]
    pub(crate) fail_fast: bool,
    /// Tasks that a worker takes at once; for tasks of some milliseconds [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
}

/// Settings of a store; they count when it is made.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store, when it is made")]
pub(crate) struct StoreFlags {
    /// How often a task is tried again after it failed or its worker was lost [default: 2]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// The wait before a failed task is tried again: LEAST..GREATEST [default: 1s..60s]
    #[arg(long, value_name = "TIMES", value_parser = times::parse_range)]
    backoff: Option<(Duration, Duration)>,
    /// After how long without a sign of life a worker is given up [default: 60s; 300s on network file systems]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    lease: Option<Duration>,
    /// The share of a round in which slow tasks are given to idle workers too [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    tail: Option<f64>,
    /// What an outcome survives [default: power]
    #[arg(long, value_enum, value_name = "WHAT")]
    durability: Option<DurabilityFlag>,
    /// Who may read and write the store [default: private]
    #[arg(long, value_enum, value_name = "WHO")]
    sharing: Option<SharingFlag>,
    /// Other hosts use the store, although its file system looks local here
    #[arg(long)]
    network: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DurabilityFlag {
    /// A power cut
    Power,
    /// Any kill, but no power cut; faster for short tasks
    Process,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SharingFlag {
    /// The user who made it
    Private,
    /// The group of the directory too
    Group,
}

impl StoreFlags {
    /// Returns the settings, with what was typed over those that are given.
    pub(crate) fn over(&self, mut config: StoreConfig) -> StoreConfig {
        if let Some(retries) = self.retries {
            config = config.retries(retries);
        }
        if let Some((least, greatest)) = self.backoff {
            config = config.backoff(least, greatest);
        }
        if let Some(lease) = self.lease {
            config = config.lease(lease);
        }
        if let Some(tail) = self.tail {
            config = config.tail(tail);
        }
        if let Some(durability) = self.durability {
            config = config.durability(match durability {
                DurabilityFlag::Power => Durability::Power,
                DurabilityFlag::Process => Durability::Process,
            });
        }
        if let Some(sharing) = self.sharing {
            config = config.sharing(match sharing {
                SharingFlag::Private => Sharing::Private,
                SharingFlag::Group => Sharing::Group,
            });
        }
        if self.network {
            config = config.network(true);
        }
        config
    }
}
