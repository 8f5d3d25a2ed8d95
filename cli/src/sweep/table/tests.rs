//! Tests of tables: what is read, and each error as people see it.

use std::os::unix::ffi::OsStringExt;

use super::*;

/// Writes a file and opens it as a table.
fn open_file(name: &str, content: &[u8], spec: TableSpec) -> Result<Table, Failed> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), content).unwrap();
    spec.open(dir.path())
}

fn params(name: &str) -> TableSpec {
    TableSpec {
        params: Some(name.into()),
        ..TableSpec::default()
    }
}

fn sweeps(given: &[&str], zip: bool) -> TableSpec {
    TableSpec {
        sweeps: given.iter().map(OsString::from).collect(),
        zip,
        ..TableSpec::default()
    }
}

fn rows(table: Table) -> Vec<(u64, Vec<String>)> {
    let text = |row: TableRow| {
        let values = row.values.iter().map(|value| value.text().into_owned()).collect();
        (row.line, values)
    };
    table.map(|row| text(row.unwrap())).collect()
}

/// Returns the first error of a table, from its opening or its rows.
fn failure(table: Result<Table, Failed>) -> String {
    match table {
        Err(failed) => failed.text(),
        Ok(table) => table.filter_map(Result::err).next().expect("an error").text(),
    }
}

fn read(name: &str, content: &[u8]) -> (Vec<String>, Vec<(u64, Vec<String>)>) {
    let table = open_file(name, content, params(name)).unwrap();
    (table.columns.clone(), rows(table))
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn pipe_tables_are_read_as_they_are() {
    let (columns, rows) = read("t.txt", b"# made by hand\n\na|b\r\n 1 | \"2\" \r\n\n#3|\n|");
    assert_eq!(columns, ["a", "b"]);
    assert_eq!(
        rows,
        [
            (4, owned(&[" 1 ", " \"2\" "])),
            (6, owned(&["#3", ""])),
            (7, owned(&["", ""]))
        ]
    );
}

#[test]
fn csv_tables_may_be_quoted() {
    let (columns, rows) = read(
        "t.csv",
        b"\xef\xbb\xbfa,\"b,c\"\r\n1,\"x\r\n\"\"y\"\"\"\n\n 2 ,\n",
    );
    assert_eq!(columns, ["a", "b,c"]);
    assert_eq!(rows, [(2, owned(&["1", "x\r\n\"y\""])), (5, owned(&[" 2 ", ""]))]);
}

#[test]
fn tsv_tables_have_no_quotes_and_no_comments() {
    let (columns, rows) = read("t.TSV", b"\xef\xbb\xbf#a\tb\n\"1\t|\n");
    assert_eq!(
        (columns, rows),
        (owned(&["#a", "b"]), vec![(2, owned(&["\"1", "|"]))])
    );
}

#[test]
fn json_values_are_taken_as_written() {
    let first = r#"{"s":"a\"\né","n":1.50e-3,"b":true,"z":null,"o":{ "k" : [1.0, "x y\" ,"] }}"#;
    let second = r#"{"o":[ ],"z":"","b":"","n":10000000000000000000000,"s":""}"#;
    let (columns, rows) = read("t.jsonl", format!("{first}\n\n{second}\n").as_bytes());
    assert_eq!(columns, ["s", "n", "b", "z", "o"]);
    let values = ["a\"\né", "1.50e-3", "true", "", r#"{"k":[1.0,"x y\" ,"]}"#];
    assert_eq!(rows[0], (1, owned(&values)));
    assert_eq!(
        rows[1],
        (3, owned(&["", "10000000000000000000000", "", "", "[]"]))
    );
}

#[test]
fn each_line_is_a_value_whatever_it_holds() {
    let spec = TableSpec {
        each_line: Some("l".into()),
        ..TableSpec::default()
    };
    let table = open_file("l", b"#a|b\n\n\xff'; rm\r\n -x ", spec).unwrap();
    assert_eq!(table.columns, ["line"]);
    let rows: Vec<TableRow> = table.map(Result::unwrap).collect();
    let values = |row: &TableRow| (row.line, row.values[0].0.clone());
    let read: Vec<_> = rows.iter().map(values).collect();
    assert_eq!(
        read,
        [
            (1, b"#a|b".to_vec()),
            (3, b"\xff'; rm".to_vec()),
            (4, b" -x ".to_vec())
        ]
    );
}

#[test]
fn the_format_can_be_said() {
    let spec = TableSpec {
        format: Some(Format::Csv),
        ..params("t.txt")
    };
    let table = open_file("t.txt", b"a,b\n1,2\n", spec).unwrap();
    assert_eq!(rows(table), [(2, owned(&["1", "2"]))]);
}

#[test]
fn sweeps_combine_each_value_with_each_the_first_slowest() {
    let table = sweeps(&["a=x,1..2", "b=0..0.2..0.1"], false)
        .open(Path::new("/"))
        .unwrap();
    let all: Vec<String> = rows(table)
        .into_iter()
        .map(|(_, values)| values.join(":"))
        .collect();
    assert_eq!(all.join(" "), "x:0 x:0.1 x:0.2 1:0 1:0.1 1:0.2 2:0 2:0.1 2:0.2");
    let table = sweeps(&["a=x,1..2", "b=3..1"], true)
        .open(Path::new("/"))
        .unwrap();
    let all: Vec<String> = rows(table)
        .into_iter()
        .map(|(_, values)| values.join(":"))
        .collect();
    assert_eq!(all.join(" "), "x:3 1:2 2:1");
    let spec = TableSpec {
        params: Some("t".into()),
        ..sweeps(&["s=1,2"], false)
    };
    let table = open_file("t", b"a\nx\ny\n", spec).unwrap();
    assert_eq!(table.columns, ["a", "s"]);
    let all: Vec<String> = rows(table)
        .into_iter()
        .map(|(line, values)| format!("{line}{}", values.concat()))
        .collect();
    assert_eq!(all.join(" "), "2x1 2x2 3y1 3y2");
}

#[test]
fn a_long_sweep_is_not_written_out() {
    let table = sweeps(&["a=1..1000000000000", "b=1..1000000"], false)
        .open(Path::new("/"))
        .unwrap();
    assert_eq!(rows_of(table.take(2)), ["1:1", "1:2"]);
    assert!(
        failure(sweeps(&["a=1..1000000000000", "b=1..1000000000000"], false).open(Path::new("/")))
            .contains("too many")
    );
}

fn rows_of(rows: impl Iterator<Item = Result<TableRow, Failed>>) -> Vec<String> {
    let text = |row: TableRow| {
        row.values
            .iter()
            .map(|value| value.text().into_owned())
            .collect::<Vec<_>>()
            .join(":")
    };
    rows.map(|row| text(row.unwrap())).collect()
}

#[test]
fn a_value_of_a_sweep_may_be_no_utf_8() {
    let given = OsString::from_vec(b"a=\xff,1..2".to_vec());
    let table = TableSpec {
        sweeps: vec![given],
        ..TableSpec::default()
    }
    .open(Path::new("/"))
    .unwrap();
    let values: Vec<Vec<u8>> = table.map(|row| row.unwrap().values[0].0.clone()).collect();
    assert_eq!(values, [b"\xff".to_vec(), b"1".to_vec(), b"2".to_vec()]);
}

#[test]
fn errors_in_files_name_file_line_and_what_was_expected() {
    let cases: &[(&str, &[u8])] = &[
        ("few.txt", b"alpha|beta|seed\n1|2|3\n\n1|2\n"),
        ("many.csv", b"a,b\n\"x\ny\",1\n1,2,3\n"),
        ("many.tsv", b"a\n1\t2\n"),
        ("empty.txt", b""),
        ("comments.txt", b"# only\n\n"),
        ("empty.csv", b"\n"),
        ("empty.jsonl", b"\n"),
        ("twice.txt", b"a|b|a\n"),
        ("noname.txt", b"a||b\n"),
        ("blank.txt", b"a | b\n"),
        ("brace.txt", b"a|{b}\n"),
        ("control.txt", b"a|\x1b[2J\n"),
        ("ours.txt", b"a|task\n"),
        ("latin.txt", b"a|\xe4\n1|2\n"),
        ("nul.txt", b"a|b\n1|2\n1|\x00\n"),
        ("nul.jsonl", b"{\"a\":\"\\u0000\"}\n"),
        ("open.csv", b"a,b\n1,\"2\n3,4\n"),
        ("bad.jsonl", b"{\"a\":1}\n\n{\"a\":}\n"),
        ("list.jsonl", b"[1]\n"),
        ("latin.jsonl", b"{\"a\":\"\xe4\"}\n"),
        ("other.jsonl", b"{\"alpha\":1}\n{\"alhpa\":1}\n"),
        ("fewer.jsonl", b"{\"a\":1,\"b\":2}\n{\"b\":1}\n"),
        ("doubled.jsonl", b"{\"a\":1}\n{\"a\":1,\"a\":2}\n"),
    ];
    let texts: Vec<String> = cases
        .iter()
        .map(|(name, content)| failure(open_file(name, content, params(name))))
        .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn errors_in_options_say_what_to_write() {
    let root = Path::new("/");
    let both = TableSpec {
        each_line: Some("l".into()),
        ..params("t")
    };
    let texts = [
        failure(both.open(root)),
        failure(TableSpec::default().open(root)),
        failure(sweeps(&[], true).open(root)),
        failure(sweeps(&["a"], false).open(root)),
        failure(sweeps(&["=1"], false).open(root)),
        failure(sweeps(&["a=1,,2"], false).open(root)),
        failure(sweeps(&["a="], false).open(root)),
        failure(sweeps(&["a=1..x"], false).open(root)),
        failure(sweeps(&["a=0..1.5"], false).open(root)),
        failure(sweeps(&["a=1", "a=2"], false).open(root)),
        failure(sweeps(&["a=1..3", "b=1,2"], true).open(root)),
        failure(params("/nowhere/t.txt").open(root)),
        failure(params("/dev").open(root)),
    ];
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    for name in ["/dev/zero.txt", "zero.csv"] {
        let format = if name.ends_with("csv") {
            Format::Csv
        } else {
            Format::Pipe
        };
        let spec = TableSpec {
            format: Some(format),
            ..params("/dev/zero")
        };
        let text = failure(spec.open(Path::new("/")));
        assert!(text.contains("longer than 64 MiB"), "{text}");
    }
}
