//! What real masters and workers left.

use super::*;
use crate::store::AttemptState;

fn thirds(n: u64) -> bool {
    n % 3 == 1
}

fn finished(batch: u32) -> Place {
    let place = Place::new();
    let squares = Squares {
        tasks: 10,
        refuses: thirds,
    };
    run(
        &place.store,
        squares,
        MasterConfig::default().batch(batch).shard(4),
    );
    place
}

#[test]
fn every_task_of_a_run_is_read_in_order_with_its_outcome() {
    let place = finished(1);
    let expected = [
        "0=0", "1!2", "2=4", "3=9", "4!2", "5=25", "6=36", "7!2", "8=64", "9=81",
    ];
    assert_eq!(place.entries(), expected);
    let outcomes = place.store.outcomes::<u64, u64>().unwrap();
    for outcome in outcomes.filter_map(|entry| entry.unwrap().into_outcome()) {
        assert_eq!(outcome.input, outcome.task.number);
        assert!(!outcome.worker.is_empty());
        match outcome.result {
            Ok(_) => assert_eq!(outcome.attempt, 1),
            Err(failure) => assert!(failure.message.ends_with("is refused"), "{failure}"),
        }
    }
}

#[test]
fn a_batch_that_failed_gives_the_outputs_that_it_has() {
    let place = finished(2);
    // The input files (0, 1), (4, 5), (6, 7) failed.
    let expected = [
        "0=0", "1!2", "2=4", "3=9", "4!2", "5=25", "6=36", "7!2", "8=64", "9=81",
    ];
    assert_eq!(place.entries(), expected);
    assert_eq!(place.states().concat(), "0+2!22+2=4+2!26+2!28+2=");
    let only = |wanted: fn(TaskState) -> bool| {
        let outcomes = place.store.outcomes::<u64, u64>().unwrap().only(wanted);
        outcomes.map(|entry| shown(&entry)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        only(|state| state == TaskState::Ok),
        "0=0 2=4 3=9 5=25 6=36 8=64 9=81"
    );
    assert_eq!(
        only(|state| matches!(state, TaskState::Failed { .. })),
        "1!2 4!2 7!2"
    );
}

#[test]
fn states_and_status_count_the_same() {
    for batch in [1, 3] {
        let place = finished(batch);
        let (mut ok, mut failed, mut next) = (0, 0, 0);
        for span in place.store.states().unwrap().map(Result::unwrap) {
            assert_eq!(span.first.number, next, "batch {batch}");
            next += span.tasks;
            match span.state {
                TaskState::Ok => ok += span.tasks,
                TaskState::Failed { attempts: 2 } => failed += span.tasks,
                other => panic!("{other:?}"),
            }
        }
        let status = place.store.status().unwrap();
        assert_eq!((status.ok(), status.failed(), status.tasks()), (ok, failed, next));
        assert_eq!(next, 10);
    }
}

#[test]
fn one_task_is_found_wherever_it_lies() {
    let place = finished(1);
    let read = |number| place.store.task::<u64, u64>(task(number)).map(Option::unwrap);
    for number in [0, 2, 3, 5, 9] {
        assert_eq!(shown(&read(number)), format!("{number}={}", number * number));
    }
    assert_eq!(shown(&read(7)), "7!2");
    assert_eq!(read(7).unwrap().input(), Some(&7));
    let elsewhere = TaskId {
        round: RoundNumber::new(1),
        number: 0,
    };
    for absent in [task(10), task(u64::MAX), elsewhere] {
        assert!(place.store.task::<u64, u64>(absent).unwrap().is_none());
        assert!(place.store.attempts(absent).unwrap().is_empty());
    }
}

#[test]
fn attempts_tell_who_when_and_why() {
    let place = finished(1);
    let attempts = place.store.attempts(task(4)).unwrap();
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers, [1, 2]);
    for attempt in &attempts {
        assert_eq!(attempt.state, AttemptState::Failed);
        assert_eq!(attempt.failure.as_ref().unwrap().message, "4 is refused");
        assert_eq!(attempt.why.as_deref(), Some("the task failed"));
        assert_eq!(attempt.pid, Some(std::process::id()));
        assert_eq!(attempt.alive, Some(true));
        assert_eq!(attempt.silent_for, None);
        let (began, ended) = (attempt.began_ms.unwrap(), attempt.ended_ms.unwrap());
        assert!(began > 1_600_000_000_000 && began <= ended, "{began} {ended}");
    }
    let archived = place.store.attempts(task(5)).unwrap();
    assert_eq!((archived.len(), archived[0].state), (1, AttemptState::Ok));
    assert!(archived[0].elapsed.is_some() && archived[0].began_ms.is_some());
}

#[test]
fn a_damaged_done_file_costs_its_own_tasks_and_no_others() {
    let place = finished(1);
    let path = place.round().path().join("0000000.done");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 30;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let entries = place.entries().join(" ");
    assert_eq!(entries, "E 1!2 E 4!2 5=25 6=36 7!2 8=64 9=81");
    // Its header is enough to tell the states, and the failed tasks are read without it.
    let failed = place.store.outcomes::<u64, u64>().unwrap();
    let failed = failed.only(|state| matches!(state, TaskState::Failed { .. }));
    assert_eq!(
        failed.map(|entry| shown(&entry)).collect::<Vec<_>>(),
        ["1!2", "4!2", "7!2"]
    );
    std::fs::write(&path, b"nothing").unwrap();
    assert_eq!(place.entries().join(" "), "E 4!2 5=25 6=36 7!2 8=64 9=81");
    let error = place.store.task::<u64, u64>(task(2)).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Damaged);
}

#[test]
fn values_of_another_type_are_errors_of_their_tasks() {
    let place = finished(1);
    let entries = place.store.outcomes::<u64, String>().unwrap();
    let errors: Vec<_> = entries.filter_map(Result::err).collect();
    // Eight zero bytes are an empty text.
    assert_eq!(errors.len(), 6);
    assert!(errors[0].to_string().contains("task 0000002"), "{}", errors[0]);
}
