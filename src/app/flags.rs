//! Flags that set what the library's settings are; each default is the library's own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use super::job::Job;
use super::times;
use crate::codec::Codec;
use crate::config::{Durability, Sharing, StoreConfig};
use crate::master::MasterConfig;
use crate::wait::How;
use crate::worker::WorkerConfig;

/// Settings that a store is made with.
/// Settings of a store; they count when it is made.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store, when it is made")]
pub struct StoreFlags {
    /// How often a task is tried again after it failed or its worker was lost [default: 2]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Wait before a task is tried again, doubling: LEAST..GREATEST [default: 1s..60s]
    #[arg(long, value_name = "TIMES", value_parser = times::parse_range)]
    backoff: Option<(Duration, Duration)>,
    /// Give an attempt up after this long without a sign of life [default: 60s, on network file systems 300s]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    lease: Option<Duration>,
    /// Share of a round, at its end, in which slow tasks go to idle workers too; 0 = never [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    tail: Option<f64>,
    /// What an accepted outcome survives [default: power]
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
    /// Also a power cut
    Power,
    /// Any kill, but no power cut; faster
    Process,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SharingFlag {
    /// Only you
    Private,
    /// The group of the directory too
    Group,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecFlag {
    /// Small and fast
    Bincode,
    /// Readable by eye
    Json,
}

/// What a program of one's own can set besides.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store, when it is made")]
pub(super) struct ProgramStoreFlags {
    #[command(flatten)]
    store: StoreFlags,
    /// How long one task may take [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    timeout: Option<Duration>,
    /// How inputs and outputs are written [default: bincode]
    #[arg(long, value_enum, value_name = "HOW")]
    codec: Option<CodecFlag>,
}

impl ProgramStoreFlags {
    /// Returns the settings, with what was typed over those that are given.
    pub(super) fn over(&self, config: StoreConfig) -> StoreConfig {
        let mut config = self.store.over(config);
        if let Some(timeout) = self.timeout {
            config = config.timeout(timeout);
        }
        if let Some(codec) = self.codec {
            config = config.codec(match codec {
                CodecFlag::Bincode => Codec::Bincode,
                CodecFlag::Json => Codec::Json,
            });
        }
        config
    }
}

impl StoreFlags {
    /// Puts what was typed over other settings.
    pub fn over(&self, mut config: StoreConfig) -> StoreConfig {
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

/// Settings of a master.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Master")]
pub(super) struct MasterFlags {
    /// How many tasks share one input file; 64 or more for tasks of some milliseconds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// How many shards of 1,024 input files may be in the store at a time
    #[arg(long, value_name = "N", default_value_t = 8)]
    window: usize,
}

impl MasterFlags {
    pub(super) fn config(&self) -> MasterConfig {
        MasterConfig::default().batch(self.batch).window(self.window)
    }
}

/// Settings of workers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkerFlags {
    /// How many tasks a worker runs at a time; `auto`: as many as the processors that it was given
    #[arg(long, value_name = "N", default_value = "1")]
    slots: Slots,
    /// Leave after this long with nothing to do
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = times::parse)]
    pub idle_exit: Duration,
    /// How long a task that was asked to stop may take to return
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = times::parse)]
    pub grace: Duration,
    /// Where scratch directories are made [default: in the store]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Least and greatest wait between two looks: LEAST..GREATEST
    ///
    /// [default: 100ms..2s on a local file system, where new inputs wake workers at once; 1s..15s on others]
    #[arg(long, value_name = "TIMES", value_parser = times::parse_range)]
    pub(super) poll: Option<(Duration, Duration)>,
    /// What the first TERM, INT, HUP, USR2 or XCPU does to running tasks (and USR1, in a job of a batch engine)
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnTerm::Return)]
    on_term: OnTerm,
    /// Take no task that is not likely to end before the batch job does
    #[arg(long)]
    stop_before_limit: bool,
    /// The same, with the time that the worker has, from its start
    ///
    /// Slurm and HTCondor tell when a job ends (HTCondor if the job says so); Grid Engine does not.
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    time_limit: Option<Duration>,
    /// The same, as seconds since 1970: how `run` tells its workers
    #[arg(long, value_name = "SECONDS", hide = true)]
    ends_at: Option<u64>,
}

/// How many tasks run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slots {
    Fixed(u32),
    /// As many as the processors that this process may use.
    Auto,
}

impl FromStr for Slots {
    type Err = String;

    fn from_str(text: &str) -> Result<Slots, String> {
        match text {
            "auto" => Ok(Slots::Auto),
            _ => match text.parse() {
                Ok(slots) if slots > 0 => Ok(Slots::Fixed(slots)),
                _ => Err("it is a number from 1, or `auto`".to_owned()),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnTerm {
    /// They are asked to stop, and given back within the grace
    Return,
    /// They are finished
    Finish,
}

impl WorkerFlags {
    /// Returns the settings of a worker.
    pub fn config(&self) -> WorkerConfig {
        let mut config = WorkerConfig::default()
            .slots(self.slots())
            .idle_exit(self.idle_exit)
            .grace(self.grace);
        if let Some((least, greatest)) = self.poll {
            config = config.poll(least, greatest);
        }
        if let Some(scratch) = &self.scratch {
            config = config.scratch(scratch);
        }
        if let Some(left) = self.left() {
            config = config.ends_in(left);
        }
        config
    }

    /// Returns how long this process has left, if that is asked for and known. It is taken to have just begun.
    fn left(&self) -> Option<Duration> {
        let engines = match self.stop_before_limit {
            true => Job::of_this_process().and_then(|job| job.left(Duration::ZERO)),
            false => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let told = self
            .ends_at
            .map(|end| Duration::from_secs(end).saturating_sub(now));
        [engines, told, self.time_limit].into_iter().flatten().min()
    }

    /// Returns what a person should know of these flags before anything begins.
    pub fn note(&self) -> Option<String> {
        (self.stop_before_limit && self.left().is_none()).then(|| {
            "note: nothing tells when this job ends, so --stop-before-limit does nothing; \
             --time-limit TIME says it"
                .to_owned()
        })
    }

    /// Returns how many tasks run at a time.
    pub fn slots(&self) -> u32 {
        match self.slots {
            Slots::Fixed(slots) => slots,
            Slots::Auto => allotted_processors(),
        }
    }

    /// Says whether the number of slots follows from what the worker was given.
    pub fn has_auto_slots(&self) -> bool {
        self.slots == Slots::Auto
    }

    /// Returns what the first signal means.
    pub fn on_signal(&self) -> How {
        match self.on_term {
            OnTerm::Return => How::Now,
            OnTerm::Finish => How::Finish,
        }
    }

    /// Writes the flags so that a worker process reads the same from them.
    pub fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = Vec::new();
        let mut add = |flag: &str, value: std::ffi::OsString| arguments.extend([flag.into(), value]);
        let slots = match self.slots {
            Slots::Fixed(slots) => slots.to_string(),
            Slots::Auto => "auto".to_owned(),
        };
        add("--slots", slots.into());
        add("--idle-exit", times::exact(self.idle_exit).into());
        add("--grace", times::exact(self.grace).into());
        if let Some(scratch) = &self.scratch {
            add("--scratch", scratch.clone().into());
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
        // A worker that is started later has less time than the first.
        if let Some(left) = self.left() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            add("--ends-at", (now + left).as_secs().to_string().into());
        }
        arguments
    }
}

/// The processors that this process may use: by its affinity, its control group and its batch job.
fn allotted_processors() -> u32 {
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = u32::try_from(machine).unwrap_or(u32::MAX);
    let job = Job::of_this_process().and_then(|job| job.cpus());
    job.map_or(machine, |job| job.min(machine)).max(1)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        store: ProgramStoreFlags,
        #[command(flatten)]
        worker: WorkerFlags,
    }

    fn parse(words: &[&str]) -> Line {
        Line::try_parse_from(["x"].iter().chain(words)).unwrap()
    }

    #[test]
    fn what_is_not_typed_stays() {
        let mine = StoreConfig::default().retries(7).codec(Codec::Json);
        assert_eq!(parse(&[]).store.over(mine.clone()), mine);
        let typed = parse(&["--lease", "90s", "--durability", "process", "--backoff", "0s..2s"]);
        let expected = mine
            .clone()
            .lease(Duration::from_secs(90))
            .durability(Durability::Process)
            .backoff(Duration::ZERO, Duration::from_secs(2));
        assert_eq!(typed.store.over(mine), expected);
    }

    #[test]
    fn a_worker_process_is_told_the_same() {
        let typed = parse(&[
            "--slots",
            "3",
            "--idle-exit",
            "1h30m",
            "--grace",
            "250ms",
            "--scratch",
            "/tmp",
            "--poll",
            "5ms..1s",
            "--on-term",
            "finish",
        ]);
        let words: Vec<_> = typed.worker.arguments();
        let again = Line::try_parse_from(std::iter::once("x".into()).chain(words)).unwrap();
        assert_eq!(format!("{:?}", again.worker), format!("{:?}", typed.worker));
    }

    #[test]
    fn slots_are_a_number_or_follow_from_what_was_given() {
        let slots = |text: &str| {
            let parsed = Line::try_parse_from(["x", "--slots", text]);
            parsed.map(|line| (line.worker.slots(), line.worker.has_auto_slots()))
        };
        assert_eq!(slots("3").unwrap(), (3, false));
        let (auto, is_auto) = slots("auto").unwrap();
        assert!(auto >= 1 && is_auto);
        for text in ["0", "-1", "many", ""] {
            assert!(slots(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_time_limit_reaches_workers_as_a_moment() {
        let typed = Line::try_parse_from(["x", "--time-limit", "1h"]).unwrap().worker;
        assert!(typed.config().has_end());
        assert_eq!(typed.note(), None);
        let words = typed.arguments();
        assert!(!words.iter().any(|word| word == "--time-limit"), "{words:?}");
        let again = Line::try_parse_from(std::iter::once("x".into()).chain(words)).unwrap();
        let left = again.worker.left().unwrap();
        assert!((3590..=3600).contains(&left.as_secs()), "{left:?}");
        let none = Line::try_parse_from(["x"]).unwrap().worker;
        assert!(!none.config().has_end());
    }
}
