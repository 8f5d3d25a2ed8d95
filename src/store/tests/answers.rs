//! Each row of the table of answers in "Publish the outcome" of docs/protocol.md.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;

use super::hand::Bench;
use super::world::{Place, World};
use crate::fs::sim::Fault;
use crate::layout::Kind;
use crate::name::Attempt;
use crate::store::{Claim, Marker, Published, make_marker};
use crate::wait::lock;

const OUT: &str = "rounds/000000/0000000/0000000.out";
const ALWAYS: usize = usize::MAX;

/// Where the store's own trouble is waited out for long.
const PARKED: [Errno; 4] = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::ACCESS];
/// What is not known to last.
const UNKNOWN: [Errno; 4] = [Errno::INTR, Errno::AGAIN, Errno::NOMEM, Errno::MFILE];
const LOST: [Errno; 4] = [Errno::NOENT, Errno::STALE, Errno::IO, Errno::BADF];
const NO_LINKS: [Errno; 3] = [Errno::PERM, Errno::OPNOTSUPP, Errno::MLINK];

/// An attempt with all its outputs, about to be published.
fn finished() -> (World, Bench, Claim) {
    let world = World::new(Place::Network);
    world.publish();
    let holder = Bench::new(&world, "a");
    let claim = holder.finished(holder.claim(0, 1));
    (world, holder, claim)
}

/// What became of an outcome, after how long a wait, and after how many tries.
fn published(
    holder: &Bench,
    claim: Claim,
    verb: &'static str,
    patience: Duration,
) -> (Published, Duration, usize) {
    let sim = &holder.process.sim;
    let before = sim.log().len();
    let mut waited = Duration::ZERO;
    let ended = claim.publish(&holder.store, &mut |_, piece| {
        assert!(piece <= holder.store.heartbeat(), "no sign of life for {piece:?}");
        waited += piece;
        if waited >= patience {
            sim.fail_each(verb, 0, Fault::Crash);
        }
        true
    });
    let log = sim.log();
    let tries = log[before..].iter().filter(|step| step.starts_with(verb));
    (ended.unwrap(), waited, tries.count())
}

#[test]
fn whatever_is_answered_to_a_link_that_was_made_the_outcome_is_accepted_at_once() {
    let exist = [Errno::EXIST];
    for errno in PARKED
        .iter()
        .chain(&UNKNOWN)
        .chain(&LOST)
        .chain(&NO_LINKS)
        .chain(&exist)
    {
        let (world, holder, claim) = finished();
        holder.process.sim.fail_each("link", ALWAYS, Fault::After(*errno));
        let answer = published(&holder, claim, "link", Duration::MAX);
        assert_eq!(answer, (Published::First, Duration::ZERO, 1), "{errno:?}");
        holder.process.sim.fail_each("link", 0, Fault::Crash);
        world.end_well(0);
    }
}

#[test]
fn whatever_is_answered_when_a_twin_was_first_ours_is_dropped_at_once() {
    let exist = [Errno::EXIST];
    for errno in PARKED
        .iter()
        .chain(&UNKNOWN)
        .chain(&LOST)
        .chain(&NO_LINKS)
        .chain(&exist)
    {
        let (world, holder, claim) = finished();
        let twin = Bench::new(&world, "b");
        let marker = Marker::new("silent", "somebody");
        make_marker(&twin.dir, "0000000", Attempt::FIRST, Kind::Lost, &marker).unwrap();
        assert_eq!(twin.publish(twin.claim(0, 2)), Published::First);
        let theirs = world.disk.bytes(OUT);
        holder
            .process
            .sim
            .fail_each("link", ALWAYS, Fault::Before(*errno));
        let answer = published(&holder, claim, "link", Duration::MAX);
        assert_eq!(answer, (Published::Twin, Duration::ZERO, 1), "{errno:?}");
        assert_eq!(world.disk.bytes(OUT), theirs);
        world.end_well(1);
    }
}

#[test]
fn lost_file_or_lock_is_written_anew_at_once() {
    for errno in LOST {
        for verb in ["write_at", "sync_data", "link"] {
            let (world, holder, claim) = finished();
            holder.process.sim.fail_each(verb, 1, Fault::Before(errno));
            let (answer, waited, _) = published(&holder, claim, verb, Duration::MAX);
            assert_eq!(
                (answer, waited),
                (Published::First, Duration::ZERO),
                "{verb}: {errno:?}"
            );
            // The lock file was left alone, and the private name is gone.
            assert_eq!(world.leftovers(true), Vec::<String>::new());
            let paths = world.disk.paths();
            assert!(
                !paths.iter().any(|(path, _)| path.contains("/.0000000.1.")),
                "{paths:?}"
            );
            world.end_well(0);
        }
    }
}

#[test]
fn without_hard_links_the_outcome_is_renamed_and_never_over_another() {
    for errno in NO_LINKS {
        for twin_is_first in [false, true] {
            let (world, holder, claim) = finished();
            holder.process.sim.fail_each("link", ALWAYS, Fault::Before(errno));
            if twin_is_first {
                // Between our look and our rename.
                let other = Bench::new(&world, "b");
                let twin = other.finished(other.claim(0, 2));
                let twin = Mutex::new(Some((other, twin)));
                let publish = move |_: &str| {
                    if let Some((other, twin)) = lock(&twin).take() {
                        let ended = twin.publish(&other.store, &mut |_, _| false);
                        assert_eq!(ended.unwrap(), Published::First);
                    }
                };
                holder.process.sim.hold_each("rename_new", Arc::new(publish));
            }
            let (answer, waited, _) = published(&holder, claim, "link", Duration::MAX);
            let expected = if twin_is_first {
                Published::Twin
            } else {
                Published::First
            };
            assert_eq!((answer, waited), (expected, Duration::ZERO), "{errno:?}");
            world.end_well(1);
        }
    }
}

#[test]
fn trouble_of_the_store_is_waited_out_for_half_a_minute_doubling_to_ten() {
    let patience = Duration::from_secs(30 + 60 + 120 + 240 + 480 + 600 + 600);
    for errno in PARKED {
        for verb in ["link", "sync_data", "write_at"] {
            let (world, holder, claim) = finished();
            holder.process.sim.fail_each(verb, ALWAYS, Fault::Before(errno));
            let answer = published(&holder, claim, verb, patience);
            assert_eq!(answer, (Published::First, patience, 8), "{verb}: {errno:?}");
            world.end_well(0);
        }
    }
}

#[test]
fn unknown_trouble_is_tried_five_times_soon_and_then_waited_out() {
    let soon = [100, 200, 400, 800, 1600].map(Duration::from_millis);
    let patience = soon.iter().sum::<Duration>() + Duration::from_secs(30 + 60);
    for errno in UNKNOWN {
        let (world, holder, claim) = finished();
        holder.process.sim.fail_each("link", ALWAYS, Fault::Before(errno));
        let answer = published(&holder, claim, "link", patience);
        assert_eq!(answer, (Published::First, patience, 8), "{errno:?}");
        world.end_well(0);
    }
}
