//! Readers beside masters and workers, on real directories.

mod hand;
mod journals;
mod races;
mod runs;

use std::time::Duration;

use crate::codec::Codec;
use crate::config::{Durability, StoreConfig};
use crate::error::{BoxError, Result};
use crate::fs::DirRef;
use crate::layout::Kind;
use crate::master::{Inputs, Master, MasterConfig};
use crate::name::{Attempt, RoundNumber, ShardNumber, Stem, TaskId};
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::record::{self, RecordKind};
use crate::store::{
    Claim, Claiming, DoneBuilder, Entry, Identity, ShardWriter, Store, TaskState, clean_shard, input_tasks,
    list_shard, read_accepted,
};
use crate::worker::{Task, Worker, WorkerConfig};

/// A store in a directory of its own.
struct Place {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::default()
            .durability(Durability::Process)
            .retries(1)
            .backoff(Duration::from_millis(1), Duration::from_millis(2));
        let store = Store::create(dir.path().join("s.flock"), &config).unwrap();
        Place { _dir: dir, store }
    }

    /// All entries, as short texts: `3=9` is ok, `4!attempts` failed, `5w0` waits, `6r1` runs, `E` could not be read.
    fn entries(&self) -> Vec<String> {
        self.store
            .outcomes::<u64, u64>()
            .unwrap()
            .map(|entry| shown(&entry))
            .collect()
    }

    fn states(&self) -> Vec<String> {
        let states = self.store.states().unwrap();
        let one = |span: Result<crate::store::TaskSpan>| match span {
            Ok(span) => format!("{}+{}{}", span.first.number, span.tasks, letter(span.state)),
            Err(_) => "E".to_owned(),
        };
        states.map(one).collect()
    }

    fn round(&self) -> DirRef {
        self.store.round_dir(RoundNumber::FIRST).unwrap()
    }
}

fn letter(state: TaskState) -> String {
    match state {
        TaskState::Ok => "=".into(),
        TaskState::Waiting { attempts } => format!("w{attempts}"),
        TaskState::Running { attempt } => format!("r{attempt}"),
        TaskState::Failed { attempts } => format!("!{attempts}"),
    }
}

fn shown(entry: &Result<Entry<u64, u64>>) -> String {
    match entry {
        Err(_) => "E".into(),
        Ok(Entry::Ended(Outcome {
            task,
            result: Ok(output),
            ..
        })) => format!("{}={output}", task.number),
        Ok(entry) => format!("{}{}", entry.task().number, letter(entry.state())),
    }
}

fn task(number: u64) -> TaskId {
    TaskId {
        round: RoundNumber::FIRST,
        number,
    }
}

/// Squares numbers; those that `refuses` names fail.
#[derive(Clone, Copy)]
struct Squares {
    tasks: u64,
    refuses: fn(u64) -> bool,
}

impl Master for Squares {
    type Input = u64;
    type Output = u64;

    fn create_inputs(&mut self, round: RoundNumber) -> std::result::Result<Option<Inputs<u64>>, BoxError> {
        Ok(round.is_first().then(|| Inputs::new(0..self.tasks)))
    }

    fn collect(&mut self, _: Outcome<u64, u64>) -> std::result::Result<(), BoxError> {
        Ok(())
    }
}

impl Worker for Squares {
    type Input = u64;
    type Output = u64;

    fn process(&self, n: u64, _: &Task<'_>) -> std::result::Result<u64, BoxError> {
        match (self.refuses)(n) {
            true => Err(format!("{n} is refused").into()),
            false => Ok(n * n),
        }
    }
}

/// Runs everything, with a master and a worker of two slots.
fn run(store: &Store, squares: Squares, master: MasterConfig) {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| WorkerConfig::default().slots(2).run(store, squares));
        master.run(store, &mut squares.clone()).unwrap();
        work.join().unwrap().unwrap();
    });
}

/// A shard of inputs `first`, `first + 1`, ... that was made by hand: so many tasks in each input file.
fn publish(place: &Place, first: u64, files: &[u64]) -> DirRef {
    let _ = place.store.rounds().make_dir("000000");
    let round = place.round();
    let mut writer = ShardWriter::begin(&place.store, &round, ShardNumber(first)).unwrap();
    for tasks in files {
        let mut records = Vec::new();
        for index in 0..*tasks {
            let input = writer.end() + index;
            push(&mut records, RecordKind::Input, index, input);
        }
        record::push_end(&mut records, *tasks);
        writer.add(&records, *tasks).unwrap();
    }
    writer.publish().unwrap()
}

fn push(buffer: &mut Vec<u8>, kind: RecordKind, index: u64, value: u64) {
    let head = (kind, Codec::Bincode.byte(), index as u32, 7_000_000);
    let write = |buffer: &mut Vec<u8>| Codec::Bincode.encode(&value, 1000, buffer);
    let pushed: Result<()> = record::push_with(buffer, head, write);
    pushed.unwrap();
}

fn claim(dir: &DirRef, stem: u64, attempt: u32) -> Claim {
    match Claim::of_input(&Identity::new(), dir, Stem(stem), Attempt(attempt)).unwrap() {
        Claiming::Won(claim) => claim,
        lost => panic!("{stem}, attempt {attempt} was not won: {lost:?}"),
    }
}

/// Makes an attempt that gives the squares of the inputs.
fn accept(place: &Place, dir: &DirRef, stem: u64, attempt: u32, tasks: u64) {
    let mut claim = claim(dir, stem, attempt);
    for index in 0..tasks {
        let n = stem + index;
        push(claim.content(), RecordKind::Output, index, n * n);
    }
    record::push_end(claim.content(), tasks);
    assert!(claim.publish(&place.store, &mut |_, _| false).is_ok());
}

/// Makes an attempt in which the task at `index` fails.
fn fail(place: &Place, dir: &DirRef, stem: u64, attempt: u32, index: u32) {
    let mut claim = claim(dir, stem, attempt);
    let failure = Failure {
        detail: Some("{}".into()),
        ..Failure::new(FailureKind::Error, format!("attempt {attempt} refused"))
    };
    record::push_json(claim.content(), RecordKind::Failure, index, 0, &failure);
    assert!(claim.end(&place.store, Kind::Fail, "the task failed").is_ok());
}

/// Does what a master does with a shard that has ended: its done file, and then cleaning.
fn archive(place: &Place, dir: &DirRef, first: u64) {
    let (store, number, round) = (&place.store, ShardNumber(first), place.round());
    let state = list_shard(dir, number, store.attempts_allowed(), &mut Vec::new()).unwrap();
    let mut done = DoneBuilder::default();
    let mut stems = std::collections::BTreeSet::new();
    for input in state
        .inputs
        .iter()
        .filter(|input| input.state == crate::store::State::Done)
    {
        let mut bytes = Vec::new();
        dir.read(&format!("{}.in", input.stem), 1 << 20, &mut bytes)
            .unwrap();
        let inputs = input_tasks(&bytes).unwrap();
        let ended = read_accepted(store, dir, input.stem, inputs.len(), Vec::new());
        done.add(&bytes, &inputs, &ended.unwrap().unwrap());
        stems.insert(input.stem);
    }
    done.write(&round, number, state.end.unwrap().0).unwrap();
    assert!(clean_shard(store, &round, number, &stems).unwrap());
}
