//! Flags of the verbs that reach other hosts: which hosts, how ssh gets there, and what is done with them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use flockwork::app::times;

use super::read::Format;

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

/// What `hosts` is given.
#[derive(Debug, Args)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    pub(crate) verb: HostsVerb,
}

/// The verbs of `hosts`, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum HostsVerb {
    Status(HostsStatusArgs),
    Run(Box<HostsRunArgs>),
    Mkdir(HostsMkdirArgs),
}

/// What `hosts status` is given.
#[derive(Debug, Args)]
pub(crate) struct HostsStatusArgs {
    #[command(flatten)]
    pub(crate) hosts: HostFlags,
    /// Only ping: two pings by ICMP, or by TCP to the port of sshd where ICMP is not allowed; both must come back
    #[arg(long)]
    pub(crate) ping: bool,
    /// How long it may take in all
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = times::parse)]
    pub(crate) timeout: Duration,
    /// One row for all hosts that are alike
    #[arg(long)]
    pub(crate) group: bool,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) ssh: SshFlags,
}

/// What `hosts mkdir` is given.
#[derive(Debug, Args)]
pub(crate) struct HostsMkdirArgs {
    /// A directory that is there on each host; a relative one is below the user's home
    #[arg(value_name = "PARENT")]
    pub(crate) parent: String,
    /// The name of the new one, without a slash
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) hosts: HostFlags,
    /// How to write it on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) ssh: SshFlags,
}

/// What `hosts run` is given.
#[derive(Debug, Args)]
pub(crate) struct HostsRunArgs {
    /// The command, or the arguments of --script; {host} is the host's name, {file} the first copied file there
    #[arg(value_name = "COMMAND", last = true, required_unless_present = "script")]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) hosts: HostFlags,
    /// Copy this file to each host first, and check that it is the same there
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where files go and the command runs there [default: a private directory that is removed in the end; without
    /// files, the user's home]
    #[arg(short = 'r', long, value_name = "DIR")]
    pub(crate) remote_dir: Option<String>,
    /// Copy this script to each host and run it, with the words behind `--` as its arguments
    #[arg(long, value_name = "FILE", conflicts_with = "shell")]
    pub(crate) script: Option<PathBuf>,
    /// Let a shell there read the command: pipes, variables and patterns work
    #[arg(long)]
    pub(crate) shell: bool,
    /// The time between two signs of life of a host; whole seconds
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = times::parse)]
    pub(crate) heartbeat: Duration,
    /// No signs of life: ssh alone notices a host that is gone
    #[arg(short = 'i', long)]
    pub(crate) no_heartbeat: bool,
    /// A host that is silent for so long is dead, until it reports again; the dead are not waited for
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = times::parse)]
    pub(crate) dead_after: Duration,
    /// How long all of it may take; then what still runs is stopped
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) timeout: Option<Duration>,
    /// How long the command may run on each host; then it is stopped there
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) host_timeout: Option<Duration>,
    /// The time between TERM and KILL when a command is stopped
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = times::parse)]
    pub(crate) grace: Duration,
    /// Keep outputs and how each host ended in DIR/HOST/stdout, stderr and status
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,
    /// Keep no outputs in files
    #[arg(long)]
    pub(crate) no_out: bool,
    /// Draw one line for each host in place, instead of all that the commands write
    #[arg(long)]
    pub(crate) in_place: bool,
    /// Write what came of each host to stdout in this form, instead of what the commands write
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) ssh: SshFlags,
}
