//! `hosts`: the same on many hosts at once; one file for each verb.

mod cp;
mod distribute;
mod mkdir;
mod run;
mod status;

use flockwork::app::exit::{Ended, Failed, NOT_OK};

use crate::args::{HostsArgs, HostsVerb};
use crate::signals::{self, Caught};

/// Runs the verb.
///
/// # Errors
///
/// As of each verb.
pub(crate) fn hosts(args: HostsArgs) -> Ended {
    match args.verb {
        HostsVerb::Status(args) => status::status(args),
        HostsVerb::Run(args) => run::run(*args),
        HostsVerb::Mkdir(args) => mkdir::mkdir(&args),
        HostsVerb::Cp(args) => cp::cp(&args),
        HostsVerb::Distribute(args) => distribute::distribute(&args),
    }
}

/// Begins to listen to signals: the first one ends the verb in an orderly way.
fn listen() -> Result<Caught, Failed> {
    signals::listen().map_err(|error| Failed::new(NOT_OK, format!("cannot listen to signals: {error}"), None))
}
