//! What tells one process from every other, and whether it lives; as the library marks the holders of its locks.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::process::{self as sys, Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// The mark of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) host: String,
    pub(crate) boot: String,
    pub(crate) pidns: u64,
    pub(crate) pid: u32,
    /// In clock ticks since boot.
    pub(crate) start: u64,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Gone,
    /// It belongs to another host, or another namespace of this one.
    Elsewhere,
}

/// Returns this host's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Process {
    /// Marks a process of this host; `None` if it is gone.
    pub(crate) fn of(pid: u32) -> Option<Process> {
        Some(Process {
            host: host_name(),
            boot: boot_id()?,
            pidns: pid_namespace()?,
            pid,
            start: start_time(pid)?,
        })
    }

    /// Says whether it lives, as far as that can be seen from here.
    pub(crate) fn life(&self) -> Life {
        let here = self.host == host_name()
            && Some(&self.boot) == boot_id().as_ref()
            && Some(self.pidns) == pid_namespace();
        match here {
            true if start_time(self.pid) == Some(self.start) => Life::Alive,
            true => Life::Gone,
            // After a restart of this very host nothing of before lives.
            false if self.host == host_name() && Some(self.pidns) == pid_namespace() => Life::Gone,
            false => Life::Elsewhere,
        }
    }

    /// Sends it a signal; never one to another process that has got its number since. `false`: it was gone.
    ///
    /// # Errors
    ///
    /// If it belongs to somebody else, or the kernel has no pidfd.
    pub(crate) fn signal(&self, signal: Signal) -> rustix::io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        // Held first and looked at then: what is held stays this process.
        let held = match sys::pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(false),
            held => held?,
        };
        if self.life() != Life::Alive {
            return Ok(false);
        }
        match sys::pidfd_send_signal(&held, signal) {
            Err(Errno::SRCH) => Ok(false),
            sent => sent.map(|()| true),
        }
    }
}

fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn pid_namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

/// Returns when a process started; `None` if it is gone, or only waits to be waited for.
fn start_time(pid: u32) -> Option<u64> {
    field(pid, 21)
}

/// Says whether a process leads a session. getsid(2) is no help: for a session that began outside of our namespace it
/// says 0, at which rustix 1.1 panics.
pub(super) fn leads_a_session(pid: u32) -> bool {
    field(pid, 5) == Some(u64::from(pid))
}

/// Returns a field of `/proc/PID/stat`, counted from 0; none of a process that is gone.
fn field(pid: u32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, which is field 1, may hold blanks and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mark = Process::of(child.id()).unwrap();
        assert_eq!(mark.life(), Life::Alive);
        assert!(!leads_a_session(child.id()) && field(1, 5).is_some());
        let later = Process {
            start: mark.start + 1,
            ..mark.clone()
        };
        assert_eq!(later.life(), Life::Gone);
        assert_eq!(later.signal(Signal::KILL), Ok(false));
        assert_eq!(mark.life(), Life::Alive, "the signal was for another one");
        let before = Process {
            boot: "another".to_owned(),
            ..mark.clone()
        };
        assert_eq!(before.life(), Life::Gone);
        let elsewhere = Process {
            host: "another".to_owned(),
            ..mark.clone()
        };
        assert_eq!(elsewhere.life(), Life::Elsewhere);
        assert_eq!(mark.signal(Signal::TERM), Ok(true));
        child.wait().unwrap();
        assert_eq!((mark.life(), mark.signal(Signal::TERM)), (Life::Gone, Ok(false)));
        assert_eq!(Process::of(mark.pid), None);
    }
}
