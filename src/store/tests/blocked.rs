//! Calls on a dead client's files that block for as long as they like: in real time, with the threads of a worker.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::hand::Bench;
use super::world::{Place, World, answer};
use crate::error::BoxError;
use crate::fs::os;
use crate::fs::sim::SimProcess;
use crate::observe::Event;
use crate::record::ProcessMark;
use crate::store::{Identity, Store};
use crate::wait::{How, Stop, lock};
use crate::worker::{Task, Worker, WorkerConfig};

const LONG: Duration = Duration::from_secs(60);
const LOCK: &str = "0000000.1.lock";

struct Squares;

impl Worker for Squares {
    type Input = u64;
    type Output = u64;

    fn process(&self, input: u64, _: &Task<'_>) -> Result<u64, BoxError> {
        Ok(answer(input))
    }
}

/// Blocks a process in each step of a sort on the holder's lock; says when it is there, and ends when `Sender` is
/// dropped.
fn block(process: &SimProcess, verb: &'static str) -> (Receiver<()>, Sender<()>) {
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let both = Mutex::new((reached, may_go_on));
    let hold = move |name: &str| {
        if name == LOCK {
            let (reached, may_go_on) = &*lock(&both);
            let _ = reached.send(());
            let _ = may_go_on.recv();
        }
    };
    process.hold_each(verb, Arc::new(hold));
    (is_reached, go_on)
}

/// A worker is asked to stop, and has left, while its probe of a silent attempt's lock still blocks.
fn worker_goes_on_while_it_blocks(verb: &'static str) {
    // A twin of the silent attempt would do without the probe.
    let world = World::with(Place::Network, |config| config.tail(0.0));
    world.publish();
    let holder = Bench::new(&world, "a");
    // A process of this host and boot of which nobody here can say whether it lives, so that its lock tells.
    let this = os::this_process().clone();
    let process = ProcessMark {
        pidns: this.pidns + 1,
        ..this
    };
    let me = Identity {
        id: holder.process.me.id.clone(),
        process,
        lock_speaks: Arc::default(),
    };
    let claim = holder.claim_as(&me, 0, 1);
    let sim = world.process("b").sim;
    let (reached, go_on) = block(&sim, verb);
    let (accepted, is_accepted) = mpsc::channel();
    let (ended, has_ended) = mpsc::channel();
    let stop = Stop::new();
    let (config, told) = (world.config.clone(), stop.clone());
    std::thread::spawn(move || {
        let accepted = Mutex::new(accepted);
        let watch = move |event: &Event| {
            if let Event::Accepted { task, .. } = event {
                let _ = lock(&accepted).send(task.number);
            }
        };
        let poll = Duration::from_millis(20);
        let worker = WorkerConfig::default()
            .idle_exit(LONG)
            .poll(poll, poll)
            .stop(told)
            .on_event(watch);
        let store = Store::on(sim.root(), &config).unwrap();
        let _ = ended.send(worker.run(&store, Squares).map(|summary| summary.ok));
    });
    let mut first = [(); 2].map(|()| is_accepted.recv_timeout(LONG).unwrap());
    first.sort_unstable();
    assert_eq!(first, [2, 4]);
    reached.recv_timeout(LONG).expect("the lock was probed");
    // What becomes free meanwhile is taken, by a listing and a claim.
    claim.release("not today");
    assert_eq!(is_accepted.recv_timeout(LONG), Ok(0), "{verb}");
    stop.request(How::Finish);
    assert_eq!(has_ended.recv_timeout(LONG).expect("it leaves").unwrap(), 5);
    drop(go_on);
    world.end_well(0);
}

#[test]
fn file_that_cannot_be_opened_for_long_holds_no_worker_up() {
    worker_goes_on_while_it_blocks("open_write");
}

/// Takes the five seconds for which nobody tries a lock that was just seen.
#[test]
fn flock_that_blocks_holds_no_worker_up() {
    worker_goes_on_while_it_blocks("try_lock");
}
