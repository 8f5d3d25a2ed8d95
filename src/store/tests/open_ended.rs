//! Inputs that come while others are worked on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::hand::Bench;
use super::world::{PLACES, Place, World, answer, input_of};
use crate::clock::Moment;
use crate::error::{BoxError, ErrorKind};
use crate::master::{Inputs, Master, MasterConfig};
use crate::name::RoundNumber;
use crate::outcome::Outcome;
use crate::wait::{How, lock};

/// What the stream has, and when it was asked in vain.
#[derive(Default)]
struct Source {
    there: u64,
    given: u64,
    in_vain: Vec<Moment>,
}

/// A master of a list that grows.
struct Growing {
    source: Arc<Mutex<Source>>,
    got: BTreeSet<u64>,
    rounds: u32,
}

impl Growing {
    fn new(there: u64) -> Growing {
        let source = Source {
            there,
            ..Source::default()
        };
        Growing {
            source: Arc::new(Mutex::new(source)),
            got: BTreeSet::new(),
            rounds: 0,
        }
    }
}

impl Master for Growing {
    type Input = u64;
    type Output = u64;

    fn create_inputs(&mut self, _: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
        self.rounds += 1;
        let source = Arc::clone(&self.source);
        let next = move || {
            let mut source = lock(&source);
            if source.given == source.there {
                source.in_vain.push(Moment::now());
                return None;
            }
            source.given += 1;
            Some(input_of(source.given - 1))
        };
        Ok(Some(Inputs::new(std::iter::from_fn(next)).open_ended()))
    }

    fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
        assert_eq!(outcome.result, Ok(answer(outcome.input)));
        assert!(self.got.insert(outcome.input), "collected twice");
        Ok(())
    }
}

fn numbers(world: &World, master: &Growing) -> (u64, Vec<String>) {
    let store = world.open(&world.process("person")).unwrap();
    let audit = store.audit().unwrap();
    assert!(audit.is_complete(), "{audit:?}");
    let closed = world.disk.paths().into_iter().map(|(path, _)| path);
    let closed = closed.filter(|path| path.ends_with("round.json")).collect();
    assert_eq!(audit.ok, master.got.len() as u64);
    (audit.ok, closed)
}

#[test]
fn inputs_that_come_late_are_worked_on_in_the_same_round() {
    for place in PLACES {
        let world = World::new(place);
        let mut master = Growing::new(2);
        let (inner, source) = (world.clone(), Arc::clone(&master.source));
        let (mut calls, mut held) = (0, None);
        let work = move || {
            calls += 1;
            match calls {
                1 => held = Some(Bench::new(&inner, "h").claim(0, 1)),
                2 => lock(&source).there = 5,
                20 => lock(&source).there = 8,
                40 => held.take().unwrap().release("it may go on"),
                _ => drop(inner.work(&inner.process("w")).unwrap()),
            }
        };
        let summary = world.lead(&world.process("m"), &mut master, work).unwrap();
        assert_eq!((summary.ok, summary.rounds, master.rounds), (8, 1, 1));
        assert_eq!(numbers(&world, &master), (8, Vec::new()));
        let source = lock(&master.source);
        let asked = &source.in_vain;
        assert!(asked.len() > 3, "{asked:?}");
        // The last question is the one at the end.
        for pair in asked[..asked.len() - 1].windows(2) {
            assert!(pair[1].since(pair[0]) >= Duration::from_secs(1), "{asked:?}");
        }
    }
}

#[test]
fn inputs_that_come_with_the_last_outcome_are_not_left_behind() {
    let world = World::new(Place::LocalPower);
    let mut master = Growing::new(2);
    let (inner, source) = (world.clone(), Arc::clone(&master.source));
    let work = move || {
        inner.work(&inner.process("w")).unwrap();
        lock(&source).there = 3;
    };
    let summary = world.lead(&world.process("m"), &mut master, work).unwrap();
    assert_eq!((summary.ok, summary.stopped), (3, false));
}

#[test]
fn restarted_master_goes_on_with_an_open_ended_round() {
    let world = World::new(Place::LocalPower);
    for there in [0, 3, 3, 6] {
        let mut master = Growing::new(there);
        let inner = world.clone();
        let work = move || drop(inner.work(&inner.process("w")).unwrap());
        let summary = world.lead(&world.process("m"), &mut master, work).unwrap();
        assert_eq!((summary.ok, summary.stopped), (there, false));
        assert_eq!(numbers(&world, &master), (there, Vec::new()));
    }
    // The stream must give what the store holds before it says that there is nothing more.
    let ended = world.lead(&world.process("m"), &mut Growing::new(2), || {});
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Mismatch);
}

#[test]
fn stop_file_that_is_not_to_be_withdrawn_ends_the_master_at_once() {
    let world = World::new(Place::LocalPower);
    let process = world.process("m");
    let store = world.open(&process).unwrap();
    store.stop(How::Finish, "enough").unwrap();
    let config = MasterConfig::default().withdraw_stop(false);
    let mut master = Growing::new(2);
    let summary = config.run_as(&store, &process.me, &mut master).unwrap();
    assert_eq!((summary.stopped, master.rounds), (true, 0));
    assert!(store.stop_file().unwrap().is_some());
    assert_eq!(store.status().unwrap().tasks(), 0);
}
