//! `worker`: one worker process.

use crate::app::args::WorkerArgs;
use crate::app::exit::Ended;
use crate::app::place;
use crate::app::work::Work;
use crate::worker::Worker;

/// Runs the verb.
pub(in crate::app) fn worker<W: Worker + clap::Args>(args: WorkerArgs<W>) -> Ended {
    let work = Work {
        store: place::named(args.place.store.as_deref())?,
        config: args.flags.config(),
        idle_exit: args.flags.idle_exit,
        on_signal: args.flags.on_signal(),
        quiet: args.quiet,
        parent: args.parent,
        note: args.flags.note(),
        near_end: None,
    };
    let worker = args.worker;
    work.run(move |_, _, _| Ok((worker, ())))
}
