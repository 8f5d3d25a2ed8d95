//! Names and numbers that nobody of us writes, planted by whoever may write the store: reading comes to an end.

use std::path::Path;

use crate::config::StoreConfig;
use crate::error::ErrorKind;
use crate::fs::sim::{SimDisk, SimProcess};
use crate::name::ShardNumber;
use crate::store::{DoneFile, Entry, Store, StoreFile};

fn corpus(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn planted(files: &[(&str, &[u8])]) -> (Store, SimProcess) {
    let disk = SimDisk::new();
    let process = disk.process("reader");
    let store = Store::on(process.root(), &StoreConfig::default()).unwrap();
    for (path, bytes) in files {
        disk.plant(path, bytes).unwrap();
    }
    (store, process)
}

/// A store.json with a lease of a millisecond was taken as it is, although no store can be made with it.
#[test]
fn settings_that_make_no_sense_are_damage() {
    assert!(StoreFile::parse(&corpus("store_json/store"), Path::new("/s")).is_ok());
    for setting in ["lease", "tail", "max_record", "timeout"] {
        let bytes = corpus(&format!("store_json/nonsense-{setting}"));
        let error = StoreFile::parse(&bytes, Path::new("/s")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert!(error.to_string().contains(&format!("`{setting}`")), "{error}");
    }
}

/// The number of a task of a done file overflowed.
#[test]
fn a_done_file_with_tasks_beyond_its_shard_is_damaged() {
    for (name, shard) in [("a-task-of-no-shard", 0), ("a-task-before-the-shard", 1024)] {
        let read = DoneFile::parse(corpus(&format!("done/{name}")), ShardNumber(shard));
        assert_eq!(
            read.map(|_| ()).unwrap_err(),
            "it holds a task that the shard does not have"
        );
    }
    let good = DoneFile::parse(corpus("done/two-groups"), ShardNumber(0)).unwrap();
    assert_eq!(good.tasks().count(), 3);
}

/// `touch U.4294967294.final` made every reader ask for four billion files.
#[test]
fn an_attempt_of_a_large_number_costs_few_steps() {
    let input = corpus("record/0000006.in");
    let (store, process) = planted(&[
        ("rounds/000000/0000006/0000006.in", &input),
        ("rounds/000000/0000006/0000006.300000.final", b""),
        ("rounds/000000/0000006/0000008.end", b""),
    ]);
    let before = process.steps();
    let entries: Vec<_> = store
        .outcomes::<u64, u64>()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let failed = |entry: &Entry<u64, u64>| matches!(entry, Entry::Ended(outcome) if outcome.result.is_err());
    assert!(entries.len() == 2 && entries.iter().all(failed), "{entries:?}");
    assert!(
        process.steps() - before < 100,
        "{} steps",
        process.steps() - before
    );
}

/// Two shards that end with the largest number overflowed the counts of the status.
#[test]
fn shards_as_large_as_numbers_go_are_counted() {
    let (store, _) = planted(&[
        ("rounds/000000/0000000/0000000.in", b""),
        ("rounds/000000/0000000/18446744073709551615.end", b""),
        ("rounds/000000/0000001/0000001.in", b""),
        ("rounds/000000/0000001/18446744073709551615.end", b""),
        ("rounds/000000/0000002/18446744073709551615.in", b""),
    ]);
    assert_eq!(store.status().unwrap().tasks(), u64::MAX);
    for span in store.states().unwrap() {
        let span = span.unwrap();
        assert!(span.first.number.checked_add(span.tasks).is_some(), "{span:?}");
    }
}
