//! `pause` and `resume`: whether workers take new tasks.

use flockwork::Store;
use flockwork::app::exit::{Ended, OK};
use flockwork::app::{self, Screen};

use crate::args::{PauseArgs, ResumeArgs};

/// Runs the verb `pause`.
pub(crate) fn pause(args: &PauseArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    Store::open(&path)?.pause(&args.why)?;
    Screen::plain().line(&format!(
        "{0}: no new tasks are taken; what runs goes on     flockwork resume {0}",
        path.display()
    ));
    Ok(OK)
}

/// Runs the verb `resume`.
pub(crate) fn resume(args: &ResumeArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let was_paused = Store::open(&path)?.resume()?;
    Screen::plain().line(&match was_paused {
        true => format!("{}: tasks are taken again", path.display()),
        false => format!("{}: was not paused", path.display()),
    });
    Ok(OK)
}
