//! Flags of the verbs that work: `run`, `worker`, `wait`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flockwork::app::{Place, times};
use flockwork::{How, WorkerConfig};

use super::read::{As, OutputFlags};
use super::sweep::{StoreFlags, SweepFlags};

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
    /// Tasks that a worker runs at a time [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) slots: Option<u32>,
    /// Processors that a worker may use [default: what the scheduler, the cgroup or the machine allows]
    #[arg(long = "offer-cpus", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) offer_cpus: Option<u32>,
    /// Memory that a worker may use [default: what the scheduler, the cgroup or the machine allows]
    #[arg(long = "offer-mem", value_name = "BYTES")]
    pub(crate) offer_mem: Option<String>,
    /// After how long with nothing to do a worker leaves
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = times::parse)]
    pub(crate) idle_exit: Duration,
    /// How long a running task may take to end when the worker is told to leave
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = times::parse)]
    pub(crate) grace: Duration,
    /// Where the directories of attempts are made, such as a local disk [default: in the store]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
    /// Least and greatest wait between two looks for work: LEAST..GREATEST
    #[arg(long, value_name = "TIMES", value_parser = times::parse_range)]
    pub(crate) poll: Option<(Duration, Duration)>,
    /// What the first TERM or INT does to running tasks
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnTerm::Return)]
    pub(crate) on_term: OnTerm,
}

/// What the first signal does to running tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnTerm {
    /// They are ended, and given back
    Return,
    /// They are finished
    Finish,
}

impl WorkFlags {
    /// Returns the settings of a worker with so many slots.
    pub(crate) fn config(&self, slots: u32) -> WorkerConfig {
        let mut config = WorkerConfig::default().slots(slots).grace(self.grace);
        if let Some((least, greatest)) = self.poll {
            config = config.poll(least, greatest);
        }
        if let Some(scratch) = &self.scratch {
            config = config.scratch(scratch);
        }
        config
    }

    /// Returns what the first signal means.
    pub(crate) fn on_signal(&self) -> How {
        match self.on_term {
            OnTerm::Return => How::Now,
            OnTerm::Finish => How::Finish,
        }
    }

    /// Writes the flags so that a worker process reads the same from them.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
        if let Some(slots) = self.slots {
            add("--slots", slots.to_string().into());
        }
        if let Some(cpus) = self.offer_cpus {
            add("--offer-cpus", cpus.to_string().into());
        }
        if let Some(mem) = &self.offer_mem {
            add("--offer-mem", mem.into());
        }
        add("--idle-exit", times::exact(self.idle_exit).into());
        add("--grace", times::exact(self.grace).into());
        if let Some(scratch) = &self.scratch {
            add("--scratch", flockwork::app::absolute(scratch).into());
        }
        if let Some((least, greatest)) = self.poll {
            let range = format!("{}..{}", times::exact(least), times::exact(greatest));
            add("--poll", range.into());
        }
        let on_term = match self.on_term {
            OnTerm::Return => "return",
            OnTerm::Finish => "finish",
        };
        add("--on-term", on_term.into());
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
        let typed = Line::try_parse_from([
            "x",
            "--slots=3",
            "--idle-exit=1h30m",
            "--grace=250ms",
            "--scratch=/tmp",
            "--poll=5ms..1s",
            "--on-term=finish",
            "--offer-cpus=2",
            "--offer-mem=4G",
        ])
        .unwrap();
        let again = std::iter::once("x".into()).chain(typed.work.arguments());
        let again = Line::try_parse_from(again).unwrap();
        assert_eq!(format!("{:?}", again.work), format!("{:?}", typed.work));
    }
}
