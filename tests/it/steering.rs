//! A person steers a store that is at work: cancels, grants new attempts, pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flockwork::{
    BoxError, Cancel, Event, FailureKind, How, Inputs, Retry, RoundNumber, Task, TaskError, TaskId,
};

use crate::local::{List, master, new_store, quick_store, start, start_master, worker};
use crate::processes::quick;
use crate::wait::{LONG, wait_until};

fn task(number: u64) -> TaskId {
    TaskId {
        round: RoundNumber::FIRST,
        number,
    }
}

/// Runs until it is asked to stop.
fn until_asked(n: u64, task: &Task<'_>) -> Result<u64, BoxError> {
    while n == 0 && !task.should_stop() {
        std::thread::sleep(Duration::from_millis(2));
    }
    if n == 0 {
        return Err(TaskError::new("it was asked to stop").detail("half done").into());
    }
    Ok(n)
}

#[test]
fn a_running_task_is_asked_to_stop_when_it_is_cancelled() {
    for batch in [1, 3] {
        let (_place, store) = new_store(&quick().lease(Duration::from_millis(500)));
        let worker = start(worker(), &store, until_asked);
        let run = start_master::<u64, u64, _>(master().batch(batch), &store, 0..3);
        wait_until("the task", LONG, || {
            let running = store.running().unwrap();
            running.iter().any(|attempt| attempt.first == task(0))
        });
        let cancelled = store
            .cancel(&Cancel::Tasks(vec![task(0)]), "it is not needed")
            .unwrap();
        assert_eq!((cancelled.free, cancelled.running), (0, u64::from(batch)));
        let (summary, outcomes) = run.join().unwrap();
        let failed = u64::from(batch);
        assert_eq!((summary.ok, summary.failed), (3 - failed, failed));
        for failure in outcomes
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().err())
        {
            assert_eq!(failure.to_string(), "cancelled: it is not needed");
        }
        let summary = worker.join().unwrap().unwrap();
        assert_eq!((summary.failed, summary.given_back), (1, 0));
        let status = store.status().unwrap();
        assert_eq!((status.failed(), status.running()), (failed, 0));
        assert!(store.audit().unwrap().is_complete());
        // A master that is started again is told what the task said last.
        let mut again = List::<u64, u64>::new(0..3);
        master().batch(batch).run(&store, &mut again).unwrap();
        let mut failures = again
            .outcomes
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().err());
        let first = failures.next().unwrap();
        assert_eq!(
            (first.kind, &*first.message),
            (FailureKind::Cancelled, "it is not needed")
        );
        assert_eq!(first.detail.as_deref(), Some("half done"));
    }
}

#[test]
fn a_failed_task_is_run_again_with_a_note_once_it_is_retried() {
    let (_place, store) = quick_store();
    let runs = Arc::new(AtomicU32::new(0));
    let process = {
        let runs = Arc::clone(&runs);
        move |n: u64, task: &Task<'_>| {
            runs.fetch_add(1, Ordering::SeqCst);
            match (n, task.note()) {
                (3, None) => Err(TaskError::new("too little").last().into()),
                (_, Some(note)) => Ok(n + note.parse::<u64>()?),
                _ => Ok(n),
            }
        }
    };
    let first = start(worker(), &store, process.clone());
    let (summary, _) = start_master::<u64, u64, _>(master(), &store, 0..5)
        .join()
        .unwrap();
    assert_eq!((summary.ok, summary.failed), (4, 1));
    first.join().unwrap().unwrap();
    assert_eq!(
        store.retry(&Retry::Failed, Some("100")).unwrap().inputs,
        [task(3)]
    );
    assert!(store.withdraw_stop().unwrap());
    let second = start(worker(), &store, process);
    let (summary, outcomes) = start_master::<u64, u64, _>(master(), &store, 0..5)
        .join()
        .unwrap();
    second.join().unwrap().unwrap();
    assert_eq!(
        (summary.ok, summary.failed, runs.load(Ordering::SeqCst)),
        (5, 0, 6)
    );
    let retried = outcomes.iter().find(|outcome| outcome.task == task(3)).unwrap();
    assert_eq!((&retried.result, retried.attempt), (&Ok(103), 2));
    let audit = store.audit().unwrap();
    assert!(
        audit.is_complete() && audit.ok == 5 && audit.leftovers.is_empty(),
        "{audit:?}"
    );
}

#[test]
fn a_pause_holds_workers_back_and_its_end_wakes_them() {
    let (_place, store) = quick_store();
    store.pause("wait").unwrap();
    let pauses = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&pauses);
    let config = worker().idle_exit(Duration::ZERO).on_event(move |event| {
        if matches!(event, Event::PauseBegan { .. } | Event::PauseEnded) {
            told.fetch_add(1, Ordering::SeqCst);
        }
    });
    let run = start_master::<u64, u64, _>(master(), &store, 0..5);
    wait_until("the inputs", LONG, || store.status().unwrap().waiting() == 5);
    let worker = start(config, &store, |n: u64, _: &Task<'_>| Ok(n));
    wait_until("the pause", LONG, || pauses.load(Ordering::SeqCst) == 1);
    assert_eq!(store.status().unwrap().waiting(), 5);
    assert!(store.resume().unwrap());
    assert_eq!(run.join().unwrap().0.ok, 5);
    worker.join().unwrap().unwrap();
    assert_eq!(pauses.load(Ordering::SeqCst), 2);
}

#[test]
fn a_master_of_open_ended_inputs_takes_what_comes_later() {
    let (_place, store) = quick_store();
    let (more, inputs) = std::sync::mpsc::channel();
    more.send(0).unwrap();
    let running = store.clone();
    let run = std::thread::spawn(move || {
        let stream = std::iter::from_fn(move || inputs.try_recv().ok());
        let mut list = List::<u64, u64>::of(Inputs::new(stream).open_ended());
        master().run(&running, &mut list).unwrap()
    });
    wait_until("the first", LONG, || store.status().unwrap().waiting() == 1);
    (1..4).for_each(|n| more.send(n).unwrap());
    wait_until("the others", LONG, || store.status().unwrap().waiting() == 4);
    let worker = start(worker(), &store, |n: u64, _: &Task<'_>| Ok(n));
    let summary = run.join().unwrap();
    assert_eq!((summary.ok, summary.rounds, summary.stopped), (4, 1, false));
    assert_eq!(worker.join().unwrap().unwrap().stopped, Some(How::Finish));
    assert!(!store.status().unwrap().rounds[0].complete);
}
