//! The program that the guests run: this very test binary, told by an environment variable what it is.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use flockwork::{
    BoxError, Durability, Entry, Error, ErrorKind, Event, Inputs, Master, MasterConfig, Outcome, RoundNumber,
    Store, StoreConfig, Task, Worker, WorkerConfig,
};
use serde::{Deserialize, Serialize};

const ROLE: &str = "FLOCKWORK_NFS_ROLE";

/// What a process is to be, and where it notes what it did (outside of the store, on a disk that is never cut off).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) role: Role,
    pub(crate) store: PathBuf,
    pub(crate) notes: PathBuf,
    pub(crate) name: String,
    /// Least and greatest wait between two looks, in milliseconds.
    pub(crate) poll: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Role {
    Master(MasterOrder),
    Worker {
        slots: u32,
        idle_exit: u64,
    },
    /// Says which tasks have which outcome, and changes nothing.
    Reader,
}

impl Role {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Role::Master(_) => "master",
            Role::Worker { .. } => "worker",
            Role::Reader => "reader",
        }
    }
}

impl Order {
    /// The shell script that runs it in a guest, where this binary is called `scenarios`.
    pub(crate) fn script(&self) -> String {
        let order = serde_json::to_string(self).unwrap();
        format!("export {ROLE}='{order}'; exec scenarios program::entry --exact --nocapture")
    }
}

/// What a master is to do; each round is made from all the answers of the one before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MasterOrder {
    pub(crate) rounds: u32,
    pub(crate) tasks: u64,
    pub(crate) batch: u32,
    pub(crate) shard: u32,
    /// In seconds; the store's default if there is none.
    pub(crate) lease: Option<u64>,
    /// Whether outcomes need not survive a power cut.
    pub(crate) process_only: bool,
    pub(crate) act: Act,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Takes so many milliseconds.
    Work(u64),
    /// Waits for the file `gate`, or for `gate.NAME` with the name of its process, beside the notes.
    Wait,
    /// Waits in the same way, and gives so many bytes beside the answer.
    WaitAndFill(usize),
}

/// The beginning of the processes; returns at once when the tests themselves are run.
#[test]
fn entry() {
    let Ok(order) = std::env::var(ROLE) else {
        return;
    };
    let order: Order = serde_json::from_str(&order).unwrap();
    let notes = Notes::open(&order);
    let ended = match &order.role {
        Role::Master(master) => be_master(&order, master, notes),
        Role::Worker { slots, idle_exit } => be_worker(&order, *slots, *idle_exit, notes),
        Role::Reader => be_reader(&order, notes),
    };
    if let Err(error) = ended {
        panic!("{:?}: {error}", error.kind());
    }
}

fn be_master(order: &Order, what: &MasterOrder, notes: Notes) -> Result<(), Error> {
    let mut config = StoreConfig::default();
    if let Some(lease) = what.lease {
        config = config.lease(Duration::from_secs(lease));
    }
    if what.process_only {
        config = config.durability(Durability::Process);
    }
    let store = match Store::open(&order.store) {
        Ok(store) => store,
        Err(_) => Store::create(&order.store, &config)?,
    };
    let mut master = MasterConfig::default().batch(what.batch).shard(what.shard);
    if let Some((least, greatest)) = order.poll {
        master = master.poll(Duration::from_millis(least), Duration::from_millis(greatest));
    }
    let mut planner = Planner {
        order: what.clone(),
        answers: Vec::new(),
        carry: 0,
    };
    let summary = master
        .on_event(move |event| notes.event(event))
        .run(&store, &mut planner)?;
    println!(
        "\nmaster ok={} failed={} stopped={}",
        summary.ok, summary.failed, summary.stopped
    );
    Ok(())
}

fn be_worker(order: &Order, slots: u32, idle_exit: u64, notes: Notes) -> Result<(), Error> {
    let store = wait_for_store(&order.store)?;
    let mut worker = WorkerConfig::default()
        .slots(slots)
        .idle_exit(Duration::from_secs(idle_exit));
    if let Some((least, greatest)) = order.poll {
        worker = worker.poll(Duration::from_millis(least), Duration::from_millis(greatest));
    }
    let runner = Runner {
        notes: notes.clone(),
        gates: order.notes.clone(),
        name: order.name.clone(),
    };
    let summary = worker
        .on_event(move |event| notes.event(event))
        .run(&store, runner)?;
    println!(
        "\nworker ok={} failed={} discarded={}",
        summary.ok, summary.failed, summary.discarded
    );
    Ok(())
}

fn be_reader(order: &Order, notes: Notes) -> Result<(), Error> {
    for entry in Store::open(&order.store)?.outcomes::<(u64, Act), (u64, Vec<u8>)>()? {
        let outcome = match entry {
            Ok(Entry::Ended(outcome)) => outcome,
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::Damaged => {
                notes.line(&format!("damaged: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        match outcome.result {
            Ok((given, _)) if given == answer(outcome.input.0) => {
                notes.line(&format!("has {}", outcome.task));
            }
            Ok(_) => notes.line(&format!("has a wrong answer at {}", outcome.task)),
            Err(failure) => notes.line(&format!("has {failure} at {}", outcome.task)),
        }
    }
    Ok(())
}

/// Lists the directory for it: a name that was missing may stay so for a minute if it is asked for by itself.
fn wait_for_store(path: &Path) -> Result<Store, Error> {
    let begun = std::time::Instant::now();
    loop {
        let parent = path.parent().unwrap();
        let is_there = std::fs::read_dir(parent)
            .is_ok_and(|names| names.filter_map(Result::ok).any(|entry| entry.path() == path));
        match Store::open(path) {
            Err(_)
                if begun.elapsed() < Duration::from_secs(90)
                    || is_there && begun.elapsed().as_secs() < 120 =>
            {
                std::thread::sleep(Duration::from_millis(100));
            }
            answer => return answer,
        }
    }
}

/// What a process did, a line each. Lines are written at once, so they outlive the guest.
#[derive(Debug, Clone)]
struct Notes(std::sync::Arc<Mutex<File>>);

impl Notes {
    fn open(order: &Order) -> Notes {
        let path = order.notes.join(&order.name);
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Notes(std::sync::Arc::new(Mutex::new(file)))
    }

    fn line(&self, line: &str) {
        let mut file = self.0.lock().unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Started { .. } | Event::Published { .. } => {}
            // What was acknowledged, by a worker and by the master.
            Event::Accepted { task, .. } => self.line(&format!("accepted {task}")),
            Event::Collected { task, .. } => self.line(&format!("collected {task}")),
            event => self.line(&format!("event {event:?}")),
        }
    }
}

#[derive(Debug)]
struct Runner {
    notes: Notes,
    gates: PathBuf,
    name: String,
}

impl Worker for Runner {
    type Input = (u64, Act);
    type Output = (u64, Vec<u8>);

    fn process(&self, (value, act): (u64, Act), task: &Task<'_>) -> Result<(u64, Vec<u8>), BoxError> {
        self.notes
            .line(&format!("begin {} {}", task.id(), task.attempt()));
        match &act {
            Act::Work(millis) => std::thread::sleep(Duration::from_millis(*millis)),
            Act::Wait | Act::WaitAndFill(_) => {
                let gates = ["gate".to_owned(), format!("gate.{}", self.name)];
                while !gates.iter().any(|gate| self.gates.join(gate).exists()) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        self.notes.line(&format!("end {} {}", task.id(), task.attempt()));
        let bytes = if let Act::WaitAndFill(bytes) = act {
            bytes
        } else {
            0
        };
        Ok((answer(value), vec![7; bytes]))
    }
}

/// The answer to a value.
fn answer(value: u64) -> u64 {
    mix(value ^ 0x5eed)
}

/// A good shuffle of bits (splitmix64).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Makes the inputs, and checks every answer.
#[derive(Debug)]
struct Planner {
    order: MasterOrder,
    /// Which tasks of this round were collected.
    answers: Vec<bool>,
    carry: u64,
}

impl Master for Planner {
    type Input = (u64, Act);
    type Output = (u64, Vec<u8>);

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<(u64, Act)>>, BoxError> {
        if let Some(missing) = self.answers.iter().position(|collected| !collected) {
            return Err(format!("task {missing} was never collected").into());
        }
        if round.get() >= self.order.rounds {
            return Ok(None);
        }
        let (carry, tasks, act) = (self.carry, self.order.tasks, self.order.act.clone());
        self.answers = vec![false; usize::try_from(tasks)?];
        self.carry = 0;
        Ok(Some(Inputs::new(
            (0..tasks).map(move |number| (mix(carry ^ number), act.clone())),
        )))
    }

    fn collect(&mut self, outcome: Outcome<(u64, Act), (u64, Vec<u8>)>) -> Result<(), BoxError> {
        let (given, _) = outcome.result?;
        if given != answer(outcome.input.0) {
            return Err(format!("{}: the answer belongs to another input", outcome.task).into());
        }
        let seen = &mut self.answers[usize::try_from(outcome.task.number)?];
        if std::mem::replace(seen, true) {
            return Err(format!("{} was collected twice", outcome.task).into());
        }
        // In whatever order they come.
        self.carry = self.carry.wrapping_add(mix(given));
        Ok(())
    }
}
