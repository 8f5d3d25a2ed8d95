//! Every form of the table, on rows that hold what is awkward.

use insta::assert_snapshot;
use serde_json::Value;

use super::*;

fn table() -> Table {
    let columns = vec![
        Column::left("task"),
        Column::left("alpha"),
        Column::right("age"),
        Column::left("note"),
    ];
    let mut table = Table::new("ls", "tasks", columns);
    table.row(vec![
        "0000614".into(),
        "0.7".into(),
        Cell::from(192).shown("3m12s"),
        "漢字 \x1b[2J\nend".into(),
    ]);
    table.row(vec![
        Cell::from("0000391").of_kind(Kind::Warning),
        "=1+1, \"x\"".into(),
        Cell::from(Value::Null),
        Cell::from(Value::Null),
    ]);
    table.about("total", 31);
    table.note(super::super::showing(2, 31));
    table
}

fn text(format: Format) -> String {
    table().text(format, None).unwrap()
}

#[test]
fn people_see_a_headline_and_no_control_characters() {
    assert_snapshot!(text(Format::Table), @r#"
    TASK     ALPHA        AGE  NOTE
    0000614  0.7        3m12s  漢字 \x1b[2J\nend
    0000391  =1+1, "x"
    2 of 31 shown; --limit 0 shows all
    "#);
}

#[test]
fn programs_get_one_document_with_a_schema() {
    assert_snapshot!(text(Format::Json), @r#"
    {
      "schema": "flockwork.ls/1",
      "total": 31,
      "tasks": [
        {
          "task": "0000614",
          "alpha": "0.7",
          "age": 192,
          "note": "漢字 \u001b[2J\nend"
        },
        {
          "task": "0000391",
          "alpha": "=1+1, \"x\"",
          "age": null,
          "note": null
        }
      ]
    }
    "#);
}

#[test]
fn programs_get_an_object_in_each_line() {
    assert_snapshot!(text(Format::Jsonl), @r#"
    {"task":"0000614","alpha":"0.7","age":192,"note":"漢字 \u001b[2J\nend"}
    {"task":"0000391","alpha":"=1+1, \"x\"","age":null,"note":null}
    "#);
}

#[test]
fn csv_has_the_data_as_it_is() {
    let csv = "task,alpha,age,note\n\
               0000614,0.7,192,\"漢字 \u{1b}[2J\nend\"\n\
               0000391,\"=1+1, \"\"x\"\"\",,\n";
    assert_eq!(text(Format::Csv), csv);
}

#[test]
fn plain_has_a_line_for_each_row_and_tabs_between() {
    let plain = "0000614\t0.7\t192\t漢字 \\x1b[2J\\nend\n0000391\t=1+1, \"x\"\t\t\n";
    assert_eq!(text(Format::Plain), plain);
}

#[test]
fn a_table_is_never_wider_than_the_terminal() {
    for most in 1..60 {
        let text = table().text(Format::Table, Some(most)).unwrap();
        assert!(text.lines().all(|line| width(line) <= most), "{most}:\n{text}");
    }
    assert_snapshot!(table().text(Format::Table, Some(31)).unwrap(), @r#"
    TASK     ALPHA        AGE  NOTE
    0000614  0.7        3m12s  ...
    0000391  =1+1, "x"
    2 of 31 shown; --limit 0 sho...
    "#);
}

#[test]
fn an_empty_table_is_a_headline_or_nothing() {
    let empty = Table::new("ls", "tasks", vec![Column::left("task"), Column::right("age")]);
    assert_eq!(empty.text(Format::Table, None).unwrap(), "TASK  AGE\n");
    assert_eq!(empty.text(Format::Csv, None).unwrap(), "task,age\n");
    assert_eq!(empty.text(Format::Jsonl, None).unwrap(), "");
    assert_eq!(empty.text(Format::Plain, None).unwrap(), "");
}
