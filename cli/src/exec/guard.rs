//! The guard: ends the commands of a worker that was killed outright.
//!
//! A command does not notice that its worker is gone. So each worker has a second process that waits at a pipe. The
//! kernel closes the pipe whatever the worker dies of; then the guard kills the processes that bear the worker's token.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::token::token;

/// The variable by which a guard knows the processes that it is to end: tokens, with colons between them. A worker that
/// is itself a command of another worker hands on the other's token too.
pub(super) const TOKENS: &str = "FLOCKWORK_GUARD";
/// What the worker writes when it leaves in good order.
const WELL: &[u8] = b".";
/// Between two looks for processes that were just being started.
const PAUSE: Duration = Duration::from_millis(50);
/// So many looks must find nothing.
const QUIET_LOOKS: u32 = 3;
/// After so many looks what is left cannot be killed.
const MOST_LOOKS: u32 = 200;

/// A guard that stands beside this worker.
#[derive(Debug)]
pub(crate) struct Guard {
    token: String,
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts this same program as `guard TOKEN`; that verb must call [`main`].
    ///
    /// # Errors
    ///
    /// Those of the system when it cannot be started. Commands run without a guard too.
    pub(crate) fn start() -> io::Result<Guard> {
        Guard::start_as(&std::env::current_exe()?)
    }

    fn start_as(program: &Path) -> io::Result<Guard> {
        let token = token()?;
        // A scheduler sends TERM, or a warning, to all that it knows, before it kills them: the guard must stay for that. What is
        // ignored stays so in the program that follows. Descriptors that the worker was started with are closed.
        let script = "trap '' HUP INT TERM USR1 USR2 XCPU; exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec \"$0\" guard \"$1\"";
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(program)
            .arg(&token)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = child.stdin.take();
        Ok(Guard { token, child, pipe })
    }

    /// Returns what [`Place::new`](super::Place::new) needs: the tokens that commands bear.
    pub(crate) fn tokens(&self) -> String {
        match std::env::var(TOKENS) {
            Ok(outer) if !outer.is_empty() => format!("{outer}:{}", self.token),
            _ => self.token.clone(),
        }
    }

    /// Sends the guard away; no command of this worker runs any more.
    pub(crate) fn end(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // If it is gone, there is nobody to be told.
            let _ = pipe.write_all(WELL);
        }
        let _ = self.child.wait();
    }
}

/// The verb `guard`: waits for the worker's end, then ends its commands. Returns the exit code.
pub(crate) fn main(token: &str) -> u8 {
    stand(io::stdin().lock(), token)
}

fn stand(pipe: impl Read, token: &str) -> u8 {
    let mut last_words = Vec::new();
    let read = pipe.take(1).read_to_end(&mut last_words);
    if read.is_ok() && last_words == WELL {
        return 0;
    }
    // A token that is too short would fit anything.
    if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return 2;
    }
    let mut quiet = 0;
    for _ in 0..MOST_LOOKS {
        quiet = if end_all(Path::new("/proc"), token) {
            0
        } else {
            quiet + 1
        };
        // One that is just beginning another program shows no variables for a moment.
        if quiet == QUIET_LOOKS {
            return 0;
        }
        std::thread::sleep(PAUSE);
    }
    1
}

/// Kills what bears the token; says whether there was anything.
fn end_all(proc: &Path, token: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(proc) else {
        return false;
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let mut found = false;
    for pid in pids.filter_map(Pid::from_raw) {
        if pid != rustix::process::getpid() && bears(proc, pid, token) {
            found |= end_one(proc, pid, token);
        }
    }
    found
}

/// Kills a process that bears the token, and its group if that is the command's.
fn end_one(proc: &Path, pid: Pid, token: &str) -> bool {
    // From here on the number cannot come to mean another process unnoticed.
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        return end_by_number(proc, pid, token);
    };
    if !bears(proc, pid, token) {
        return false;
    }
    end_group(proc, pid, token);
    // The first kill may have hit it already.
    let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
    true
}

/// The same where the kernel has no pidfd: the start time tells one process from the next of that number.
fn end_by_number(proc: &Path, pid: Pid, token: &str) -> bool {
    let Some(before) = Stat::of(proc, pid) else {
        return false;
    };
    if !bears(proc, pid, token) || Stat::of(proc, pid) != Some(before) {
        return false;
    }
    end_group(proc, pid, token);
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    true
}

/// Kills the group of a process that bears the token, unless somebody else leads it.
fn end_group(proc: &Path, pid: Pid, token: &str) {
    let Some(group) = Stat::of(proc, pid).and_then(|stat| Pid::from_raw(stat.group)) else {
        return;
    };
    // A group without its first process has only its children left. One that somebody else leads was joined.
    let leader = Stat::of(proc, group);
    let is_ours = leader.is_none_or(|leader| leader.is_zombie) || bears(proc, group, token);
    if is_ours && group != rustix::process::getpgrp() {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// Says whether a process of our user was started with the token among its tokens.
fn bears(proc: &Path, pid: Pid, token: &str) -> bool {
    // The kernel lets nobody else's be read; of a zombie it is empty.
    let Ok(environ) = std::fs::read(proc.join(pid.as_raw_nonzero().to_string()).join("environ")) else {
        return false;
    };
    environ.split(|byte| *byte == 0).any(|variable| {
        let tokens = variable
            .strip_prefix(TOKENS.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="));
        tokens.is_some_and(|tokens| {
            tokens
                .split(|byte| *byte == b':')
                .any(|it| it == token.as_bytes())
        })
    })
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    is_zombie: bool,
    group: i32,
    /// In clock ticks since boot.
    started: u64,
}

impl Stat {
    fn of(proc: &Path, pid: Pid) -> Option<Stat> {
        let text = std::fs::read(proc.join(pid.as_raw_nonzero().to_string()).join("stat")).ok()?;
        Stat::parse(&String::from_utf8_lossy(&text))
    }

    /// The name of the program, in brackets, may hold anything, brackets too.
    fn parse(text: &str) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Stat {
            is_zombie: matches!(*fields.first()?, "Z" | "X"),
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
