//! A simulated process: its steps, and the plan of what goes wrong at which.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use super::disk::{Disk, SimDisk};
use super::handles::SimDir;
use super::tree::{Names, NodeId, ROOT, User};
use crate::clock::Random;
use crate::fs::DirRef;

/// What goes wrong at a step.
///
/// An error number is what the *system call* answers: where the real file system gives it another meaning
/// (no such name for `exists`, ESTALE for `fresh`, EAGAIN for `try_lock`), so does this. EINTR before a call
/// that the real one repeats is not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The error is answered, and nothing was done.
    Before(Errno),
    /// It was done, but the error is answered.
    After(Errno),
    /// The process is killed, and nothing was done.
    Crash,
    /// The process is killed within a step of several system calls: half of the bytes are written, and
    /// `replace` leaves its temporary file. Other steps are not done.
    CrashMidway,
    /// It was done, then the process is killed.
    CrashAfter,
}

/// A process on a host; clones are the same process.
#[derive(Debug, Clone)]
pub(crate) struct SimProcess {
    disk: SimDisk,
    id: ProcessId,
}

/// The place in the disk's list of processes.
pub(super) type ProcessId = usize;

/// What the disk knows of a process.
pub(super) struct Process {
    pub(super) host: String,
    pub(super) user: User,
    pub(super) is_crashed: bool,
    /// How many more listings are old, and what they show.
    pub(super) stale: Option<(usize, BTreeMap<NodeId, Names>)>,
    /// How many more listings lack names, and which.
    pub(super) torn: Option<(usize, Random)>,
    log: Vec<String>,
    faults: BTreeMap<usize, Fault>,
    /// What goes wrong at the next so many steps of a sort.
    sorts: BTreeMap<&'static str, (usize, Fault)>,
    hooks: BTreeMap<usize, Box<dyn FnOnce() + Send>>,
    /// What happens before each step of a sort.
    holds: BTreeMap<&'static str, Hold>,
}

/// May block, as calls on a dead client's files do.
pub(crate) type Hold = Arc<dyn Fn(&str) + Send + Sync>;

/// Calls that the real file system repeats when a signal interrupts them.
const REPEATED: [&str; 10] = [
    "create",
    "list",
    "open_dir",
    "open_read",
    "open_write",
    "read",
    "sync",
    "sync_all",
    "sync_data",
    "write_at",
];

impl SimProcess {
    pub(super) fn new(disk: SimDisk, id: ProcessId) -> SimProcess {
        SimProcess { disk, id }
    }

    /// Returns the root directory as this process sees it.
    pub(crate) fn root(&self) -> DirRef {
        Arc::new(SimDir::new(self.clone(), ROOT, PathBuf::from("/sim")))
    }

    /// Plans a fault. Steps are counted from 0, so `fail_at(process.steps(), ..)` means the next one.
    pub(crate) fn fail_at(&self, step: usize, fault: Fault) {
        self.with(|process| process.faults.insert(step, fault));
    }

    /// Plans a fault for the next `count` steps of a sort (`link`, `sync_data` ...); 0 takes it back.
    pub(crate) fn fail_each(&self, verb: &'static str, count: usize, fault: Fault) {
        self.with(|process| process.sorts.insert(verb, (count, fault)));
    }

    /// Plans what the world does right before a step: another process, the clock, a hand that removes a file.
    pub(crate) fn before(&self, step: usize, hook: impl FnOnce() + Send + 'static) {
        self.with(|process| process.hooks.insert(step, Box::new(hook)));
    }

    /// Calls `hold` before each step of a sort (`try_lock`, `open_write` ...) with the name that it is about.
    ///
    /// It may block: the disk is unlocked meanwhile.
    pub(crate) fn hold_each(&self, verb: &'static str, hold: Hold) {
        self.with(|process| process.holds.insert(verb, hold));
    }

    /// Makes it another user's process, whose files others can open or not.
    pub(crate) fn belongs_to(&self, user: u32, makes_private: bool) {
        self.with(|process| {
            process.user = User {
                id: user,
                makes_private,
            }
        });
    }

    /// Returns how many steps were made so far, failed ones included.
    pub(crate) fn steps(&self) -> usize {
        self.with(|process| process.log.len())
    }

    /// Returns the steps made so far as text, such as `create 0000000.1.lock`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.with(|process| process.log.clone())
    }

    /// Kills the process: its files are closed, its locks are free, and each later call fails.
    pub(crate) fn crash(&self) {
        self.disk.lock().crash(self.id);
    }

    pub(crate) fn is_crashed(&self) -> bool {
        self.with(|process| process.is_crashed)
    }

    pub(super) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    pub(super) fn id(&self) -> ProcessId {
        self.id
    }

    /// Makes a step of one system call, or the fault that is planned for it.
    pub(super) fn step<T>(
        &self,
        verb: &'static str,
        what: &str,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        self.step_of_many(verb, what, |_| Ok(()), act)
    }

    /// Makes a step of which a crash may leave one half.
    pub(super) fn step_of_many<T>(
        &self,
        verb: &'static str,
        what: &str,
        half: impl FnOnce(&mut Disk) -> io::Result<()>,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        // With the disk unlocked: a hook may use it, by whatever process.
        if let Some(hook) = self.with(|process| process.hooks.remove(&process.log.len())) {
            hook();
        }
        if let Some(hold) = self.with(|process| process.holds.get(verb).cloned()) {
            hold(what);
        }
        let act = |disk: &mut Disk| {
            disk.begin_step(self.id);
            let result = act(disk);
            disk.end_step(self.id);
            result
        };
        let mut disk = self.disk.lock();
        let process = &mut disk.processes[self.id];
        if process.is_crashed {
            return Err(crashed());
        }
        let planned = process.faults.remove(&process.log.len());
        let fault = planned.or_else(|| process.next_of_sort(verb));
        process.log.push(format!("{verb} {what}"));
        let (result, error) = match fault {
            None => return act(&mut disk),
            Some(Fault::Before(Errno::INTR)) if REPEATED.contains(&verb) => return act(&mut disk),
            Some(Fault::Before(errno)) => (None, errno.into()),
            Some(Fault::After(errno)) => (Some(act(&mut disk)), errno.into()),
            Some(crash) => {
                let result = match crash {
                    Fault::CrashAfter => Some(act(&mut disk)),
                    // Whether the half fits no longer matters to the dead.
                    Fault::CrashMidway => half(&mut disk).err().map(Err),
                    _ => None,
                };
                disk.crash(self.id);
                (result, crashed())
            }
        };
        // A file that nobody gets is closed, and that locks the disk.
        drop(disk);
        drop(result);
        Err(error)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        act(&mut self.disk.lock().processes[self.id])
    }
}

impl Process {
    fn next_of_sort(&mut self, verb: &str) -> Option<Fault> {
        let (count, fault) = self.sorts.get_mut(verb)?;
        *count = count.checked_sub(1)?;
        Some(*fault)
    }

    pub(super) fn new(host: &str) -> Process {
        Process {
            host: host.to_owned(),
            user: User::default(),
            is_crashed: false,
            stale: None,
            torn: None,
            log: Vec::new(),
            faults: BTreeMap::new(),
            sorts: BTreeMap::new(),
            hooks: BTreeMap::new(),
            holds: BTreeMap::new(),
        }
    }
}

/// What each call of a dead process is answered with: no kind that anybody would wait out or take for a loss.
fn crashed() -> io::Error {
    io::Error::other("this simulated process has crashed")
}
