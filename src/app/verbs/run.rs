//! `run`: the master here, and local workers, each a process of its own.

use std::ffi::OsString;

use super::drive::sum_up;
use crate::app::args::RunArgs;
use crate::app::exit::{Ended, Failed};
use crate::app::local::{Local, Workers, absolute};
use crate::app::place;
use crate::app::screen::Screen;
use crate::master::Master;
use crate::wait::How;

/// Runs the verb.
pub(in crate::app) fn run<M: Master + clap::Args, W: clap::Args>(args: RunArgs<M>) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    check_worker_arguments::<W>(&args.worker_arguments)?;
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let screen = Screen::with_bar();
    let store = place::open_or_create(&path, &args.store_flags, &screen)?;
    let mut arguments: Vec<OsString> = vec!["worker".into(), absolute(store.path()).into()];
    arguments.extend(args.worker_flags.arguments());
    arguments.extend([
        "--quiet".into(),
        "--parent".into(),
        std::process::id().to_string().into(),
    ]);
    arguments.extend(args.worker_arguments);
    let mut config = args.master_flags.config();
    if let Some((least, greatest)) = args.worker_flags.poll {
        config = config.poll(least, greatest);
    }
    let workers = Workers {
        count: args.workers.unwrap_or_else(cores),
        arguments,
        grace: args.worker_flags.grace,
        finish: args.worker_flags.on_signal() == How::Finish,
    };
    let ran = Local::new(&store, &screen, config)
        .workers(workers)
        .run(args.master)?;
    sum_up(ran, &screen)
}

/// A mistake in the workers' arguments should be told once, and before anything is begun.
fn check_worker_arguments<W: clap::Args>(arguments: &[OsString]) -> Result<(), Failed> {
    let command = W::augment_args(clap::Command::new("worker")).no_binary_name(true);
    match command.disable_help_flag(true).try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let first = text.lines().next().unwrap_or_default();
            Err(Failed::usage(
                format!("arguments of the workers (after `--`): {first}"),
                "`worker --help` shows what they take",
            ))
        }
    }
}
