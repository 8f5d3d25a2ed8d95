//! `hosts`: the same on many hosts at once; one file for each verb.

mod cp;
mod distribute;
mod mkdir;
mod run;
mod status;

use flockwork::app::exit::Ended;

use crate::args::{HostsArgs, HostsVerb};

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
