//! Markers whose text a master hands over: nobody sees such a name without its text, at whatever step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::hand::Bench;
use super::world::{PLACES, Place, Proc, ShowLog, World};
use crate::fs::sim::Fault;
use crate::layout::Kind;
use crate::name::{RoundNumber, TaskId};
use crate::store::{Cancel, Marker, Reclaim};
use crate::wait::lock;

const FINAL: &str = "rounds/000000/0000000/0000000.1.final";
/// More than any of these makes.
const STEPS: usize = 400;

/// Published inputs, of which a worker has the first.
fn claimed(place: Place) -> (World, Bench) {
    let world = World::new(place);
    world.publish();
    let bench = Bench::new(&world, "w");
    // Whoever only drops a claim looks dead, which is what some of these want.
    drop(bench.claim(0, 1));
    (world, bench)
}

fn cancel(world: &World, person: &Proc) {
    let which = Cancel::Tasks(vec![first_task()]);
    world.open(person).unwrap().cancel(&which, "enough").unwrap();
}

fn reclaim(world: &World, person: &Proc) {
    let which = Reclaim::Tasks(vec![first_task()]);
    world.open(person).unwrap().reclaim(&which).unwrap();
}

fn first_task() -> TaskId {
    TaskId {
        round: RoundNumber::FIRST,
        number: 0,
    }
}

/// What the markers of this kind hold: `None` for one without its text.
fn texts(world: &World, ending: &str) -> Vec<Option<String>> {
    let paths = world.disk.paths().into_iter().map(|(path, _)| path);
    paths
        .filter(|path| path.ends_with(ending) && path.starts_with("rounds/"))
        .map(|path| {
            let bytes = world.disk.bytes(&path)?;
            Some(serde_json::from_slice::<Marker>(&bytes).ok()?.why)
        })
        .collect()
}

/// Looks before each step of a process; returns all that was seen.
fn look_at_each_step(world: &World, process: &Proc, ending: &'static str) -> Arc<Mutex<Vec<Option<String>>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    for at in process.sim.steps()..STEPS {
        let (world, seen) = (world.clone(), Arc::clone(&seen));
        process
            .sim
            .before(at, move || lock(&seen).extend(texts(&world, ending)));
    }
    seen
}

fn assert_whole(seen: &Mutex<Vec<Option<String>>>, why: &str) {
    let seen = lock(seen);
    assert!(!seen.is_empty(), "nobody looked after it was made");
    assert!(seen.iter().all(|text| text.as_deref() == Some(why)), "{seen:?}");
}

/// On a shared file system others may see a name before the bytes, unless these were synced.
fn assert_synced(place: Place, process: &Proc, ending: &str) {
    if place != Place::Network {
        return;
    }
    let log = process.sim.log();
    let linked = log
        .iter()
        .position(|step| step.starts_with("link") && step.ends_with(ending));
    let before = &log[..linked.unwrap()];
    let private = |step: &&String| step.contains(".tmp");
    let last = before.iter().rfind(private).unwrap();
    assert!(last.starts_with("sync_data"), "{last}");
}

#[test]
fn marker_of_a_cancelled_task_is_never_seen_without_its_text() {
    for place in PLACES {
        let (world, _bench) = claimed(place);
        let person = world.process("person");
        let _log = ShowLog(person.clone(), format!("{place:?}"));
        let seen = look_at_each_step(&world, &person, ".final");
        cancel(&world, &person);
        assert_whole(&seen, "enough");
        assert_synced(place, &person, ".final");
    }
}

#[test]
fn marker_of_an_attempt_that_is_given_up_is_never_seen_without_its_text() {
    for place in PLACES {
        let (world, _bench) = claimed(place);
        let person = world.process("person");
        let _log = ShowLog(person.clone(), format!("{place:?}"));
        let seen = look_at_each_step(&world, &person, ".lost");
        reclaim(&world, &person);
        assert_whole(&seen, "a person asked for it");
        assert_synced(place, &person, ".lost");
        // And by those who watch it.
        let (world, _bench) = claimed(place);
        let watcher = Bench::new(&world, "x");
        let seen = look_at_each_step(&world, &watcher.process, ".lost");
        assert!(watcher.watch(&world, 0, 300, || {}).is_some());
        lock(&seen).extend(texts(&world, ".lost"));
        let seen = lock(&seen);
        assert!(!seen.is_empty() && seen.iter().all(Option::is_some), "{seen:?}");
    }
}

/// What it would say in a record cannot be written, so the marker's text is all that tells why.
#[test]
fn marker_of_an_attempt_whose_records_cannot_be_written_is_never_seen_without_its_text() {
    let world = World::new(Place::Network);
    world.publish();
    let bench = Bench::new(&world, "w");
    let mut claim = bench.finished(bench.claim(0, 1));
    let _log = ShowLog(bench.process.clone(), "its lock breaks".into());
    world.disk.break_locks(&bench.process.sim);
    let seen = look_at_each_step(&world, &bench.process, ".final");
    let mut tries = 0;
    while let Err((back, _)) = claim.end(&bench.store, Kind::Final, "it failed") {
        (claim, tries) = (back, tries + 1);
        assert!(tries < 10, "it never ends");
    }
    assert!(tries > 0, "its records were written");
    assert_whole(&seen, "it failed");
}

#[test]
fn marker_that_somebody_else_made_at_any_step_is_not_replaced() {
    let theirs = serde_json::to_vec(&Marker::new("theirs", "other")).unwrap();
    for (has_links, has_rename_new) in [(true, true), (false, true), (false, false)] {
        let (mut theirs_stay, mut ours_stay) = (0, 0);
        for at in 0.. {
            let (world, _bench) = claimed(Place::LocalPower);
            world.disk.set_links(has_links);
            world.disk.set_rename_new(has_rename_new);
            let person = world.process("person");
            let _log = ShowLog(
                person.clone(),
                format!("{has_links}, {has_rename_new}, before {at}"),
            );
            let (inner, bytes) = (world.clone(), theirs.clone());
            let was_first = Arc::new(AtomicBool::new(false));
            let noted = Arc::clone(&was_first);
            person.sim.before(at, move || {
                if inner.disk.bytes(FINAL).is_none() {
                    inner.disk.plant(FINAL, &bytes).unwrap();
                    noted.store(true, Ordering::SeqCst);
                }
            });
            cancel(&world, &person);
            if at >= person.sim.steps() {
                break;
            }
            let other_was_first = was_first.load(Ordering::SeqCst);
            let expected = if other_was_first { "theirs" } else { "enough" };
            assert_eq!(texts(&world, ".final"), [Some(expected.to_owned())]);
            *(if other_was_first {
                &mut theirs_stay
            } else {
                &mut ours_stay
            }) += 1;
            assert!(!has_private_files(&world), "{:?}", world.disk.paths());
        }
        assert!(theirs_stay > 5 && ours_stay > 0, "{theirs_stay} {ours_stay}");
    }
}

fn has_private_files(world: &World) -> bool {
    world.disk.paths().iter().any(|(path, _)| path.ends_with(".tmp"))
}

#[test]
fn full_disk_keeps_no_attempt_from_being_cancelled() {
    let (world, _bench) = claimed(Place::LocalPower);
    let person = world.process("person");
    person
        .sim
        .fail_each("write_at", STEPS, Fault::Before(Errno::NOSPC));
    cancel(&world, &person);
    assert_eq!(texts(&world, ".final"), [None], "the name alone counts");
    assert!(!has_private_files(&world));
}
