//! `master`: the master only.

use super::drive::sum_up;
use crate::app::args::MasterArgs;
use crate::app::exit::Ended;
use crate::app::local::Local;
use crate::app::place;
use crate::app::screen::Screen;
use crate::master::Master;

/// Runs the verb.
pub(in crate::app) fn master<M: Master + clap::Args>(args: MasterArgs<M>, program: &str) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let screen = Screen::with_bar();
    let store = place::open_or_create(&path, &args.store_flags, &screen)?;
    let mut config = args.master_flags.config();
    if let Some((least, greatest)) = args.poll {
        config = config.poll(least, greatest);
    }
    screen.line(&format!(
        "{0}: workers are started with: {program} worker {0}",
        path.display()
    ));
    let ran = Local::new(&store, &screen, config).run(args.master)?;
    sum_up(ran, &screen)
}
