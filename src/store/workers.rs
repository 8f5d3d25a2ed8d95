//! The file that each worker keeps in `workers/`: what it is, and by its mtime the last sign of life.

use std::io;

use serde::{Deserialize, Serialize};

use super::Store;
use super::claim::{Identity, take_lock};
use crate::clock::wall_millis;
use crate::fs::{DirRef, FileRef, Flock, is_gone, os};
use crate::layout::WORKERS;
use crate::name::{Attempt, TaskId, WorkerId, plain_job};
use crate::record::ProcessMark;

/// A worker that notes progress at every heartbeat for a year stays below this.
const LARGEST: u64 = 1 << 30;

/// What the first line of a worker's file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerRecord {
    pub(crate) worker: WorkerId,
    #[serde(flatten)]
    pub(crate) process: ProcessMark,
    pub(crate) slots: u32,
    /// Milliseconds since 1970, for people.
    pub(crate) started: u64,
    /// The job of a batch engine that it runs in, or what else its launcher says, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<String>,
}

/// What a running task has told of its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) task: TaskId,
    pub(crate) attempt: Attempt,
    /// From 0 to 1.
    pub(crate) share: f32,
}

/// A worker's own file: flock-ed as long as it lives, removed when it leaves. Its lock tells others that it lives.
#[derive(Debug)]
pub(crate) struct WorkerFile {
    dir: DirRef,
    name: String,
    file: FileRef,
    /// Whether its lock was ours when it was made.
    locked: bool,
    /// Its first line.
    record: Vec<u8>,
    written: u64,
}

/// What became of the lock of a worker's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is ours, as before.
    Yes,
    /// It was lost, and is ours again.
    Again,
    /// It is not ours.
    No,
}

impl WorkerFile {
    pub(crate) fn make(
        store: &Store,
        me: &Identity,
        slots: u32,
        job: Option<&str>,
    ) -> io::Result<WorkerFile> {
        let dir = store.root().open_dir(WORKERS)?;
        let name = me.id.as_str().to_owned();
        let file = dir.create(&name)?;
        // Others try this lock to learn whether locks reach them; one of them may have it at this moment.
        let locked = take_lock(&file);
        let record = WorkerRecord {
            worker: me.id.clone(),
            process: me.process.clone(),
            slots,
            started: wall_millis(),
            job: job.map(str::to_owned),
        };
        let mut text = serde_json::to_vec(&record).map_err(io::Error::other)?;
        text.push(b'\n');
        file.write_at(0, &text)?;
        Ok(WorkerFile {
            dir,
            name,
            file,
            locked,
            written: text.len() as u64,
            record: text,
        })
    }

    /// Says whether its lock was ours when it was made.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Asks for the lock once more; that alone tells whether it was lost. A file server drops the locks of a host that was
    /// silent for its lease, and the file itself may have been taken for that of a dead worker.
    pub(crate) fn keep_lock(&mut self) -> Kept {
        if !self.locked {
            return Kept::No;
        }
        if matches!(self.file.try_lock(), Ok(Flock::Held))
            && self.file.fresh().is_ok_and(|stat| stat.links > 0)
        {
            return Kept::Yes;
        }
        // A descriptor whose lock was lost stays broken.
        match self.open_anew() {
            Ok(()) if take_lock(&self.file) => Kept::Again,
            _ => Kept::No,
        }
    }

    fn open_anew(&mut self) -> io::Result<()> {
        match self.dir.open_write(&self.name) {
            Ok(file) => self.file = file,
            Err(error) if is_gone(&error) => {
                self.file = self.dir.create(&self.name)?;
                self.file.write_at(0, &self.record)?;
                self.written = self.record.len() as u64;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Shows a sign of life.
    pub(crate) fn touch(&self) -> io::Result<()> {
        self.file.touch()
    }

    /// Appends what its tasks have told of their progress.
    pub(crate) fn note(&mut self, progress: &[Progress]) -> io::Result<()> {
        let mut text = serde_json::to_vec(progress).map_err(io::Error::other)?;
        text.push(b'\n');
        self.file.write_at(self.written, &text)?;
        self.written += text.len() as u64;
        Ok(())
    }

    /// Says goodbye.
    pub(crate) fn remove(self) {
        // Closed first: an NFS client renames a file that is removed while it is open, and removes it later.
        drop(self.file);
        // If it stays, the worker is shown as lost: wrong, but harmless.
        let _ = self.dir.unlink(&self.name);
    }
}

/// Returns the place of a worker among all that have a file, in the order of their names, and how many there are.
pub(crate) fn place_of(store: &Store, worker: &WorkerId) -> io::Result<Option<(usize, usize)>> {
    let mut names = Vec::new();
    store
        .root()
        .open_dir(WORKERS)?
        .list(&mut |name| names.extend(WorkerId::parse(name)))?;
    names.sort_unstable();
    Ok(names.binary_search(worker).ok().map(|place| (place, names.len())))
}

/// Removes the files of workers of this host whose process is gone: they have had their time in `status`.
pub(crate) fn forget_dead_workers(store: &Store) -> io::Result<()> {
    let dir = store.root().open_dir(WORKERS)?;
    for seen in read_workers(store)? {
        if os::is_alive(&seen.record.process) == Some(false) {
            // Another master may have done it.
            let _ = dir.unlink(seen.record.worker.as_str());
        }
    }
    Ok(())
}

/// A worker's file, read.
#[derive(Debug)]
pub(super) struct WorkerSeen {
    pub(super) record: WorkerRecord,
    /// The file server's time of its last sign of life, in seconds since 1970.
    pub(super) sign: u64,
    pub(super) progress: Vec<Progress>,
}

/// Reads the files of the workers that are there.
pub(super) fn read_workers(store: &Store) -> io::Result<Vec<WorkerSeen>> {
    let dir = store.root().open_dir(WORKERS)?;
    let mut names = Vec::new();
    dir.list(&mut |name| names.extend(WorkerId::parse(name)))?;
    names.sort_unstable();
    // One that left meanwhile, or is just being written, is not there.
    Ok(names
        .iter()
        .filter_map(|name| read_worker(&dir, name).ok().flatten())
        .collect())
}

fn read_worker(dir: &DirRef, name: &WorkerId) -> io::Result<Option<WorkerSeen>> {
    let mut bytes = Vec::new();
    let file = dir.open_read(name.as_str())?;
    file.read(LARGEST, &mut bytes)?;
    let sign = file.fresh()?.mtime.as_secs();
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut record: Option<WorkerRecord> = lines.next().and_then(|line| serde_json::from_slice(line).ok());
    if let Some(record) = &mut record {
        // Whoever may write in the store may have written it.
        record.job = record.job.as_deref().and_then(plain_job);
    }
    let progress = lines
        .next_back()
        .and_then(|line| serde_json::from_slice(line).ok())
        .unwrap_or_default();
    Ok(record.map(|record| WorkerSeen {
        record,
        sign,
        progress,
    }))
}
