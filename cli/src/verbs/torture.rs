//! `torture`: does a store keep its promises on this file system, whatever is killed?

use flockwork::app::exit::Ended;

use crate::args::{PartArgs, TortureArgs};

/// Runs the verb; returns the exit code: 0 if every promise was held, 1 if one was broken.
///
/// # Errors
///
/// If it cannot begin, or cannot go on.
pub(crate) fn torture(args: &TortureArgs) -> Ended {
    crate::torture::run(args)
}

/// Runs one of its processes.
///
/// # Errors
///
/// If it cannot begin.
pub(crate) fn torture_part(args: &PartArgs) -> Ended {
    crate::torture::part(args)
}
