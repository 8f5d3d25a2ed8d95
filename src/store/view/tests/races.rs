//! Shards that end, are archived and are cleaned while they are read.

use super::*;
use crate::store::view::RoundWalk;
use crate::store::{AttemptState, set_damaged_aside};

/// Two shards of four tasks; those of the first have their outcomes.
fn two_shards() -> (Place, DirRef) {
    let place = Place::new();
    let dir = publish(&place, 0, &[1, 2, 1]);
    publish(&place, 4, &[4]);
    for (stem, tasks) in [(0, 1), (1, 2), (3, 1)] {
        accept(&place, &dir, stem, 1, tasks);
    }
    (place, dir)
}

const ALL: [&str; 8] = ["0=0", "1=1", "2=4", "3=9", "4w0", "5w0", "6w0", "7w0"];

#[test]
fn a_shard_that_is_cleaned_between_two_entries_is_read_on_from_its_done_file() {
    for before in 0..4 {
        let (place, dir) = two_shards();
        let mut outcomes = place.store.outcomes::<u64, u64>().unwrap();
        let mut seen: Vec<String> = outcomes
            .by_ref()
            .take(before)
            .map(|entry| shown(&entry))
            .collect();
        archive(&place, &dir, 0);
        seen.extend(outcomes.map(|entry| shown(&entry)));
        assert_eq!(seen, ALL, "after {before}");
        assert_eq!(place.entries(), ALL, "after {before}");
    }
}

#[test]
fn a_shard_that_is_cleaned_between_listing_the_round_and_the_shard_is_in_its_done_file() {
    let (place, dir) = two_shards();
    let walk = RoundWalk::begin(&place.store, RoundNumber::FIRST).unwrap();
    archive(&place, &dir, 0);
    let mut spans = Vec::new();
    for shard in walk {
        spans.extend(
            shard
                .unwrap()
                .states(&place.store)
                .unwrap()
                .map(|span| (span.tasks, span.state)),
        );
    }
    assert_eq!(
        spans,
        [(4, TaskState::Ok), (4, TaskState::Waiting { attempts: 0 })]
    );
}

#[test]
fn a_shard_that_is_cleaned_by_half_counts_once() {
    // As cleaning goes: the inputs, then the locks, then the outcomes.
    let steps = [
        &["0000000.in", "0000001.in", "0000003.in"][..],
        &["0000000.1.lock", "0000001.1.lock"],
        &["0000000.out", "0000003.out"],
    ];
    let (place, dir) = two_shards();
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    archive(&place, &dir, 0);
    std::fs::create_dir(dir.path()).unwrap();
    for entry in std::fs::read_dir(copy.path())
        .unwrap()
        .map(|entry| entry.unwrap())
    {
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    for names in std::iter::once(&[][..]).chain(steps) {
        for name in names {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        assert_eq!(place.entries(), ALL, "after {names:?}");
        assert_eq!(place.states(), ["0+4=", "4+4w0"], "after {names:?}");
        assert_eq!(place.store.status().unwrap().ok(), 4);
        assert_eq!(place.store.attempts(task(2)).unwrap()[0].state, AttemptState::Ok);
    }
}

#[test]
fn an_outcome_that_is_put_aside_while_it_is_read_leaves_an_open_task() {
    let (place, dir) = two_shards();
    let mut outcomes = place.store.outcomes::<u64, u64>().unwrap();
    assert_eq!(shown(&outcomes.next().unwrap()), "0=0");
    set_damaged_aside(&dir, Stem(3), Attempt(1)).unwrap();
    let rest: Vec<_> = outcomes.map(|entry| shown(&entry)).collect();
    assert_eq!(rest, ["1=1", "2=4", "3w1", "4w0", "5w0", "6w0", "7w0"]);
    let mut ended = place.store.outcomes::<u64, u64>().unwrap().ended_only();
    accept(&place, &dir, 3, 2, 1);
    assert_eq!(ended.next().map(|entry| shown(&entry)).as_deref(), Some("0=0"));
    set_damaged_aside(&dir, Stem(3), Attempt(2)).unwrap();
    std::fs::write(dir.path().join("0000003.2.lock"), b"junk").unwrap();
    std::fs::write(dir.path().join("0000003.1.lock"), b"junk").unwrap();
    assert_eq!(
        ended.map(|entry| shown(&entry)).collect::<Vec<_>>(),
        ["1=1", "2=4", "3!2"]
    );
}

#[test]
fn a_shard_that_was_removed_by_hand_while_it_is_read_is_an_error_and_the_others_follow() {
    let (place, dir) = two_shards();
    let mut outcomes = place.store.outcomes::<u64, u64>().unwrap();
    assert_eq!(shown(&outcomes.next().unwrap()), "0=0");
    std::fs::remove_dir_all(dir.path()).unwrap();
    let rest: Vec<_> = outcomes.map(|entry| shown(&entry)).collect();
    assert_eq!(rest, ["E", "E", "4w0", "5w0", "6w0", "7w0"]);
}

#[test]
fn a_failed_task_that_gets_a_late_outcome_is_read_from_either_place() {
    let place = Place::new();
    let dir = publish(&place, 0, &[1, 1, 1]);
    let late = claim(&dir, 1, 1);
    mark_lost(&dir, 1, 1);
    fail(&place, &dir, 1, 2, 0);
    for stem in [0, 2] {
        accept(&place, &dir, stem, 1, 1);
    }
    archive(&place, &dir, 0);
    assert_eq!(place.entries(), ["0=0", "1!2", "2=4"]);
    assert_eq!(place.states(), ["0+1=", "1+1!2", "2+1="]);
    let mut late = late;
    push(late.content(), RecordKind::Output, 0, 1);
    record::push_end(late.content(), 1);
    assert!(late.publish(&place.store, &mut |_, _| false).is_ok());
    assert_eq!(place.entries(), ["0=0", "1=1", "2=4"]);
    assert_eq!(place.states(), ["0+1=", "1+1=", "2+1="]);
}

fn mark_lost(dir: &DirRef, stem: u64, attempt: u32) {
    let marker = crate::store::Marker::new("gone", "somebody");
    let made = crate::store::make_marker(
        dir,
        &Stem(stem).to_string(),
        Attempt(attempt),
        Kind::Lost,
        &marker,
    );
    assert!(made.unwrap());
}

#[test]
fn beside_a_running_master_each_look_is_whole_and_no_outcome_is_ever_lost() {
    const TASKS: u64 = 600;
    let place = Place::new();
    let squares = Squares {
        tasks: TASKS,
        refuses: |n| n % 50 == 7,
    };
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            run(&place.store, squares, MasterConfig::default().shard(8).window(6));
            over.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let (mut ended, mut counted, mut looks) = (0, 0, 0);
        loop {
            let last = over.load(std::sync::atomic::Ordering::SeqCst);
            let mut now = 0;
            let mut next = 0;
            for entry in place.store.outcomes::<u64, u64>().unwrap() {
                let entry = entry.unwrap();
                assert_eq!(entry.task().number, next, "a task is missing, or is there twice");
                next += 1;
                now += u64::from(entry.state().has_ended());
            }
            assert!(now >= ended, "{ended} had ended, now only {now}");
            ended = now;
            let status = place.store.status().unwrap();
            let count = status.ok() + status.failed();
            assert!(count >= counted && status.tasks() >= next, "{counted}, {count}");
            counted = count;
            for running in place.store.running().unwrap() {
                place.store.attempts(running.first).unwrap();
            }
            looks += 1;
            if last {
                break;
            }
        }
        assert!(looks > 1);
        assert_eq!((ended, counted), (TASKS, TASKS));
    });
}
