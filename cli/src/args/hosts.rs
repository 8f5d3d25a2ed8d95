//! Flags of the verbs that reach other hosts: which hosts, and how ssh gets there.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use flockwork::app::times;

use super::cp::CpArgs;
use super::distribute::DistributeArgs;

/// What `hosts` is given.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    pub(crate) verb: HostsVerb,
}

/// What can be done with hosts, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum HostsVerb {
    Cp(Box<CpArgs>),
    Distribute(Box<DistributeArgs>),
}

/// Which hosts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct HostFlags {
    /// Hosts: node[01-64], 192.168.100.101..200, node{a,b}, with commas; @FILE reads a file
    #[arg(short = 'n', long = "nodes", value_name = "HOSTS")]
    pub(crate) nodes: Vec<String>,
    /// A file with hosts, one a line: node01, ana@node02:2222 (port), node03:8 (slots); # begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: Vec<PathBuf>,
    /// Leave these hosts out; @FILE reads a file
    #[arg(short = 'x', long = "exclude", value_name = "HOSTS")]
    pub(crate) exclude: Vec<String>,
}

/// How ssh gets to the hosts. It is the system's own, so its configuration, agent, jump hosts and Kerberos work.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections")]
pub(crate) struct SshFlags {
    /// The program that connects
    #[arg(long, value_name = "PROGRAM", default_value = "ssh", env = "FLOCKWORK_SSH")]
    pub(crate) ssh: OsString,
    /// A configuration for ssh instead of your own, as `ssh -F`
    #[arg(long, value_name = "FILE", env = "FLOCKWORK_SSH_CONFIG")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// An option for ssh, as `ssh -o`; it counts before our own and before the configuration
    #[arg(short = 'o', long = "ssh-option", value_name = "NAME=VALUE")]
    pub(crate) ssh_option: Vec<String>,
    /// How long it may take to connect to a host
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = times::parse)]
    pub(crate) connect_timeout: Duration,
    /// How many hosts are worked on at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) fanout: u32,
}
