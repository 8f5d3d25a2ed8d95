//! What `hosts cp` is given, and what is common to verbs that move files.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use flockwork::app::times;

use super::{Format, HostFlags, SshFlags};

/// How files are moved.
#[derive(Debug, Args)]
pub(crate) struct MoveFlags {
    /// How often a host is tried again whose connection broke, and a file whose checksum was wrong
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) retries: u32,
    /// A connection on which nothing moves for so long is given up; large files get more, to be read there
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = times::parse)]
    pub(crate) stall: Duration,
    /// No progress on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// What is written on stdout at the end: `json` has each host, with what failed there
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What `hosts cp` is given.
#[derive(Debug, Args)]
pub(crate) struct CpArgs {
    /// What is copied: files, directories with all below them, links; :PATH is on the hosts, relative to the home there
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) sources: Vec<OsString>,
    /// The directory it comes into, made if it is missing; :PATH is on the hosts
    #[arg(value_name = "DEST", required = true)]
    pub(crate) dest: OsString,
    /// When collecting: one directory for each host in DEST, called as the host
    #[arg(long)]
    pub(crate) divide: bool,
    /// When sending: hosts that have everything send it on, by their own ssh, so that this machine's network is not the limit
    #[arg(long)]
    pub(crate) tree: bool,
    #[command(flatten)]
    pub(crate) hosts: HostFlags,
    #[command(flatten)]
    pub(crate) ssh: SshFlags,
    #[command(flatten)]
    pub(crate) moving: MoveFlags,
}
