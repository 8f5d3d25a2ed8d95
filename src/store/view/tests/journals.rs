//! Journals of workers that live, died, or were meddled with.

use super::*;
use crate::store::{JournalEntry, JournalOutcome};

fn read(place: &Place) -> (Vec<JournalEntry>, u64) {
    let mut journal = place.store.journal().unwrap();
    let entries = journal.by_ref().map(Result::unwrap).collect();
    (entries, journal.skipped())
}

fn write(place: &Place, name: &str, text: &[u8]) {
    std::fs::write(place.store.path().join("journal").join(name), text).unwrap();
}

const LINE: &str = "0\t0000001\t1\t1\t1700000000000\t1500\tok\n";

#[test]
fn the_journals_of_a_run_tell_of_each_attempt() {
    let place = Place::new();
    let squares = Squares {
        tasks: 20,
        refuses: |n| n == 7,
    };
    run(&place.store, squares, MasterConfig::default());
    let (entries, skipped) = read(&place);
    let count = |outcome| entries.iter().filter(|entry| entry.outcome == outcome).count();
    assert_eq!(
        (count(JournalOutcome::Ok), count(JournalOutcome::Fail), skipped),
        (19, 2, 0)
    );
    let failed: Vec<_> = entries.iter().filter(|entry| entry.first == task(7)).collect();
    assert_eq!((failed[0].attempt, failed[1].attempt), (1, 2));
    assert!(
        entries
            .iter()
            .all(|entry| !entry.worker.is_empty() && entry.ended_ms > 1_600_000_000_000)
    );
}

#[test]
fn a_line_that_is_cut_off_or_not_understood_is_left_out() {
    let place = Place::new();
    let mut text = format!("{}{LINE}junk\n", crate::store::journal::HEAD).into_bytes();
    text.extend([0, 255, b'\n']);
    text.extend(LINE.as_bytes());
    text.extend(&LINE.as_bytes()[..20]);
    write(&place, "node01-1-aaaaaa", &text);
    let (entries, skipped) = read(&place);
    assert_eq!((entries.len(), skipped), (2, 2));
    assert_eq!(&*entries[0].worker, "node01-1-aaaaaa");
}

#[test]
fn long_lines_are_left_out_and_what_follows_is_read() {
    let place = Place::new();
    for length in [4_000, 5_000, 70_000, 200_000] {
        let text = format!("{LINE}{}\n{LINE}", "x".repeat(length));
        write(&place, "node01-1-aaaaaa", text.as_bytes());
        let (entries, skipped) = read(&place);
        assert_eq!((entries.len(), skipped), (2, 1), "{length}");
    }
}

#[test]
fn a_journal_is_longer_than_what_is_read_at_once() {
    let place = Place::new();
    write(&place, "node01-1-aaaaaa", LINE.repeat(10_000).as_bytes());
    write(&place, "node02-1-aaaaaa", LINE.as_bytes());
    assert_eq!(read(&place).0.len(), 10_001);
}

#[test]
fn a_file_that_is_no_journal_is_an_item_and_the_others_follow() {
    let place = Place::new();
    std::fs::create_dir(place.store.path().join("journal/node01-1-aaaaaa")).unwrap();
    write(&place, "node02-1-aaaaaa", LINE.as_bytes());
    let items: Vec<_> = place.store.journal().unwrap().collect();
    assert!(
        items.len() == 2 && items[0].is_err() && items[1].is_ok(),
        "{items:?}"
    );
    std::fs::remove_dir_all(place.store.path().join("journal")).unwrap();
    assert_eq!(read(&place), (Vec::new(), 0));
}
