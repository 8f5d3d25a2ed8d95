//! Claiming an input file: the lock file, its flock, its header; and what an attempt does while it runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use super::marker::{Marker, make_marker, make_whole_marker, read_marker, try_read_marker};
use super::outcomes::cancelled_failure;
use super::state::State;
use super::{SMALL_FILE, Store};
use crate::clock::{Random, wall_millis};
use crate::fs::{DirRef, FileRef, Flock, FsKind, is_closed_to_us, is_foreign, is_gone, is_lost_file, os};
use crate::layout::{self, Entry, Kind};
use crate::name::{Attempt, Stem, WorkerId};
use crate::outcome::Failure;
use crate::record::{self, AttemptHeader, ProcessMark, RecordKind};

/// A prober may hold a fresh lock for a moment.
const LOCK_WAIT: Duration = Duration::from_millis(50);
/// EIO is believed to last after so many tries.
const IO_TRIES: u32 = 3;

/// Who claims: a worker or a master.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) id: WorkerId,
    pub(crate) process: ProcessMark,
    /// Whether the lock of its own file in `workers/` speaks for its attempts. On a file server each lock costs three
    /// calls, so a worker has one and not one for each attempt.
    pub(crate) lock_speaks: Arc<AtomicBool>,
}

impl Identity {
    /// Makes a new one for a worker or a master in this process.
    pub(crate) fn new() -> Identity {
        let process = os::this_process().clone();
        let random = (Random::new().next() >> 40) as u32;
        Identity {
            id: WorkerId::new(&process.host, process.pid, random),
            process,
            lock_speaks: Arc::default(),
        }
    }
}

/// What came of trying to claim.
#[must_use = "a won claim must be published, ended or given back"]
#[expect(
    clippy::large_enum_variant,
    reason = "a claim is moved once; a box would cost each task an allocation"
)]
#[derive(Debug)]
pub(crate) enum Claiming {
    /// It is ours.
    Won(Claim),
    /// Somebody else was first.
    Busy,
    /// The shard was cleaned.
    Gone,
}

/// What a heartbeat found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    Ours,
    /// The lock file was removed, or its lock is another's: go on, the first outcome wins.
    Lost,
    /// Another attempt was first: the outcome will be dropped, so the task may as well stop.
    Outrun,
    /// Somebody has marked the attempt as the last.
    Cancelled,
}

/// Where an attempt stands after a time in which nobody could hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may have been given up, but nobody has begun another: it goes on.
    Ours,
    /// It was given up, and another has begun.
    TakenOver,
    /// Another was first.
    Outrun,
}

/// What a listing after the claim has shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SecondLook {
    /// `None`: the input is gone, the shard was cleaned.
    pub(crate) state: Option<State>,
    /// Whether the attempt before was given up.
    pub(crate) was_lost: bool,
    /// The latest attempt before this one that left a checkpoint.
    pub(crate) checkpointed: Option<Attempt>,
    /// The latest attempt before this one after which a person granted new ones.
    pub(crate) again: Option<Attempt>,
    /// The attempt that was to be the last, though it has this one after it, or is this one.
    pub(crate) final_at: Option<Attempt>,
}

/// A hold on one input file (or on the role of the one master): an attempt that runs.
///
/// It ends by [`publish`](Claim::publish), [`end`](Claim::end) or [`release`](Claim::release). A claim that is
/// only dropped looks to others as if its process had died.
#[must_use = "a claim must be published, ended or given back"]
#[derive(Debug)]
pub(crate) struct Claim {
    pub(super) dir: DirRef,
    pub(super) base: String,
    pub(super) attempt: Attempt,
    pub(super) file: FileRef,
    header: AttemptHeader,
    stem: Stem,
    /// Everything the lock file holds or will hold: with it a lost lock file can be written anew.
    pub(super) content: Vec<u8>,
    /// How much of it is written.
    pub(super) flushed: usize,
    /// So often its end could not be written.
    failed_writes: u32,
    /// Whether its outcome has got the final name.
    pub(super) accepted: bool,
}

impl Claim {
    /// Tries to claim an input file.
    ///
    /// # Errors
    ///
    /// Whatever the file system says. The lock file may be there all the same; it is then given up by those
    /// who see that nobody is behind it.
    pub(crate) fn of_input(
        me: &Identity,
        dir: &DirRef,
        stem: Stem,
        attempt: Attempt,
    ) -> io::Result<Claiming> {
        Claim::of(me, dir, stem.to_string(), stem, attempt)
    }

    /// Tries to become the one master of a store.
    pub(crate) fn of_master(me: &Identity, store: &Store, attempt: Attempt) -> io::Result<Claiming> {
        Claim::of(me, store.root(), layout::MASTER.to_owned(), Stem(0), attempt)
    }

    fn of(me: &Identity, dir: &DirRef, base: String, stem: Stem, attempt: Attempt) -> io::Result<Claiming> {
        let file = match dir.create(&layout::attempt_name(&base, attempt, Kind::Lock)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Claiming::Busy),
            Err(error) if is_gone(&error) => return Ok(Claiming::Gone),
            Err(error) => return Err(error),
        };
        let worker_flock = me.lock_speaks.load(Ordering::SeqCst);
        let flock = !worker_flock && take_lock(&file);
        let header = AttemptHeader {
            worker: me.id.clone(),
            attempt,
            process: me.process.clone(),
            flock,
            worker_flock,
            at: Some(wall_millis()),
            suspects: Vec::new(),
        };
        let (dir, content) = (dir.clone(), Vec::with_capacity(512));
        let mut claim = Claim {
            dir,
            base,
            attempt,
            file,
            header,
            stem,
            content,
            flushed: 0,
            failed_writes: 0,
            accepted: false,
        };
        claim.push_header();
        match claim.flush() {
            Ok(()) => Ok(Claiming::Won(claim)),
            Err(error) => {
                claim.release(&format!("cannot write the attempt's header: {error}"));
                Err(error)
            }
        }
    }

    fn push_header(&mut self) {
        record::push_json(
            &mut self.content,
            RecordKind::Attempt,
            0,
            self.stem.0,
            &self.header,
        );
    }

    pub(super) fn header(&self) -> &AttemptHeader {
        &self.header
    }

    pub(crate) fn dir(&self) -> &DirRef {
        &self.dir
    }

    pub(crate) fn stem(&self) -> Stem {
        self.stem
    }

    pub(crate) fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The buffer that records are appended to; [`flush`](Claim::flush) writes them.
    pub(crate) fn content(&mut self) -> &mut Vec<u8> {
        &mut self.content
    }

    /// Writes what was appended since the last time.
    ///
    /// After an error all is written again, at the offsets where it belongs: what is told of may be an earlier write.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.flushed < self.content.len() {
            let new = &self.content[self.flushed..];
            let written = self.file.write_at(self.flushed as u64, new);
            self.flushed = if written.is_ok() { self.content.len() } else { 0 };
            written?;
        }
        Ok(())
    }

    /// Brings what was written to the disk, or to the file server.
    ///
    /// A kernel tells once that it could not, and drops those bytes: a later sync succeeds without them. So after an error
    /// nothing counts as written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let synced = self.file.sync_data();
        if synced.is_err() {
            self.flushed = 0;
        }
        synced
    }

    /// Notes the positions at which earlier attempts were lost, for the attempt after this one.
    pub(crate) fn note_suspects(&mut self, suspects: &[u32]) {
        self.header.suspects = suspects.to_vec();
        self.push_header();
    }

    /// Takes a fresh look at the names of this input file.
    pub(crate) fn look(&self, store: &Store) -> io::Result<SecondLook> {
        let mut entries = Vec::new();
        self.dir.list(&mut |name| {
            entries.extend(Entry::parse(name).filter(|entry| entry.stem == self.stem));
        })?;
        let earlier = |kind| {
            let attempts = entries.iter().filter(move |entry: &&Entry| entry.kind == kind);
            attempts
                .filter_map(|entry| entry.attempt)
                .filter(|attempt| *attempt < self.attempt)
                .max()
        };
        let was_lost = earlier(Kind::Lost) == Some(Attempt(self.attempt.0 - 1));
        let (checkpointed, again) = (earlier(Kind::Checkpoint), earlier(Kind::Again));
        let finals = entries.iter().filter(|entry| entry.kind == Kind::Final);
        let final_at = finals
            .filter_map(|entry| entry.attempt)
            .filter(|attempt| Some(*attempt) > again)
            .max();
        let shard = super::state::shard_state(&mut entries, store.attempts_allowed());
        Ok(SecondLook {
            state: shard.inputs.first().map(|input| input.state),
            was_lost,
            checkpointed,
            again,
            final_at,
        })
    }

    /// Brings the header to the file server, so that other hosts can read who holds this attempt.
    pub(crate) fn show_holder(&mut self) -> io::Result<()> {
        match self.flush().and_then(|()| self.sync()) {
            // That is told by the heartbeat.
            Err(error) if is_lost_file(&error) => Ok(()),
            answer => answer,
        }
    }

    /// Shows a sign of life, and looks whether the claim still holds.
    pub(crate) fn heartbeat(&self) -> io::Result<Pulse> {
        let looked = self.file.touch().and_then(|()| self.file.fresh());
        let has_file = match looked {
            Ok(stat) => stat.links > 0,
            Err(error) if is_lost_file(&error) => false,
            Err(error) => return Err(error),
        };
        if !has_file || self.header.flock && matches!(self.file.try_lock(), Ok(Flock::Busy)) {
            return Ok(Pulse::Lost);
        }
        if self.dir.exists(&layout::plain_name(self.stem, Kind::Out))? {
            return Ok(Pulse::Outrun);
        }
        let last = layout::attempt_name(&self.base, self.attempt, Kind::Final);
        Ok(match self.dir.exists(&last)? {
            true => Pulse::Cancelled,
            false => Pulse::Ours,
        })
    }

    /// Looks by a fresh listing whether others have gone on without this attempt: to be asked after a time in which no
    /// heartbeat was given.
    pub(crate) fn standing(&self) -> io::Result<Standing> {
        let (mut given_up, mut later, mut has_outcome) = (false, false, false);
        let listed = self.dir.list(&mut |name| {
            let Some(entry) = Entry::parse(name).filter(|entry| entry.stem == self.stem) else {
                return;
            };
            let ours = entry.attempt == Some(self.attempt);
            match entry.kind {
                Kind::Out => has_outcome = true,
                Kind::Lost if ours => given_up = true,
                Kind::Lock if entry.attempt > Some(self.attempt) => later = true,
                _ => {}
            }
        });
        match listed {
            // The shard was cleaned.
            Err(error) if is_gone(&error) => return Ok(Standing::Outrun),
            answer => answer?,
        }
        Ok(match (has_outcome, given_up && later) {
            (true, _) => Standing::Outrun,
            (false, true) => Standing::TakenOver,
            (false, false) => Standing::Ours,
        })
    }

    /// Reads why an attempt at this input file was cancelled.
    pub(crate) fn cancelled(&self, at: Attempt) -> Failure {
        cancelled_failure(read_marker(&self.dir, &self.base, at, Kind::Final))
    }

    /// Reads what whoever granted new attempts after this earlier one has to say.
    pub(crate) fn note(&self, again: Attempt) -> io::Result<Option<String>> {
        let marker = try_read_marker(&self.dir, &self.base, again, Kind::Again)?;
        Ok(marker.and_then(|marker| marker.note))
    }

    /// Ends the attempt without an outcome.
    ///
    /// # Errors
    ///
    /// If the marker cannot be made, or the records cannot be written for a reason that may go; the claim comes back,
    /// to be tried again.
    #[expect(clippy::result_large_err, reason = "the error gives the claim back")]
    pub(crate) fn end(mut self, store: &Store, kind: Kind, why: &str) -> Result<(), (Claim, io::Error)> {
        let marker = Marker::new(why, &self.header.worker);
        let recorded = self.flush().and_then(|()| match store.kind() {
            // Whoever sees the marker reads the records, and others would see the name before the bytes.
            FsKind::Network => self.sync(),
            FsKind::Local => Ok(()),
        });
        let ended = match recorded {
            Ok(()) => make_marker(&self.dir, &self.base, self.attempt, kind, &marker),
            // Its text is all that tells why.
            Err(error) if self.has_lost_file(&error) => {
                make_whole_marker(store, &self.dir, &self.base, self.attempt, kind, &marker)
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(_) => Ok(()),
            Err(error) => Err((self, error)),
        }
    }

    /// Says whether nothing can be written to the lock file any more: it is gone, or NFS has lost the lock on it and
    /// answers EIO for good.
    ///
    /// A single EIO may be a passing trouble, and the records are worth a few tries.
    fn has_lost_file(&mut self, error: &io::Error) -> bool {
        let is_io = error.raw_os_error() == Some(Errno::IO.raw_os_error());
        self.failed_writes += u32::from(is_io);
        (is_lost_file(error) && !is_io) || self.failed_writes > IO_TRIES
    }

    /// Gives the task back as well as it can be done at once; never counts as a failure.
    ///
    /// Where even that fails the attempt looks like that of a dead worker, and is given up by the others.
    pub(crate) fn release(mut self, why: &str) {
        // What was appended may save the next attempt some work, but must not keep it waiting.
        let _ = self.flush();
        let marker = Marker::new(why, &self.header.worker);
        let _ = make_marker(&self.dir, &self.base, self.attempt, Kind::Back, &marker);
    }
}

/// Takes the lock of a file of one's own, which a prober may have for a moment; says whether that worked.
pub(super) fn take_lock(file: &FileRef) -> bool {
    for last in [false, false, true] {
        match file.try_lock() {
            Ok(Flock::Held) => return true,
            Ok(Flock::Busy) if !last => crate::clock::pause(LOCK_WAIT),
            // Locks only save work: the attempt goes on by its lease.
            Ok(Flock::Busy | Flock::Unsupported) | Err(_) => return false,
        }
    }
    false
}

/// Reads who made an attempt; `None` if its header is not (yet) there, or is not for us to read.
pub(crate) fn read_header(dir: &DirRef, base: &str, attempt: Attempt) -> io::Result<Option<AttemptHeader>> {
    let mut bytes = Vec::new();
    match dir.read(
        &layout::attempt_name(base, attempt, Kind::Lock),
        SMALL_FILE,
        &mut bytes,
    ) {
        Ok(()) => {}
        // The outputs of a batch follow the header; a planted file has none.
        Err(error) if is_foreign(&error) || is_closed_to_us(&error) => {}
        Err(error) => return Err(error),
    }
    let first = record::frames(&bytes).next().and_then(Result::ok);
    Ok(first
        .filter(|frame| frame.kind == RecordKind::Attempt)
        .and_then(|frame| record::from_json(&frame)))
}
