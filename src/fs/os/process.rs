//! What tells this process from every other, and whether another one of this host still lives.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use crate::record::ProcessMark;

/// Returns this host's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the mark of this process.
pub(crate) fn this_process() -> &'static ProcessMark {
    static MARK: OnceLock<ProcessMark> = OnceLock::new();
    MARK.get_or_init(|| ProcessMark {
        host: host_name(),
        boot: boot_id(),
        pidns: pid_namespace(),
        pid: std::process::id(),
        start: start_time(std::process::id()).unwrap_or(0),
    })
}

/// Says whether a process of this host, boot and pid namespace still lives.
///
/// `None`: it cannot be known from here.
pub(crate) fn is_alive(other: &ProcessMark) -> Option<bool> {
    let this = this_process();
    let known = !this.boot.is_empty() && this.pidns != 0 && this.start != 0;
    let same = this.host == other.host && this.boot == other.boot && this.pidns == other.pidns;
    if !known || !same {
        return None;
    }
    match fs::read_to_string(format!("/proc/{}/stat", other.pid)) {
        Ok(stat) => Some(parse_stat(&stat) == Some(other.start)),
        // With `hidepid` other users' processes are hidden in /proc, so only the kernel's own word counts.
        Err(_) => is_gone(other.pid).then_some(false),
    }
}

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino())
}

/// Returns when a process started, in clock ticks since boot, or `None` if it is gone (or only a zombie).
fn start_time(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of proc_pid_stat(5); the second field, the program's name, may hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<u64> {
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_does_not_confuse() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse_stat(&format!("12 (a) b) {rest}")), Some(4711));
        assert_eq!(parse_stat("12 (x) Z 1 2 3"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_process_is_alive_until_it_is_reaped_and_a_later_one_with_its_pid_is_another() {
        let this = this_process();
        assert_eq!(is_alive(this), Some(true));
        assert_eq!(
            is_alive(&ProcessMark {
                start: this.start + 1,
                ..this.clone()
            }),
            Some(false)
        );
        assert_eq!(
            is_alive(&ProcessMark {
                boot: "other".into(),
                ..this.clone()
            }),
            None
        );
        assert_eq!(
            is_alive(&ProcessMark {
                pidns: this.pidns + 1,
                ..this.clone()
            }),
            None
        );
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_time(child.id()).unwrap();
        let mark = ProcessMark {
            pid: child.id(),
            start,
            ..this.clone()
        };
        assert_eq!(is_alive(&mark), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(is_alive(&mark), Some(false));
    }
}
