//! Runs a command of an engine: with what it reads, within a time, and with nothing of our own job in its environment.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// The most that is kept of what it says.
const MOST: u64 = 16 << 20;
/// Of Slurm's variables only these are meant for its commands; the others tell of the job that we are in.
const KEPT: [&str; 4] = [
    "SLURM_CONF",
    "SLURM_CLUSTERS",
    "SLURM_TIME_FORMAT",
    "SLURM_CONF_SERVER",
];

/// What a command has answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// `None`: it did not end in time, and was killed.
    pub(super) status: Option<ExitStatus>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Returns its own words for people: what it wrote to stderr, else to stdout, else how it ended.
    pub(super) fn words(&self) -> String {
        let said = [&self.err, &self.out].into_iter().map(|text| text.trim());
        let said = said.clone().find(|text| !text.is_empty()).unwrap_or_default();
        match self.status {
            None if said.is_empty() => "no answer".to_owned(),
            None => format!("no answer, but: {said}"),
            Some(status) if said.is_empty() => format!("{status}"),
            Some(_) => said.to_owned(),
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
///
/// If it cannot be started: it is not there, or not on the PATH.
pub(super) fn run(program: &str, words: &[String], input: &str, limit: Duration) -> io::Result<Answer> {
    let mut stdin = tempfile::tempfile()?;
    stdin.write_all(input.as_bytes())?;
    stdin.rewind()?;
    // Files and no pipes: it never waits for us, nor we for what it has left behind.
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(Stdio::from(stdin))
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .process_group(0);
    // Some engines give the whole environment to the job.
    command.env_remove("FLOCKWORK_JOB");
    for (name, _) in std::env::vars_os() {
        let is_of_a_job = name
            .to_str()
            .is_some_and(|name| name.starts_with("SLURM_") && !KEPT.contains(&name));
        if is_of_a_job {
            command.env_remove(name);
        }
    }
    let mut child = command.spawn()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begun.elapsed() >= limit {
            // It may end right now.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            child.wait()?;
            break None;
        }
        std::thread::sleep(LOOK);
    };
    Ok(Answer {
        status,
        out: text(&mut out)?,
        err: text(&mut err)?,
    })
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &str, limit: Duration) -> Answer {
        run("sh", &["-c".to_owned(), script.to_owned()], input, limit).unwrap()
    }

    #[test]
    fn what_it_reads_says_and_ends_with_is_known() {
        let long = Duration::from_secs(60);
        let answer = sh("cat; echo talk >&2", "a\nb\n", long);
        assert!(answer.is_ok());
        assert_eq!((answer.out.as_str(), answer.words().as_str()), ("a\nb\n", "talk"));
        let answer = sh("echo no partition; exit 3", "", long);
        assert!(!answer.is_ok());
        assert_eq!(answer.words(), "no partition");
        assert_eq!(sh("exit 3", "", long).words(), "exit status: 3");
        assert!(run("no-such-engine", &[], "", long).is_err());
    }

    #[test]
    fn one_that_hangs_is_killed_with_what_it_has_started() {
        let answer = sh(
            "echo began; sleep 1000 & sleep 1000",
            "",
            Duration::from_millis(200),
        );
        assert!(answer.status.is_none() && !answer.is_ok());
        assert_eq!(answer.words(), "no answer, but: began");
    }
}
