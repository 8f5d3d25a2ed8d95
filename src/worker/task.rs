//! What `Worker::process` is told about its task, and can do with it.

use std::cell::{OnceCell, RefCell};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::running::Running;
use crate::codec::Codec;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Kind, SCRATCH};
use crate::name::{Attempt, TaskId};
use crate::record::{self, RecordKind};
use crate::store::Store;

/// The task at hand.
#[derive(Debug)]
pub struct Task<'a> {
    pub(super) store: &'a Store,
    pub(super) running: &'a Running,
    pub(super) worker: &'a str,
    pub(super) dir: &'a DirRef,
    /// Where scratch directories are made, if not in the store.
    pub(super) scratch_root: Option<&'a Path>,
    pub(super) scratch: OnceCell<PathBuf>,
    /// The latest attempt before this one that left a checkpoint.
    pub(super) checkpointed: Option<Attempt>,
    pub(super) note: Option<&'a str>,
    /// The latest thing that the store, or the scratch directory's disk, refused.
    pub(super) trouble: RefCell<Option<String>>,
}

impl Task<'_> {
    /// Returns which task it is.
    pub fn id(&self) -> TaskId {
        self.running.task()
    }

    /// Returns the number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.running.attempt.0
    }

    /// Returns the name of the worker, `HOST-PID-RANDOM`.
    pub fn worker(&self) -> &str {
        self.worker
    }

    /// Returns what whoever granted this attempt has to say: the note of the latest
    /// [`Store::retry`](crate::Store::retry), if there was one.
    pub fn note(&self) -> Option<String> {
        self.note.map(str::to_owned)
    }

    /// Says whether the task should end as soon as it can.
    ///
    /// That is so when the worker was told to stop now, when the task takes longer than the store's timeout, when it
    /// was cancelled, or when another attempt was first. Return an error then, after a
    /// [`checkpoint`](Task::checkpoint) if that helps: told to stop, the task is given back and does not count as
    /// failed.
    pub fn should_stop(&self) -> bool {
        self.running.stop_reason().is_some()
    }

    /// Tells how far the task is, from 0 to 1. It costs nothing; the next heartbeat writes it down.
    pub fn progress(&self, share: f32) {
        self.running.set_progress(share);
    }

    /// Returns a directory that only this attempt uses; it is made at the first call, and removed with all that is
    /// in it when the task ends. Where [`WorkerConfig::scratch`](crate::WorkerConfig::scratch) says, it is the user's
    /// alone; in the store, whoever may use the store may look into it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if it cannot be made. A task that returns an error after that is given back: such trouble is
    /// no failure of the task.
    pub fn scratch(&self) -> Result<&Path> {
        if let Some(path) = self.scratch.get() {
            return Ok(path);
        }
        let mut builder = DirBuilder::new();
        let root = match self.scratch_root {
            Some(root) => {
                // The store keeps others out; a directory such as /tmp does not.
                builder.mode(0o700);
                root.to_owned()
            }
            None => self.store.path().join(SCRATCH),
        };
        let id = self.id();
        let name = format!("{}-{:07}.{}-{}", id.round, id.number, self.attempt(), self.worker);
        let path = root.join(name);
        // Users' files are not part of the protocol, so they do not go through the store's door to the disk.
        let made = builder.create(&path);
        self.noting(made.during("cannot make the scratch directory", &path))?;
        Ok(self.scratch.get_or_init(|| path))
    }

    /// Keeps a state from which the next attempt can go on, should this one not end.
    ///
    /// It replaces the attempt's last checkpoint, in two stages, and goes away when the shard is
    /// cleaned.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] and [`ErrorKind::TooLarge`] as for outputs; [`ErrorKind::Io`] if it cannot be written,
    /// then the last checkpoint is still there. The task may go on without; one that returns an error is given back.
    pub fn checkpoint<T: Serialize>(&self, state: &T) -> Result<()> {
        let (codec, limit) = (self.store.codec(), self.store.config().max_record);
        let mut bytes = Vec::new();
        let head = (RecordKind::Checkpoint, codec.byte(), self.running.index(), 0);
        record::push_with(&mut bytes, head, |buffer| codec.encode(state, limit, buffer))?;
        record::push_end(&mut bytes, 1);
        let name = self.checkpoint_name(self.running.attempt);
        let written = self.dir.replace(&name, &bytes, self.store.syncs_data());
        self.noting(written.during("cannot write the checkpoint", &self.dir.path().join(name)))
    }

    /// Returns the last checkpoint that an earlier attempt at this task has left, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it does not decode as a `T`; [`ErrorKind::Damaged`]; [`ErrorKind::Io`].
    pub fn restored<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Some(attempt) = self.checkpointed else {
            return Ok(None);
        };
        let name = self.checkpoint_name(attempt);
        let path = self.dir.path().join(&name);
        let mut bytes = Vec::new();
        match self.dir.read(&name, self.store.file_limit(), &mut bytes) {
            // It will not come back.
            Err(error) if is_gone(&error) => return Err(error).during("cannot read the checkpoint", &path),
            answer => self.noting(answer.during("cannot read the checkpoint", &path))?,
        }
        let frames = record::whole(&bytes, &[RecordKind::Checkpoint]).map_err(|damage| {
            Error::new(ErrorKind::Damaged, "damaged checkpoint")
                .at(&path)
                .because(damage)
        })?;
        // In a batch the checkpoint may be another task's.
        let ours = frames.iter().find(|frame| frame.index == self.running.index());
        ours.map(|frame| Codec::decode(frame.codec, frame.payload).map_err(|error| error.at(&path)))
            .transpose()
    }

    /// Remembers trouble of the store: an error that the task returns after it is no failure of the task.
    fn noting<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Io
        {
            *self.trouble.borrow_mut() = Some(error.to_string());
        }
        answer
    }

    fn checkpoint_name(&self, attempt: Attempt) -> String {
        layout::attempt_name(&self.running.stem.to_string(), attempt, Kind::Checkpoint)
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.scratch.get() {
            // What cannot be removed is only space.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
