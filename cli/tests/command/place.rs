//! A directory to work in, the command run there with a clean environment, and what it said.

use std::fs::{File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Long enough for a loaded machine; a test that hangs still ends, and says at what.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// The store of most tests.
pub(crate) const STORE: &str = "s.flock";
/// Failed attempts are followed by the next at once.
pub(crate) const SOON: [&str; 2] = ["--backoff", "1ms..2ms"];

/// Looks again and again until it is there; panics after the limit with the last thing seen.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        let seen = match look() {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(
            begun.elapsed() < LONG,
            "waited {LONG:?} for: {what}; the last thing seen: {seen}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A directory of a test, removed when it ends.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The names of what is there, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes a file that can be run.
    pub(crate) fn write_program(&self, name: &str, text: &str) {
        self.write(name, text);
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The command, with nothing of our own environment that it would heed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flockwork"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            )
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    /// Starts `flockwork ...` and goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Runs `flockwork ...` to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.start(arguments).end()
    }

    /// Runs `flockwork ...`, which must end with 0.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}\n{}", said.err);
        said
    }

    /// The JSON of `flockwork VERB STORE ... --format json`.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(&[arguments, &["--format", "json"]].concat());
        serde_json::from_slice(&said.out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}{}", said.text(), said.err))
    }

    /// Waits until the status of the store has this count.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, count: u64) {
        wait_until(&format!("{count} {what}"), || {
            let said = self.run(&["status", STORE, "--format", "json"]);
            let status: Value = serde_json::from_slice(&said.out).map_err(|_| said.err)?;
            match status[what] == count {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        });
    }

    /// Waits until a file is there, and returns what is in it.
    #[track_caller]
    pub(crate) fn wait_for_file(&self, name: &str) -> String {
        wait_until(name, || match std::fs::read_to_string(self.path(name)) {
            Ok(text) if !text.is_empty() => Ok(text),
            other => Err(format!("{other:?}")),
        })
    }

    /// Checks that the store keeps its promises and that every task has ended; returns the audit.
    #[track_caller]
    pub(crate) fn check_complete(&self) -> Value {
        let audit = self.json(&["audit", STORE]);
        assert_eq!(audit["verdict"], "complete", "{audit}");
        assert_eq!(audit["open"], 0, "{audit}");
        audit
    }

    /// Puts a word for the path of this place, and for temporary names in it.
    pub(crate) fn placed(&self, text: &str) -> String {
        let text = text.replace(&self.0.path().display().to_string(), "HERE");
        let temporary = Regex::new(r"\.results\.\w+\.tmp").unwrap();
        temporary.replace_all(&text, "TEMPORARY").into_owned()
    }

    /// Puts words for what differs from run to run: paths, hosts, processes, durations, sizes, times of day.
    pub(crate) fn masked(&self, text: &str) -> String {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host = regex::escape(&host);
        let mut text = self.placed(text);
        for (pattern, word) in [
            (format!(r"\b{host}-\d+-[0-9a-f]+\b"), "WORKER"),
            (format!(r"\b{host}:\d+"), "HOST:PID"),
            (format!(r"\b{host}\b"), "HOST"),
            (r"\(pids? [\d ]+\)".to_owned(), "(PIDS)"),
            (r"\bWORKER +HOST +\d+ ".to_owned(), "WORKER  HOST  PID "),
            (r"\b\d+(\.\d+)? (B|KiB|MiB|GiB|TiB)\b".to_owned(), "SIZE"),
            (r"\b(\d+(\.\d+)?(ms|us|h|m|s))+\b".to_owned(), "TIME"),
            (r"longest TIME \(\d+\)".to_owned(), "longest TIME (TASK)"),
            (r"\d+(\.\d+)?/s\b".to_owned(), "RATE"),
            (r"alive   \S+ .*free".to_owned(), "alive  DISK"),
            (r" ±\S+".to_owned(), ""),
            (r"\d\d:\d\d:\d\d".to_owned(), "CLOCK"),
            (r"  +".to_owned(), "  "),
            (r"(?m) +$".to_owned(), ""),
        ] {
            text = Regex::new(&pattern)
                .unwrap()
                .replace_all(&text, word)
                .into_owned();
        }
        text
    }
}

/// The names in a directory, in order.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What a process has said, and how it ended.
pub(crate) struct Said {
    /// The exit code; 128 and more for a signal.
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Said {
    /// What stands on stdout.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The counts of the summary, such as `3 tasks: 2 ok, 1 failed`.
    #[track_caller]
    pub(crate) fn counts(&self) -> String {
        let line = self.err.lines().find(|line| line.starts_with("Summary ["));
        let line = line.unwrap_or_else(|| panic!("no summary: {}", self.err));
        line.split_once("]  ").unwrap().1.to_owned()
    }
}

/// A process that was started; killed when it is no longer looked at.
pub(crate) struct Running {
    child: Child,
    out: File,
    err: File,
}

impl Running {
    /// Starts it; what it says goes to files, so that it never waits for us.
    pub(crate) fn start(mut command: Command) -> Running {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let child = command
            .stdout(out.try_clone().unwrap())
            .stderr(err.try_clone().unwrap())
            .spawn()
            .unwrap();
        Running { child, out, err }
    }

    /// Starts it, and gives it this to read.
    pub(crate) fn start_with(mut command: Command, input: &[u8]) -> Running {
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        let mut stdin = running.child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        running
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        let status = self.status();
        let mut said = Said {
            code: status.code().unwrap_or(128 + status.signal().unwrap_or(0)),
            out: Vec::new(),
            err: String::new(),
        };
        self.out.rewind().unwrap();
        self.out.read_to_end(&mut said.out).unwrap();
        said.err = self.err_so_far();
        said
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() >= LONG {
                let said = self.err_so_far();
                let _ = self.child.kill();
                panic!("{} did not end within {LONG:?}: {said}", self.pid());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has said on stderr until now. It goes on where it was: the place in the file is its own too.
    pub(crate) fn err_so_far(&self) -> String {
        let mut err = vec![0; usize::try_from(self.err.metadata().unwrap().len()).unwrap()];
        self.err.read_exact_at(&mut err, 0).unwrap();
        String::from_utf8_lossy(&err).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal.
pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap_or_else(|error| panic!("kill {pid:?}: {error}"));
}

/// Whether a process lives; one that has ended and was not waited for does not.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some(None | Some('Z' | 'X')))
}

/// Waits until a process is gone.
#[track_caller]
pub(crate) fn wait_until_gone(pid: u32) {
    wait_until(&format!("process {pid} to be gone"), || match lives(pid) {
        true => Err("it lives".to_owned()),
        false => Ok(()),
    });
}

/// The workers that a `run` has started.
pub(crate) fn workers_of(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let pids = lists.flat_map(|list| {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect::<Vec<u32>>()
    });
    let is_worker = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"worker")
    };
    pids.filter(is_worker).collect()
}
