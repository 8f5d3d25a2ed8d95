//! `hosts`: what can be done with many hosts at once.

mod cp;
mod distribute;

use flockwork::app::exit::Ended;

use crate::args::{HostsArgs, HostsVerb};

/// Does what the verb below says.
pub(crate) fn hosts(args: HostsArgs) -> Ended {
    match args.verb {
        HostsVerb::Cp(args) => cp::cp(&args),
        HostsVerb::Distribute(args) => distribute::distribute(&args),
    }
}
