//! The steps of the master: collect what is at `U.out`, hand over failures, then clean.

use crate::actions::{Action, Protocol, Task};
use crate::disk::Inode;
use crate::names::Names;
use crate::setup::Flaw;
use crate::state::{Chore, Handed, Master, State, Worker};

impl Protocol {
    /// What the master can do next.
    pub(crate) fn master_actions(&self, state: &State, actions: &mut Vec<Action>) {
        match state.master.chore {
            Chore::Collect => self.collect_actions(state, actions),
            Chore::CleanInputs => {
                let unsynced = state.files.iter().any(|files| files.input_may_return);
                let syncs = self.0.power && !self.0.flawed(Flaw::CleanWithoutSync);
                let task = match self.cleanable(state).find(|&u| state.files[u].input) {
                    Some(u) => Task::CleanInput { u: u as u8 },
                    None if syncs && unsynced => Task::SyncDir,
                    None => Task::NextPhase,
                };
                actions.push(Action::Master(task));
            }
            Chore::CleanLocks => self.clean_lock_actions(state, actions),
            Chore::CleanOutputs => {
                let left = self
                    .cleanable(state)
                    .find(|&u| state.files[u].out.is_some())
                    .map_or(Task::RemoveDir, |u| Task::CleanOutput { u: u as u8 });
                actions.push(Action::Master(left));
            }
            Chore::Finished => {}
        }
    }

    fn collect_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let master = &state.master;
        let unsynced = |u: usize| state.files[u].out.is_some() && !state.files[u].out_synced;
        let syncs = self.0.power && !self.0.flawed(Flaw::ReadBeforeSync);
        if syncs && self.inputs().any(unsynced) {
            actions.push(Action::Master(Task::SyncDir));
        }
        for u in self.inputs() {
            if master.knows[u] != Handed::Nothing {
                continue;
            }
            let u8 = u as u8;
            if state.files[u].out.is_some() && !(syncs && unsynced(u)) {
                actions.push(Action::Master(Task::Read { u: u8 }));
            } else if self.names(state, u) == Names::Failed {
                actions.push(Action::Master(Task::HandFailure { u: u8 }));
            }
        }
        if self.inputs().all(|u| master.knows[u] != Handed::Nothing) {
            actions.push(Action::Master(Task::WriteDone));
        }
    }

    /// Removes one name after the other. The cleaner has changed the directory itself just before, so its listing is
    /// not an old one; whoever has read an input has made its lock before, so the listing shows that lock.
    fn clean_lock_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for u in self.cleanable(state) {
            if let Some(k) = self.next_to_clean(state, u) {
                let u8 = u as u8;
                let Some(ino) = state.files[u].lock(k) else {
                    actions.push(Action::Master(Task::CleanMark { u: u8, k }));
                    return;
                };
                let hides = self.0.silly_rename && state.owner(ino).is_some();
                for hides in [false, true].into_iter().take(1 + usize::from(hides)) {
                    actions.push(Action::Master(Task::CleanLock { u: u8, k, hides }));
                }
                return;
            }
        }
        let cleans = |w: &Worker| self.cleanable(state).any(|u| u == usize::from(w.u));
        let has_tmp = |w: &Worker| w.tmp_named && cleans(w);
        if let Some(w) = state.workers.iter().position(has_tmp) {
            actions.push(Action::Master(Task::CleanTmp { w: w as u8 }));
            return;
        }
        // A hidden name means that a worker on this host still has the file open and can link it.
        let waits = state.workers.iter().any(|w| w.hidden && cleans(w));
        if !waits || self.0.flawed(Flaw::IgnoreSillyNames) {
            actions.push(Action::Master(Task::NextPhase));
        }
    }

    fn next_to_clean(&self, state: &State, u: usize) -> Option<u8> {
        let next = state.files[u].next_to_clean()?;
        let is_late = next > state.master.listed[u];
        (!self.0.flawed(Flaw::CleanByOldListing) || !is_late).then_some(next)
    }

    /// The inputs whose output was handed over. Those that failed stay, for `retry`.
    fn cleanable<'a>(&self, state: &'a State) -> impl Iterator<Item = usize> + use<'a> {
        let knows = &state.master.knows;
        self.inputs().filter(|&u| knows[u] == Handed::Output)
    }

    /// Does what `task` says.
    pub(crate) fn master_step(&self, state: &mut State, task: Task) {
        match task {
            Task::SyncDir => state.sync_dir(),
            Task::Read { u } => {
                state.ghost.seen[usize::from(u)] = true;
                self.hand_over(state, u.into(), Handed::Output);
            }
            Task::HandFailure { u } => self.hand_failure(state, u.into()),
            Task::WriteDone => {
                state.done = true;
                state.master.chore = if self.0.flawed(Flaw::CleanLocksFirst) {
                    Chore::CleanLocks
                } else {
                    Chore::CleanInputs
                };
                if self.0.flawed(Flaw::CleanByOldListing) {
                    let highest = |u: usize| state.files[u].attempts().next_back().unwrap_or(0);
                    state.master.listed = [highest(0), highest(1)];
                }
            }
            Task::CleanInput { u } => {
                state.files[usize::from(u)].input = false;
                state.files[usize::from(u)].input_may_return = true;
            }
            Task::CleanLock { u, k, hides } => state.remove_lock(u.into(), k, hides),
            Task::CleanMark { u, k } => {
                let marks = state.files[usize::from(u)].marks_mut(k);
                if let Some(mark) = marks.lowest() {
                    marks.remove(mark);
                }
            }
            Task::CleanTmp { w } => state.workers[usize::from(w)].tmp_named = false,
            Task::CleanOutput { u } => {
                state.files[usize::from(u)].out = None;
                state.files[usize::from(u)].out_synced = false;
            }
            Task::NextPhase => {
                let locks_first = self.0.flawed(Flaw::CleanLocksFirst);
                state.master.chore = match (state.master.chore, locks_first) {
                    (Chore::CleanInputs, false) => Chore::CleanLocks,
                    (Chore::CleanLocks, true) => Chore::CleanInputs,
                    _ => Chore::CleanOutputs,
                };
            }
            Task::RemoveDir => self.remove_dir(state),
        }
    }

    fn hand_over(&self, state: &mut State, u: usize, what: Handed) {
        state.master.knows[u] = what;
        if state.ghost.handed[u] == Handed::Nothing {
            state.ghost.handed[u] = what;
        }
    }

    /// Hands over that the input has failed. With the fence, `link` decides whether that is so: a late worker's
    /// output may have come first, and after it none can come.
    pub(crate) fn hand_failure(&self, state: &mut State, u: usize) {
        if self.0.fence_failures {
            if state.files[u].out.is_some() {
                // EEXIST: there is an output to read instead.
                return;
            }
            let ino = state.new_inode();
            *state.inode_mut(ino) = Inode {
                whole: true,
                synced: true,
                ..Inode::default()
            };
            state.files[u].out = Some(ino);
            state.ghost.first[u] = Some(ino);
        }
        self.hand_over(state, u, Handed::Failure);
    }

    /// `rmdir`, where all inputs had an output. Names that came in between send the cleaner back to list again.
    fn remove_dir(&self, state: &mut State) {
        let all_cleaned = self.cleanable(state).count() == self.inputs().count();
        let has_names = self.inputs().any(|u| {
            let files = &state.files[u];
            files.input || files.out.is_some() || files.has_locks_or_marks()
        });
        let has_tmps = state.workers.iter().any(|w| w.tmp_named || w.hidden);
        state.master.chore = if all_cleaned && (has_names || has_tmps) {
            Chore::CleanLocks
        } else {
            state.dir = !all_cleaned;
            Chore::Finished
        };
    }

    /// The master dies and another takes its place. It knows what the done file says, and nothing else.
    pub(crate) fn restart_master(&self, state: &mut State) {
        if state.done {
            state.master.chore = Chore::CleanInputs;
        } else {
            state.master = Master::START;
        }
    }
}

impl State {
    /// Unlinks `U.k.lock`, by a person or the cleaner.
    pub(crate) fn remove_lock(&mut self, u: usize, k: u8, hides: bool) {
        let ino = self.files[u].lock_mut(k).take();
        let holder = ino.and_then(|ino| self.owner(ino));
        if let Some(w) = holder {
            self.workers[w].removed = true;
            self.workers[w].hidden = hides;
        }
    }
}
