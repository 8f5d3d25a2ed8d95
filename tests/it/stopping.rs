//! Stopping and leaving; scratch directories and progress of running tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flockwork::{How, Stop, Task};

use crate::local::{master, new_store, quick_store, run, start, start_master, worker};
use crate::processes::quick;
use crate::wait::{LONG, wait_until};

#[test]
fn finish_ends_the_running_tasks_and_takes_no_more() {
    let (_place, store) = quick_store();
    let (stop, asked) = (Stop::new(), Stop::new());
    let asked_by_task = asked.clone();
    let worker = start(worker().stop(asked), &store, move |n: u64, task: &Task<'_>| {
        asked_by_task.request(How::Finish);
        assert!(!task.should_stop());
        Ok(n)
    });
    let run = start_master::<u64, u64, _>(master().stop(stop.clone()), &store, 0..10);
    let summary = worker.join().unwrap().unwrap();
    assert_eq!(
        (summary.ok, summary.given_back, summary.stopped),
        (1, 0, Some(How::Finish))
    );
    stop.request(How::Finish);
    assert!(run.join().unwrap().0.stopped);
    let audit = store.audit().unwrap();
    assert!(audit.is_sound() && audit.open + audit.ok == 10, "{audit:?}");
}

fn stop_now(heeds: bool) {
    // Without retries: being given back must not count.
    let (_place, store) = new_store(&quick().retries(0));
    let hangs = Arc::new(AtomicBool::new(true));
    let (asked, waits) = (Stop::new(), Arc::clone(&hangs));
    let config = worker().stop(asked.clone()).grace(Duration::from_millis(100));
    let first = start(config, &store, move |n: u64, task: &Task<'_>| {
        while waits.load(Ordering::SeqCst) && !(heeds && task.should_stop()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        Err::<u64, _>(format!("{n} was asked to stop").into())
    });
    let run = start_master::<u64, u64, _>(master(), &store, [7]);
    wait_until("the task", LONG, || store.status().unwrap().running() == 1);
    asked.request(How::Now);
    let summary = first.join().unwrap().unwrap();
    assert_eq!(
        (summary.given_back, summary.failed, summary.stopped),
        (1, 0, Some(How::Now))
    );
    let second = start(worker(), &store, |n: u64, _: &Task<'_>| Ok(n + 1));
    let (summary, outcomes) = run.join().unwrap();
    assert_eq!((summary.ok, summary.failed), (1, 0));
    assert_eq!((&outcomes[0].result, outcomes[0].attempt), (&Ok(8), 2));
    assert_eq!(second.join().unwrap().unwrap().ok, 1);
    hangs.store(false, Ordering::SeqCst);
}

#[test]
fn now_gives_a_task_back_that_heeds_it() {
    stop_now(true);
}

#[test]
fn now_gives_a_task_back_that_does_not_return() {
    stop_now(false);
}

#[test]
fn the_stop_file_reaches_masters_and_workers() {
    let (_place, store) = quick_store();
    let started = Arc::new(AtomicBool::new(false));
    let begun = Arc::clone(&started);
    let workers = [(); 2].map(|()| {
        let begun = Arc::clone(&begun);
        start(worker(), &store, move |n: u64, _: &Task<'_>| {
            begun.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
            Ok(n)
        })
    });
    let run = start_master::<u64, u64, _>(master().shard(50), &store, 0..);
    wait_until("a task", LONG, || started.load(Ordering::SeqCst));
    store.stop(How::Finish, "enough").unwrap();
    assert_eq!(store.status().unwrap().stopped.as_deref(), Some("enough"));
    // The source never ends; only the stop file ends the master.
    assert!(run.join().unwrap().0.stopped);
    for worker in workers {
        assert_eq!(worker.join().unwrap().unwrap().stopped, Some(How::Finish));
    }
    assert!(store.audit().unwrap().is_sound());
}

#[test]
fn a_worker_with_nothing_to_do_leaves() {
    let (_place, store) = quick_store();
    let config = worker().idle_exit(Duration::from_millis(100));
    let summary = start(config, &store, |n: u64, _: &Task<'_>| Ok(n))
        .join()
        .unwrap()
        .unwrap();
    assert_eq!((summary.ok, summary.stopped), (0, None));
    assert_eq!(
        std::fs::read_dir(store.path().join("workers")).unwrap().count(),
        0
    );
}

#[test]
fn scratch_directories_are_private_and_removed() {
    let (_place, store) = quick_store();
    let (_, outcomes) = run(&store, (0..40u64).collect(), 4, |n: u64, task: &Task<'_>| {
        let scratch = task.scratch()?.to_owned();
        assert_eq!(scratch, task.scratch()?);
        assert_eq!(std::fs::read_dir(&scratch)?.count(), 0);
        std::fs::write(scratch.join("data"), n.to_string())?;
        std::fs::create_dir_all(scratch.join("a/b"))?;
        if task.attempt() == 1 && n.is_multiple_of(4) {
            panic!("what a panic leaves is removed too");
        }
        Ok(scratch)
    });
    let mut scratches: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.result.unwrap())
        .collect();
    assert!(scratches.iter().all(|scratch| !scratch.exists()));
    scratches.sort();
    scratches.dedup();
    assert_eq!(scratches.len(), 40);
    assert_eq!(
        std::fs::read_dir(store.path().join("scratch")).unwrap().count(),
        0
    );
}

#[test]
fn progress_is_seen_in_the_status() {
    // Heartbeats write it down.
    let (_place, store) = new_store(&quick().lease(Duration::from_millis(500)));
    let seen = Arc::new(AtomicBool::new(false));
    let goes_on = Arc::clone(&seen);
    let worker = start(worker(), &store, move |n: u64, task: &Task<'_>| {
        task.progress(0.25);
        while !goes_on.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(n)
    });
    let run = start_master::<u64, u64, _>(master(), &store, [1]);
    let progress = wait_until("progress", LONG, || {
        let status = store.status().unwrap();
        let worker = status.workers.first().cloned();
        worker.filter(|worker| !worker.progress.is_empty() && !worker.lost)
    });
    assert_eq!(progress.progress[0].1, 0.25);
    seen.store(true, Ordering::SeqCst);
    assert_eq!(run.join().unwrap().0.ok, 1);
    worker.join().unwrap().unwrap();
}
