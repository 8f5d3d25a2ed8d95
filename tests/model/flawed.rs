//! The protocol with one rule broken. Each test says what goes wrong, and the checker has to find it.

use crate::check::catches;
use crate::invariants::{I1, I2, I2_STUCK, I3, I4, I5, I6, LIMIT};
use crate::setup::Kind::*;
use crate::setup::{Flaw, Kind, Kinds, Reach, Setup};

const fn faults(budget: u8, kinds: &'static [Kind]) -> Setup {
    Setup {
        budget,
        kinds: Kinds(kinds),
        ..Setup::PLAIN
    }
}

const fn with_master(setup: Setup) -> Setup {
    Setup {
        master: true,
        ..setup
    }
}

const fn with_power(setup: Setup) -> Setup {
    Setup { power: true, ..setup }
}

/// A worker that was cut off looks, finds `U.out` free, and renames over the output of another.
#[test]
fn check_then_rename() {
    catches(Flaw::CheckThenRename, I1, faults(1, &[Revoke]));
}

/// The same check passes, and then the path leads to a file that somebody else has just made: the rename carries it
/// off, empty. Seen on NFS.
#[test]
fn check_then_rename_carries_off_a_file() {
    catches(Flaw::CheckThenRename, I6, faults(1, &[HandRemove]));
}

/// Between the two calls a worker with an old listing takes the name that became free, and runs what was done.
#[test]
fn unlink_before_marker() {
    catches(Flaw::UnlinkBeforeMarker, I4, faults(0, &[]));
}

/// Two observers find the same dead attempt; the second unlinks the lock of its successor, which is at work.
#[test]
fn names_used_twice() {
    let setup = Setup {
        workers: 3,
        observers: 2,
        ..faults(1, &[Crash])
    };
    catches(Flaw::NamesUsedTwice, I3, setup);
}

/// A prober that opened the lock before it was unlinked finds its flock free, and marks the next holder of the name.
#[test]
fn unlink_release() {
    catches(Flaw::UnlinkRelease, I4, faults(1, &[GiveBack]));
}

/// The lock that a worker unlinks at its end is no longer its own.
#[test]
fn unlink_release_of_another() {
    catches(Flaw::UnlinkRelease, I6, faults(2, &[GiveBack, HandRemove]));
}

/// The reply to `link` was lost, and the second try says EEXIST.
#[test]
fn exist_means_twin() {
    catches(Flaw::ExistMeansTwin, I5, faults(1, &[LinkError]));
}

/// The reply was lost and the lock file removed: one link is left, and it is ours.
#[test]
fn link_count_only() {
    catches(Flaw::LinkCountOnly, I5, faults(2, &[LinkError, HandRemove]));
}

/// EIO, though done: the fresh file finds the name taken, by the worker itself.
#[test]
fn fresh_file_after_io_error() {
    catches(Flaw::FreshAfterIoError, I5, faults(1, &[LinkError]));
}

/// A late worker publishes again what was collected and cleaned long ago.
#[test]
fn fresh_file_without_input() {
    let setup = with_master(faults(1, &[Revoke]));
    catches(Flaw::FreshWithoutInput, I5, setup);
}

/// A worker looks at a `U.out` that a late twin made after cleaning.
#[test]
fn look_without_input() {
    let setup = with_master(faults(2, &[LinkError, HandRemove]));
    catches(Flaw::LookWithoutInput, I5, setup);
}

/// Two workers with old listings and a cleaner, and no fault at all: the lock that the first one unlinks is the
/// second one's.
#[test]
fn unlink_when_cleaned() {
    let setup = Setup {
        workers: 3,
        ..with_master(faults(0, &[]))
    };
    catches(Flaw::UnlinkWhenCleaned, I6, setup);
}

/// The prober has the flock before the claimer, lets it go, and reads a header that was written in between.
#[test]
fn probe_before_header() {
    catches(Flaw::ProbeBeforeHeader, I4, faults(0, &[]));
}

/// The probe of a flock that does not reach the other host always succeeds.
#[test]
fn trust_node_local_flock() {
    let setup = Setup {
        reach: Reach::NodeLocal,
        ..faults(0, &[])
    };
    catches(Flaw::TrustNodeLocal, I4, setup);
}

/// A worker dies between creating its lock and writing the header: no flock is promised, so none is missed.
#[test]
fn flock_alone() {
    catches(Flaw::FlockAlone, I2_STUCK, faults(1, &[Crash]));
}

/// A worker is stopped for good while it holds the flock.
#[test]
fn flock_alone_and_a_stopped_worker() {
    let setup = Setup {
        rescue: true,
        ..faults(0, &[])
    };
    catches(Flaw::FlockAlone, I2, setup);
}

/// The name survives the power cut, the bytes do not.
#[test]
fn link_before_sync() {
    let setup = with_power(faults(1, &[PowerCut]));
    catches(Flaw::LinkBeforeSync, I1, setup);
}

/// The master hands over an output whose name does not survive the power cut; the next run gives another.
#[test]
fn read_before_sync() {
    let setup = with_power(with_master(faults(1, &[PowerCut])));
    catches(Flaw::ReadBeforeSync, I1, setup);
}

/// The worker reports an output as accepted, and it is gone after the power cut.
#[test]
fn accept_before_sync() {
    let setup = with_power(faults(1, &[PowerCut]));
    catches(Flaw::AcceptBeforeSync, I1, setup);
}

/// The power cut brings an input back whose output was cleaned already.
#[test]
fn clean_without_sync() {
    let setup = with_power(with_master(faults(1, &[PowerCut])));
    catches(Flaw::CleanWithoutSync, I5, setup);
}

/// An input without locks is a free one, and is run again.
#[test]
fn clean_locks_first() {
    catches(Flaw::CleanLocksFirst, I4, with_master(faults(0, &[])));
}

/// A lock that was made after the cleaner's listing keeps its name, and is linked to the `U.out` that became free.
#[test]
fn clean_by_old_listing() {
    let setup = with_master(faults(2, &[Revoke, HandRemove, StaleList]));
    catches(Flaw::CleanByOldListing, I5, setup);
}

/// On the host of a late worker an unlinked lock keeps a hidden name, so that it can still be linked.
#[test]
fn ignore_silly_names() {
    let setup = Setup {
        silly_rename: true,
        ..with_master(faults(1, &[Revoke]))
    };
    catches(Flaw::IgnoreSillyNames, I5, setup);
}

/// A failed attempt is marked lost as well, by a prober that comes when the file is closed.
#[test]
fn count_markers() {
    let setup = Setup {
        limit: 2,
        ..faults(1, &[TaskFails])
    };
    catches(Flaw::CountMarkers, LIMIT, setup);
}

/// The same prober comes to an attempt that was given back, which must never count.
#[test]
fn lost_outweighs_back() {
    let setup = Setup {
        limit: 1,
        ..faults(1, &[GiveBack])
    };
    catches(Flaw::LostOutweighsBack, LIMIT, setup);
}

/// The second attempt fails while the first, which was only slow, is still at work.
#[test]
fn fail_despite_slow() {
    let setup = Setup {
        limit: 1,
        ..faults(2, &[TaskFails, Slow])
    };
    catches(Flaw::FailDespiteSlow, LIMIT, setup);
}

/// The slow attempt dies later, and nobody looks at it any more.
#[test]
fn watch_highest_only() {
    let setup = Setup {
        limit: 1,
        ..faults(3, &[TaskFails, Slow, Crash])
    };
    catches(Flaw::WatchHighestOnly, I2_STUCK, setup);
}

/// A task that has failed for good is run once more.
#[test]
fn ignore_final() {
    catches(Flaw::IgnoreFinal, I4, faults(1, &[TaskFailsForGood]));
}
