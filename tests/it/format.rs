//! Stores that earlier versions have made are read for ever: `tests/data/format-N/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flockwork::{BoxError, FailureKind, How, Reclaim, Stop, Store, Task};

use crate::local::{List, master, quick_store, start, worker};
use crate::wait::{LONG, wait_until};

/// Task 8 always fails; task 10 hangs in its first two attempts, and goes on from its checkpoint in the third.
fn process(input: u64, task: &Task<'_>, hangs: impl Fn() -> bool) -> Result<u64, BoxError> {
    match input {
        8 => return Err("eight never works".into()),
        10 if task.attempt() < 3 => {
            task.checkpoint(&1010u64)?;
            while hangs() {
                std::thread::sleep(Duration::from_millis(5));
            }
            return Err("it was left hanging".into());
        }
        10 => return Ok(task.restored::<u64>()?.ok_or("no checkpoint")?),
        _ => {}
    }
    Ok(input * input)
}

fn kept(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format-{format}"))
}

/// Makes the store anew. Run by hand, when the format is made, and never again:
/// `FLOCKWORK_MAKE_FORMAT=1 cargo test --test it format::make`.
#[test]
fn make() {
    let Ok(format) = std::env::var("FLOCKWORK_MAKE_FORMAT") else {
        return;
    };
    let (_place, store) = quick_store();
    let hangs = Arc::new(AtomicBool::new(true));
    let start_worker = |slots| {
        let hangs = Arc::clone(&hangs);
        let function = move |input, task: &Task<'_>| process(input, task, || hangs.load(Ordering::SeqCst));
        start(worker().slots(slots), &store, function)
    };
    let stop = Stop::new();
    let (of_master, handle) = (store.clone(), stop.clone());
    let run = std::thread::spawn(move || {
        let mut list = List::<u64, u64>::new(0..12);
        master()
            .batch(2)
            .shard(3)
            .stop(handle)
            .run(&of_master, &mut list)
            .unwrap()
    });
    let first = start_worker(3);
    let seen = || store.status().unwrap();
    wait_until("all but one input file", LONG, || {
        let status = seen();
        if (status.ok(), status.failed(), status.running()) == (8, 2, 2) {
            Ok(())
        } else {
            Err(status)
        }
    });
    let lost = || {
        let round = store.status().unwrap().rounds[0].round;
        let task = flockwork::TaskId { round, number: 10 };
        assert_eq!(store.reclaim(&Reclaim::Tasks(vec![task])).unwrap().len(), 1);
    };
    lost();
    let second = start_worker(1);
    let shard = store.path().join("rounds/000000/0000006");
    wait_until("the second attempt", LONG, || {
        shard.join("0000010.2.checkpoint").exists()
    });
    lost();
    stop.request(How::Finish);
    assert!(run.join().unwrap().stopped);
    copy(store.path(), &kept(format.parse().unwrap()));
    store.stop(How::Now, "made").unwrap();
    hangs.store(false, Ordering::SeqCst);
    first.join().unwrap().unwrap();
    second.join().unwrap().unwrap();
}

/// Copies a store; what git does not keep, empty directories, is made again.
fn copy(from: &Path, to: &Path) {
    for name in ["rounds", "workers", "journal", "scratch", "logs"] {
        fs::create_dir_all(to.join(name)).unwrap();
    }
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Opens a copy of a kept store.
fn copied(format: u32) -> (tempfile::TempDir, Store) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("kept.flock");
    copy(&kept(format), &path);
    (place, Store::open(&path).unwrap())
}

#[test]
fn format_1_is_read_and_nothing_of_it_is_changed_by_reading() {
    let (_place, store) = copied(1);
    let status = store.status().unwrap();
    assert_eq!(status.rounds.len(), 1);
    let round = &status.rounds[0];
    assert!(round.complete);
    assert_eq!(
        (round.ok, round.running, round.waiting, round.failed),
        (8, 0, 2, 2),
        "{round:?}"
    );
    assert_eq!(status.workers.len(), 2);
    assert!(status.workers.iter().any(|worker| worker.slots == 3));
    let audit = store.audit().unwrap();
    assert_eq!(audit.violations, []);
    assert_eq!(
        (audit.tasks, audit.ok, audit.failed, audit.open),
        (12, 8, 2, 2),
        "{audit:?}"
    );
    assert_eq!((audit.attempts, audit.marked), (6, 5), "{audit:?}");
    assert_eq!(audit.leftovers, Vec::<PathBuf>::new());
    for entry in walkdir::WalkDir::new(kept(1)) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(kept(1)).unwrap();
            let same = fs::read(entry.path()).unwrap() == fs::read(store.path().join(name)).unwrap();
            assert!(same, "{} was changed", name.display());
        }
    }
}

#[test]
fn format_1_is_gone_on_with() {
    let (_place, store) = copied(1);
    let worker = start(worker(), &store, |input, task: &Task<'_>| {
        process(input, task, || true)
    });
    let mut list = List::<u64, u64>::new(0..12);
    let summary = master().batch(2).shard(3).run(&store, &mut list).unwrap();
    assert_eq!(
        (summary.tasks, summary.ok, summary.failed, summary.replayed),
        (12, 11, 1, 6)
    );
    // Only the open batch is run, and of it only what was not done.
    assert_eq!(worker.join().unwrap().unwrap().ok, 2);
    list.outcomes.sort_by_key(|outcome| outcome.task);
    for (outcome, number) in list.outcomes.iter().zip(0..) {
        assert_eq!((outcome.task.number, outcome.input), (number, number));
        match (&outcome.result, number) {
            (Err(failure), 8) => {
                assert_eq!(failure.kind, FailureKind::Error);
                assert_eq!(failure.message, "eight never works");
            }
            (result, 10) => assert_eq!((result, outcome.attempt), (&Ok(1010), 3)),
            (result, _) => assert_eq!(result, &Ok(number * number)),
        }
    }
    assert!(store.audit().unwrap().is_complete());
}
