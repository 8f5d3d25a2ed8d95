//! Runs the checker and says what it found.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::actions::Protocol;
use crate::setup::{Flaw, Setup};
use crate::state::State;

/// Faults that every configuration gets on top, for a longer run.
const EXTRA_FAULTS: &str = "FLOCKWORK_MODEL_EXTRA_FAULTS";

/// Explores all states of a configuration: every invariant has to hold, every situation to come up, and there have
/// to be at least so many states, so that a mistake in the model cannot empty it unnoticed.
pub(crate) fn holds(name: &str, mut setup: Setup, at_least: usize) {
    let extra = std::env::var(EXTRA_FAULTS).map(|faults| faults.parse());
    setup.budget += extra.unwrap_or(Ok(0)).expect("the number of extra faults");
    let states = explore(name, setup);
    assert!(states >= at_least, "{name}: only {states} states");
}

/// The checker has to find that the flaw breaks the invariant, and that nothing is broken without the flaw.
pub(crate) fn catches(flaw: Flaw, invariant: &'static str, setup: Setup) {
    explore(&format!("without {flaw:?}"), setup);
    let flawed = Setup {
        flaw: Some(flaw),
        ..setup
    };
    let trace = short_trace(flawed, invariant);
    let trace = trace.unwrap_or_else(|| panic!("{flaw:?} goes unnoticed by: {invariant}"));
    println!("{flaw:?} breaks: {invariant}\n{trace}");
}

/// Visits all states; the answer is how many there are.
fn explore(name: &str, setup: Setup) -> usize {
    let begin = Instant::now();
    let checker = Protocol(setup)
        .checker()
        .threads(2)
        .symmetry_fn(State::sorted)
        .spawn_dfs()
        .join();
    let states = checker.unique_state_count();
    println!("{name}: {states} states in {:.1?}", begin.elapsed());

    let found: BTreeSet<&str> = checker.discoveries().into_keys().collect();
    for property in checker.model().properties() {
        let is_found = found.contains(property.name);
        if !property.expectation.discovery_is_failure() {
            assert!(is_found, "{name}: this never comes up: {}", property.name);
        } else if is_found {
            let trace = short_trace(setup, property.name).unwrap_or_default();
            panic!("{name}: broken: {}\n{trace}", property.name);
        }
    }
    states
}

/// A short way to a state in which the property does not hold.
fn short_trace(setup: Setup, name: &'static str) -> Option<String> {
    let checker = Protocol(setup)
        .checker()
        .finish_when(HasDiscoveries::AllOf(BTreeSet::from([name])))
        .spawn_bfs()
        .join();
    let holds = checker.model().property(name).condition;
    // The checker goes on for a while, and reports the last such state that it came by.
    let lines: Vec<_> = checker
        .discovery(name)?
        .into_vec()
        .into_iter()
        .take_while(|(state, _)| holds(checker.model(), state))
        .filter_map(|(_, action)| action.map(|action| format!("    {action:?}")))
        .collect();
    Some(lines.join("\n"))
}
