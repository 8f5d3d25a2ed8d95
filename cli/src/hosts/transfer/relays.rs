//! Who sends to whom: hosts that have everything send it on, so that this machine's network is not the limit.
//!
//! This machine sends to [`HERE`] hosts at a time, and each host that has everything to one. So the senders about double
//! with every round, and a hundred hosts have their files after seven.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::hosts::{Host, Trouble};

/// To as many hosts this machine sends at a time: two, so that one that is slow does not hold up all.
const HERE: usize = 2;
/// A host that so often could not send on to one that can be reached from here is not asked again.
const FAULTS: u32 = 2;
/// If the first so many could not, none is asked again, and this machine sends to all at once.
const HOPELESS: usize = 3;
/// How often it is looked whether a signal has come.
const SIGNAL: Duration = Duration::from_millis(50);

/// All that may send.
#[derive(Debug)]
pub(crate) struct Relays {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    /// To how many this machine sends just now.
    sending: usize,
    /// Hosts that have everything, and send to nobody just now; the one that has waited longest comes first.
    idle: VecDeque<Host>,
    /// Whether any host has sent something on.
    has_worked: bool,
    faults: BTreeMap<String, u32>,
    failures: Vec<Failure>,
}

impl State {
    fn is_hopeless(&self) -> bool {
        !self.has_worked && self.failures.len() >= HOPELESS
    }

    /// Takes a host that can send. One that often could not is let go.
    fn pick(&mut self) -> Option<Host> {
        if self.is_hopeless() {
            return None;
        }
        while let Some(host) = self.idle.pop_front() {
            if self.faults.get(&host.name).is_none_or(|faults| *faults < FAULTS) {
                return Some(host);
            }
        }
        None
    }
}

/// A host that could not send on.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) from: Host,
    pub(crate) to: Host,
    pub(crate) trouble: Trouble,
}

/// A sender, for one host at a time. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    relays: &'a Relays,
    /// `None`: this machine.
    from: Option<Host>,
}

impl Relays {
    /// Begins: only this machine has the files.
    pub(crate) fn new() -> Relays {
        Relays {
            state: Mutex::new(State {
                sending: 0,
                idle: VecDeque::new(),
                has_worked: false,
                faults: BTreeMap::new(),
                failures: Vec::new(),
            }),
            freed: Condvar::new(),
        }
    }

    /// Waits for a sender; `only_here` says that it is to be this machine. `None`: a signal has cut it short.
    pub(super) fn turn(&self, only_here: bool, is_cut: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut state = self.state();
        while !is_cut() {
            if !only_here && let Some(host) = state.pick() {
                return Some(Turn {
                    relays: self,
                    from: Some(host),
                });
            }
            if state.sending < HERE || state.is_hopeless() {
                state.sending += 1;
                return Some(Turn {
                    relays: self,
                    from: None,
                });
            }
            let waited = self.freed.wait_timeout(state, SIGNAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    /// A host has everything, and can send it on.
    pub(super) fn add(&self, host: &Host) {
        self.state().idle.push_back(host.clone());
        self.freed.notify_all();
    }

    /// A host has sent on what it has.
    pub(super) fn worked(&self) {
        self.state().has_worked = true;
    }

    /// A host could not send on to another, which was reached from here all the same.
    pub(super) fn failed(&self, from: &Host, to: &Host, trouble: Trouble) {
        let mut state = self.state();
        *state.faults.entry(from.name.clone()).or_default() += 1;
        state.failures.push(Failure {
            from: from.clone(),
            to: to.clone(),
            trouble,
        });
        drop(state);
        self.freed.notify_all();
    }

    /// Returns which hosts could not send on to which.
    pub(crate) fn failures(self) -> Vec<Failure> {
        let state = self.state.into_inner();
        state.unwrap_or_else(PoisonError::into_inner).failures
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Returns the host that sends; `None`: this machine.
    pub(super) fn from(&self) -> Option<&Host> {
        self.from.as_ref()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.relays.state();
        match self.from.take() {
            None => state.sending -= 1,
            Some(host) => state.idle.push_back(host),
        }
        drop(state);
        self.relays.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::trouble::Why;

    fn host(name: &str) -> Host {
        Host::read(name).unwrap()
    }

    fn next(relays: &Relays, only_here: bool) -> Turn<'_> {
        relays.turn(only_here, || false).unwrap()
    }

    #[test]
    fn whoever_waits_is_cut_short() {
        let relays = Relays::new();
        let _here = [next(&relays, false), next(&relays, false)];
        let looks = std::cell::Cell::new(0);
        let is_cut = || looks.replace(looks.get() + 1) == 2;
        assert!(relays.turn(false, is_cut).is_none());
        assert_eq!(looks.get(), 3);
    }

    #[test]
    fn this_machine_sends_to_two_and_each_host_to_one() {
        let relays = Relays::new();
        let here = [next(&relays, false), next(&relays, false)];
        assert!(here.iter().all(|turn| turn.from().is_none()));
        relays.add(&host("n1"));
        let turn = next(&relays, false);
        assert_eq!(turn.from().unwrap().name, "n1");
        // Nobody is free now; whoever waits gets the next one.
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| next(&relays, false).from().map(|host| host.name.clone()));
            drop(turn);
            assert_eq!(waits.join().unwrap().as_deref(), Some("n1"));
        });
        let [first, _second] = here;
        drop(first);
        assert!(
            next(&relays, true).from().is_none(),
            "n1 is free, and is not asked"
        );
    }

    #[test]
    fn a_host_that_cannot_send_on_is_not_asked_for_ever() {
        let relays = Relays::new();
        relays.add(&host("n1"));
        for to in ["n2", "n3"] {
            assert_eq!(next(&relays, false).from().unwrap().name, "n1");
            relays.failed(&host("n1"), &host(to), Trouble::new(Why::KeyUnknown, ""));
        }
        assert!(next(&relays, false).from().is_none());
        relays.worked();
        relays.add(&host("n4"));
        assert_eq!(next(&relays, false).from().unwrap().name, "n4");
        let failures = relays.failures();
        let told: Vec<_> = failures.iter().map(|failure| failure.to.name.as_str()).collect();
        assert_eq!(told, ["n2", "n3"]);
    }

    #[test]
    fn if_nobody_can_send_on_all_is_sent_from_here_at_once() {
        let relays = Relays::new();
        for (from, to) in [("n1", "n2"), ("n3", "n4"), ("n5", "n6")] {
            relays.failed(&host(from), &host(to), Trouble::new(Why::KeyUnknown, ""));
        }
        assert!(relays.state().is_hopeless(), "or nobody would ever get the turns");
        relays.add(&host("n7"));
        let turns: Vec<_> = (0..5).map(|_| next(&relays, false)).collect();
        assert!(turns.iter().all(|turn| turn.from().is_none()));
    }
}
