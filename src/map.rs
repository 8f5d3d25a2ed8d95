//! The shortest form: a closure over inputs, in this process, with everything that a store promises.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::StoreConfig;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::master::{Inputs, Master, MasterConfig};
use crate::name::RoundNumber;
use crate::observe::Event;
use crate::outcome::{Outcome, RunSummary};
use crate::store::Store;
use crate::wait::{How, Stop};
use crate::worker::{Task, Worker, WorkerConfig};

/// Prepares to call a closure on each input, each call being a task of the store at `store`.
///
/// The store is made if it is not there. If it is there, the run goes on where it ended, so that a program that was
/// killed is simply started again; the inputs must be the same then.
///
/// ```
/// # fn main() -> flockwork::Result<()> {
/// # let place = tempfile::tempdir().unwrap();
/// # let store = place.path().join("squares.flock");
/// flockwork::map(store, 1..=10u64, |n| Ok(n * n)).slots(2).for_each(|n, square| println!("{n} {square}"))?;
/// # Ok(())
/// # }
/// ```
pub fn map<I, O, F, T>(store: impl AsRef<Path>, inputs: T, function: F) -> Map<I, O, F>
where
    I: Serialize + DeserializeOwned + Send + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: Fn(I) -> Result<O, BoxError> + Send + Sync + 'static,
    T: IntoIterator<Item = I>,
    T::IntoIter: 'static,
{
    Map {
        path: store.as_ref().to_owned(),
        inputs: Inputs::new(inputs),
        function,
        slots: 1,
        batch: 1,
        config: StoreConfig::default(),
        stop: Stop::new(),
        watcher: None,
        output: std::marker::PhantomData,
    }
}

type Watcher = dyn Fn(&Event) + Send + Sync;

/// A prepared call of [`map`].
#[must_use = "nothing runs before `for_each` or `collect`"]
pub struct Map<I, O, F> {
    path: PathBuf,
    inputs: Inputs<I>,
    function: F,
    slots: u32,
    batch: u32,
    config: StoreConfig,
    stop: Stop,
    watcher: Option<Arc<Watcher>>,
    output: std::marker::PhantomData<fn() -> O>,
}

impl<I, O, F> std::fmt::Debug for Map<I, O, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Map")
            .field("path", &self.path)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl<I, O, F> Map<I, O, F>
where
    I: Serialize + DeserializeOwned + Send + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: Fn(I) -> Result<O, BoxError> + Send + Sync + 'static,
{
    /// Sets how many tasks run at a time. Default: 1.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Sets how many tasks share one input file. Default: 1.
    pub fn batch(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }

    /// Sets what the store is made with, if it is not there yet.
    pub fn store_config(mut self, config: StoreConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the handle by which this process can ask for a stop.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Sets who is told of events, from several threads.
    pub fn on_event(mut self, watcher: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(watcher));
        self
    }

    /// Runs all tasks, and hands over each input with its output, as they end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::User`] if tasks failed for good: the text names the first of them. Otherwise as for
    /// [`Store::open_or_create`], [`MasterConfig::run`] and [`WorkerConfig::run`].
    pub fn for_each(self, mut each: impl FnMut(I, O)) -> Result<RunSummary> {
        self.run(|_, input, output| each(input, output))
    }

    /// Runs all tasks, and returns the outputs in the order of their inputs.
    ///
    /// # Errors
    ///
    /// As for [`Map::for_each`], and [`ErrorKind::Stopped`] if somebody asked for a stop before the end.
    pub fn collect(self) -> Result<Vec<O>> {
        let mut outputs = BTreeMap::new();
        let path = self.path.clone();
        let summary = self.run(|number, _, output| drop(outputs.insert(number, output)))?;
        if summary.stopped {
            let error = Error::new(
                ErrorKind::Stopped,
                "stopped before the end: there is work left in",
            )
            .at(path);
            return Err(error.with_hint("run it again to go on"));
        }
        Ok(outputs.into_values().collect())
    }

    fn run(self, each: impl FnMut(u64, I, O)) -> Result<RunSummary> {
        let store = Store::open_or_create(&self.path, &self.config)?;
        let mut master = MapMaster {
            inputs: Some(self.inputs),
            each: (each, self.output),
            first_failure: None,
        };
        let mut master_config = MasterConfig::default().batch(self.batch).stop(self.stop.clone());
        let mut worker_config = WorkerConfig::default()
            .slots(self.slots)
            // Its master is here: it leaves when that one does, however long the inputs take to come.
            .idle_exit(std::time::Duration::MAX)
            .stop(self.stop.clone());
        if let Some(watcher) = self.watcher {
            let watcher_of_worker = Arc::clone(&watcher);
            master_config = master_config.on_event(move |event| watcher(event));
            worker_config = worker_config.on_event(move |event| watcher_of_worker(event));
        }
        let worker_store = store.clone();
        let worker = MapWorker {
            function: self.function,
            types: std::marker::PhantomData,
        };
        let stop = self.stop.clone();
        let worker = std::thread::spawn(move || {
            // Without its worker the master would wait for ever.
            worker_config
                .run(&worker_store, worker)
                .inspect_err(|_| stop.request(How::Now))
        });
        let result = master_config.run(&store, &mut master);
        // Its stop handle is the worker's too: after an error nobody waits for the idle time.
        self.stop
            .request(if result.is_ok() { How::Finish } else { How::Now });
        let worked = worker
            .join()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Panic, "the worker's thread panicked")));
        worked?;
        let summary = result?;
        match master.first_failure {
            Some(text) => Err(Error::new(
                ErrorKind::User,
                format!("{} tasks failed; the first", summary.failed),
            )
            .because(text)
            .with_hint("mend the cause, and run it again with a new store")),
            None => Ok(summary),
        }
    }
}

struct MapMaster<I, C> {
    inputs: Option<Inputs<I>>,
    each: C,
    first_failure: Option<String>,
}

impl<I, O, C> Master for MapMaster<I, (C, std::marker::PhantomData<fn() -> O>)>
where
    I: Serialize + DeserializeOwned,
    O: Serialize + DeserializeOwned,
    C: FnMut(u64, I, O),
{
    type Input = I;
    type Output = O;

    fn create_inputs(&mut self, _round: RoundNumber) -> Result<Option<Inputs<I>>, BoxError> {
        Ok(self.inputs.take())
    }

    fn collect(&mut self, outcome: Outcome<I, O>) -> Result<(), BoxError> {
        match outcome.result {
            Ok(output) => (self.each.0)(outcome.task.number, outcome.input, output),
            Err(failure) => {
                self.first_failure
                    .get_or_insert_with(|| format!("task {}: {failure}", outcome.task));
            }
        }
        Ok(())
    }
}

struct MapWorker<I, O, F> {
    function: F,
    types: std::marker::PhantomData<fn(I) -> O>,
}

impl<I, O, F> Worker for MapWorker<I, O, F>
where
    I: Serialize + DeserializeOwned + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: Fn(I) -> Result<O, BoxError> + Send + Sync + 'static,
{
    type Input = I;
    type Output = O;

    fn process(&self, input: I, _task: &Task<'_>) -> Result<O, BoxError> {
        (self.function)(input)
    }
}
