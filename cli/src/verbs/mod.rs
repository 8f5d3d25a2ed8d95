//! What each verb does, one file for each.

mod cancel;
mod clean;
mod collect;
mod completions;
mod conduct;
mod doctor;
mod explain;
mod hosts;
mod logs;
mod ls;
mod man;
mod pause;
mod retry;
mod run;
mod select;
mod show;
mod status;
mod submit;
mod torture;
mod wait;
mod worker;
mod workers;

use std::path::Path;

use flockwork::Store;
use flockwork::app::exit::Failed;

pub(crate) use cancel::cancel;
pub(crate) use clean::clean;
pub(crate) use collect::collect;
pub(crate) use completions::completions;
pub(crate) use doctor::doctor;
pub(crate) use explain::explain;
pub(crate) use hosts::hosts;
pub(crate) use logs::logs;
pub(crate) use ls::ls;
pub(crate) use man::man;
pub(crate) use pause::{pause, resume};
pub(crate) use retry::retry;
pub(crate) use run::run;
pub(crate) use show::show;
pub(crate) use status::status;
pub(crate) use submit::submit;
pub(crate) use torture::{torture, torture_part};
pub(crate) use wait::wait;
pub(crate) use worker::worker;
pub(crate) use workers::workers;

use crate::sweep::spec::Sweep;

/// Returns the sweep of a store.
fn sweep_of(store: &Store) -> Result<Sweep, Failed> {
    Sweep::load(store.path())?.ok_or_else(|| {
        Failed::usage(
            format!("{} has no sweep: nobody has submitted a command to it", store.path().display()),
            "submit one: flockwork submit STORE --params FILE -- COMMAND; a program of your own has verbs of its own",
        )
    })
}

/// Returns the name of a store as it is told.
fn name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
