//! Running a command: one attempt at a task.

mod capture;
mod files;
pub(crate) mod guard;
mod launch;
pub(crate) mod median;
mod message;
mod oom;
pub(crate) mod resources;
mod results;
mod watch;
pub(crate) mod worker;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) use launch::{Place, Words};
pub(crate) use results::Results;

use self::watch::{Seen, Watch, Why};
use crate::sweep::spec::{Limits, Sweep, Timeout};
use crate::task::{Bytes, Captured, Exit, Report};

/// What messages of a timeout begin with.
pub(crate) const OVER_TIMEOUT: &str = "over the timeout of";
/// The message of a task that was cancelled before it began.
pub(crate) const CANCELLED: &str = "cancelled";

/// An attempt at a task.
pub(crate) struct Job<'a> {
    pub(crate) place: &'a Place,
    pub(crate) sweep: &'a Sweep,
    /// The sweep's, unless something else was said for this task.
    pub(crate) limits: &'a Limits,
    pub(crate) command: &'a Words,
    pub(crate) ok_if: Option<&'a Words>,
    pub(crate) results: &'a Results,
    /// The row, in the order of the columns.
    pub(crate) values: &'a [Bytes],
    pub(crate) task: u64,
    pub(crate) attempt: u32,
    /// The worker's name.
    pub(crate) worker: &'a str,
    /// Where the command may keep a state for its next attempt.
    pub(crate) checkpoint: &'a Path,
    /// Where output is to be followed while the command runs.
    pub(crate) logs: &'a Path,
    /// What [`Limits::timeout`] comes to. Asked again and again: it may become known while the command runs.
    pub(crate) timeout: &'a dyn Fn() -> Option<Duration>,
    /// Makes the attempt's directory, and returns its full path.
    pub(crate) dir: &'a dyn Fn() -> io::Result<PathBuf>,
    /// Fills a template.
    pub(crate) render: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
    /// Says whether to give up; asked at least each 200 ms.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) enum Ended {
    Ok(Report),
    Failed {
        /// One line; failures with the same line have the same cause.
        message: String,
        /// Another attempt may help.
        retry: bool,
        report: Report,
    },
    /// `stop` said so.
    Stopped,
}

/// Why there is no result.
enum Fault {
    Stopped,
    Timeout(String),
    /// The command, or what was asked of it: its exit code decides whether it is tried again.
    Refused(String),
    /// It was killed, or never began: another worker may have more luck.
    Trouble(String),
    /// It cannot help to try it again.
    Hopeless(String),
}

/// Runs a command for one task, and does not return before it and its process group are gone.
///
/// Nothing the command does can hold it up. What it leaves behind outside of its process group is its own affair.
pub(crate) fn run(job: &Job<'_>) -> Ended {
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut report = Report {
        exit: Exit::NotStarted,
        host: job.place.host.clone(),
        began_ms: u64::try_from(began.as_millis()).unwrap_or(u64::MAX),
        wall_us: 0,
        user_us: 0,
        system_us: 0,
        peak: 0,
        stdout: Captured::default(),
        stderr: Captured::default(),
        results: Vec::new(),
    };
    let attempt = Attempt {
        job,
        began: Instant::now(),
    };
    let (message, retry) = match attempt.run(&mut report) {
        Ok(()) => return Ended::Ok(report),
        Err(Fault::Stopped) => return Ended::Stopped,
        Err(Fault::Timeout(message)) => (message, true),
        Err(Fault::Trouble(message)) => (message, true),
        Err(Fault::Hopeless(message)) => (message, false),
        Err(Fault::Refused(message)) => (message, helps(job.limits, report.exit)),
    };
    Ended::Failed {
        message,
        retry,
        report,
    }
}

/// Says whether a command that ended so is to be tried again.
fn helps(limits: &Limits, exit: Exit) -> bool {
    let Exit::Code(code) = exit else { return true };
    (limits.retry_on.is_empty() || limits.retry_on.contains(&code)) && !limits.no_retry_on.contains(&code)
}

struct Attempt<'a> {
    job: &'a Job<'a>,
    began: Instant,
}

impl Attempt<'_> {
    fn run(&self, report: &mut Report) -> Result<(), Fault> {
        let job = self.job;
        let dir =
            match self.wants_dir() {
                true => Some((job.dir)().map_err(|error| {
                    Fault::Trouble(format!("cannot make the attempt's directory: {error}"))
                })?),
                false => None,
            };
        let dir = dir.as_deref();
        let input = self.prepare(dir)?;
        let logs = |stream: &str| job.logs.join(format!("{:07}.{}.{stream}", job.task, job.attempt));
        let seen = self.watch(dir, job.command, None, &input, Some(&logs))?;
        report.wall_us = micros(self.began.elapsed());
        report.exit = seen.exit;
        report.user_us = micros(seen.user);
        report.system_us = micros(seen.system);
        report.peak = seen.peak;
        (report.stdout, report.stderr) = (seen.stdout, seen.stderr);
        self.check_end(seen.why, seen.unkillable)?;
        if report.exit != Exit::Code(0) {
            return Err(self.bad_exit(report));
        }
        if let Some(words) = job.ok_if {
            self.check_ok(dir, words, report)?;
        }
        let found = job
            .results
            .find(&report.stdout, &report.stderr, dir, job.limits.output);
        report.results = found.map_err(Fault::Refused)?;
        Ok(())
    }

    /// Making a directory takes time, so it is made only for those who look.
    fn wants_dir(&self) -> bool {
        let job = self.job;
        job.sweep.cwd.is_none()
            || !job.sweep.inputs.is_empty()
            || job.results.want_files()
            || job.command.wants_dir
            || job
                .ok_if
                .is_some_and(|words| words.wants_dir || words.wants_output)
    }

    /// Makes the input files; returns what the command is given to read.
    fn prepare(&self, dir: Option<&Path>) -> Result<Vec<u8>, Fault> {
        let job = self.job;
        for input in &job.sweep.inputs {
            let cannot = |why: &dyn std::fmt::Display| format!("cannot make the input {}: {why}", input.name);
            let bytes = (job.render)(&input.template).map_err(|error| Fault::Hopeless(cannot(&error)))?;
            if !files::is_inside(&input.name) {
                return Err(Fault::Hopeless(cannot(
                    &"its name leads out of the attempt's directory",
                )));
            }
            if let Some(dir) = dir {
                files::write(dir, &input.name, &bytes).map_err(|error| Fault::Trouble(cannot(&error)))?;
            }
        }
        match &job.sweep.stdin {
            Some(template) => (job.render)(template)
                .map_err(|error| Fault::Hopeless(format!("cannot make what it reads: {error}"))),
            None => Ok(Vec::new()),
        }
    }

    /// Runs the command itself, or the one that judges it.
    fn watch(
        &self,
        dir: Option<&Path>,
        words: &Words,
        output: Option<(&Path, &Path)>,
        input: &[u8],
        live: Option<&dyn Fn(&'static str) -> PathBuf>,
    ) -> Result<Seen, Fault> {
        let job = self.job;
        let (command, program) = job
            .place
            .command(job, dir, words, output)
            .map_err(Fault::Trouble)?;
        let deadline = || self.began.checked_add((job.timeout)()?);
        let watch = Watch {
            input,
            limit: job.limits.output,
            deadline: &deadline,
            grace: job.limits.grace,
            stop: job.stop,
            live,
        };
        watch::run(command, &watch).map_err(|error| match job.place.missing_cwd() {
            Some(cwd) => Fault::Trouble(format!("cannot start {program} in {}: {error}", cwd.display())),
            // A zero byte in a value: no other host can pass it on either.
            None if error.kind() == io::ErrorKind::InvalidInput => {
                Fault::Hopeless(format!("cannot start {program}: a value has a zero byte"))
            }
            None => Fault::Trouble(format!("cannot start {program}: {}", plain(&error))),
        })
    }

    fn bad_exit(&self, report: &Report) -> Fault {
        let how = message::of_exit(report.exit, &report.stderr);
        // A shell says 137 of a child that was killed.
        let is_kill = matches!(report.exit, Exit::Signal(9) | Exit::Code(137));
        let perhaps = if is_kill && self.job.place.oom.rose() {
            ", perhaps out of memory"
        } else {
            ""
        };
        match report.exit {
            Exit::Code(_) => Fault::Refused(format!("{how}{perhaps}")),
            _ => Fault::Trouble(format!("{how}{perhaps}")),
        }
    }

    /// Says so if it did not end by itself.
    fn check_end(&self, why: Why, unkillable: bool) -> Result<(), Fault> {
        match why {
            Why::Itself => Ok(()),
            Why::Stopped => Err(Fault::Stopped),
            Why::Timeout => {
                let said = match self.job.limits.timeout {
                    Some(Timeout::After(timeout)) => message::duration(timeout),
                    Some(Timeout::TimesMedian(times)) => format!("{times}x the median"),
                    None => "nothing".to_owned(),
                };
                let rest = if unkillable { ", and cannot be killed" } else { "" };
                Err(Fault::Timeout(format!("{OVER_TIMEOUT} {said}{rest}")))
            }
        }
    }

    /// Asks the other command whether this one did well.
    fn check_ok(&self, dir: Option<&Path>, words: &Words, report: &Report) -> Result<(), Fault> {
        let written = match dir {
            Some(dir) if words.wants_output => {
                let write = |name: &str, stream: &Captured| {
                    if stream.omitted() > 0 {
                        let limit = self.job.limits.output;
                        return Err(Fault::Refused(format!(
                            "not accepted: {name} is longer than the {limit} bytes that are kept, so --ok-if \
                             cannot judge it"
                        )));
                    }
                    let name = format!(".flockwork.{name}");
                    files::write(dir, &name, &stream.head.0).map_err(|error| {
                        Fault::Trouble(format!("cannot write {name} for --ok-if: {error}"))
                    })?;
                    Ok(dir.join(name))
                };
                Some((write("stdout", &report.stdout)?, write("stderr", &report.stderr)?))
            }
            _ => None,
        };
        let output = written
            .as_ref()
            .map(|(stdout, stderr)| (stdout.as_path(), stderr.as_path()));
        let seen = match self.watch(dir, words, output, &[], None) {
            Err(Fault::Trouble(why)) => return Err(Fault::Trouble(format!("not accepted: {why}"))),
            seen => seen?,
        };
        self.check_end(seen.why, seen.unkillable)?;
        match seen.exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(code) => Err(Fault::Refused(format!("not accepted: --ok-if ended with {code}"))),
            exit => Err(Fault::Trouble(format!(
                "not accepted: --ok-if was {}",
                message::of_exit(exit, &Captured::default())
            ))),
        }
    }
}

/// Returns an error's text, with what usually helps.
fn plain(error: &io::Error) -> String {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOEXEC) => format!("{error}; a script begins with a line such as #!/bin/sh"),
        _ => error.to_string(),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
