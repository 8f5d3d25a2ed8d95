//! What `hosts distribute` is given.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::cp::MoveFlags;
use super::{HostFlags, SshFlags};

/// Which host a file goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Any, by its name and the seed
    Random,
    /// The number behind the last `_` in its name, modulo the number of hosts
    Index,
    /// So that all hosts get about as many bytes
    Size,
}

/// What `hosts distribute` is given.
#[derive(Debug, Args)]
pub(crate) struct DistributeArgs {
    /// The directory whose files are distributed; directories in it are left out
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The directory on each host that they come into, made if it is missing; relative to the home there
    #[arg(value_name = "NAME")]
    pub(crate) name: OsString,
    /// Which host a file goes to
    #[arg(long, value_enum)]
    pub(crate) by: By,
    /// The seed of `random`: the same seed and the same hosts, the same choices
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Delete a file here once it is on its host, synced, and its checksum was read back there
    #[arg(long = "move")]
    pub(crate) moves: bool,
    /// Where it is kept which file goes where and has arrived; DIR/.flockwork-distribute.jsonl if it is not given
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) hosts: HostFlags,
    #[command(flatten)]
    pub(crate) ssh: SshFlags,
    #[command(flatten)]
    pub(crate) moving: MoveFlags,
}
