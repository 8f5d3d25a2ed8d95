//! Flags of the verbs that work: `run`, `worker`, `wait`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use flockwork::app::{Place, StoreFlags, WorkerFlags, times};

use super::read::{As, OutputFlags};
use super::sweep::SweepFlags;

/// What `run` is given.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) sweep: SweepFlags,
    /// How many worker processes to start here [default: one for each processor; 1 with --slots]
    #[arg(short = 'w', long, value_name = "N", help_heading = "Workers")]
    pub(crate) workers: Option<u32>,
    /// Launch workers elsewhere, and start none here: what one would type after `flockwork launch`, without the store
    ///
    /// `--launch "ssh -n node[01-08]:4"`, `--launch "slurm --workers 50 --time 2h"`. They go on if this command is
    /// interrupted.
    #[arg(
        long,
        value_name = "ENGINE AND FLAGS",
        help_heading = "Workers",
        conflicts_with = "workers"
    )]
    pub(crate) launch: Option<String>,
    #[command(flatten)]
    pub(crate) work: WorkFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(flatten)]
    pub(crate) store: StoreFlags,
    /// Say less: no line for each failed task
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What `worker` is given.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) work: WorkFlags,
    /// Tell only of trouble
    #[arg(short, long, help_heading = "Workers")]
    pub(crate) quiet: bool,
    /// Leave when the parent is no longer this process
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) parent: Option<u32>,
    /// Begin a session of its own, so that the terminal's end is not this process's
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
    /// When the time is up and there is work left, launch another worker as this launch of the store did
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) relaunch: Option<u64>,
}

/// What `wait` is given.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Give up after this, with exit code 6 [default: never]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Write the results to this file in the end, as `collect -o` does
    #[arg(long, value_name = "FILE")]
    pub(crate) collect: Option<PathBuf>,
    /// How the results are written [default: by the file's name]
    #[arg(long = "as", value_enum, value_name = "HOW")]
    pub(crate) how: Option<As>,
}

/// How a worker works.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Workers")]
pub(crate) struct WorkFlags {
    #[command(flatten)]
    pub(crate) worker: WorkerFlags,
    /// Processors that a worker may use [default: what the scheduler, the cgroup or the machine allows]
    #[arg(long = "offer-cpus", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) offer_cpus: Option<u32>,
    /// Memory that a worker may use [default: what the scheduler, the cgroup or the machine allows]
    #[arg(long = "offer-mem", value_name = "BYTES")]
    pub(crate) offer_mem: Option<String>,
}

impl WorkFlags {
    /// Writes the flags so that a worker process reads the same from them.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = self.worker.arguments();
        if let Some(cpus) = self.offer_cpus {
            arguments.extend(["--offer-cpus".into(), cpus.to_string().into()]);
        }
        if let Some(mem) = &self.offer_mem {
            arguments.extend(["--offer-mem".into(), mem.into()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        work: WorkFlags,
    }

    #[test]
    fn a_worker_process_is_told_the_same() {
        let typed = [
            "x",
            "--slots=3",
            "--scratch=/tmp",
            "--offer-cpus=2",
            "--offer-mem=4G",
        ];
        let typed = Line::try_parse_from(typed).unwrap();
        let again = std::iter::once("x".into()).chain(typed.work.arguments());
        let again = Line::try_parse_from(again).unwrap();
        assert_eq!(format!("{:?}", again.work), format!("{:?}", typed.work));
    }
}
