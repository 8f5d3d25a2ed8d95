//! Every action of the model: one system call, or one fault.

use stateright::{Model, Property};

use crate::disk::Mark;
use crate::faults::Fault;
use crate::setup::Setup;
use crate::state::{State, Step, Watch};

/// The protocol under one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Protocol(pub Setup);

/// One step of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Worker `w` lists the shard and chooses attempt `k` of input `u`.
    List { w: u8, u: u8, k: u8 },
    /// Worker `w` makes its next system call.
    Worker { w: u8, step: Step },
    /// The heartbeat of worker `w` sees that another's output is there, so it stops its task.
    TwinSeen { w: u8 },
    /// The heartbeat of worker `w` sees that its attempt was cancelled, so it stops its task.
    CancelSeen { w: u8 },
    /// Observer `o` finds that nobody has the lock file open: E1 or E3.
    Silent { o: u8, u: u8, k: u8 },
    /// Observer `o` opens the lock file and reads the header: the beginning of E2.
    ReadHeader { o: u8, u: u8, k: u8 },
    /// Observer `o` makes its next system call.
    Observer { o: u8, step: Watch },
    /// The master does something.
    Master(Task),
    /// Something goes wrong.
    Fault(Fault),
}

/// What the master can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Sync the directory, so that the names that it saw stay.
    SyncDir,
    /// Read `U.out` and hand it over.
    Read { u: u8 },
    /// Hand over that the input has failed.
    HandFailure { u: u8 },
    /// Write the done file.
    WriteDone,
    /// Unlink `U.in`.
    CleanInput { u: u8 },
    /// Unlink `U.k.lock`; on the holder's own host it may leave a hidden name.
    CleanLock { u: u8, k: u8, hides: bool },
    /// Unlink the first marker of attempt `k`.
    CleanMark { u: u8, k: u8 },
    /// Unlink the fresh file of worker `w`.
    CleanTmp { w: u8 },
    /// Unlink `U.out`.
    CleanOutput { u: u8 },
    /// List, and go on to the next phase of cleaning.
    NextPhase,
    /// Remove the directory; names that came in between send the cleaner back.
    RemoveDir,
}

impl Protocol {
    /// The inputs of the configuration.
    pub(crate) fn inputs(&self) -> std::ops::Range<usize> {
        0..usize::from(self.0.inputs)
    }

    /// All that can happen without anything going wrong.
    pub(crate) fn good_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for w in 0..state.workers.len() {
            self.worker_actions(state, w, actions);
        }
        for o in 0..usize::from(self.0.observers) {
            self.observer_actions(state, o, actions);
        }
        if self.0.master {
            self.master_actions(state, actions);
        }
    }

    /// Takes one step.
    pub(crate) fn apply(&self, state: &mut State, action: &Action) {
        match *action {
            Action::List { w, u, k } => self.choose(state, w.into(), u, k),
            Action::Worker { w, .. } => self.worker_step(state, w.into()),
            Action::TwinSeen { w } => self.stop_for_twin(state, w.into()),
            Action::CancelSeen { w } => self.end(state, w.into(), Mark::Final),
            Action::Silent { o, u, k } => self.suspect(state, o.into(), u, k),
            Action::ReadHeader { o, u, k } => self.read_header(state, o.into(), u, k),
            Action::Observer { o, .. } => self.observer_step(state, o.into()),
            Action::Master(task) => self.master_step(state, task),
            Action::Fault(fault) => self.fault(state, fault),
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::start(&self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.good_actions(state, actions);
        if state.ghost.faults < self.0.budget {
            self.fault_actions(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.apply(&mut next, &action);
        next.tidy();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::invariants::properties(&self.0)
    }
}
