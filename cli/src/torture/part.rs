//! A process of a torture: a master or a worker, which may be killed at any moment.

use std::os::unix::process::parent_id;
use std::sync::Arc;
use std::time::Duration;

use flockwork::app::exit::{Ended, Failed, NOT_OK, OK, OTHER_MASTER};
use flockwork::{Error, ErrorKind, MasterConfig, Store, WorkerConfig};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::errands::{Errands, hear_any};
use super::notes::{Note, Notes};
use super::planner::Planner;
use super::setup::{Setup, Site};
use super::verdict::{Broken, Promise};
use crate::args::{PartArgs, Role};

/// Longer than any torture: workers leave when the run has ended.
const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The hidden verb; returns the exit code.
///
/// # Errors
///
/// If it cannot begin. What goes wrong afterwards is noted.
pub(crate) fn main(args: &PartArgs) -> Ended {
    // Whatever the one who has started it dies of, nothing of it stays behind.
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    bound.map_err(|error| Failed::new(NOT_OK, format!("cannot follow the parent: {error}"), None))?;
    if parent_id() != args.parent {
        return Ok(NOT_OK);
    }
    let site = Site::of(&args.store);
    let begun = site
        .setup()
        .and_then(|setup| Ok((setup, Notes::begin(&site, &site.part(&args.name))?)));
    let (setup, notes) =
        begun.map_err(|error| Failed::new(NOT_OK, format!("cannot begin {}: {error}", args.name), None))?;
    let setup = setup.ok_or_else(|| Failed::new(NOT_OK, "this is no store of a torture", None))?;
    let notes = Arc::new(notes);
    let result = Store::open(&args.store).and_then(|store| match args.role {
        Role::Master => be_master(&store, &setup, &notes),
        Role::Worker => be_worker(&store, &setup, &notes),
    });
    let code = match result {
        Ok(()) => OK,
        Err(error) if error.kind() == ErrorKind::MasterBusy => OTHER_MASTER,
        Err(error) => {
            let broken = Broken::new(Promise::Processes, &args.name, with_hint(&error));
            notes.note(&Note::Broken(broken));
            NOT_OK
        }
    };
    notes.note(&Note::Left);
    match notes.trouble() {
        None => Ok(code),
        Some(error) => Err(Failed::new(NOT_OK, format!("cannot write notes: {error}"), None)),
    }
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("it ended with an error: {error} (hint: {hint})"),
        None => format!("it ended with an error: {error}"),
    }
}

fn be_master(store: &Store, setup: &Setup, notes: &Arc<Notes>) -> flockwork::Result<()> {
    let (least, greatest) = match setup.network {
        false => (2, 50),
        true => (200, 1000),
    };
    let heard = Arc::clone(notes);
    let mut planner = Planner::new(setup.plan(), store.path(), Arc::clone(notes));
    MasterConfig::default()
        .batch(setup.batch)
        .shard(setup.shard())
        .window(4)
        .poll(Duration::from_millis(least), Duration::from_millis(greatest))
        .on_event(move |event| hear_any(&heard, event))
        .run(store, &mut planner)
        .map(drop)
}

fn be_worker(store: &Store, setup: &Setup, notes: &Arc<Notes>) -> flockwork::Result<()> {
    let (least, greatest) = match setup.network {
        false => (10, 100),
        true => (200, 2000),
    };
    let errands = Errands::new(Arc::clone(notes), setup.lease());
    let heard = errands.clone();
    WorkerConfig::default()
        .slots(1)
        .idle_exit(IDLE)
        .poll(Duration::from_millis(least), Duration::from_millis(greatest))
        .on_event(move |event| heard.hear(event))
        .run(store, errands)
        .map(drop)
}
