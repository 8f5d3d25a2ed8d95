//! `stop`: asks all to leave.

use crate::app::args::StopArgs;
use crate::app::exit::{Ended, OK};
use crate::app::place;
use crate::app::screen::Screen;
use crate::store::Store;
use crate::wait::How;

/// Runs the verb `stop`; returns the exit code.
///
/// # Errors
///
/// What the store says, and what makes no sense in the arguments.
pub fn stop(args: &StopArgs) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let store = Store::open(&path)?;
    let (how, what) = match args.now {
        true => (How::Now, "running tasks are given back"),
        false => (How::Finish, "running tasks are finished first"),
    };
    store.stop(how, &args.why)?;
    let workers = store
        .status()?
        .workers
        .iter()
        .filter(|worker| !worker.lost)
        .count();
    Screen::plain().line(&format!(
        "{}: the master and {workers} workers were asked to stop; {what}",
        path.display()
    ));
    Ok(OK)
}
