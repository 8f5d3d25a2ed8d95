//! What `ls` lists of small stores, in each format.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use flockwork::Codec;

use super::*;
use crate::task::Exit;
use crate::view::tests::{Gate, World, failed, report, silence};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"a\"}\n{\"alpha\": 0.2, \"name\": \"b\"}\n\
                     {\"alpha\": 0.3, \"name\": \"c\"}\n{\"alpha\": 0.4, \"name\": \"d\"}\n";

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    args: LsArgs,
}

fn typed(line: &str) -> LsArgs {
    Typed::parse_from(["ls"].into_iter().chain(line.split_whitespace())).args
}

fn listed(world: &World, line: &str) -> String {
    let args = typed(line);
    let mut text = String::new();
    let notes = write(&world.opened(), &args, args.read.format, &mut |piece| {
        text += &piece;
        Ok(())
    });
    assert_eq!(notes.unwrap(), Vec::<String>::new());
    world.masked(&text)
}

fn half_failed() -> World {
    let world = World::sweep(TABLE);
    world.run(|row, _| match &*row.values[1].text() {
        "a" | "c" => Ok(report(b"", b"")),
        _ => Err(failed("exit 3 \"singular\"", Exit::Code(3))),
    });
    world
}

#[test]
fn tasks_are_listed_with_what_they_ended_with() {
    let world = half_failed();
    insta::assert_snapshot!(listed(&world, ""), @r#"
    TASK  ALPHA  NAME  STATE  AGE  ATTEMPT  HOLDER  NOTE
    0000000  0.1  a  ok  TIME  1  HOST
    0000001  0.2  b  failed  TIME  2  HOST  exit 3 "singular"
    0000002  0.3  c  ok  TIME  1  HOST
    0000003  0.4  d  failed  TIME  2  HOST  exit 3 "singular"
    "#);
    insta::assert_snapshot!(listed(&world, "-s failed --limit 1"), @r#"
    TASK  ALPHA  NAME  STATE  AGE  ATTEMPT  HOLDER  NOTE
    0000001  0.2  b  failed  TIME  2  HOST  exit 3 "singular"
    1 of 2 shown; --limit 0 shows all
    "#);
    insta::assert_snapshot!(listed(&world, "-s failed --format json"), @r#"
    {
      "schema": "flockwork.tasks/1",
      "shown": 2,
      "of": 2,
      "tasks": [
        {
          "task": "0000001",
          "alpha": "0.2",
          "name": "b",
          "state": "failed",
          "age": N,
          "attempt": 2,
          "holder": "HOST",
          "note": "exit 3 \"singular\""
        },
        {
          "task": "0000003",
          "alpha": "0.4",
          "name": "d",
          "state": "failed",
          "age": N,
          "attempt": 2,
          "holder": "HOST",
          "note": "exit 3 \"singular\""
        }
      ]
    }
    "#);
    insta::assert_snapshot!(listed(&world, "-m alpha=0.[12] --format csv"), @r#"
    task,alpha,name,state,age,attempt,holder,note
    0000000,0.1,a,ok,1.0,1,HOST,
    0000001,0.2,b,failed,1.0,2,HOST,"exit 3 ""singular"""
    "#);
}

#[test]
fn every_way_to_a_task_finds_the_same() {
    let world = half_failed();
    for filter in [
        "",
        "-s failed",
        "-s ok",
        "-s waiting,running",
        "-m name=[abc]",
        "-s ok -m alpha=*3",
    ] {
        let few = listed(&world, &format!("{filter} --format jsonl --limit 50"));
        for other in [
            "--limit 0",
            "--limit 100",
            "--sort age --limit 0",
            "--sort attempts --limit 0",
        ] {
            let mut other: Vec<String> = listed(&world, &format!("{filter} --format jsonl {other}"))
                .lines()
                .map(str::to_owned)
                .collect();
            other.sort();
            let few: Vec<&str> = few.lines().collect();
            assert_eq!(few, other, "{filter}");
        }
    }
}

#[test]
fn what_is_cut_is_counted() {
    let world = half_failed();
    for line in [
        "--limit 3",
        "--limit 3 --sort age",
        "-m name=* --limit 3",
        "-m name=* --limit 3 --sort attempts",
    ] {
        let text = listed(&world, line);
        assert!(
            text.ends_with("3 of 4 shown; --limit 0 shows all\n"),
            "{line}: {text}"
        );
    }
}

#[test]
fn tasks_that_are_not_in_the_store_yet_are_waiting() {
    let world = World::sweep(TABLE);
    insta::assert_snapshot!(listed(&world, "-s waiting -m alpha=0.[34]"), @r"
    TASK  ALPHA  NAME  STATE  AGE  ATTEMPT  HOLDER  NOTE
    0000002  0.3  c  waiting
    0000003  0.4  d  waiting
    ");
    assert_eq!(listed(&world, "--format plain --limit 0").lines().count(), 4);
    assert_eq!(listed(&world, "-s ok --format plain"), "");
}

#[test]
fn running_and_stale_tasks_have_holders() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let text = listed(&world, "-s running");
    assert_eq!(text.matches("  running  ").count(), 2, "{text}");
    assert_eq!(text.matches("HOST:PID").count(), 2, "{text}");
    silence(&world.store, Duration::from_secs(45));
    let text = listed(&world, "-s stale");
    assert_eq!(text.matches("no sign for TIME").count(), 2, "{text}");
    assert_eq!(listed(&world, "-s running --format plain"), "");
    assert_eq!(
        listed(&world, "-s running,stale --sort age --format plain")
            .lines()
            .count(),
        2
    );
    assert_eq!(listed(&world, "-s waiting --format plain").lines().count(), 2);
}

#[test]
fn hostile_values_and_names_stay_in_their_cells() {
    let table = "{\"state\": \"\\u001b[2J\\n; rm -rf \\u202e\", \"alpha\": 1, \"name\": \"$(id)\"}\n";
    let world = World::sweep(table);
    insta::assert_snapshot!(listed(&world, ""), @r"
    TASK  PARAMETER.STATE  ALPHA  NAME  STATE  AGE  ATTEMPT  HOLDER  NOTE
    0000000  \x1b[2J\n; rm -rf \u{202e}  1  $(id)  waiting
    ");
    // For programs the data is as it is.
    let data = |line: &str| {
        listed(&world, line)
            .replace('\u{202e}', "TURN")
            .replace('\u{1b}', "ESC")
    };
    insta::assert_snapshot!(data("--format jsonl"), @r#"{"task":"0000000","parameter.state":"\u001b[2J\n; rm -rf TURN","alpha":"1","name":"$(id)","state":"waiting","age":null,"attempt":0,"holder":"","note":""}"#);
    insta::assert_snapshot!(data("--format csv"), @r#"
    task,parameter.state,alpha,name,state,age,attempt,holder,note
    0000000,"ESC[2J
    ; rm -rf TURN",1,$(id),waiting,,0,,
    "#);
}

#[test]
fn long_values_are_cut_for_people_only() {
    let long = "x".repeat(100);
    let world = World::sweep(&format!("{{\"alpha\": 1, \"name\": \"{long}\"}}\n"));
    assert!(!listed(&world, "").contains(&"x".repeat(21)));
    assert!(listed(&world, "--format plain").contains(&long));
}

#[test]
fn a_store_of_a_program_is_listed_without_parameters() {
    for codec in [Codec::Bincode, Codec::Json] {
        let world = World::program(codec);
        insta::allow_duplicates! {
            insta::assert_snapshot!(listed(&world, "-s failed"), @r"
            TASK  STATE  AGE  ATTEMPT  HOLDER  NOTE
            0000002  failed  1  HOST  no luck
            0000005  failed  1  HOST  no luck
            ");
        }
        assert_eq!(listed(&world, "--format plain").lines().count(), 6);
    }
}

#[test]
fn a_list_in_pieces_has_one_headline() {
    let rows: String = (0..2500)
        .map(|n| format!("{{\"alpha\": {n}, \"name\": \"x\\ny\"}}\n"))
        .collect();
    let world = World::sweep(&rows);
    let text = listed(&world, "--format csv --limit 0");
    assert_eq!(text.matches("task,alpha,").count(), 1);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let tasks: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!((tasks.len(), tasks[2499].as_str()), (2500, "0002499"));
    let text = listed(&world, "--format csv --limit 1500 -m name=x*");
    assert_eq!(csv::Reader::from_reader(text.as_bytes()).records().count(), 1500);
}

#[test]
fn a_store_without_tasks_has_an_empty_list() {
    assert_eq!(listed(&World::empty(), "--format plain"), "");
    assert!(listed(&World::empty(), "").starts_with("TASK"));
    let world = World::sweep(TABLE);
    let mut never = |_: String| Ok(());
    let failed = write(&world.opened(), &typed("-m nmae=x"), Format::Table, &mut never).unwrap_err();
    assert!(failed.text().contains("did you mean name?"), "{}", failed.text());
    let _: PathBuf = world.path();
}
