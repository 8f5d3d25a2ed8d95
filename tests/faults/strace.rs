//! strace: which calls a process makes, and which are answered with an error, or with death.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

/// Calls by which a store is touched; those that a process does not make are left out by themselves.
pub(crate) const CALLS: [&str; 23] = [
    "openat",
    "read",
    "pread64",
    "write",
    "pwrite64",
    "fdatasync",
    "fsync",
    "syncfs",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlinkat",
    "mkdirat",
    "getdents64",
    "statx",
    "newfstatat",
    "fstat",
    "utimensat",
    "flock",
    "fstatfs",
    "close",
    "mkdir",
];

/// What becomes of the calls that are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is not done, and answered with this error.
    Error(&'static str),
    /// The process is killed before it is done.
    Killed,
}

/// Which calls, and what becomes of them.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) call: &'static str,
    pub(crate) fate: Fate,
    /// In strace's words: `3`, or `3+2` for every second one from the third on. Each thread is counted apart.
    pub(crate) when: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fate {
            Fate::Error(error) => write!(f, "{} {error} {}", self.call, self.when),
            Fate::Killed => write!(f, "{} KILL {}", self.call, self.when),
        }
    }
}

/// Says why strace cannot be used here, if so.
pub(crate) fn missing() -> Option<String> {
    let tried = Command::new("strace")
        .args([
            "-qq",
            "-e",
            "inject=close:error=EIO:when=60000",
            "-o",
            "/dev/null",
            "true",
        ])
        .output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// A strace that is attached to a process.
#[derive(Debug)]
pub(crate) struct Strace {
    child: Child,
    log: PathBuf,
}

impl Strace {
    /// Injects what the rule says.
    pub(crate) fn inject(pid: u32, log: &Path, rule: &Rule) -> Strace {
        let what = match rule.fate {
            Fate::Error(error) => format!("error={error}"),
            Fate::Killed => "signal=KILL".to_owned(),
        };
        let inject = format!("inject={}:{what}:when={}", rule.call, rule.when);
        let trace = format!("trace={}", rule.call);
        Strace::attach(pid, log, &["-e", &trace, "-e", &inject])
    }

    /// Only writes down the calls.
    pub(crate) fn watch(pid: u32, log: &Path) -> Strace {
        // A call that this machine does not know is no mistake.
        let calls: Vec<String> = CALLS.iter().map(|call| format!("?{call}")).collect();
        Strace::attach(pid, log, &["-e", &format!("trace={}", calls.join(","))])
    }

    fn attach(pid: u32, log: &Path, what: &[&str]) -> Strace {
        let child = Command::new("strace")
            .args(["-f", "-qq", "-e", "signal=none", "-s", "0"])
            .args(what)
            .arg("-o")
            .arg(log)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Strace {
            child,
            log: log.to_owned(),
        }
    }

    /// Lets the process go: from now on its calls are answered by the system alone.
    pub(crate) fn let_go(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            // It detaches, and ends.
            let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }

    /// How many calls were answered with an error.
    pub(crate) fn injected(&self) -> usize {
        self.lines().filter(|line| line.contains("(INJECTED)")).count()
    }

    /// How often each call was made by the thread that made most of them.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u32> {
        let mut by_thread: BTreeMap<(String, &'static str), u32> = BTreeMap::new();
        for line in self.lines() {
            let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let name = rest.trim_start().split('(').next().unwrap_or_default();
            if let Some(call) = CALLS.iter().find(|call| **call == name) {
                *by_thread.entry((thread.to_owned(), call)).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((_, call), count) in by_thread {
            let so_far = most.entry(call).or_insert(0);
            *so_far = count.max(*so_far);
        }
        most
    }

    fn lines(&self) -> impl Iterator<Item = String> + use<> {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.let_go();
    }
}
