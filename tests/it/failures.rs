//! Tasks that fail, panic, or take their worker with them.

use std::sync::Mutex;
use std::time::Duration;

use flockwork::{FailureKind, Task};

use crate::errands::{Act, Plan};
use crate::local::{List, master, new_store, quick_store, run, start, worker};
use crate::processes::{Site, quick};
use crate::wait::{LONG, wait_until};

#[test]
fn a_failure_is_kept_with_its_text_after_the_retries_are_used_up() {
    let (_place, store) = quick_store();
    let (summary, outcomes) = run(&store, vec![1u64, 2, 3], 2, |n: u64, task: &Task<'_>| match n {
        2 => Err(format!("attempt {} at {n}", task.attempt()).into()),
        _ => Ok(n),
    });
    assert_eq!((summary.ok, summary.failed), (2, 1));
    let failure = outcomes[1].result.as_ref().unwrap_err();
    assert_eq!(
        (failure.kind, &*failure.message),
        (FailureKind::Error, "attempt 3 at 2")
    );
    assert_eq!(outcomes[1].attempt, 3);
}

#[test]
fn a_task_that_fails_at_first_is_tried_again() {
    let (_place, store) = quick_store();
    let (summary, outcomes) = run(&store, (0..30u64).collect(), 3, |n: u64, task: &Task<'_>| {
        if u64::from(task.attempt()) <= n % 3 {
            Err("not yet".into())
        } else {
            Ok(n)
        }
    });
    assert_eq!((summary.ok, summary.failed), (30, 0));
    for outcome in outcomes {
        assert_eq!(u64::from(outcome.attempt), outcome.input % 3 + 1);
    }
}

#[test]
fn in_a_batch_only_what_failed_is_tried_again() {
    let (_place, store) = quick_store();
    let runs = std::sync::Arc::new(Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&runs);
    let worker = start(worker(), &store, move |n: u64, task: &Task<'_>| {
        noted.lock().unwrap().push((n, task.attempt()));
        if n == 3 && task.attempt() < 3 {
            Err("not yet".into())
        } else {
            Ok(n)
        }
    });
    let mut list = List::<u64, u64>::new(0..8);
    let summary = master().batch(8).run(&store, &mut list).unwrap();
    worker.join().unwrap().unwrap();
    assert_eq!(summary.ok, 8);
    let mut runs = runs.lock().unwrap().clone();
    let again = runs.split_off(8);
    assert_eq!(runs, (0..8).map(|n| (n, 1)).collect::<Vec<_>>());
    assert_eq!(again, [(3, 2), (3, 3)]);
}

#[test]
fn another_worker_is_preferred_for_the_next_attempt() {
    let backoff = Duration::from_secs(2);
    let (_place, store) = new_store(&quick().backoff(backoff, backoff));
    let failed_on = std::sync::Arc::new(Mutex::new(None));
    let workers = [(); 2].map(|()| {
        let failed_on = std::sync::Arc::clone(&failed_on);
        start(worker(), &store, move |_: u64, task: &Task<'_>| {
            let mut failed_on = failed_on.lock().unwrap();
            match &*failed_on {
                None => {
                    *failed_on = Some(task.worker().to_owned());
                    Err("the first worker fails".into())
                }
                Some(first) => Ok(first == task.worker()),
            }
        })
    });
    let mut list = List::<u64, bool>::new([1]);
    master().run(&store, &mut list).unwrap();
    for worker in workers {
        worker.join().unwrap().unwrap();
    }
    assert_eq!(list.outcomes[0].result, Ok(false), "the same worker tried again");
}

#[test]
fn a_panic_is_kept_with_its_message_and_its_place() {
    let (_place, store) = quick_store();
    let (_, outcomes) = run(&store, vec![0u64], 1, |n: u64, _: &Task<'_>| {
        assert!(n > 0, "zero is not {}", "allowed");
        Ok(n)
    });
    let failure = outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(
        (failure.kind, &*failure.message),
        (FailureKind::Panic, "zero is not allowed")
    );
    let place = failure.place.as_deref().unwrap();
    assert!(place.starts_with("tests/it/failures.rs:"), "{place}");
}

#[test]
fn a_task_that_kills_its_worker_three_times_has_failed() {
    let site = Site::new(&quick());
    let mut master = site.start_master(site.master(&Plan::new(1, Act::Die { attempts: 99 })));
    for _ in 0..3 {
        let status = site.start_worker(site.worker()).ended();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }
    // Without a fourth worker: the master has to notice.
    let report = master.good_report();
    assert_eq!((report.ok, report.failed), (0, 1));
    let failure = report.answers[0].2.as_ref().unwrap_err();
    assert!(
        failure.starts_with("lost: ") && failure.ends_with("its process is gone"),
        "{failure}"
    );
    assert_eq!(site.executions().values().flatten().count(), 3);
}

#[test]
fn the_next_attempt_goes_on_from_the_checkpoint_of_a_killed_worker() {
    let site = Site::new(&quick());
    let plan = Plan::new(1, Act::Count { to: 1000 });
    let mut master = site.start_master(site.master(&plan));
    site.start_worker(site.worker()).ended();
    let mut second = site.start_worker(site.worker());
    // The planner refuses an output that was not counted from the checkpoint on.
    assert_eq!(master.good_report().all_answers(), plan.answers(1));
    assert_eq!(second.good_report().ok, 1);
}

/// An output that cannot be let go of.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Bomb(u64);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("this output cannot be dropped");
    }
}

/// The panic was in the slot's own thread, after the task: whoever waited for the worker waited for ever.
#[test]
fn a_panic_outside_of_the_task_ends_the_worker_with_a_reason() {
    let (_place, store) = quick_store();
    let stop = flockwork::Stop::new();
    let (inputs, stopped) = (store.clone(), stop.clone());
    let master = std::thread::spawn(move || {
        let mut list = List::<u64, Bomb>::new(0..3);
        master().stop(stopped).run(&inputs, &mut list).unwrap()
    });
    let worker = start(worker().slots(2), &store, |n: u64, _: &Task<'_>| Ok(Bomb(n)));
    wait_until("the end of the worker", LONG, || worker.is_finished());
    let error = worker.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), flockwork::ErrorKind::Panic);
    assert!(error.to_string().contains("cannot be dropped"), "{error}");
    assert!(error.hint().is_some());
    stop.request(flockwork::How::Now);
    assert!(master.join().unwrap().stopped);
}
