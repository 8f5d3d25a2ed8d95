//! Timeouts, sizes, and values that do not decode.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flockwork::{ErrorKind, Event, FailureKind, Outcome, Task};

use crate::local::{List, master, new_store, quick_store, run, start, worker};
use crate::processes::quick;
use crate::wait::{LONG, wait_until};

fn never_return() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_task_that_heeds_its_timeout_has_failed() {
    let (_place, store) = new_store(&quick().timeout(Duration::from_millis(200)).retries(0));
    let (summary, outcomes) = run(&store, vec![1u64, 2], 1, |n: u64, task: &Task<'_>| {
        if n == 1 {
            wait_until("the timeout", LONG, || task.should_stop());
            return Err("asked to stop".into());
        }
        Ok(n)
    });
    assert_eq!((summary.ok, summary.failed), (1, 1));
    assert_eq!(
        outcomes[0].result.as_ref().unwrap_err().kind,
        FailureKind::Timeout
    );
}

#[test]
fn a_task_that_never_returns_costs_a_thread_and_not_the_slot() {
    let (_place, store) = new_store(&quick().timeout(Duration::from_millis(200)).retries(0));
    let config = worker().slots(2).grace(Duration::from_millis(200));
    let worker = start(config, &store, |n: u64, _: &Task<'_>| {
        if n == 0 {
            never_return();
        }
        Ok(n)
    });
    let mut list = List::<u64, u64>::new(0..50);
    let summary = master().run(&store, &mut list).unwrap();
    assert_eq!((summary.ok, summary.failed), (49, 1));
    let failed = list
        .outcomes
        .iter()
        .find(|outcome| outcome.result.is_err())
        .unwrap();
    assert_eq!(failed.task.number, 0);
    let summary = worker.join().unwrap().unwrap();
    assert_eq!((summary.ok, summary.failed), (49, 1));
}

#[test]
fn a_task_that_returns_long_after_its_timeout_does_not_count_as_hanging_any_more() {
    // Its thread told a second time that its slot had ended, and two such tasks made a worker of three slots stuck.
    let (_place, store) = new_store(&quick().timeout(Duration::from_millis(100)).retries(4));
    let ended = Arc::new(AtomicU32::new(0));
    let last = Arc::clone(&ended);
    let config = worker()
        .slots(3)
        .grace(Duration::from_millis(100))
        .on_event(move |event| {
            if let Event::Failed { attempt, .. } = event {
                last.store(*attempt, Ordering::SeqCst);
            }
        });
    let worker = start(config, &store, move |n: u64, task: &Task<'_>| {
        while ended.load(Ordering::SeqCst) < task.attempt() {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(n)
    });
    let mut list = List::<u64, u64>::new([1]);
    assert_eq!(master().run(&store, &mut list).unwrap().failed, 1);
    assert_eq!(list.outcomes[0].attempt, 5);
    assert_eq!(worker.join().unwrap().unwrap().failed, 5);
}

#[test]
fn a_worker_all_of_whose_tasks_hang_says_so() {
    let (_place, store) = new_store(&quick().timeout(Duration::from_millis(100)).retries(0));
    let config = worker().slots(2).grace(Duration::from_millis(100));
    let stuck = start(config, &store, |_: u64, _: &Task<'_>| -> Result<u64, _> {
        never_return()
    });
    let mut list = List::<u64, u64>::new(0..2);
    let summary = master().run(&store, &mut list).unwrap();
    assert_eq!(summary.failed, 2);
    for outcome in &list.outcomes {
        assert_eq!(outcome.result.as_ref().unwrap_err().kind, FailureKind::Timeout);
    }
    let error = stuck.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stuck, "{error}");
}

#[test]
fn an_output_over_the_limit_is_a_failure_of_its_task() {
    let (_place, store) = new_store(&quick().max_record(1000).retries(0));
    let (_, outcomes) = run(&store, vec![10usize, 5000], 1, |n: usize, _: &Task<'_>| {
        Ok(vec![0u8; n])
    });
    assert!(outcomes[0].result.is_ok());
    assert_eq!(outcomes[1].result.as_ref().unwrap_err().kind, FailureKind::Output);
}

#[test]
fn an_input_over_the_limit_ends_the_master_and_is_named() {
    let (_place, store) = new_store(&quick().max_record(1000));
    let mut list = List::<Vec<u8>, u8>::new([vec![0; 10], vec![0; 5000]]);
    let error = master().run(&store, &mut list).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("input 1 of round 0"), "{error}");
}

#[test]
fn an_input_of_another_type_is_a_failure_that_names_the_type() {
    let (_place, store) = new_store(&quick().retries(0));
    let worker = start(worker(), &store, |text: String, _: &Task<'_>| Ok(text.len()));
    let mut list = List::<u64, usize>::new([u64::MAX]);
    master().run(&store, &mut list).unwrap();
    worker.join().unwrap().unwrap();
    let Outcome {
        result: Err(failure), ..
    } = &list.outcomes[0]
    else {
        panic!("it was taken for a String")
    };
    assert_eq!(failure.kind, FailureKind::Input);
    assert!(failure.message.contains("String"), "{failure}");
}

#[test]
fn an_output_of_another_type_ends_the_master_and_stays_in_the_store() {
    let (_place, store) = quick_store();
    let writer = start(worker(), &store, |n: u64, _: &Task<'_>| Ok(n));
    let mut list = List::<u64, String>::new([u64::MAX]);
    let error = master().run(&store, &mut list).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("task 0000000") && text.contains("0000000/0000000.out") && text.contains("String"),
        "{text}"
    );
    let mut list = List::<u64, u64>::new([u64::MAX]);
    assert_eq!(master().run(&store, &mut list).unwrap().ok, 1);
    writer.join().unwrap().unwrap();
}
