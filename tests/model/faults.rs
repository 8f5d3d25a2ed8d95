//! What can go wrong.

use crate::actions::{Action, Protocol};
use crate::disk::Mark;
use crate::names::Names;
use crate::setup::{Kind, Reach};
use crate::state::{Handed, MAX_OBSERVERS, Observer, State, Step, Watch, Worker};
use crate::worker::Answer;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A worker dies; its flock goes, its names stay.
    WorkerDies { w: u8 },
    /// An observer dies before it has made its marker.
    ObserverDies { o: u8 },
    /// The master dies, and is started again.
    MasterDies,
    /// Observer `o` is wrong about a worker that lives.
    Revoke { o: u8, u: u8, k: u8 },
    /// Observer `o` doubles an attempt near the end of the round.
    Slow { o: u8, u: u8, k: u8 },
    /// The flock of worker `w` is gone.
    LockLost { w: u8 },
    /// Worker `w` lists, and names are missing.
    ListBadly { w: u8, u: u8, k: u8 },
    /// The second listing of worker `w` misses `U.out`.
    MissOutput { w: u8 },
    /// The master's listing shows all markers of a failed input, but misses `U.out`.
    MissLateOutput { u: u8 },
    /// The lock was created, and the answer is an error.
    CreateError { w: u8 },
    /// `link` gives an answer that is not what it did.
    LinkError { w: u8, done: bool, answer: Answer },
    /// The marker was made, and the answer is an error.
    MarkError { w: u8 },
    /// The fresh file was unlinked, and the answer is an error.
    UnlinkError { w: u8 },
    /// The task fails.
    TaskFails { w: u8 },
    /// The task fails for good.
    TaskFailsForGood { w: u8 },
    /// A person cancels an attempt that runs, or did when the person looked.
    Cancel { u: u8, k: u8 },
    /// A person grants new attempts.
    Retry { u: u8 },
    /// The worker gives the attempt back.
    GiveBack { w: u8 },
    /// A person removes a lock file, on the holder's host (`hides`) or elsewhere.
    HandRemove { u: u8, k: u8, hides: bool },
    /// Power is cut. Names that were not synced may be lost: of an output, of the last lock with its markers. An
    /// input that was unlinked may be there again.
    PowerCut { out: bool, lock: bool, input: bool },
}

impl Fault {
    /// True for what may rightly cost an input one of its attempts.
    fn may_end_an_attempt_badly(self) -> bool {
        matches!(
            self,
            Self::WorkerDies { .. }
                | Self::Revoke { .. }
                | Self::LockLost { .. }
                | Self::CreateError { .. }
                | Self::TaskFails { .. }
                | Self::PowerCut { .. }
        )
    }
}

impl Protocol {
    /// All that can go wrong now.
    pub(crate) fn fault_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut add = |fault| actions.push(Action::Fault(fault));
        for w in 0..usize::from(self.0.workers) {
            self.worker_faults(state, w, &mut add);
        }
        for o in 0..usize::from(self.0.observers) {
            self.observer_faults(state, o, &mut add);
        }
        let kinds = self.0.kinds;
        if kinds.has(Kind::Crash) && self.0.master {
            add(Fault::MasterDies);
        }
        if kinds.has(Kind::StaleList) && self.0.master {
            for u in self.inputs() {
                let knows = state.master.knows[u] != Handed::Nothing;
                let mut files = state.files[u];
                let missed = files.out.take().is_some();
                if !knows && missed && self.names_of(&files) == Names::Failed {
                    add(Fault::MissLateOutput { u: u as u8 });
                }
            }
        }
        for u in self.inputs().filter(|_| state.dir) {
            let files = &state.files[u];
            let u8 = u as u8;
            if kinds.has(Kind::Cancel) && files.out.is_none() && files.input {
                let unmarked = |k: &u8| !files.marks(*k).has(Mark::Final);
                for k in files.attempts().filter(unmarked) {
                    add(Fault::Cancel { u: u8, k });
                }
            }
            if kinds.has(Kind::Retry) && self.names(state, u) == Names::Failed {
                add(Fault::Retry { u: u8 });
            }
        }
        if kinds.has(Kind::HandRemove) && !state.done {
            for u in self.inputs() {
                for k in state.files[u].attempts() {
                    let u = u as u8;
                    let hides = false;
                    add(Fault::HandRemove { u, k, hides });
                    let owner = state.files[usize::from(u)].lock(k).map(|i| state.owner(i));
                    if self.0.silly_rename && owner.flatten().is_some() {
                        let hides = true;
                        add(Fault::HandRemove { u, k, hides });
                    }
                }
            }
        }
        if kinds.has(Kind::PowerCut) {
            self.power_cuts(state, &mut add);
        }
    }

    fn power_cuts(&self, state: &State, add: &mut impl FnMut(Fault)) {
        let may = |is_possible: bool| [false, true].into_iter().take(1 + usize::from(is_possible));
        let files = &state.files;
        for out in may(files.iter().any(|f| f.out.is_some() && !f.out_synced)) {
            for lock in may(files.iter().any(|f| f.attempts().next().is_some())) {
                for input in may(files.iter().any(|f| f.input_may_return)) {
                    add(Fault::PowerCut { out, lock, input });
                }
            }
        }
    }

    fn worker_faults(&self, state: &State, w: usize, add: &mut impl FnMut(Fault)) {
        let kinds = self.0.kinds;
        let worker = state.workers[w];
        let files = &state.files[usize::from(worker.u)];
        let w = w as u8;
        // The death of an idle worker changes nothing on disk.
        let is_busy = !matches!(worker.step, Step::Idle | Step::Dead);
        if is_busy && kinds.has(Kind::Crash) {
            add(Fault::WorkerDies { w });
        }
        if worker.locked && kinds.has(Kind::LockLost) && self.0.reach == Reach::Cluster {
            add(Fault::LockLost { w });
        }
        match worker.step {
            Step::Idle if kinds.has(Kind::StaleList) && state.dir => {
                for u in self.inputs() {
                    for k in state.files[u].free_if_names_are_missed() {
                        let u = u as u8;
                        add(Fault::ListBadly { w, u, k });
                    }
                }
            }
            Step::Relist if kinds.has(Kind::StaleList) && files.out.is_some() => {
                add(Fault::MissOutput { w });
            }
            Step::Create if kinds.has(Kind::CreateError) && state.dir && files.lock(worker.k).is_none() => {
                add(Fault::CreateError { w });
            }
            Step::Link | Step::LinkTmp if kinds.has(Kind::LinkError) => {
                for (done, answer) in [
                    (true, Answer::Exists),
                    (true, Answer::Unknown),
                    (false, Answer::Unknown),
                ] {
                    add(Fault::LinkError { w, done, answer });
                }
            }
            Step::Mark(_) if kinds.has(Kind::MarkError) => add(Fault::MarkError { w }),
            Step::DropTmp(_) if kinds.has(Kind::UnlinkError) => add(Fault::UnlinkError { w }),
            Step::Run => {
                if kinds.has(Kind::TaskFails) {
                    add(Fault::TaskFails { w });
                }
                if kinds.has(Kind::TaskFailsForGood) {
                    add(Fault::TaskFailsForGood { w });
                }
                if kinds.has(Kind::GiveBack) {
                    add(Fault::GiveBack { w });
                }
            }
            _ => {}
        }
    }

    fn observer_faults(&self, state: &State, o: usize, add: &mut impl FnMut(Fault)) {
        let kinds = self.0.kinds;
        let o8 = o as u8;
        if state.observers[o].step != Watch::Idle {
            if kinds.has(Kind::Crash) {
                add(Fault::ObserverDies { o: o8 });
            }
            return;
        }
        for u in self.inputs().filter(|_| state.dir) {
            for (k, ino) in self.watched(state, u) {
                let Some(w) = state.owner(ino) else { continue };
                let u8 = u as u8;
                if kinds.has(Kind::Revoke) {
                    add(Fault::Revoke { o: o8, u: u8, k });
                }
                let is_unmarked = !state.files[u].marks(k).any();
                if kinds.has(Kind::Slow) && is_unmarked && state.workers[w].runs() {
                    add(Fault::Slow { o: o8, u: u8, k });
                }
            }
        }
    }

    /// Lets it go wrong.
    pub(crate) fn fault(&self, state: &mut State, fault: Fault) {
        state.ghost.faults += 1;
        state.ghost.bad_faults += u8::from(fault.may_end_an_attempt_badly());
        match fault {
            Fault::WorkerDies { w } => state.workers[usize::from(w)] = Worker::DEAD,
            Fault::ObserverDies { o } => state.observers[usize::from(o)] = Observer::IDLE,
            Fault::MasterDies => self.restart_master(state),
            Fault::Revoke { o, u, k } => self.suspect(state, o.into(), u, k),
            Fault::Slow { o, u, k } => {
                let step = Watch::Mark(Mark::Slow);
                state.observers[usize::from(o)] = Observer { step, u, k, fd: None };
            }
            Fault::LockLost { w } => state.workers[usize::from(w)].locked = false,
            Fault::ListBadly { w, u, k } => self.choose(state, w.into(), u, k),
            Fault::MissOutput { w } => state.workers[usize::from(w)].step = Step::ReadInput,
            Fault::MissLateOutput { u } => self.hand_failure(state, u.into()),
            Fault::CreateError { w } => {
                let worker = state.workers[usize::from(w)];
                let orphan = state.new_inode();
                *state.files[usize::from(worker.u)].lock_mut(worker.k) = Some(orphan);
                state.workers[usize::from(w)] = Worker::IDLE;
            }
            Fault::LinkError { w, done, answer } => self.link_error(state, w.into(), done, answer),
            Fault::MarkError { w } => {
                let worker = state.workers[usize::from(w)];
                if let (Step::Mark(mark), true) = (worker.step, state.dir) {
                    state.files[usize::from(worker.u)]
                        .marks_mut(worker.k)
                        .insert(mark);
                }
            }
            Fault::UnlinkError { w } => state.workers[usize::from(w)].tmp_named = false,
            Fault::TaskFails { w } => self.end(state, w.into(), Mark::Fail),
            Fault::TaskFailsForGood { w } => {
                state.ghost.note_final();
                self.end(state, w.into(), Mark::Final);
            }
            Fault::Cancel { u, k } => {
                state.ghost.note_final();
                state.files[usize::from(u)].marks_mut(k).insert(Mark::Final);
            }
            Fault::Retry { u } => {
                // From here on only what goes wrong later counts.
                (state.ghost.bad_faults, state.ghost.is_final) = (0, false);
                let files = &mut state.files[usize::from(u)];
                if let Some(k) = files.attempts().next_back() {
                    files.marks_mut(k).insert(Mark::Again);
                }
            }
            Fault::GiveBack { w } => self.end(state, w.into(), Mark::Back),
            Fault::HandRemove { u, k, hides } => state.remove_lock(u.into(), k, hides),
            Fault::PowerCut { out, lock, input } => self.cut_power(state, out, lock, input),
        }
    }

    fn link_error(&self, state: &mut State, w: usize, done: bool, answer: Answer) {
        let worker = state.workers[w];
        let with_tmp = worker.step == Step::LinkTmp;
        let file = if with_tmp { worker.tmp } else { worker.fd };
        if let (Some(ino), true) = (file, done) {
            self.link(state, w, ino);
        }
        if with_tmp {
            self.linked_tmp(state, w, answer);
        } else {
            self.linked(state, w, answer);
        }
    }

    /// Everything that was not synced goes; all processes start again.
    fn cut_power(&self, state: &mut State, out: bool, lock: bool, input: bool) {
        for w in &mut state.workers[..usize::from(self.0.workers)] {
            *w = Worker::IDLE;
        }
        state.observers = [Observer::IDLE; MAX_OBSERVERS];
        self.restart_master(state);
        for inode in &mut state.inodes {
            if !inode.synced {
                *inode = Default::default();
            }
        }
        for u in self.inputs() {
            let files = &mut state.files[u];
            if out && !files.out_synced {
                files.out = None;
                if !state.ghost.seen[u] {
                    state.ghost.first[u] = None;
                }
            }
            files.input |= input && files.input_may_return;
            files.input_may_return = false;
            if let (true, Some(k)) = (lock, files.attempts().next_back()) {
                *files.lock_mut(k) = None;
                *files.marks_mut(k) = Default::default();
            }
        }
    }
}
