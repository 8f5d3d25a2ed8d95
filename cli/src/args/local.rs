//! What `local start`, `local ping` and `local stop` are given.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use flockwork::app::times;

use super::read::Format;

/// The verb `local`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ServiceVerbs {
    #[command(subcommand)]
    pub(crate) verb: LocalVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalVerb {
    Start(StartArgs),
    Ping(PingArgs),
    Stop(EndArgs),
}

/// What `local start` is given.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// The store that the services work for; without one they only answer
    #[arg(value_name = "STORE")]
    pub(crate) store: Option<PathBuf>,
    /// A file with the ports, one a line, each above 1023; # begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) ports: PathBuf,
    /// Further flags of the workers, after `--`
    #[arg(last = true, value_name = "WORKER FLAGS")]
    pub(crate) flags: Vec<String>,
}

/// Which services.
#[derive(Debug, Args)]
pub(crate) struct ServicesFlags {
    /// Only the services on the ports of this file [default: all that were started on this machine]
    #[arg(long, value_name = "FILE")]
    pub(crate) ports: Option<PathBuf>,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What `local ping` is given.
#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    #[command(flatten)]
    pub(crate) services: ServicesFlags,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = times::parse)]
    pub(crate) timeout: Duration,
}

/// What `local stop` is given.
#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    #[command(flatten)]
    pub(crate) services: ServicesFlags,
    /// How long a service may take to send its worker away
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = times::parse)]
    pub(crate) timeout: Duration,
}

/// What the process of a service is given; it listens on its standard input.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    pub(crate) port: u16,
    #[arg(long)]
    pub(crate) store: Option<PathBuf>,
    #[arg(last = true)]
    pub(crate) flags: Vec<String>,
}
