//! A master and workers as threads of the test: any closure is the worker, any list the inputs.

use std::marker::PhantomData;
use std::thread::JoinHandle;
use std::time::Duration;

use flockwork::{
    BoxError, Inputs, Master, MasterConfig, Outcome, Result, RoundNumber, RunSummary, Store, StoreConfig,
    Task, Worker, WorkerConfig, WorkerSummary,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::processes::quick;

/// Makes a store of its own for a test.
pub(crate) fn new_store(config: &StoreConfig) -> (tempfile::TempDir, Store) {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(place.path().join("x.flock"), config).unwrap();
    (place, store)
}

/// As [`new_store`], with quick retries.
pub(crate) fn quick_store() -> (tempfile::TempDir, Store) {
    new_store(&quick())
}

/// One round of these inputs; keeps all outcomes.
pub(crate) struct List<I, O> {
    inputs: Option<Inputs<I>>,
    pub(crate) outcomes: Vec<Outcome<I, O>>,
}

impl<I: 'static, O> List<I, O> {
    pub(crate) fn new(inputs: impl IntoIterator<Item = I, IntoIter: 'static>) -> List<I, O> {
        List::of(Inputs::new(inputs))
    }

    pub(crate) fn of(inputs: Inputs<I>) -> List<I, O> {
        List {
            inputs: Some(inputs),
            outcomes: Vec::new(),
        }
    }
}

impl<I: Serialize + DeserializeOwned, O: Serialize + DeserializeOwned> Master for List<I, O> {
    type Input = I;
    type Output = O;

    fn create_inputs(&mut self, _round: RoundNumber) -> Result<Option<Inputs<I>>, BoxError> {
        Ok(self.inputs.take())
    }

    fn collect(&mut self, outcome: Outcome<I, O>) -> Result<(), BoxError> {
        self.outcomes.push(outcome);
        Ok(())
    }
}

/// A closure as a worker.
pub(crate) struct Closure<I, O, F>(F, PhantomData<fn(I) -> O>);

impl<I, O, F> Closure<I, O, F>
where
    F: Fn(I, &Task<'_>) -> Result<O, BoxError> + Send + Sync + 'static,
{
    pub(crate) fn new(function: F) -> Self {
        Closure(function, PhantomData)
    }
}

impl<I, O, F> Worker for Closure<I, O, F>
where
    I: Serialize + DeserializeOwned + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: Fn(I, &Task<'_>) -> Result<O, BoxError> + Send + Sync + 'static,
{
    type Input = I;
    type Output = O;

    fn process(&self, input: I, task: &Task<'_>) -> Result<O, BoxError> {
        (self.0)(input, task)
    }
}

/// A master that looks often.
pub(crate) fn master() -> MasterConfig {
    MasterConfig::default().poll(Duration::from_millis(2), Duration::from_millis(50))
}

/// A worker that looks often.
pub(crate) fn worker() -> WorkerConfig {
    WorkerConfig::default().poll(Duration::from_millis(5), Duration::from_millis(50))
}

/// Starts a worker in a thread.
pub(crate) fn start<I, O, F>(
    config: WorkerConfig,
    store: &Store,
    function: F,
) -> JoinHandle<Result<WorkerSummary>>
where
    I: Serialize + DeserializeOwned + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: Fn(I, &Task<'_>) -> Result<O, BoxError> + Send + Sync + 'static,
{
    let store = store.clone();
    std::thread::spawn(move || config.run(&store, Closure::new(function)))
}

/// Starts a master of these inputs in a thread.
pub(crate) fn start_master<I, O, T>(
    config: MasterConfig,
    store: &Store,
    inputs: T,
) -> JoinHandle<(RunSummary, Vec<Outcome<I, O>>)>
where
    I: Serialize + DeserializeOwned + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    T: IntoIterator<Item = I, IntoIter: 'static> + Send + 'static,
{
    let store = store.clone();
    std::thread::spawn(move || {
        let mut list = List::new(inputs);
        let summary = config.run(&store, &mut list).unwrap();
        (summary, list.outcomes)
    })
}

/// Runs these inputs with one worker; returns the outcomes in the order of the tasks.
pub(crate) fn run<I, O, F>(
    store: &Store,
    inputs: Vec<I>,
    slots: u32,
    function: F,
) -> (RunSummary, Vec<Outcome<I, O>>)
where
    I: Serialize + DeserializeOwned + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: Fn(I, &Task<'_>) -> Result<O, BoxError> + Send + Sync + 'static,
{
    let worker = start(worker().slots(slots), store, function);
    let mut list = List::new(inputs);
    let summary = master().run(store, &mut list).unwrap();
    worker.join().unwrap().unwrap();
    list.outcomes.sort_by_key(|outcome| outcome.task);
    let audit = store.audit().unwrap();
    assert!(audit.is_complete() && audit.leftovers.is_empty(), "{audit:?}");
    (summary, list.outcomes)
}
