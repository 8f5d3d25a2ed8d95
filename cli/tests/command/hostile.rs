//! Values that a shell, a table or a terminal would take amiss.

use serde_json::Value;

use crate::place::{Place, STORE};

/// Values that are text; of each it is known what a careless program would make of it.
fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "it's",
        "say \"hi\"",
        "a;touch x",
        "$(touch x)",
        "`touch x`",
        "a && touch x",
        "| touch x",
        "> x",
        "-n",
        "--help",
        "-",
        "*",
        "[a-z]?",
        "~root",
        "a\\nb\\",
        " both ends ",
        "%s%n%d",
        "{v}",
        "{{v}}",
        "{#}",
        "$HOME",
        "!!",
        "#no comment",
        "two\nlines\n",
        "tab\there",
        "\r\n",
        "\u{1b}[2J\u{7}",
        "äöü € 🦀",
        "\u{202e}turned",
        "=1+1",
        "1e999",
        "007",
        "null",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("x".repeat(100 * 1024));
    values
}

/// Checks that each value came back from the command and from its variable, and that nothing was executed.
#[track_caller]
fn check(place: &Place, values: &[String]) {
    let said = place.ok(&["collect", STORE, "--as", "jsonl"]);
    let text = said.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), values.len());
    // A number is one only if it is written as JSON would write it.
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for (line, value) in lines.iter().zip(values) {
        let shown: String = value.chars().take(40).collect();
        assert_eq!(&plain(&line["parameters"]["v"]), value, "{shown:?}");
        // The program puts a dot behind it: a result loses its last line break.
        let dotted = format!("{value}.");
        assert_eq!(line["results"]["arg"], dotted, "{shown:?}");
        assert_eq!(line["results"]["var"], dotted, "{shown:?}");
        assert_eq!(line["results"]["count"], 1, "{shown:?}");
    }
    check_nothing_executed(place);
}

#[track_caller]
fn check_nothing_executed(place: &Place) {
    let found = std::process::Command::new("find")
        .arg(place.path(""))
        .args(["-name", "x"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&found.stdout),
        "",
        "something was executed"
    );
}

/// Writes the argument, the variable and the count of arguments to files, byte for byte.
const WRITE: &str = "printf %s. \"$1\" > arg; printf %s. \"$FLOCKWORK_v\" > var; printf %s \"$#\" > count";
const RESULTS: [&str; 6] = [
    "--result",
    "arg=file:arg",
    "--result",
    "var=file:var",
    "--result",
    "count=file:count",
];

fn run(place: &Place, table: &[&str], command: &[&str]) {
    let line = [
        &["run", STORE][..],
        table,
        &["-w", "2", "--retries", "0"],
        &RESULTS,
        &["--"],
        command,
    ]
    .concat();
    place.ok(&line);
}

fn jsonl(values: &[String]) -> String {
    let line = |value: &String| serde_json::json!({ "v": value }).to_string() + "\n";
    values.iter().map(line).collect()
}

#[test]
fn values_reach_a_program_as_they_are() {
    let place = Place::new();
    place.write("t.jsonl", jsonl(&values()));
    run(
        &place,
        &["--params", "t.jsonl"],
        &["sh", "-c", WRITE, "sh", "{v}"],
    );
    check(&place, &values());
}

#[test]
fn values_reach_a_program_from_a_quoted_table_as_they_are() {
    let place = Place::new();
    let mut writer = csv::Writer::from_path(place.path("t.csv")).unwrap();
    writer.write_record(["v"]).unwrap();
    for value in values() {
        writer.write_record([&value]).unwrap();
    }
    drop(writer);
    run(&place, &["--params", "t.csv"], &["sh", "-c", WRITE, "sh", "{v}"]);
    check(&place, &values());
}

#[test]
fn values_reach_a_shell_quoted() {
    let place = Place::new();
    place.write("t.jsonl", jsonl(&values()));
    let script =
        "set -- {v}; printf %s. \"$1\" > arg; printf %s. \"$FLOCKWORK_v\" > var; printf %s \"$#\" > count";
    run(&place, &["--params", "t.jsonl", "--shell"], &[script]);
    check(&place, &values());
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let every: Vec<u8> = (1..=255).filter(|byte| !b"|\n\r\"".contains(byte)).collect();
    let rows: [&[u8]; 4] = [&every, b"\xff\xfe", b"caf\xe9", b"\xf0\x9f\xa6"];
    let mut table = b"v|w\n".to_vec();
    for row in rows {
        table.extend([row, b"|\xff\n"].concat());
    }
    for shell in [false, true] {
        let place = Place::new();
        place.write("t.txt", &table);
        let line = ["run", STORE, "--params", "t.txt", "-w", "1", "--retries", "0"];
        let command = match shell {
            true => &[
                "--shell",
                "--",
                "printf '%s\\n' {v}{w} && printf '%s\\n' \"$FLOCKWORK_v\"",
            ][..],
            false => &[
                "--",
                "sh",
                "-c",
                "printf '%s\\n' \"$1\" \"$FLOCKWORK_v\"",
                "sh",
                "{v}{w}",
            ],
        };
        place.ok(&[&line[..], &["--result", "all=stdout"], command].concat());
        let said = place.ok(&["collect", STORE, "--as", "concat"]);
        let expected: Vec<u8> = rows
            .iter()
            .flat_map(|row| [row, &b"\xff\n"[..], row, b"\n"].concat())
            .collect();
        assert!(
            said.out == expected,
            "shell: {shell}: {:?}",
            String::from_utf8_lossy(&said.out)
        );
        // The table of results has them too.
        let table = place.ok(&["collect", STORE]).out;
        assert!(table.windows(6).any(|bytes| bytes == b",caf\xe9,"));
        // Lists for people have no byte that could steer a terminal.
        for line in [
            &["ls", STORE][..],
            &["show", STORE, "0"],
            &["status", STORE],
            &["explain", STORE, "0"],
        ] {
            let said = place.ok(line);
            let steers = |byte: &u8| *byte < b' ' && *byte != b'\n' || *byte == 0x7f;
            assert!(!said.out.iter().any(steers), "{line:?}: {:?}", said.text());
            assert!(std::str::from_utf8(&said.out).is_ok(), "{line:?}");
        }
    }
}

#[test]
fn values_in_the_name_of_the_program_or_of_a_file_stay_where_they_are() {
    let place = Place::new();
    place.write(
        "t.jsonl",
        jsonl(&["a; touch x".into(), "../../x".into(), "$(touch x)".into()]),
    );
    let line = [
        "run",
        STORE,
        "--params",
        "t.jsonl",
        "-w",
        "1",
        "--retries",
        "0",
        "--",
        "echo",
        "{v/}",
        "{v.}",
    ];
    place.ok(&line);
    check_nothing_executed(&place);
}
