//! A small world: a disk, processes on hosts, one master's inputs, and a record of all that was run.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check::{Witness, check_master_log, check_worker_log, not_alone};
use crate::clock::sim::{self, SimTime};
use crate::config::{Durability, StoreConfig};
use crate::error::{BoxError, Result};
use crate::fs::FsKind;
use crate::fs::sim::{SimDisk, SimProcess};
use crate::master::{Inputs, Master, MasterConfig};
use crate::name::{Attempt, RoundNumber, Stem, TaskId, WorkerId};
use crate::observe::{Event, Observer};
use crate::outcome::{Failure, Outcome, RunSummary};
use crate::record::ProcessMark;
use crate::store::{Identity, Store};
use crate::wait::{How, Stop, lock};
use crate::worker::{Task, Worker, WorkerConfig, WorkerSummary};

/// Short enough that silence is found out in a few looks, long enough for the five seconds that a lock settles.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Longer than the wait before a failed task is tried again, and short enough for the master not to lose its sight.
pub(super) const PATIENT: Duration = Duration::from_secs(3);

/// What disk a store lies on, and what it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    LocalPower,
    LocalProcess,
    Network,
    /// CIFS: outcomes are published by a rename.
    NoLinks,
}

pub(super) const PLACES: [Place; 4] = [
    Place::LocalPower,
    Place::LocalProcess,
    Place::Network,
    Place::NoLinks,
];

/// What a worker does with an input.
pub(super) type Act = Arc<dyn Fn(u64, &Task<'_>, &Proc) -> Result<u64, BoxError> + Send + Sync>;

/// One start of `Worker::process`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) task: u64,
    pub(super) attempt: u32,
    pub(super) worker: String,
}

/// What a worker was told that its outcome came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The first task of the input file.
    pub(super) task: u64,
    pub(super) attempt: u32,
    pub(super) worker: String,
    pub(super) accepted: bool,
}

/// What happened, as far as somebody should remember it.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) runs: Vec<Run>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) events: Vec<String>,
    /// What must not be, and was seen while a task ran.
    pub(super) wrong: Vec<String>,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) disk: SimDisk,
    pub(super) config: StoreConfig,
    pub(super) tasks: u64,
    pub(super) batch: u32,
    /// How long healthy workers wait for something to do; longer than the wait before a failed task is tried again.
    pub(super) idle: Duration,
    pub(super) notes: Arc<Mutex<Notes>>,
    pub(super) witness: Arc<Witness>,
    pids: Arc<AtomicU32>,
    _time: Arc<SimTime>,
}

/// A process: its view of the disk, and who it says that it is.
#[derive(Debug, Clone)]
pub(super) struct Proc {
    pub(super) sim: SimProcess,
    pub(super) me: Identity,
}

impl Proc {
    pub(super) fn log(&self) -> String {
        let lines = self.sim.log();
        let lines = lines
            .iter()
            .enumerate()
            .map(|(step, line)| format!("  {step} {line}\n"));
        format!("{}\n{}", self.me.id, lines.collect::<String>())
    }
}

/// Shows what a process did when a test fails.
pub(super) struct ShowLog(pub(super) Proc, pub(super) String);

impl Drop for ShowLog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: steps of {}", self.1, self.0.log());
        }
    }
}

impl World {
    /// Five tasks in three input files and two shards.
    pub(super) fn new(place: Place) -> World {
        World::with(place, |config| config)
    }

    pub(super) fn with(place: Place, change: impl FnOnce(StoreConfig) -> StoreConfig) -> World {
        let disk = SimDisk::new();
        disk.set_kind(if place == Place::Network {
            FsKind::Network
        } else {
            FsKind::Local
        });
        disk.set_links(place != Place::NoLinks);
        let durability = match place {
            Place::LocalProcess => Durability::Process,
            _ => Durability::Power,
        };
        let config = StoreConfig::default().lease(LEASE).durability(durability);
        let config = change(config.backoff(Duration::from_millis(100), Duration::from_secs(1)));
        World {
            disk: disk.clone(),
            config,
            tasks: 5,
            batch: 2,
            idle: Duration::ZERO,
            notes: Arc::default(),
            witness: Arc::new(Witness::new(disk)),
            pids: Arc::default(),
            _time: Arc::new(SimTime::begin()),
        }
    }

    /// The same world after something happened to its disk; processes are all gone.
    pub(super) fn on_disk(&self, disk: SimDisk) -> World {
        World {
            disk: disk.clone(),
            witness: Arc::new(Witness::new(disk)),
            ..self.clone()
        }
    }

    /// Starts a process.
    pub(super) fn process(&self, host: &str) -> Proc {
        let pid = self.pids.fetch_add(1, Ordering::SeqCst) + 1;
        let process = ProcessMark {
            host: host.to_owned(),
            boot: format!("boot of {host}"),
            pidns: 1,
            pid,
            start: u64::from(pid),
        };
        let id = WorkerId::new(host, pid, pid);
        Proc {
            sim: self.disk.process(host),
            me: Identity {
                id,
                process,
                lock_speaks: Arc::default(),
            },
        }
    }

    /// Opens the store as a process, or makes it.
    pub(super) fn open(&self, process: &Proc) -> Result<Store> {
        Store::on(process.sim.root(), &self.config)
    }

    /// Runs a worker until there is nothing to do.
    pub(super) fn work(&self, process: &Proc) -> Result<WorkerSummary> {
        self.work_with(process, self.idle, Arc::new(|input, _, _| Ok(answer(input))))
    }

    /// Runs a worker that waits `idle` for something to do.
    pub(super) fn work_with(&self, process: &Proc, idle: Duration, act: Act) -> Result<WorkerSummary> {
        self.work_by(process, act, |config| config.idle_exit(idle))
    }

    /// Runs a worker with settings of its own.
    pub(super) fn work_by(
        &self,
        process: &Proc,
        act: Act,
        set: impl FnOnce(WorkerConfig) -> WorkerConfig,
    ) -> Result<WorkerSummary> {
        let store = self.open(process)?;
        let stop = Stop::new();
        let config = WorkerConfig::default()
            .poll(Duration::from_secs(1), Duration::from_secs(3))
            .stop(stop.clone())
            .on_event(self.watcher(process, stop));
        let worker = TestWorker {
            world: (self.disk.clone(), u64::from(self.batch)),
            notes: Arc::clone(&self.notes),
            process: process.clone(),
            act,
        };
        let ended = set(config).run_as(&store, &process.me, worker);
        check_worker_log(&process.sim.log());
        assert_eq!(lock(&self.notes).wrong, Vec::<String>::new());
        self.witness.look();
        ended
    }

    /// Runs a master to its end; `meanwhile` is called whenever it waits.
    pub(super) fn lead(
        &self,
        process: &Proc,
        master: &mut impl Master,
        meanwhile: impl FnMut() + 'static,
    ) -> Result<RunSummary> {
        let store = self.open(process)?;
        let stop = Stop::new();
        let config = MasterConfig::default()
            .batch(self.batch)
            .shard(2)
            .poll(Duration::from_secs(1), Duration::from_secs(3))
            .stop(stop.clone())
            .on_event(self.watcher(process, stop));
        let before = sim::set_meanwhile(Some(Box::new(meanwhile)));
        let ended = config.run_as(&store, &process.me, master);
        drop(sim::set_meanwhile(before));
        check_master_log(&process.sim.log());
        self.witness.look();
        ended
    }

    /// Runs a new master to its end, with new workers on the same host.
    pub(super) fn finish(&self) -> TestMaster {
        let mut master = TestMaster::new(self.tasks);
        let world = self.clone();
        let ended = self.lead(&self.process("last"), &mut master, move || {
            let ended = world.work(&world.process("last"));
            assert!(ended.is_ok(), "a healthy worker failed: {ended:?}");
        });
        if let Err(error) = ended {
            panic!(
                "a healthy master failed: {error}\n{:#?}",
                lock(&self.notes).events
            );
        }
        master
    }

    /// Publishes all inputs, and leaves.
    pub(super) fn publish(&self) {
        let process = self.process("publisher");
        let store = self.open(&process).unwrap();
        let asker = store.clone();
        let ended = self.lead(&process, &mut TestMaster::new(self.tasks), move || {
            asker.stop(How::Now, "the inputs are there").unwrap();
        });
        assert!(ended.unwrap().stopped);
        store.withdraw_stop().unwrap();
    }

    /// Removes a file as a hand on a process' host does.
    pub(super) fn unlink(&self, process: &Proc, path: &str) {
        let mut dir = process.sim.root();
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in dirs.split('/').filter(|part| !part.is_empty()) {
            dir = dir.open_dir(part).unwrap();
        }
        dir.unlink(name).unwrap();
    }

    pub(super) fn observer(&self, process: &Proc) -> Observer {
        Observer::new(self.watcher(process, Stop::new()))
    }

    pub(super) fn events(&self, word: &str) -> usize {
        let notes = lock(&self.notes);
        notes.events.iter().filter(|event| event.contains(word)).count()
    }

    /// Notes events. The dead do not wait for better times: what a killed process would still do is cut off.
    fn watcher(&self, process: &Proc, stop: Stop) -> impl Fn(&Event) + Send + Sync + 'static {
        let (notes, process) = (Arc::clone(&self.notes), process.clone());
        move |event| {
            let dead = process.sim.is_crashed();
            if dead {
                stop.request(How::Now);
            }
            let mut notes = lock(&notes);
            let worker = process.me.id.to_string();
            let (task, attempt, accepted) = match event {
                Event::Accepted { task, attempt } if !dead => (task, *attempt, true),
                Event::Discarded { task, attempt } if !dead => (task, *attempt, false),
                _ => {
                    notes.events.push(format!("{worker}: {event:?}"));
                    return;
                }
            };
            let task = task.number;
            notes.events.push(format!("{worker}: {event:?}"));
            notes.verdicts.push(Verdict {
                task,
                attempt,
                worker,
                accepted,
            });
        }
    }
}

/// What a task gives.
pub(super) fn answer(input: u64) -> u64 {
    input * input + 7
}

/// The input of a task.
pub(super) fn input_of(number: u64) -> u64 {
    1000 + number
}

struct TestWorker {
    /// The disk, and how many tasks an input file has.
    world: (SimDisk, u64),
    notes: Arc<Mutex<Notes>>,
    process: Proc,
    act: Act,
}

impl Worker for TestWorker {
    type Input = u64;
    type Output = u64;

    fn process(&self, input: u64, task: &Task<'_>) -> Result<u64, BoxError> {
        if self.process.sim.is_crashed() {
            return Err("the dead run nothing".into());
        }
        let (disk, batch) = &self.world;
        let stem = task.id().number / batch * batch;
        let wrong = not_alone(disk, Stem(stem), Attempt(task.attempt()));
        lock(&self.notes).wrong.extend(wrong);
        lock(&self.notes).runs.push(Run {
            task: task.id().number,
            attempt: task.attempt(),
            worker: task.worker().to_owned(),
        });
        (self.act)(input, task, &self.process)
    }
}

/// What a master was given for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) task: TaskId,
    pub(super) input: u64,
    pub(super) result: Result<u64, Failure>,
    pub(super) attempt: u32,
    pub(super) worker: String,
}

#[derive(Debug)]
pub(super) struct TestMaster {
    tasks: u64,
    pub(super) got: Vec<Got>,
}

impl TestMaster {
    pub(super) fn new(tasks: u64) -> TestMaster {
        TestMaster {
            tasks,
            got: Vec::new(),
        }
    }
}

impl Master for TestMaster {
    type Input = u64;
    type Output = u64;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
        Ok(round
            .is_first()
            .then(|| Inputs::new((0..self.tasks).map(input_of))))
    }

    fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
        self.got.push(Got {
            task: outcome.task,
            input: outcome.input,
            result: outcome.result,
            attempt: outcome.attempt,
            worker: outcome.worker,
        });
        Ok(())
    }
}
