//! Tests of the rows in a store.

use std::fs;

use super::cancelled::Later;
use super::spool::{Known, Spool};
use super::*;

fn store() -> tempfile::TempDir {
    let store = tempfile::tempdir().unwrap();
    fs::create_dir(folder(store.path())).unwrap();
    store
}

fn columns() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

fn row(number: u64) -> Vec<Bytes> {
    vec![Bytes::from(number.to_string()), Bytes::from("x")]
}

/// Does what a submission does with its rows.
fn submit(rows: &Rows, table: impl IntoIterator<Item = Vec<Bytes>>) -> u64 {
    let mut known = Known::new(rows).unwrap();
    let mut spool = None;
    for values in table {
        if !known.take(&values).unwrap() {
            let spool = spool.get_or_insert_with(|| Spool::new(rows, known.end(), &columns()).unwrap());
            spool.push(&values).unwrap();
        }
    }
    spool.map_or(0, |spool| spool.ready().unwrap().publish().unwrap())
}

fn all(rows: &Rows) -> Vec<Vec<Bytes>> {
    rows.iter_from(0)
        .unwrap()
        .map(|row| row.unwrap().values)
        .collect()
}

#[test]
fn what_was_spooled_comes_back_unchanged() {
    let store = store();
    let rows = Rows::open(store.path());
    assert_eq!((rows.total().unwrap(), rows.get(0).unwrap()), (0, None));
    let hostile: [&[u8]; 8] = [
        b"",
        b"\0",
        b"\n\r",
        b"\xff\xfe",
        b"'\"$(x);",
        b"{a}",
        b"-rf",
        &[b'z'; 70_000],
    ];
    let mut table = Vec::new();
    for number in 0..3_000_usize {
        let (one, two) = (
            hostile[number % hostile.len()],
            hostile[number / 7 % hostile.len()],
        );
        table.push(vec![
            Bytes::from([one, number.to_string().as_bytes()].concat()),
            Bytes::from(two),
        ]);
    }
    assert_eq!(submit(&rows, table.clone()), 3_000);
    assert_eq!(all(&rows), table);
    assert_eq!(rows.total().unwrap(), 3_000);
    for task in [0, 1, 1_023, 1_024, 2_047, 2_999] {
        assert_eq!(
            rows.get(task).unwrap().unwrap().values,
            table[task as usize],
            "{task}"
        );
        let from: Vec<_> = rows
            .iter_from(task)
            .unwrap()
            .map(|row| row.unwrap().values)
            .collect();
        assert_eq!(from, table[task as usize..], "{task}");
    }
    assert_eq!(rows.get(3_000).unwrap(), None);
}

#[test]
fn rows_without_columns_are_counted_too() {
    let store = store();
    let rows = Rows::open(store.path());
    let mut spool = Spool::new(&rows, 0, &[]).unwrap();
    (0..3).for_each(|_| spool.push(&[]).unwrap());
    assert_eq!(spool.ready().unwrap().publish().unwrap(), 3);
    assert_eq!(all(&rows).len(), 3);
}

#[test]
fn only_rows_beyond_those_in_the_store_are_added() {
    let store = store();
    let rows = Rows::open(store.path());
    let table = |numbers: &[u64]| numbers.iter().map(|number| row(*number)).collect::<Vec<_>>();
    assert_eq!(
        submit(&rows, table(&[1, 2, 2, 3])),
        4,
        "equal rows of one table are tasks of their own"
    );
    assert_eq!(
        submit(&rows, table(&[1, 2, 2, 3])),
        0,
        "the same again adds nothing"
    );
    assert_eq!(submit(&rows, table(&[1, 2])), 0, "a part of it adds nothing");
    assert_eq!(
        submit(&rows, table(&[3, 2, 1, 2])),
        0,
        "another order adds nothing"
    );
    assert_eq!(
        submit(&rows, table(&[1, 2, 2, 3, 4])),
        1,
        "what was appended is added"
    );
    assert_eq!(
        submit(&rows, table(&[0, 1, 2, 2, 2, 3, 4])),
        2,
        "in front, and once more"
    );
    assert_eq!(all(&rows), table(&[1, 2, 2, 3, 4, 0, 2]));
    assert_eq!(rows.files().unwrap(), [0, 4, 5]);
}

#[test]
fn an_iterator_goes_on_when_rows_were_added() {
    let store = store();
    let rows = Rows::open(store.path());
    let mut iterator = rows.iter_from(1).unwrap();
    assert!(iterator.next().is_none());
    submit(&rows, (0..2).map(row));
    assert_eq!(iterator.next().unwrap().unwrap().values, row(1));
    assert!(iterator.next().is_none() && iterator.next().is_none());
    submit(&rows, (0..5).map(row));
    let rest: Vec<_> = iterator.by_ref().map(|row| row.unwrap().values).collect();
    assert_eq!(rest, [row(2), row(3), row(4)]);
    assert_eq!(iterator.task(), 5);
}

#[test]
fn submissions_at_once_lose_nothing_and_add_nothing_twice() {
    let store = store();
    let rows = Rows::open(store.path());
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 20;
    let start = std::sync::Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (rows, start) = (&rows, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    // A row that all have, and one of its own.
                    submit(rows, [row(round), row(1_000 + thread * 100 + round)]);
                }
            });
        }
    });
    let mut stored = all(&rows);
    assert_eq!(rows.total().unwrap(), stored.len() as u64);
    stored.sort();
    let own = (0..THREADS).flat_map(|thread| (0..ROUNDS).map(move |round| row(1_000 + thread * 100 + round)));
    let mut expected: Vec<_> = (0..ROUNDS).map(row).chain(own).collect();
    expected.sort();
    assert_eq!(stored, expected);
    let left = names(&folder(store.path()))
        .unwrap()
        .into_iter()
        .filter(|name| name.ends_with(".tmp"))
        .count();
    assert_eq!(left, 0, "no temporary file is left");
}

#[test]
fn any_damage_and_any_cut_is_found() {
    let store = store();
    let rows = Rows::open(store.path());
    submit(&rows, (0..40).map(row));
    let path = rows.path(0);
    let whole = fs::read(&path).unwrap();
    let read = || -> Result<usize, Failed> {
        rows.total()?;
        let read = rows.iter_from(0)?.collect::<Result<Vec<_>, _>>()?;
        Ok(read.len())
    };
    assert_eq!(read().unwrap(), 40);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let text = read().expect_err(&format!("byte {at} was changed")).text();
        assert!(text.contains("0000000.rows is damaged: "), "{text}");
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(read().expect_err(&format!("cut after {at}")).code(), BAD_STORE);
    }
}

#[test]
fn a_missing_file_is_found() {
    let store = store();
    let rows = Rows::open(store.path());
    submit(&rows, (0..2).map(row));
    submit(&rows, (0..4).map(row));
    submit(&rows, (0..6).map(row));
    fs::remove_file(rows.path(2)).unwrap();
    let mut iterator = rows.iter_from(0).unwrap();
    assert_eq!(iterator.by_ref().take(2).filter(Result::is_ok).count(), 2);
    let text = iterator.next().unwrap().unwrap_err().text();
    assert!(
        text.contains("the rows of the tasks 2 to 3 are missing"),
        "{text}"
    );
    assert!(iterator.next().is_none(), "it does not repeat the error for ever");
}

#[test]
fn files_of_a_newer_format_are_refused() {
    let store = store();
    let rows = Rows::open(store.path());
    fs::write(
        rows.path(0),
        "{\"schema\":\"flockwork.rows/2\",\"more\":1}\nand something else",
    )
    .unwrap();
    let failed = rows.get(0).unwrap_err();
    assert_eq!(failed.code(), BAD_STORE);
    assert!(
        failed
            .text()
            .contains("is flockwork.rows/2; this program reads flockwork.rows/1"),
        "{}",
        failed.text()
    );
}

#[test]
fn a_task_that_is_met_later_than_it_was_cancelled_is_known() {
    let store = store();
    let mut later = Later::of(store.path()).unwrap();
    assert!(!later.contains(5).unwrap());
    Cancelled::add(store.path(), &[3..9, 20..21]).unwrap();
    assert!(
        !later.contains(4).unwrap(),
        "it was published before the list was read"
    );
    assert!(later.contains(6).unwrap(), "it may have been published since");
    assert!(later.contains(4).unwrap());
    assert!(!later.contains(9).unwrap());
}

#[test]
fn cancelled_tasks_say_so() {
    let store = store();
    let rows = Rows::open(store.path());
    submit(&rows, (0..6).map(row));
    let mut iterator = rows.iter_from(0).unwrap();
    Cancelled::add(store.path(), &[1..3, 5..5]).unwrap();
    Cancelled::add(store.path(), &[2..4, 9..u64::MAX]).unwrap();
    let cancelled: Vec<bool> = iterator.by_ref().map(|row| row.unwrap().cancelled).collect();
    assert_eq!(cancelled, [false, true, true, true, false, false]);
    assert!(rows.get(3).unwrap().unwrap().cancelled && !rows.get(4).unwrap().unwrap().cancelled);
    let list = Cancelled::of(store.path()).unwrap();
    assert!(list.contains(9) && list.contains(1 << 40) && !list.contains(8));
}

/// Somebody who may write the store once planted files of rows whose index left rows out: whoever read them never came to
/// an end, or asked for all memory.
#[test]
fn rows_that_nobody_can_find_are_damage_and_never_waited_for() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/rows");
    let planted = [
        ("no-blocks", 0),
        ("first-block-is-missing", 0),
        ("no-columns-and-any-number", 0),
        ("no-rows", 0),
        ("beyond-all-numbers", u64::MAX),
        ("one-block", 0),
    ];
    for (name, first) in planted {
        let store = store();
        let rows = Rows::open(store.path());
        fs::copy(corpus.join(name), rows.path(first)).unwrap();
        let read = rows.iter_from(first).unwrap().next();
        assert_eq!(read.expect(name).expect_err(name).code(), BAD_STORE, "{name}");
        // The trailer of some is that of a good file.
        if !["one-block", "first-block-is-missing"].contains(&name) {
            assert_eq!(rows.total().expect_err(name).code(), BAD_STORE, "{name}");
        }
    }
}
