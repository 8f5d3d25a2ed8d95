//! Shards in every state, made by hand.

use super::*;
use crate::store::{AttemptState, LockSeen, Marker, make_marker};

/// Waiting, running, ok, failed, given back, and slow with a second one beside it.
fn mixed() -> (Place, DirRef, Vec<Claim>) {
    let place = Place::new();
    let dir = publish(&place, 0, &[1, 1, 1, 1, 2, 1]);
    let mut held = vec![claim(&dir, 1, 1)];
    accept(&place, &dir, 2, 1, 1);
    for attempt in [1, 2] {
        fail(&place, &dir, 3, attempt, 0);
    }
    claim(&dir, 4, 1).release("told to stop");
    held.push(claim(&dir, 6, 1));
    mark(&dir, 6, 1, Kind::Slow, "far longer than the others");
    held.push(claim(&dir, 6, 2));
    (place, dir, held)
}

fn mark(dir: &DirRef, stem: u64, attempt: u32, kind: Kind, why: &str) {
    let marker = Marker::new(why, "node01-1-abcdef");
    let made = make_marker(dir, &Stem(stem).to_string(), Attempt(attempt), kind, &marker);
    assert!(made.unwrap());
}

#[test]
fn an_open_shard_shows_each_state() {
    let (place, ..) = mixed();
    assert_eq!(place.entries(), ["0w0", "1r1", "2=4", "3!2", "4w1", "5w1", "6r2"]);
    assert_eq!(
        place.states(),
        ["0+1w0", "1+1r1", "2+1=", "3+1!2", "4+2w1", "6+1r2"]
    );
    let ended = place.store.outcomes::<u64, u64>().unwrap().ended_only();
    assert_eq!(
        ended.map(|entry| shown(&entry)).collect::<Vec<_>>(),
        ["2=4", "3!2"]
    );
}

#[test]
fn inputs_of_open_tasks_are_read_only_when_asked_for() {
    let (place, dir, _held) = mixed();
    std::fs::write(dir.path().join("0000000.in"), b"not an input").unwrap();
    let entries: Vec<_> = place.store.outcomes::<u64, u64>().unwrap().collect();
    assert!(entries.iter().all(Result::is_ok));
    assert_eq!(entries[4].as_ref().unwrap().input(), None);
    let entries: Vec<_> = place
        .store
        .outcomes::<u64, u64>()
        .unwrap()
        .with_open_inputs()
        .collect();
    let inputs: Vec<_> = entries
        .iter()
        .map(|entry| entry.as_ref().ok().and_then(Entry::input))
        .collect();
    assert_eq!(
        inputs,
        [None, Some(&1), Some(&2), Some(&3), Some(&4), Some(&5), Some(&6)]
    );
    let error = entries[0].as_ref().unwrap_err();
    assert!(
        error.to_string().contains("input of task 0000000 is damaged"),
        "{error}"
    );
    let entry = place.store.task::<u64, u64>(task(5)).unwrap().unwrap();
    assert_eq!(entry.input(), Some(&5));
    assert_eq!(shown(&Ok(entry)), "5w1");
}

#[test]
fn a_damaged_outcome_is_an_item_and_not_the_end() {
    let (place, dir, _held) = mixed();
    let path = dir.path().join("0000002.out");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(place.entries(), ["0w0", "1r1", "E", "3!2", "4w1", "5w1", "6r2"]);
    let error = place.store.task::<u64, u64>(task(2)).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Damaged);
    assert!(error.hint().is_some() && error.path() == Some(&path), "{error}");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_an_item_too() {
    let (place, dir, _held) = mixed();
    for name in ["0000003.in", "0000002.out"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    assert_eq!(place.entries(), ["0w0", "1r1", "E", "E", "4w1", "5w1", "6r2"]);
}

#[test]
fn running_attempts_are_listed_with_slow_ones_and_their_signs_of_life() {
    let (place, ..) = mixed();
    let running = place.store.running().unwrap();
    let seen: Vec<_> = running
        .iter()
        .map(|one| (one.first.number, one.attempt, one.slow))
        .collect();
    assert_eq!(seen, [(1, 1, false), (6, 1, true), (6, 2, false)]);
    for one in &running {
        assert_eq!(
            (one.tasks, one.pid, one.alive),
            (1, Some(std::process::id()), Some(true))
        );
        assert!(one.silent_for.unwrap() < Duration::from_secs(60));
        assert!(one.worker.is_some() && one.began_ms.is_some());
    }
    assert!(place.store.status().unwrap().running() == 2);
    let (place, dir) = {
        let (place, dir, held) = mixed();
        drop(held);
        (place, dir)
    };
    // Dead before it wrote its header.
    std::fs::write(dir.path().join("0000001.1.lock"), b"").unwrap();
    let running = place.store.running().unwrap();
    assert_eq!((running[0].worker.as_deref(), running[0].alive), (None, None));
}

#[test]
fn explaining_a_running_attempt_tries_its_lock_and_lets_it_go() {
    let (place, _dir, mut held) = mixed();
    let lock_of = |number| place.store.attempts(task(number)).unwrap()[0].lock;
    let attempts = place.store.attempts(task(1)).unwrap();
    assert_eq!(
        (attempts[0].state, attempts[0].lock, attempts[0].ended_ms),
        (AttemptState::Running, LockSeen::Held, None)
    );
    assert!(attempts[0].silent_for.unwrap() < Duration::from_secs(60));
    // As if its worker had died.
    drop(held.remove(0));
    for _ in 0..2 {
        assert_eq!(lock_of(1), LockSeen::Free);
    }
    assert_eq!(lock_of(2), LockSeen::Unknown);
    assert!(place.store.attempts(task(0)).unwrap().is_empty());
}

#[test]
fn each_end_of_an_attempt_is_told_with_its_reason() {
    let (place, dir, _held) = mixed();
    let states = |number| -> Vec<AttemptState> {
        let attempts = place.store.attempts(task(number)).unwrap();
        attempts.iter().map(|attempt| attempt.state).collect()
    };
    assert_eq!(states(2), [AttemptState::Ok]);
    assert_eq!(states(6), [AttemptState::Slow, AttemptState::Running]);
    let back = place.store.attempts(task(5)).unwrap();
    assert_eq!(
        (back[0].state, back[0].why.as_deref()),
        (AttemptState::Back, Some("told to stop"))
    );
    mark(&dir, 3, 2, Kind::Again, "a person asked for it");
    let failed = place.store.attempts(task(3)).unwrap();
    assert_eq!((failed[0].again, failed[1].again), (false, true));
    assert_eq!(failed[1].failure.as_ref().unwrap().message, "attempt 2 refused");
    assert_eq!(failed[1].failure.as_ref().unwrap().detail.as_deref(), Some("{}"));
    // A late outcome of one that was given up counts all the same.
    let mut late = claim(&dir, 0, 1);
    mark(&dir, 0, 1, Kind::Lost, "it gave no sign of life");
    assert_eq!(states(0), [AttemptState::Lost]);
    push(late.content(), RecordKind::Output, 0, 0);
    record::push_end(late.content(), 1);
    assert!(late.publish(&place.store, &mut |_, _| false).is_ok());
    assert_eq!(states(0), [AttemptState::Ok]);
    let ok = &place.store.attempts(task(0)).unwrap()[0];
    assert_eq!(
        (ok.elapsed, ok.why.as_deref()),
        (Some(Duration::from_millis(7)), None)
    );
    assert!(ok.ended_ms.unwrap() + 1000 >= ok.began_ms.unwrap());
}

#[test]
fn a_task_that_was_cancelled_has_failed_and_says_so() {
    let (place, dir, _held) = mixed();
    mark(&dir, 0, 1, Kind::Final, "nobody wants it");
    assert_eq!(place.entries()[0], "0!1");
    assert_eq!(place.states()[0], "0+1!1");
    let cancelled = place.store.attempts(task(0)).unwrap();
    assert_eq!((cancelled.len(), cancelled[0].state), (1, AttemptState::Final));
    assert_eq!(
        (cancelled[0].why.as_deref(), &cancelled[0].worker),
        (Some("nobody wants it"), &None)
    );
    let outcome = place
        .store
        .task::<u64, u64>(task(0))
        .unwrap()
        .and_then(Entry::into_outcome);
    assert_eq!(outcome.unwrap().result.unwrap_err().kind, FailureKind::Cancelled);
    let again = Marker {
        note: Some("once more".into()),
        ..Marker::new("a person asked for it", "somebody")
    };
    assert!(make_marker(&dir, "0000000", Attempt(1), Kind::Again, &again).unwrap());
    assert_eq!(place.entries()[0], "0w1");
    let granted = &place.store.attempts(task(0)).unwrap()[0];
    assert_eq!(
        (granted.again, granted.note.as_deref()),
        (true, Some("once more"))
    );
}

#[test]
fn names_beyond_the_shard_and_foreign_names_are_nobodys_tasks() {
    let (place, dir, _held) = mixed();
    for name in ["0000099.in", "0000003.in~", ".nfs0001", "0000001.9.odd"] {
        std::fs::write(dir.path().join(name), b"x").unwrap();
    }
    assert_eq!(place.entries().len(), 7);
    assert!(place.store.task::<u64, u64>(task(99)).unwrap().is_none());
}

#[test]
fn without_the_mark_of_its_end_a_shard_is_counted_by_its_files() {
    let (place, dir, _held) = mixed();
    std::fs::remove_file(dir.path().join("0000007.end")).unwrap();
    assert_eq!(place.states().concat(), "0+1w01+1r12+1=3+1!24+2w16+1r2");
}
