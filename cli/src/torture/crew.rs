//! The master and worker processes of a host.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::args::Role;

/// A process of ours. It is killed when it is no longer looked after.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) name: String,
    pub(super) role: Role,
    /// It is stopped, until then.
    pub(super) asleep: Option<Instant>,
}

/// How a process has ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit code.
    Code(u8),
    /// Killed, by itself or by somebody else.
    Killed,
    /// By a signal that means a mistake in the program.
    Crashed(i32),
}

impl Process {
    pub(super) fn is_master(&self) -> bool {
        self.role == Role::Master
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        // It may have died before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(super) fn stop(&mut self, until: Instant) {
        self.signal(Signal::STOP);
        self.asleep = Some(until);
    }

    pub(super) fn wake(&mut self) {
        self.signal(Signal::CONT);
        self.asleep = None;
    }

    fn signal(&self, signal: Signal) {
        // Until it is waited for, the number is its own.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(super) fn ended(&mut self) -> io::Result<Option<End>> {
        Ok(self.child.try_wait()?.map(how))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn how(status: ExitStatus) -> End {
    let killed = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) if killed.iter().all(|kill| kill.as_raw() != signal) => End::Crashed(signal),
        (None, _) => End::Killed,
    }
}

/// Starts the processes of a host.
#[derive(Debug)]
pub(super) struct Starter {
    program: PathBuf,
    /// Absolute, for they run in `/`.
    store: PathBuf,
    host: String,
    started: u64,
}

impl Starter {
    pub(super) fn new(store: PathBuf, host: String) -> io::Result<Starter> {
        Ok(Starter {
            program: std::env::current_exe()?,
            store,
            host,
            started: 0,
        })
    }

    /// Starts one. The kernel kills it when this thread ends, so it must be called from one that lives on.
    pub(super) fn start(&mut self, role: Role) -> io::Result<Process> {
        self.started += 1;
        let (letter, verb) = match role {
            Role::Master => ('m', "master"),
            Role::Worker => ('w', "worker"),
        };
        let name = format!("{}.{letter}{}", self.host, self.started);
        let child = Command::new(&self.program)
            .args(["torture-part", verb])
            .arg(&self.store)
            .arg(&name)
            .args(["--parent", &std::process::id().to_string()])
            // Settings of this directory are not for it, and a terminal's signals reach it through us.
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Process {
            child,
            name,
            role,
            asleep: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_told_from_a_crash_and_from_an_exit() {
        let end = |line: &str| how(Command::new("sh").args(["-c", line]).status().unwrap());
        assert_eq!(end("exit 5"), End::Code(5));
        assert_eq!(end("kill -9 $$"), End::Killed);
        assert_eq!(end("kill -TERM $$"), End::Killed);
        assert_eq!(end("kill -USR2 $$"), End::Crashed(Signal::USR2.as_raw()));
    }
}
