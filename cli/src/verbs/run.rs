//! `run`: a sweep from its table to its results, with workers here.

use std::ffi::OsString;

use flockwork::app::exit::{Ended, Failed};
use flockwork::app::{self, Screen, Workers, absolute};
use flockwork::{How, Stop, Store};

use super::conduct::Conduct;
use super::submit::{dry_run, into_store, is_given, output_of};
use crate::args::RunArgs;

/// Runs the verb.
pub(crate) fn run(args: RunArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    if args.sweep.dry_run {
        return dry_run(&path, &args.sweep);
    }
    let output = output_of(&args.output)?;
    let screen = Screen::with_bar();
    let (store, sweep) = match is_given(&args.sweep) {
        true => into_store(&path, &args.sweep, &args.store, &screen)?,
        // Nothing needs to be typed again.
        false => {
            let store = Store::open(&path).map_err(|error| match error.kind() {
                flockwork::ErrorKind::Missing => Failed::usage(
                    format!(
                        "{} is not there, and no command is given to be run",
                        path.display()
                    ),
                    "flockwork run STORE --params FILE -- COMMAND; `flockwork run --help` has examples",
                ),
                _ => error.into(),
            })?;
            let sweep = super::sweep_of(&store)?;
            (store, sweep)
        }
    };
    // Whoever says `run` wants it to go on.
    store.withdraw_stop()?;
    let conduct = Conduct {
        store: &store,
        sweep: &sweep,
        screen: &screen,
        workers: Some(workers(&args, &store)),
        stop: Stop::new(),
        withdraw_stop: true,
        quiet: args.quiet,
        output,
    };
    conduct.run()
}

fn workers(args: &RunArgs, store: &Store) -> Workers {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let mut arguments: Vec<OsString> = vec!["worker".into(), absolute(store.path()).into()];
    arguments.extend(args.work.arguments());
    arguments.extend([
        "--quiet".into(),
        "--parent".into(),
        std::process::id().to_string().into(),
    ]);
    Workers {
        count: args.workers.unwrap_or(
            match args.work.worker.has_auto_slots() || args.work.worker.slots() > 1 {
                true => 1,
                false => cores,
            },
        ),
        arguments,
        grace: args.work.worker.grace,
        finish: args.work.worker.on_signal() == How::Finish,
    }
}
