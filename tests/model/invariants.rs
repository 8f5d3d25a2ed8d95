//! The invariants of the protocol, each a question to one state.

use stateright::Property;

use crate::actions::{Action, Protocol};
use crate::disk::{Ino, Mark};
use crate::names::Names;
use crate::reach;
use crate::setup::Setup;
use crate::state::{State, Step, Worker};

pub(crate) const I1: &str = "I1 what was seen at U.out stays, whole";
pub(crate) const I2: &str = "I2 one live worker can end every input";
pub(crate) const I2_STUCK: &str = "I2 nothing is stuck";
pub(crate) const I3: &str = "I3 one unmarked attempt runs at most";
pub(crate) const I4: &str = "I4 runs are one and faults at most";
pub(crate) const I5: &str = "I5 own and other output told apart";
pub(crate) const I6: &str = "I6 others' files are left alone";
pub(crate) const LIMIT: &str = "an input fails by its limit only";
pub(crate) const ONE_OUTCOME: &str = "a failure handed over is final";

/// The properties for one configuration.
pub(crate) fn properties(setup: &Setup) -> Vec<Property<Protocol>> {
    let mut all = vec![
        always(I1, |p, s| p.results_stay(s)),
        always(I2_STUCK, |p, s| !p.is_stuck(s)),
        always(I3, |p, s| p.one_runs(s)),
        // A failure for good, and cancelling, allow for no further run.
        always(I4, |p, s| {
            s.ghost.runs + s.ghost.finals <= p.0.inputs + s.ghost.faults
        }),
        always(I5, |_, s| !s.ghost.misjudged),
        always(I6, |_, s| !s.ghost.trespassed),
        always(LIMIT, |p, s| p.fails_by_limit(s)),
    ];
    if setup.rescue {
        all.push(always(I2, |p, s| p.can_be_ended(s)));
    }
    if setup.fence_failures {
        all.push(always(ONE_OUTCOME, |_, s| !reach::late_after_failure(s)));
    }
    let wanted = |property: &Property<Protocol>| setup.reaches.contains(&property.name);
    all.extend(reach::all().into_iter().filter(wanted));
    all
}

fn always(name: &'static str, holds: fn(&Protocol, &State) -> bool) -> Property<Protocol> {
    Property::always(name, holds)
}

impl Protocol {
    /// What is at `U.out` is whole, and is what was first there until the done file takes its place. After that a
    /// late worker may link another output to the name that cleaning made free, so readers go by the done file.
    fn results_stay(&self, s: &State) -> bool {
        self.inputs().all(|u| {
            let out = s.files[u].out;
            let is_whole = out.is_none_or(|ino| s.inode(ino).whole);
            is_whole && (s.done || out == s.ghost.first[u])
        })
    }

    /// An attempt whose lock a person removed counts as marked: to all others it is gone.
    fn one_runs(&self, s: &State) -> bool {
        let unmarked = |w: &&Worker| {
            let files = &s.files[usize::from(w.u)];
            w.runs() && !w.removed && !files.marks(w.k).any()
        };
        self.inputs().all(|u| {
            let of_u = |w: &&Worker| usize::from(w.u) == u;
            s.workers.iter().filter(unmarked).filter(of_u).count() <= 1
        })
    }

    /// As many bad ends as the limit, or one that was to be the last, and nobody at work who was not given up.
    fn fails_by_limit(&self, s: &State) -> bool {
        self.inputs().all(|u| {
            let given_up = |w: &Worker| w.removed || s.files[u].marks(w.k).ended();
            let at_work = |w: &Worker| usize::from(w.u) == u && w.runs();
            self.names(s, u) != Names::Failed
                || (s.ghost.bad_faults >= self.0.limit || s.ghost.is_final)
                    && s.workers.iter().all(|w| !at_work(w) || given_up(w))
        })
    }

    /// True when no more can happen to the input.
    fn is_settled(&self, s: &State, u: usize) -> bool {
        matches!(self.names(s, u), Names::Done | Names::Failed)
    }

    /// Somebody lives, an input is open, and yet there is nothing to do for anyone.
    fn is_stuck(&self, s: &State) -> bool {
        let lives = |w: &Worker| w.step != Step::Dead;
        if self.inputs().all(|u| self.is_settled(s, u)) || !s.workers.iter().any(lives) {
            return false;
        }
        let mut actions = Vec::new();
        self.good_actions(s, &mut actions);
        !actions.iter().any(|action| match *action {
            // As long as the flock is held, a probe comes to nothing, however often.
            Action::ReadHeader { u, k, .. } => {
                let lock = s.files[usize::from(u)].lock(k);
                lock.is_some_and(|ino| !s.is_flocked(ino))
            }
            _ => true,
        })
    }

    /// Runs every live worker in turn, alone, with all the others stopped for good.
    fn can_be_ended(&self, s: &State) -> bool {
        let lives = |&w: &usize| s.workers[w].step != Step::Dead;
        (0..s.workers.len()).filter(lives).all(|w| self.ends_alone(*s, w))
    }

    fn ends_alone(&self, mut s: State, w: usize) -> bool {
        const MORE_THAN_ENOUGH: usize = 200;
        let mut actions = Vec::new();
        for _ in 0..MORE_THAN_ENOUGH {
            if self.inputs().all(|u| self.is_settled(&s, u)) {
                return true;
            }
            actions.clear();
            self.worker_actions(&s, w, &mut actions);
            if let Some(action) = actions.first() {
                self.apply(&mut s, action);
            } else if !self.give_up_others(&mut s, w) {
                return false;
            }
        }
        false
    }

    /// The worker is idle and finds that an attempt of another has been silent for long.
    fn give_up_others(&self, s: &mut State, w: usize) -> bool {
        if !self.silence_counts() {
            return false;
        }
        for u in self.inputs() {
            let of_others = |&(_, ino): &(u8, Ino)| s.owner(ino) != Some(w);
            let silent = self.watched(s, u).find(of_others);
            if let Some((k, _)) = silent {
                s.files[u].marks_mut(k).insert(Mark::Lost);
                return true;
            }
        }
        false
    }
}
