//! What `launch ssh` is given.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use flockwork::app::{Place, times};

use super::hosts::{HostFlags, SshFlags};
use super::read::Format;

/// What `launch ssh` is given.
#[derive(Debug, Args)]
pub(crate) struct LaunchSshArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) hosts: HostFlags,
    /// Slots of a worker, on hosts that name none (`node01:8`) [default: one for each processor there]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) slots: Option<u32>,
    /// The program that is run there [default: this one]
    ///
    /// It is used where it is if the host sees the same file; else it is copied. A static binary runs everywhere.
    #[arg(long, value_name = "FILE", help_heading = "Program")]
    pub(crate) program: Option<PathBuf>,
    /// A program for other machines, as `uname -s` and `uname -m` name them there; may be given several times
    #[arg(long, value_name = "SYSTEM-MACHINE=FILE", help_heading = "Program")]
    pub(crate) platform: Vec<String>,
    /// Where copies of the program go [default: ~/.cache/flockwork there]
    #[arg(
        long,
        value_name = "DIR",
        default_value = "",
        hide_default_value = true,
        help_heading = "Program"
    )]
    pub(crate) remote_dir: String,
    /// Remove the copy when the last worker that uses it has left; with --stop, when they were asked to leave
    #[arg(long, help_heading = "Program")]
    pub(crate) remove_program: bool,
    #[command(flatten)]
    pub(crate) ssh: SshFlags,
    /// Never launch more workers than this on the store, all launches counted
    #[arg(long, value_name = "N")]
    pub(crate) max_submissions: Option<u64>,
    /// Only show what would be run
    #[arg(long, conflicts_with_all = ["status", "stop"])]
    pub(crate) print: bool,
    /// Ask the hosts whether the workers that were launched live
    #[arg(long, conflicts_with = "stop")]
    pub(crate) status: bool,
    /// Ask the workers that were launched to give their tasks back and leave
    #[arg(long)]
    pub(crate) stop: bool,
    /// How long --stop waits for a worker
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = times::parse)]
    pub(crate) wait: Duration,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Further flags of the workers, after `--`
    #[arg(last = true, value_name = "WORKER FLAGS")]
    pub(crate) flags: Vec<String>,
}
