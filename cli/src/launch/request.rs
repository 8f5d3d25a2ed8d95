//! What a launch asks for: plain data, kept with the launch so that it can be asked for again.

use std::time::Duration;

use flockwork::app::times;
use serde::{Deserialize, Serialize};

use super::Engine;

/// What a launch asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The path of this command.
    pub(crate) program: String,
    /// The absolute path of the store.
    pub(crate) store: String,
    pub(crate) workers: u32,
    /// How long a job may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<u64>,
    /// Bytes of memory of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpus: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<u32>,
    /// Workers are replaced when their time is up.
    #[serde(default)]
    pub(crate) until_done: bool,
    /// Flags for each worker, as they were typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) flags: Vec<String>,
}

impl Request {
    /// Returns how long a job may run.
    pub(crate) fn time(&self) -> Option<Duration> {
        self.seconds.map(Duration::from_secs)
    }

    /// Returns how many processors a job asks for.
    pub(crate) fn cpus(&self) -> u32 {
        self.cpus.or(self.slots).unwrap_or(1)
    }

    /// Returns the name by which people find the jobs: the store's, with plain letters.
    pub(crate) fn name(&self) -> String {
        let file = self
            .store
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default();
        let stem = file.strip_suffix(".flock").unwrap_or(file);
        let plain = |letter: char| match letter.is_ascii_alphanumeric() || "._-".contains(letter) {
            true => letter,
            false => '_',
        };
        let name: String = stem.chars().map(plain).take(40).collect();
        match name.chars().next() {
            // Grid Engine takes no name that begins with a digit, and others may take a dash for a flag.
            Some(first) if first.is_ascii_alphabetic() => name,
            _ => format!("fw_{name}"),
        }
    }

    /// Returns the words of a worker, without the program: `worker STORE ...`.
    ///
    /// `number`: of the launch whose replacements it may ask for.
    pub(crate) fn words(&self, engine: Engine, number: Option<u64>) -> Vec<String> {
        let mut words = vec!["worker".to_owned(), self.store.clone()];
        let mut add = |flag: &str, value: Option<String>| {
            if !self.sets(flag) {
                words.push(flag.to_owned());
                words.extend(value);
            }
        };
        if engine != Engine::Local {
            add("--idle-exit", Some("10m".to_owned()));
            add("--stop-before-limit", None);
        }
        // These engines tell a job nothing of its end.
        if matches!(engine, Engine::Condor | Engine::Sge)
            && let Some(time) = self.time()
        {
            add("--time-limit", Some(times::exact(time)));
        }
        if let Some(slots) = self.slots {
            add("--slots", Some(slots.to_string()));
        }
        if self.until_done
            && let Some(number) = number
        {
            add("--relaunch", Some(number.to_string()));
        }
        words.extend(self.flags.iter().cloned());
        words
    }

    /// Says whether a flag was typed for the workers.
    fn sets(&self, flag: &str) -> bool {
        let with_value = format!("{flag}=");
        let mut flags = self.flags.iter();
        flags.any(|typed| typed == flag || typed.starts_with(&with_value))
    }
}

/// Writes a time as engines read it: `02:00:00`, with days `1-02:00:00` where that is understood.
pub(super) fn clock(seconds: u64, days: bool) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match days && hours >= 24 {
        true => format!("{}-{:02}:{minutes:02}:{rest:02}", hours / 24, hours % 24),
        false => format!("{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// Writes a size as engines read it: `4G`, `1536M`. A part of a mebibyte is rounded up.
pub(super) fn size(bytes: u64) -> String {
    let mebibytes = bytes.div_ceil(1 << 20).max(1);
    match mebibytes % 1024 {
        0 => format!("{}G", mebibytes / 1024),
        _ => format!("{mebibytes}M"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What UX examples ask for.
    pub(in crate::launch) fn request(workers: u32) -> Request {
        Request {
            program: "/proj/ana/bin/flockwork".to_owned(),
            store: "/proj/ana/sweep.flock".to_owned(),
            workers,
            seconds: Some(7200),
            memory: Some(4 << 30),
            cpus: Some(2),
            slots: None,
            until_done: false,
            flags: Vec::new(),
        }
    }

    #[test]
    fn what_was_typed_for_the_workers_counts_before_what_we_would_say() {
        let mut asked = request(3);
        asked.slots = Some(2);
        asked.until_done = true;
        assert_eq!(
            asked.words(Engine::Condor, Some(7)).join(" "),
            "worker /proj/ana/sweep.flock --idle-exit 10m --stop-before-limit --time-limit 7200s --slots 2 --relaunch 7"
        );
        assert_eq!(
            asked.words(Engine::Local, None).join(" "),
            "worker /proj/ana/sweep.flock --slots 2"
        );
        asked.flags = ["--idle-exit=1h", "--slots", "4", "--scratch", "/tmp"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            asked.words(Engine::Slurm, None).join(" "),
            "worker /proj/ana/sweep.flock --stop-before-limit --idle-exit=1h --slots 4 --scratch /tmp"
        );
    }

    #[test]
    fn a_job_has_a_plain_name() {
        let named = |store: &str| {
            Request {
                store: store.to_owned(),
                ..request(1)
            }
            .name()
        };
        assert_eq!(named("/proj/ana/sweep.flock"), "sweep");
        assert_eq!(named("/proj/2024 run's.flock/"), "fw_2024_run_s");
        assert_eq!(named("/-x"), "fw_-x");
        assert_eq!(named("/"), "fw_");
    }

    #[test]
    fn times_and_sizes_are_written_for_engines() {
        assert_eq!(
            (clock(7200, true).as_str(), clock(93_784, true).as_str()),
            ("02:00:00", "1-02:03:04")
        );
        assert_eq!(clock(93_784, false), "26:03:04");
        assert_eq!(
            (size(4 << 30).as_str(), size(3 << 29).as_str(), size(1).as_str()),
            ("4G", "1536M", "1M")
        );
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let asked = request(2);
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), asked);
    }
}
