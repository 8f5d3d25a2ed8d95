//! Sources of inputs: slow, endless, failing; and how many files they may cause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use flockwork::{
    BoxError, ErrorKind, Event, How, Inputs, Master, Outcome, RoundNumber, RunSummary, Stop, Task,
};

use crate::local::{List, master, new_store, quick_store, start, worker};
use crate::processes::quick;
use crate::wait::{LONG, wait_until};

/// A master all of whose life is one closure.
struct Source<F>(F);

impl<F: FnMut() -> Result<Option<Inputs<u64>>, BoxError>> Master for Source<F> {
    type Input = u64;
    type Output = u64;

    fn create_inputs(&mut self, _: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
        (self.0)()
    }

    fn collect(&mut self, _: Outcome<u64, u64>) -> Result<(), BoxError> {
        Ok(())
    }
}

fn error_of(
    source: impl FnMut() -> Result<Option<Inputs<u64>>, BoxError>,
) -> (flockwork::Error, tempfile::TempDir, flockwork::Store) {
    let (place, store) = quick_store();
    let error = master().run(&store, &mut Source(source)).unwrap_err();
    (error, place, store)
}

#[test]
fn a_source_that_fails_ends_the_master_with_its_text() {
    let (error, _place, store) = error_of(|| Err("the table is missing".into()));
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(
        error.to_string().contains("round 0: the table is missing"),
        "{error}"
    );
    assert_eq!(store.status().unwrap().rounds, []);
}

#[test]
fn a_source_that_panics_ends_the_master_with_message_and_place() {
    let (error, _place, _store) = error_of(|| panic!("no table"));
    assert_eq!(error.kind(), ErrorKind::Panic);
    let text = error.to_string();
    assert!(
        text.contains("no table") && text.contains("tests/it/sources.rs:"),
        "{text}"
    );
}

#[test]
fn a_source_that_fails_later_is_gone_on_with_at_the_right_input() {
    for kind in [ErrorKind::User, ErrorKind::Panic] {
        let (error, _place, store) = error_of(|| {
            Ok(Some(Inputs::try_new((0..10u64).map(move |n| match n {
                7 if kind == ErrorKind::Panic => panic!("line 7 is torn"),
                7 => Err("line 7 is torn"),
                n => Ok(n),
            }))))
        });
        assert_eq!(error.kind(), kind);
        let text = error.to_string();
        assert!(
            text.contains("input 7 of round 0") && text.contains("line 7 is torn"),
            "{text}"
        );
        assert!(store.audit().unwrap().is_sound());
        let worker = start(worker(), &store, |n: u64, _: &Task<'_>| Ok(n));
        let mut list = List::<u64, u64>::new(0..10);
        master().run(&store, &mut list).unwrap();
        let mut numbers: Vec<u64> = list.outcomes.iter().map(|outcome| outcome.input).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        worker.join().unwrap().unwrap();
    }
}

#[test]
fn an_endless_source_ends_when_it_is_told_to() {
    let (_place, store) = quick_store();
    let (stop, collected) = (Stop::new(), Arc::new(AtomicUsize::new(0)));
    let (asked, count) = (stop.clone(), Arc::clone(&collected));
    let config = master().shard(20).stop(stop).on_event(move |event| {
        if matches!(event, Event::Collected { .. }) && count.fetch_add(1, Ordering::SeqCst) == 200 {
            asked.request(How::Finish);
        }
    });
    let stop_worker = Stop::new();
    let worker = start(
        worker().stop(stop_worker.clone()),
        &store,
        |n: u64, _: &Task<'_>| Ok(n),
    );
    let summary: RunSummary = config.run(&store, &mut List::<u64, u64>::new(0..)).unwrap();
    assert!(summary.stopped && summary.tasks > 200, "{summary:?}");
    stop_worker.request(How::Finish);
    worker.join().unwrap().unwrap();
    assert!(store.audit().unwrap().is_sound());
    assert!(!store.status().unwrap().rounds[0].complete);
}

#[test]
fn what_a_slow_source_has_given_is_published_meanwhile() {
    let (_place, store) = quick_store();
    let first_ran = Arc::new(AtomicBool::new(false));
    let ran = Arc::clone(&first_ran);
    let worker = start(worker(), &store, move |n: u64, _: &Task<'_>| {
        ran.store(true, Ordering::SeqCst);
        Ok(n)
    });
    let inputs = (0..8u64).inspect(move |n| {
        if *n < 3 {
            // Slow.
            std::thread::sleep(Duration::from_millis(600));
        } else {
            // If nothing were published before the shard is full, this would wait for ever.
            wait_until("the first task", LONG, || first_ran.load(Ordering::SeqCst));
        }
    });
    assert_eq!(
        master()
            .run(&store, &mut List::<u64, u64>::new(inputs))
            .unwrap()
            .ok,
        8
    );
    worker.join().unwrap().unwrap();
}

#[test]
fn the_window_bounds_the_number_of_files() {
    const TASKS: u64 = 30_000;
    const SHARD: u64 = 256;
    let (_place, store) = new_store(&quick());
    let done = Arc::new(AtomicBool::new(false));
    let (until, rounds) = (Arc::clone(&done), store.path().join("rounds"));
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while !until.load(Ordering::SeqCst) {
            let files = walkdir::WalkDir::new(&rounds).into_iter().filter_map(Result::ok);
            most = most.max(files.filter(|entry| entry.depth() == 3).count() as u64);
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    });
    let worker = start(worker().slots(2), &store, |n: u64, _: &Task<'_>| Ok(n));
    let config = master().window(2).shard(u32::try_from(SHARD).unwrap());
    assert_eq!(
        config
            .run(&store, &mut List::<u64, u64>::new(0..TASKS))
            .unwrap()
            .ok,
        TASKS
    );
    worker.join().unwrap().unwrap();
    done.store(true, Ordering::SeqCst);
    let most = watch.join().unwrap();
    // Input, lock and outcome for each task of two shards, and the file that ends each. While one is walked
    // through, another may take its place: so a third.
    assert!(most <= 3 * (3 * SHARD + 1), "{most} files at a time");
    assert!(most > SHARD, "{most} files at a time: nothing was watched");
    for entry in std::fs::read_dir(store.path().join("rounds/000000")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "round.json" || name.ends_with(".done"), "{name} is left");
    }
}
