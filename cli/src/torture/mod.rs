//! Does a store keep its promises on this file system, whatever is killed?
//!
//! [`first`] makes a store of its own, and starts a master and workers ([`part`], processes of this program). Each
//! host disturbs its own processes ([`disturb`]) and reads every outcome as a third party ([`watch`]); other hosts
//! [`join`]. Everything is noted in append-only files ([`notes`]), and in the end [`prove`] compares what stands in
//! the store with what must ([`plan`]).

mod crew;
mod disturb;
mod errands;
mod first;
mod host;
mod join;
mod live;
mod notes;
mod part;
mod plan;
mod planner;
mod prove;
pub(crate) mod random;
mod setup;
mod verdict;
mod watch;

use std::io;
use std::time::Duration;

use flockwork::app::exit::Ended;
pub(crate) use part::main as part;

use self::setup::{HOST, Site};
use crate::args::TortureArgs;
use crate::doctor::peer::{host as host_name, own_name};

/// Whoever takes part gives a sign of life within this.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// Runs a torture, or takes part in one; returns the exit code.
///
/// # Errors
///
/// If it cannot begin, or cannot go on. A promise that is broken is no error but a verdict.
pub(crate) fn run(args: &TortureArgs) -> Ended {
    match args.join {
        true => join::run(args),
        false => first::run(args),
    }
}

/// Returns a number that changes as long as a host but `own` takes part.
fn signs(site: &Site, own: &str) -> io::Result<u64> {
    let names = site.names()?;
    let others = names
        .iter()
        .filter(|name| name.strip_suffix(HOST).is_some_and(|host| host != own));
    let mut signs = 0;
    for name in others {
        // An NFS client looks anew at a file that is opened.
        signs += std::fs::File::open(site.path(name))?.metadata()?.len();
    }
    Ok(signs)
}
