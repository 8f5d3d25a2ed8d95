//! Real commands, run once each.

mod ending;
mod output;
mod words;

use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::sweep::pattern::Fill;
use crate::sweep::spec::{InputFile, ResultSpec, Source};

/// A sweep in a directory of its own, of which one task is run.
struct Try {
    root: TempDir,
    sweep: Sweep,
    values: Vec<Bytes>,
    task: u64,
    /// Asks the attempt to stop after this long.
    stop_after: Option<Duration>,
    tokens: Option<String>,
    /// How often the directory was asked for.
    made: Cell<u32>,
}

impl Try {
    /// Of a script for `/bin/sh`.
    fn sh(script: &str) -> Try {
        Try::of(&["/bin/sh", "-c", script])
    }

    fn of(command: &[&str]) -> Try {
        let root = tempfile::tempdir().unwrap();
        let limits = Limits {
            timeout: None,
            grace: Duration::from_secs(20),
            output: 1 << 20,
            cpus: 1,
            memory: None,
            retry_on: Vec::new(),
            no_retry_on: Vec::new(),
            max_failures: None,
            batch: 1,
        };
        let sweep = Sweep {
            schema: "flockwork.sweep/1".to_owned(),
            columns: Vec::new(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            shell: false,
            here: root.path().to_owned(),
            cwd: None,
            env: std::collections::BTreeMap::new(),
            inputs: Vec::new(),
            stdin: None,
            results: Vec::new(),
            ok_if: None,
            limits,
        };
        Try {
            root,
            sweep,
            values: Vec::new(),
            task: 7,
            stop_after: None,
            tokens: None,
            made: Cell::new(0),
        }
    }

    fn column(mut self, name: &str, value: impl Into<Vec<u8>>) -> Try {
        self.sweep.columns.push(name.to_owned());
        self.values.push(Bytes(value.into()));
        self
    }

    fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Try {
        change(&mut self.sweep.limits);
        self
    }

    fn timeout(self, millis: u64, grace_millis: u64) -> Try {
        self.limits(|limits| {
            limits.timeout = Some(Timeout::After(Duration::from_millis(millis)));
            limits.grace = Duration::from_millis(grace_millis);
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Sweep)) -> Try {
        change(&mut self.sweep);
        self
    }

    fn result(self, name: &str, source: Source) -> Try {
        self.with(|sweep| {
            let name = name.to_owned();
            sweep.results.push(ResultSpec { name, source });
        })
    }

    fn ok_if(self, words: &[&str]) -> Try {
        self.with(|sweep| sweep.ok_if = Some(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    fn logs(&self) -> PathBuf {
        self.root.path().join("logs")
    }

    fn run(&self) -> Ended {
        let place = Place::new(&self.sweep, self.tokens.as_deref());
        self.run_in(&place)
    }

    fn run_in(&self, place: &Place) -> Ended {
        let words = |typed: &Vec<String>| {
            let filled = typed.clone();
            let fill = move |fill: &Fill<'_>| filled.iter().map(|word| filled_word(word, fill)).collect();
            Words::new(typed, Box::new(fill))
        };
        let ok_if = self.sweep.ok_if.as_ref().map(words);
        let began = Instant::now();
        run(&Job {
            place,
            sweep: &self.sweep,
            limits: &self.sweep.limits,
            command: &words(&self.sweep.command),
            ok_if: ok_if.as_ref(),
            results: &Results::new(&self.sweep.results).unwrap(),
            values: &self.values,
            task: self.task,
            attempt: 2,
            worker: "host-1-abc",
            checkpoint: &self.root.path().join("checkpoint"),
            logs: &self.logs(),
            timeout: &|| match self.sweep.limits.timeout {
                Some(Timeout::After(timeout)) => Some(timeout),
                _ => None,
            },
            dir: &|| self.make_dir(),
            render: &|template| match template {
                "bad" => Err("line 1: no such parameter".to_owned()),
                text => Ok(text.replace("{{ x }}", "eggs").into_bytes()),
            },
            stop: &|| self.stop_after.is_some_and(|after| began.elapsed() > after),
        })
    }

    fn make_dir(&self) -> io::Result<PathBuf> {
        self.made.set(self.made.get() + 1);
        let dir = self.root.path().join("scratch");
        std::fs::create_dir(&dir)?;
        Ok(dir)
    }

    /// Runs it; it must be ok.
    #[track_caller]
    fn ok(&self) -> Report {
        match self.run() {
            Ended::Ok(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Runs it; it must fail: the message, and whether it is tried again.
    #[track_caller]
    fn fails(&self) -> (String, bool) {
        match self.run() {
            Ended::Failed { message, retry, .. } => (message, retry),
            other => panic!("{other:?}"),
        }
    }

    /// Runs it; it must take too long, but not the test.
    #[track_caller]
    fn times_out(&self) -> Report {
        let began = Instant::now();
        match self.run() {
            Ended::Failed {
                retry: true,
                report,
                message,
            } => {
                assert!(message.starts_with("over the timeout of "), "{message}");
                assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
                report
            }
            other => panic!("{other:?}"),
        }
    }
}

/// As patterns do, for whole words and parts of them, on bytes.
fn filled_word(word: &str, fill: &Fill<'_>) -> OsString {
    let mut parts: Vec<(String, Vec<u8>)> = fill
        .columns
        .iter()
        .zip(fill.values)
        .map(|(name, value)| (format!("{{{name}}}"), value.0.clone()))
        .collect();
    let path = |path: &Path| path.to_owned().into_os_string().into_vec();
    parts.push(("{dir}".to_owned(), path(fill.dir)));
    if let Some((stdout, stderr)) = fill.output {
        parts.push(("{stdout}".to_owned(), path(stdout)));
        parts.push(("{stderr}".to_owned(), path(stderr)));
    }
    let mut rest = word;
    let mut filled = Vec::new();
    'word: while !rest.is_empty() {
        for (name, value) in &parts {
            if let Some(after) = rest.strip_prefix(name.as_str()) {
                filled.extend_from_slice(value);
                rest = after;
                continue 'word;
            }
        }
        let next = rest.chars().next().map_or(1, char::len_utf8);
        filled.extend_from_slice(&rest.as_bytes()[..next]);
        rest = &rest[next..];
    }
    OsString::from_vec(filled)
}

/// Waits until it holds.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
