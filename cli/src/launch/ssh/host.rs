//! One host: looking around, bringing the program, starting a worker, and later asking after it.

use std::fs::File;
use std::time::{Duration, Instant};

use super::super::seen::ssh_job;
use super::platform::{Program, Programs};
use super::scripts;
use crate::hosts::process::{Heard, Talk};
use crate::hosts::ssh::{Answer, finish};
use crate::hosts::{Host, Ssh, Trouble};

/// A step on a host that is not done by then has failed.
const STEP: Duration = Duration::from_secs(60);
/// A copy that makes no progress for so long has failed.
const COPY: Duration = Duration::from_secs(300);

/// What is started on every host.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) store: &'a str,
    /// The id of the store: another directory of the same name is not it.
    pub(crate) id: &'a str,
    pub(crate) programs: &'a Programs,
    /// Where copies of the program go; empty: the usual place.
    pub(crate) remote_dir: &'a str,
    /// Slots of hosts that name none; `None`: one for each processor.
    pub(crate) slots: Option<u32>,
    /// Remove the program when the last worker that uses it has left.
    pub(crate) remove: bool,
    /// Names the launch in the logs of the workers.
    pub(crate) launch: u64,
    /// Further flags of the worker.
    pub(crate) flags: &'a [String],
}

/// A worker that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) slots: u32,
    /// The program there.
    pub(crate) program: String,
    pub(crate) copied: bool,
    /// With which status it has left again at once, if it has; 0: there was nothing to do.
    pub(crate) ended: Option<i32>,
}

impl Plan<'_> {
    /// Starts a worker on a host.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn start(&self, ssh: &Ssh, host: &Host) -> Result<Started, Trouble> {
        let platform = self.look(ssh, host)?;
        let program = self.programs.for_platform(&platform)?;
        let (path, copied) = fetch(ssh, host, program, self.remote_dir)?;
        let slots = host.slots.or(self.slots);
        let slots = slots.map_or_else(|| "auto".to_owned(), |slots| slots.to_string());
        let log = self.log(host);
        let job = ssh_job(self.launch, &host.name);
        let remove = if self.remove { "remove" } else { "" };
        let mut arguments = vec![path.as_str(), self.store, &slots, &log, &job, remove];
        arguments.extend(self.flags.iter().map(String::as_str));
        let answer = done(ssh.run(host, &scripts::start(), &arguments, STEP)?)?;
        let value = |name: &str| number(&answer, name);
        let started = Started {
            pid: value("pid")
                .ok_or_else(|| Trouble::there("it does not say which process it has started"))?,
            slots: value("slots").unwrap_or(1),
            program: path,
            copied,
            ended: number(&answer, "ended"),
        };
        match started.ended {
            Some(status) if status != 0 => Err(Trouble::there(format!(
                "the worker ended at once with status {status}: {}",
                answer.last_words()
            ))),
            _ => Ok(started),
        }
    }

    /// Returns where the worker of a host says what it has to say.
    pub(crate) fn log(&self, host: &Host) -> String {
        format!("{}/logs/ssh-{:06}-{}.log", self.store, self.launch, host.name)
    }

    /// Returns what kind of machine it is, if the store is there.
    fn look(&self, ssh: &Ssh, host: &Host) -> Result<String, Trouble> {
        let answer = done(ssh.run(host, &scripts::look(), &[self.store, self.id], STEP)?)?;
        match text(&answer, "store") {
            Some("ok") => {}
            Some("other") => {
                let what = format!(
                    "{} is another store there: the hosts share no file system",
                    self.store
                );
                return Err(Trouble::there(what));
            }
            _ => {
                return Err(Trouble::there(format!(
                    "{} is not there: is it mounted?",
                    self.store
                )));
            }
        }
        let platform = text(&answer, "platform");
        platform
            .map(str::to_owned)
            .ok_or_else(|| Trouble::there("`uname` says nothing"))
    }
}

/// Sees to it that the program is on the host; returns its path there, and whether it was copied now.
fn fetch(ssh: &Ssh, host: &Host, program: &Program, dir: &str) -> Result<(String, bool), Trouble> {
    let path = program.path.to_string_lossy();
    let (sum, size) = (program.sum.to_string(), program.size.to_string());
    let arguments = [&path, sum.as_str(), dir, &program.copy_name(), &size];
    let mut talk = ssh.talk(host, &scripts::fetch(), &arguments)?;
    let until = Instant::now() + COPY;
    let mut copied = false;
    loop {
        match talk.hear(until) {
            Heard::Line(line) if line == "send" => {
                send(&mut talk, program)?;
                copied = true;
            }
            Heard::Line(line) => {
                if let Some(path) = line.strip_prefix("have ") {
                    let path = path.to_owned();
                    talk.hush();
                    finish(talk, STEP)?;
                    return Ok((path, copied));
                }
            }
            Heard::End | Heard::Silence => break,
        }
    }
    let answer = finish(talk, STEP)?;
    let why = match answer.last_words() {
        said if said.is_empty() => format!("exit {}", answer.status),
        said => said,
    };
    Err(Trouble::there(format!("the program could not be copied: {why}")))
}

fn send(talk: &mut Talk, program: &Program) -> Result<(), Trouble> {
    let sent = File::open(&program.path).and_then(|file| talk.say(file));
    talk.hush();
    match sent {
        Ok(_) => Ok(()),
        // Its own words, which follow, tell more: a full disk, say.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Trouble::there(format!("the program could not be sent: {error}"))),
    }
}

/// What became of a worker that was asked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Up,
    /// It is no longer there.
    Gone,
    /// It left because it was asked to.
    Left,
    /// It was asked to leave, and is still there.
    Stays,
}

impl Found {
    /// Returns a word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Found::Up => "up",
            Found::Gone => "gone",
            Found::Left => "left",
            Found::Stays => "stays",
        }
    }
}

/// Asks whether a worker lives.
///
/// # Errors
///
/// Why the host cannot say.
pub(crate) fn status(ssh: &Ssh, host: &Host, pid: u32, store: &str) -> Result<Found, Trouble> {
    let answer = done(ssh.run(host, &scripts::status(), &[&pid.to_string(), store], STEP)?)?;
    found(&answer)
}

/// Asks a worker to leave, and waits so long for it.
///
/// # Errors
///
/// As of [`status`].
pub(crate) fn stop(ssh: &Ssh, host: &Host, pid: u32, store: &str, wait: Duration) -> Result<Found, Trouble> {
    let arguments = [&pid.to_string(), store, &wait.as_secs().to_string()];
    let answer = done(ssh.run(host, &scripts::stop(), &arguments, wait * 2 + STEP)?)?;
    found(&answer)
}

/// Removes a copy of the program that nobody uses; says whether it is gone.
///
/// # Errors
///
/// As of [`status`].
pub(crate) fn remove(ssh: &Ssh, host: &Host, program: &str) -> Result<bool, Trouble> {
    let answer = done(ssh.run(host, &scripts::remove(), &[program], STEP)?)?;
    Ok(answer
        .lines
        .iter()
        .any(|line| line == "removed" || line == "none"))
}

fn found(answer: &Answer) -> Result<Found, Trouble> {
    let all = [Found::Up, Found::Gone, Found::Left, Found::Stays];
    let last = answer.lines.last().map(String::as_str).unwrap_or_default();
    let found = all.into_iter().find(|found| found.word() == last);
    found.ok_or_else(|| Trouble::there(format!("unexpected answer {:?}", answer.last_words())))
}

fn done(answer: Answer) -> Result<Answer, Trouble> {
    match (answer.status, answer.last_words()) {
        (0, _) => Ok(answer),
        (status, said) if said.is_empty() => Err(Trouble::there(format!("exit {status}"))),
        (_, said) => Err(Trouble::there(said)),
    }
}

fn text<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut lines = answer.lines.iter();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

fn number<T: std::str::FromStr>(answer: &Answer, name: &str) -> Option<T> {
    text(answer, name)?.trim().parse().ok()
}
