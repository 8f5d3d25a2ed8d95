//! The steps of a worker: claim, run, publish.

use crate::actions::{Action, Protocol};
use crate::disk::{Header, Ino, Mark};
use crate::names::Names;
use crate::setup::Flaw;
use crate::state::{State, Step, Verdict, Worker};

/// What `link` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// EEXIST
    Exists,
    /// ENOENT or ESTALE: our file has no name any more, or the directory is gone.
    Gone,
    /// EIO, of which one cannot know whether it was done.
    Unknown,
}

impl Protocol {
    /// What worker `w` can do next.
    pub(crate) fn worker_actions(&self, state: &State, w: usize, actions: &mut Vec<Action>) {
        let step = state.workers[w].step;
        let w8 = w as u8;
        match step {
            Step::Dead => {}
            Step::Idle => {
                for u in self.inputs().filter(|_| state.dir) {
                    if let Names::Free { k } = self.names(state, u) {
                        let u = u as u8;
                        actions.push(Action::List { w: w8, u, k });
                    }
                }
            }
            _ => {
                actions.push(Action::Worker { w: w8, step });
                let u = usize::from(state.workers[w].u);
                if step == Step::Run && state.files[u].out.is_some() {
                    actions.push(Action::TwinSeen { w: w8 });
                }
                if step == Step::Run && state.files[u].marks(state.workers[w].k).has(Mark::Final) {
                    actions.push(Action::CancelSeen { w: w8 });
                }
            }
        }
    }

    /// The worker has listed the shard and will try attempt `k` of `u`. It acts on this whenever it comes to it, so
    /// that every listing may be an old one by then.
    pub(crate) fn choose(&self, state: &mut State, w: usize, u: u8, k: u8) {
        let worker = &mut state.workers[w];
        (worker.u, worker.k) = (u, k);
        worker.step = Step::Create;
    }

    /// A twin won, so the task is asked to stop.
    pub(crate) fn stop_for_twin(&self, state: &mut State, w: usize) {
        self.end(state, w, Mark::Back);
    }

    /// The next system call of worker `w`.
    pub(crate) fn worker_step(&self, state: &mut State, w: usize) {
        let worker = state.workers[w];
        let (u, k) = (usize::from(worker.u), worker.k);
        let next = match worker.step {
            Step::Idle | Step::Dead => unreachable!("no call to make"),
            Step::Create => return self.create(state, w),
            Step::Flock => {
                // Busy three times: a prober has it. The claimer goes on and says so in the header.
                let free = !worker.fd.is_some_and(|fd| state.is_probed(fd));
                state.workers[w].locked = free;
                Step::Header
            }
            Step::Header => {
                if let Some(fd) = worker.fd {
                    state.inode_mut(fd).header = if worker.locked {
                        Header::Flocked
                    } else {
                        Header::Unflocked
                    };
                }
                if k > 1 && !self.0.flawed(Flaw::NoSecondListing) {
                    Step::Relist
                } else {
                    Step::ReadInput
                }
            }
            Step::Relist if state.files[u].out.is_some() => {
                return self.end(state, w, Mark::Back);
            }
            // It was cancelled while this worker acted on an older listing.
            Step::Relist if self.is_final(&state.files[u]) => {
                return self.end(state, w, Mark::Final);
            }
            Step::Relist => Step::ReadInput,
            Step::ReadInput if state.dir && state.files[u].input => {
                state.ghost.runs += 1;
                Step::Run
            }
            Step::ReadInput if self.0.flawed(Flaw::UnlinkWhenCleaned) => Step::Unlink,
            // The lock stays where it is: by now the path may lead to another's file.
            Step::ReadInput => return self.end(state, w, Mark::Back),
            Step::Run => {
                if let Some(fd) = worker.fd {
                    state.inode_mut(fd).whole = true;
                }
                match self.0.flaw {
                    Some(Flaw::CheckThenRename) => Step::CheckPath,
                    Some(Flaw::LinkBeforeSync) => Step::Link,
                    _ if self.0.power => Step::Sync,
                    _ => Step::Link,
                }
            }
            Step::Sync => {
                if let Some(fd) = worker.fd {
                    state.inode_mut(fd).synced = true;
                }
                Step::Link
            }
            Step::Mark(mark) => {
                if state.dir {
                    state.files[u].marks_mut(k).insert(mark);
                }
                return self.conclude(state, w, Verdict::Ended);
            }
            Step::SyncDir(verdict) => {
                state.sync_dir();
                return self.conclude(state, w, verdict);
            }
            Step::Close(_) => {
                state.workers[w] = Worker::IDLE;
                return;
            }
            _ => return self.publish_step(state, w),
        };
        state.workers[w].step = next;
    }

    /// `open(U.k.lock, O_CREAT|O_EXCL)`
    fn create(&self, state: &mut State, w: usize) {
        let (u, k) = (usize::from(state.workers[w].u), state.workers[w].k);
        if !state.dir || state.files[u].lock(k).is_some() {
            state.workers[w] = Worker::IDLE;
            return;
        }
        let ino = state.new_inode();
        *state.files[u].lock_mut(k) = Some(ino);
        state.workers[w].fd = Some(ino);
        state.workers[w].step = Step::Flock;
    }

    /// Ends the attempt without output.
    pub(crate) fn end(&self, state: &mut State, w: usize, mark: Mark) {
        let by_path = [Flaw::UnlinkRelease, Flaw::NamesUsedTwice];
        let unlinks = by_path.into_iter().any(|flaw| self.0.flawed(flaw));
        state.workers[w].step = if unlinks { Step::Unlink } else { Step::Mark(mark) };
    }

    /// `link(ino, U.out)` by worker `w`.
    pub(crate) fn link(&self, state: &mut State, w: usize, ino: Ino) -> Answer {
        let worker = state.workers[w];
        let u = usize::from(worker.u);
        let hidden = worker.hidden && worker.fd == Some(ino);
        if state.dir && state.files[u].out.is_some() {
            Answer::Exists
        } else if state.dir && (state.links(ino) > 0 || hidden) {
            state.files[u].out = Some(ino);
            state.files[u].out_synced = false;
            state.ghost.first[u].get_or_insert(ino);
            Answer::Done
        } else {
            Answer::Gone
        }
    }

    /// Says what became of the attempt; from here on others may rely on it.
    pub(crate) fn conclude(&self, state: &mut State, w: usize, verdict: Verdict) {
        let worker = &mut state.workers[w];
        worker.step = Step::Close(verdict);
        let u = usize::from(worker.u);
        let first = state.ghost.first[u];
        let is_right = match verdict {
            Verdict::Accepted => first.is_some_and(|ino| worker.wrote(ino)),
            Verdict::Twin => first.is_some_and(|ino| !worker.wrote(ino)),
            Verdict::Cleaned => state.done,
            Verdict::Ended => true,
        };
        state.ghost.misjudged |= !is_right;
        state.ghost.seen[u] |= verdict == Verdict::Accepted;
    }
}

impl State {
    /// `fsync` of the directory: the names that are there stay.
    pub(crate) fn sync_dir(&mut self) {
        for files in &mut self.files {
            files.out_synced |= files.out.is_some();
            files.input_may_return = false;
        }
    }
}
