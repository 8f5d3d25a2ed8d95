//! The steps of an observer: find that an attempt is silent or its flock free, and mark it.

use crate::actions::{Action, Protocol};
use crate::disk::{Header, Ino, Mark};
use crate::setup::{Flaw, Reach};
use crate::state::{Observer, State, Watch};

impl Protocol {
    /// What observer `o` can do next.
    pub(crate) fn observer_actions(&self, state: &State, o: usize, actions: &mut Vec<Action>) {
        let step = state.observers[o].step;
        let o8 = o as u8;
        if step != Watch::Idle {
            actions.push(Action::Observer { o: o8, step });
            return;
        }
        for u in self.inputs().filter(|_| state.dir) {
            for (k, ino) in self.watched(state, u) {
                let u = u as u8;
                if state.owner(ino).is_none() && self.silence_counts() {
                    actions.push(Action::Silent { o: o8, u, k });
                }
                // E2 is off for hosts that flock does not reach.
                let reaches = self.0.reach == Reach::Cluster;
                let trusts = reaches || self.0.flawed(Flaw::TrustNodeLocal);
                let says_flock = state.inode(ino).header == Header::Flocked;
                if trusts && (says_flock || self.0.flawed(Flaw::ProbeBeforeHeader)) {
                    actions.push(Action::ReadHeader { o: o8, u, k });
                }
            }
        }
    }

    /// The attempts of `u` that may be given up, with their lock files.
    pub(crate) fn watched(&self, state: &State, u: usize) -> impl Iterator<Item = (u8, Ino)> {
        let files = state.files[u];
        let highest = files.attempts().next_back();
        let slow_too = !self.0.flawed(Flaw::WatchHighestOnly);
        files
            .attempts()
            .filter(move |&k| {
                let marks = files.marks(k);
                let is_last = Some(k) == highest || slow_too && marks.has(Mark::Slow);
                files.out.is_none() && !marks.ended() && is_last
            })
            .filter_map(move |k| Some((k, files.lock(k)?)))
    }

    /// E1 and E3: an attempt whose process is gone, or which has been silent for a lease, may be given up.
    pub(crate) fn silence_counts(&self) -> bool {
        !self.0.flawed(Flaw::FlockAlone)
    }

    /// The observer has decided without a probe.
    pub(crate) fn suspect(&self, state: &mut State, o: usize, u: u8, k: u8) {
        (state.observers[o].u, state.observers[o].k) = (u, k);
        self.decide(state, o, Mark::Lost);
    }

    /// The observer has opened the lock file, and its header says that a flock is held.
    pub(crate) fn read_header(&self, state: &mut State, o: usize, u: u8, k: u8) {
        let fd = state.files[usize::from(u)].lock(k);
        state.observers[o] = Observer {
            step: Watch::Probe,
            u,
            k,
            fd,
        };
    }

    /// Decides that the attempt gets the marker.
    pub(crate) fn decide(&self, state: &mut State, o: usize, mark: Mark) {
        let by_path = [Flaw::UnlinkBeforeMarker, Flaw::NamesUsedTwice];
        let unlinks = by_path.into_iter().any(|flaw| self.0.flawed(flaw));
        let observer = &mut state.observers[o];
        // The file is closed before the marker is made: a marker is about a name.
        observer.fd = None;
        observer.step = if unlinks { Watch::Unlink } else { Watch::Mark(mark) };
    }

    /// The next system call of observer `o`.
    pub(crate) fn observer_step(&self, state: &mut State, o: usize) {
        let observer = state.observers[o];
        let files = &mut state.files[usize::from(observer.u)];
        match observer.step {
            Watch::Idle => unreachable!("no call to make"),
            Watch::Probe => {
                let excludes = self.0.reach == Reach::Cluster;
                if excludes && observer.fd.is_some_and(|fd| state.is_flocked(fd)) {
                    state.observers[o] = Observer::IDLE;
                } else {
                    state.observers[o].step = Watch::Release;
                }
            }
            Watch::Release if self.0.flawed(Flaw::ProbeBeforeHeader) => {
                state.observers[o].step = Watch::LateHeader;
            }
            Watch::Release => self.decide(state, o, Mark::Lost),
            Watch::LateHeader => {
                let header = observer.fd.map(|fd| state.inode(fd).header);
                if header == Some(Header::Flocked) {
                    self.decide(state, o, Mark::Lost);
                } else {
                    state.observers[o] = Observer::IDLE;
                }
            }
            Watch::Unlink => {
                state.ghost.trespassed |= files.lock(observer.k).is_some();
                *files.lock_mut(observer.k) = None;
                if self.0.flawed(Flaw::NamesUsedTwice) {
                    state.observers[o] = Observer::IDLE;
                } else {
                    state.observers[o].step = Watch::Mark(Mark::Lost);
                }
            }
            Watch::Mark(mark) => {
                if state.dir {
                    files.marks_mut(observer.k).insert(mark);
                }
                state.observers[o] = Observer::IDLE;
            }
        }
    }
}
