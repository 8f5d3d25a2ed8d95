//! The forms in which parameters are given.

use crate::place::{Place, Running, STORE, Said};

/// Submits to a store of its own and returns the parameters and the commands of its tasks.
#[track_caller]
fn tasks(place: &Place, store: &str, flags: &[&str], input: Option<&str>) -> Vec<String> {
    let line = [&["submit", store][..], flags, &["--", "echo", "{a}", "{b}"]].concat();
    let said: Said = match input {
        Some(input) => Running::start_with(place.command(&line), input.as_bytes()).end(),
        None => place.run(&line),
    };
    assert_eq!(said.code, 0, "{flags:?}: {}", said.err);
    // They are published by a master.
    place.ok(&["run", store, "-w", "1", "-o", "out.jsonl"]);
    let lines = place.read("out.jsonl");
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .map(|line| {
            let parameters = line["parameters"].as_object().unwrap();
            let parameters: Vec<_> = parameters
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!(
                "{} {} {}",
                line["task"],
                parameters.join(" "),
                line["results"]["stdout"]
            )
        })
        .collect()
}

#[test]
fn the_same_table_gives_the_same_tasks_in_every_form() {
    let place = Place::new();
    place.write("t.txt", "a|b\n1|x\n1|y z\n2|x\n2|y z\n");
    place.write("t.csv", "a,b\n1,x\n1,\"y z\"\n2,x\n2,y z\n");
    place.write("t.tsv", "a\tb\n1\tx\n1\ty z\n2\tx\n2\ty z\n");
    place.write(
        "t.jsonl",
        "{\"a\": 1, \"b\": \"x\"}\n{\"a\":1,\"b\":\"y z\"}\n{\"a\":2,\"b\":\"x\"}\n{\"b\":\"y z\",\"a\":2}\n",
    );
    let expected = [
        r#""0000000" a=1 b="x" "1 x""#,
        r#""0000001" a=1 b="y z" "1 y z""#,
        r#""0000002" a=2 b="x" "2 x""#,
        r#""0000003" a=2 b="y z" "2 y z""#,
    ];
    let table = place.read("t.txt");
    for (number, (flags, input)) in [
        (&["--params", "t.txt"][..], None),
        (&["--params", "t.csv"], None),
        (&["--params", "t.tsv"], None),
        (&["--params", "t.jsonl"], None),
        (&["--params", "-"], Some(table.as_str())),
        (&["--params", "t.txt", "--params-format", "pipe"], None),
        (&["--sweep", "a=1,2", "--sweep", "b=x,y z"], None),
        (&["--sweep", "a=1..2", "--sweep", "b=x,y z"], None),
        (
            &["--zip", "--sweep", "a=1,1,2,2", "--sweep", "b=x,y z,x,y z"],
            None,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let store = format!("{number}.flock");
        assert_eq!(tasks(&place, &store, flags, input), expected, "{flags:?}");
    }
}

#[test]
fn the_same_rows_in_another_form_are_the_same_tasks() {
    let place = Place::new();
    place.write("t.txt", "a|b\n1|x\n2|y\n");
    place.write("t.csv", "a,b\n2,y\n1,x\n3,z\n");
    place.ok(&["submit", STORE, "--params", "t.txt", "--", "echo", "{a}", "{b}"]);
    let said = place.ok(&["submit", STORE, "--params", "t.csv", "--", "echo", "{a}", "{b}"]);
    assert!(
        said.err.contains("1 task from t.csv (a, b), now 3 in all"),
        "{}",
        said.err
    );
}

#[test]
fn each_line_of_a_file_is_a_task() {
    let place = Place::new();
    place.write("files.txt", "a b.txt\n  c.txt\nd.tar.gz\n");
    let said = place.ok(&[
        "run",
        STORE,
        "--each-line",
        "files.txt",
        "-w",
        "1",
        "--result",
        "out=stdout",
        "-o",
        "r.jsonl",
        "--",
        "echo",
        "{line}",
        "{line.}",
        "{#}",
        "{task}",
        "{{}}",
    ]);
    assert_eq!(said.counts(), "3 tasks: 3 ok");
    let collected = place.ok(&["collect", STORE, "--as", "concat"]).text();
    assert_eq!(
        collected,
        "a b.txt a b 1 0000000 {}\n  c.txt   c 2 0000001 {}\nd.tar.gz d.tar 3 0000002 {}\n"
    );
}

#[test]
fn a_dry_run_shows_the_commands_and_makes_nothing() {
    let place = Place::new();
    place.write("t.txt", "alpha|beta\n0.1|it's\n0.2|b\n0.3|c\n0.4|d\n");
    let before = place.names();
    for verb in ["run", "submit"] {
        let said = place.ok(&[
            verb,
            STORE,
            "--params",
            "t.txt",
            "--dry-run",
            "--",
            "echo",
            "-n",
            "{beta}",
        ]);
        insta::assert_snapshot!("dry_run", said.text());
        assert_eq!(said.err, "note: nothing in the command uses the column alpha\n");
        assert_eq!(place.names(), before);
    }
}
