//! The whole state: the directory, the processes, and what the checker remembers for the invariants.

use crate::disk::{Files, Ino, Inode, MAX_INODES, MAX_INPUTS, Mark};
use crate::setup::Setup;

/// Workers that the array has room for.
pub(crate) const MAX_WORKERS: usize = 3;
/// Observers that the array has room for.
pub(crate) const MAX_OBSERVERS: usize = 2;

/// What a worker says became of its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Verdict {
    /// My output is the accepted one.
    Accepted,
    /// Another's output was first.
    Twin,
    /// The input was cleaned, so somebody's output was accepted and collected.
    Cleaned,
    /// No output.
    Ended,
}

/// The next system call of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// List the shard.
    Idle,
    /// Create the lock with O_EXCL.
    Create,
    /// Take the flock.
    Flock,
    /// Append the header record.
    Header,
    /// List again, attempt 2 and later.
    Relist,
    /// Read `U.in`.
    ReadInput,
    /// The task runs; append its output.
    Run,
    /// `fdatasync` of the lock file.
    Sync,
    /// Link the lock file to `U.out`.
    Link,
    /// Look whose file is at `U.out`: the token tells.
    Look,
    /// The lock file has lost its name: is `U.in` still there?
    AskInput,
    /// Create the fresh `.TOKEN.tmp`.
    MakeTmp,
    /// Write the records to it.
    WriteTmp,
    /// Sync it.
    SyncTmp,
    /// Link it to `U.out`.
    LinkTmp,
    /// Look whose file is at `U.out`.
    LookTmp,
    /// The verdict comes from a look or a fresh file: is `U.in` still there, so that it holds?
    Confirm(Verdict),
    /// Unlink `.TOKEN.tmp`.
    DropTmp(Verdict),
    /// Sync the directory.
    SyncDir(Verdict),
    /// Make a marker.
    Mark(Mark),
    /// Close the lock file; the flock goes with it.
    Close(Verdict),
    /// Dead, for good.
    Dead,
    /// Flaw: is the file at the lock path mine, and `U.out` free?
    CheckPath,
    /// Flaw: rename the lock path to `U.out`.
    Rename,
    /// Flaw: unlink the lock path.
    Unlink,
}

/// A worker with one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Worker {
    pub step: Step,
    /// The input and attempt at hand.
    pub u: u8,
    pub k: u8,
    /// The lock file, open.
    pub fd: Option<Ino>,
    /// It holds the flock of `fd`, as far as the file server knows.
    pub locked: bool,
    /// Its lock file was removed by a person, or in cleaning.
    pub removed: bool,
    /// That happened on its own host, on NFS: a hidden name is left until it closes.
    pub hidden: bool,
    /// The fresh file, open.
    pub tmp: Option<Ino>,
    /// The fresh file still has its name.
    pub tmp_named: bool,
}

impl Worker {
    pub(crate) const IDLE: Self = Self {
        step: Step::Idle,
        u: 0,
        k: 0,
        fd: None,
        locked: false,
        removed: false,
        hidden: false,
        tmp: None,
        tmp_named: false,
    };

    pub(crate) const DEAD: Self = Self {
        step: Step::Dead,
        ..Self::IDLE
    };

    /// True when the file is one that this worker wrote.
    pub(crate) fn wrote(&self, ino: Ino) -> bool {
        self.fd == Some(ino) || self.tmp == Some(ino)
    }

    /// True while the task runs.
    pub(crate) fn runs(&self) -> bool {
        self.step == Step::Run
    }
}

/// The next system call of an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Watch {
    Idle,
    /// The header says that there is a flock: try it.
    Probe,
    /// The flock could be taken: let it go.
    Release,
    /// The attempt is silent or its flock is free: make the marker.
    Mark(Mark),
    /// Flaw: the flock could be taken, and now the header is read.
    LateHeader,
    /// Flaw: unlink the lock path, then make the marker or not.
    Unlink,
}

/// A process that gives up silent attempts: the master, `reclaim`, or an idle worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Observer {
    pub step: Watch,
    pub u: u8,
    pub k: u8,
    pub fd: Option<Ino>,
}

impl Observer {
    pub(crate) const IDLE: Self = Self {
        step: Watch::Idle,
        u: 0,
        k: 0,
        fd: None,
    };
}

/// What the master gave to the user for an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Handed {
    Nothing,
    Output,
    Failure,
}

/// Where the master is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Chore {
    Collect,
    CleanInputs,
    CleanLocks,
    CleanOutputs,
    Finished,
}

/// The master: it collects outcomes, then cleans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Master {
    pub chore: Chore,
    /// What this process knows that it handed over; a restart forgets it.
    pub knows: [Handed; MAX_INPUTS],
    /// Flaw: the highest attempt of each input that it saw before it began to clean.
    pub listed: [u8; MAX_INPUTS],
}

impl Master {
    pub(crate) const START: Self = Self {
        chore: Chore::Collect,
        knows: [Handed::Nothing; MAX_INPUTS],
        listed: [0; MAX_INPUTS],
    };
}

/// What no process knows, but the invariants need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    /// The file that was first at `U.out`.
    pub first: [Option<Ino>; MAX_INPUTS],
    /// Somebody outside has seen it, or was told that it is there.
    pub seen: [bool; MAX_INPUTS],
    /// What was ever handed over.
    pub handed: [Handed; MAX_INPUTS],
    /// Runs begun, of all inputs.
    pub runs: u8,
    /// Faults so far.
    pub faults: u8,
    /// Those of them that may end an attempt badly.
    pub bad_faults: u8,
    /// Those of them after which there is to be no further attempt: none of them allows for one more run.
    pub finals: u8,
    /// There was one since a person granted new attempts.
    pub is_final: bool,
    /// A verdict was wrong.
    pub misjudged: bool,
    /// A name was unlinked or overwritten that led to another attempt's file.
    pub trespassed: bool,
}

impl Ghost {
    /// An attempt is to be the last.
    pub(crate) fn note_final(&mut self) {
        self.finals += 1;
        self.is_final = true;
    }
}

/// The state of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The shard directory exists.
    pub dir: bool,
    /// The done file is written: from now on it, and no longer `U.out`, is what readers go by.
    pub done: bool,
    pub files: [Files; MAX_INPUTS],
    pub inodes: [Inode; MAX_INODES],
    pub workers: [Worker; MAX_WORKERS],
    pub observers: [Observer; MAX_OBSERVERS],
    pub master: Master,
    pub ghost: Ghost,
}

impl State {
    /// A shard with its inputs, and nobody has come yet.
    pub(crate) fn start(setup: &Setup) -> Self {
        let mut state = Self {
            dir: true,
            done: false,
            files: [Files::default(); MAX_INPUTS],
            inodes: [Inode::default(); MAX_INODES],
            workers: [Worker::DEAD; MAX_WORKERS],
            observers: [Observer::IDLE; MAX_OBSERVERS],
            master: Master::START,
            ghost: Ghost {
                first: [None; MAX_INPUTS],
                seen: [false; MAX_INPUTS],
                handed: [Handed::Nothing; MAX_INPUTS],
                runs: 0,
                faults: 0,
                bad_faults: 0,
                finals: 0,
                is_final: false,
                misjudged: false,
                trespassed: false,
            },
        };
        for files in &mut state.files[..usize::from(setup.inputs)] {
            files.input = true;
        }
        for worker in &mut state.workers[..usize::from(setup.workers)] {
            *worker = Worker::IDLE;
        }
        state
    }

    pub(crate) fn inode(&self, ino: Ino) -> Inode {
        self.inodes[usize::from(ino.0)]
    }

    pub(crate) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        &mut self.inodes[usize::from(ino.0)]
    }

    /// A new, empty file.
    pub(crate) fn new_inode(&mut self) -> Ino {
        let mut used = 0_u32;
        self.references_mut().flatten().for_each(|ino| used |= 1 << ino.0);
        let ino = Ino(used.trailing_ones() as u8);
        *self.inode_mut(ino) = Inode::default();
        ino
    }

    /// How many names lead to the file.
    pub(crate) fn links(&self, ino: Ino) -> usize {
        let in_shard: usize = self.files.iter().map(|files| files.links(ino)).sum();
        let fresh = |worker: &&Worker| worker.tmp == Some(ino) && worker.tmp_named;
        in_shard + self.workers.iter().filter(fresh).count()
    }

    /// The live worker that has this lock file open.
    pub(crate) fn owner(&self, ino: Ino) -> Option<usize> {
        self.workers.iter().position(|w| w.fd == Some(ino))
    }

    /// True when a live process holds the file's flock.
    pub(crate) fn is_flocked(&self, ino: Ino) -> bool {
        self.is_probed(ino) || self.workers.iter().any(|w| w.fd == Some(ino) && w.locked)
    }

    /// True while an observer holds the file's flock.
    pub(crate) fn is_probed(&self, ino: Ino) -> bool {
        self.observers
            .iter()
            .any(|o| o.step == Watch::Release && o.fd == Some(ino))
    }

    /// Gives the inodes new numbers in the order in which they are first referred to, and forgets those that are no
    /// longer named or open. States that differ by numbers alone become one.
    pub(crate) fn tidy(&mut self) {
        let old = self.inodes;
        let mut new = [Inode::default(); MAX_INODES];
        let mut numbers = [None; MAX_INODES];
        let mut used = 0;
        for reference in self.references_mut() {
            let Some(ino) = reference else { continue };
            let at = usize::from(ino.0);
            let number = *numbers[at].get_or_insert_with(|| {
                new[used] = old[at];
                used += 1;
                Ino(used as u8 - 1)
            });
            *ino = number;
        }
        self.inodes = new;
    }

    /// The same state with its workers and observers in a fixed order: they are alike.
    pub(crate) fn sorted(&self) -> Self {
        let mut state = *self;
        // A file without a name has a number that depends on the order, so its contents stand for it.
        let is_named = |ino| self.links(ino) > 0 || self.ghost.first.contains(&Some(ino));
        let named = |fd: Option<Ino>| fd.filter(|&ino| is_named(ino));
        let contents = |fd: Option<Ino>| {
            let anonymous = fd.filter(|&ino| !is_named(ino));
            let watchers = |ino| self.observers.iter().filter(|o| o.fd == Some(ino)).count();
            anonymous.map(|ino| (self.inode(ino), watchers(ino)))
        };
        state.workers.sort_unstable_by_key(|w| {
            let plain = Worker {
                fd: named(w.fd),
                tmp: None,
                ..*w
            };
            (plain, contents(w.fd), w.tmp.map(|ino| self.inode(ino)))
        });
        state.observers.sort_unstable_by_key(|o| {
            let plain = Observer {
                fd: named(o.fd),
                ..*o
            };
            (plain, contents(o.fd))
        });
        state.tidy();
        state
    }

    fn references_mut(&mut self) -> impl Iterator<Item = &mut Option<Ino>> {
        let names = self.files.iter_mut().flat_map(Files::inodes_mut);
        let firsts = self.ghost.first.iter_mut();
        let workers = self.workers.iter_mut();
        let opened = workers.flat_map(|worker| [&mut worker.fd, &mut worker.tmp]);
        let watched = self.observers.iter_mut().map(|o| &mut o.fd);
        names.chain(firsts).chain(opened).chain(watched)
    }
}
