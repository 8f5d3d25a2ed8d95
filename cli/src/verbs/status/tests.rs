//! What `status` shows of small stores.

use flockwork::Codec;

use super::*;
use crate::task::Exit;
use crate::view::tests::{Gate, World, failed, report, silence};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"a\"}\n{\"alpha\": 0.2, \"name\": \"b\"}\n\
                     {\"alpha\": 0.3, \"name\": \"c\"}\n{\"alpha\": 0.4, \"name\": \"d\"}\n";

fn shown(world: &World, format: Format) -> String {
    let summary = Summary::look(&world.opened()).unwrap();
    world.masked(&text(&summary, format, None).unwrap())
}

#[test]
fn an_empty_store_is_empty() {
    insta::assert_snapshot!(shown(&World::empty(), Format::Table), @r"
    s.flock  empty
      workers 0 alive  FILE SYSTEM, N free
    ");
}

#[test]
fn tasks_that_wait_for_workers_say_what_to_type() {
    insta::assert_snapshot!(shown(&World::sweep(TABLE), Format::Table), @r"
    s.flock  waiting for workers
      ok 0  running 0  waiting 4  failed 0  of 4
      workers 0 alive  FILE SYSTEM, N free
      attention
       ! idle  no worker lives  flockwork worker HERE/s.flock
    ");
}

#[test]
fn a_store_that_is_done_tells_its_failures_by_cause() {
    let world = World::sweep(TABLE);
    world.run(|row, _| match &*row.values[1].text() {
        "a" => Ok(report(b"", b"")),
        _ => Err(failed("exit 3 \"\\u{1b}[2J singular\"\x1b[31m", Exit::Code(3))),
    });
    insta::assert_snapshot!(shown(&world, Format::Table), @r#"
    s.flock  done in TIME
      ok 1  running 0  waiting 0  failed 3  of 4
      median TIME  p95 TIME
      workers 0 alive  FILE SYSTEM, N free
      attention
       ! failed  3, all exit 3 "\u{1b}[2J singular"\x1b[31m  flockwork ls HERE/s.flock -s failed
    "#);
    insta::assert_snapshot!(shown(&world, Format::Json), @r#"
    {
      "schema": "flockwork.status/1",
      "store": "HERE/s.flock",
      "id": N,
      "state": "done",
      "why": null,
      "seconds": N,
      "rounds": 1,
      "tasks": 4,
      "ok": 1,
      "running": 0,
      "waiting": 0,
      "failed": 3,
      "stale": 0,
      "rate": N,
      "left_seconds": N,
      "left_give_or_take_seconds": N,
      "median_seconds": N,
      "p95_seconds": N,
      "busy": N,
      "workers_alive": 0,
      "workers_lost": 0,
      "slots": 0,
      "workers": [],
      "file_system": N,
      "file_system_source": N,
      "free_bytes": N,
      "attention": [
        {
          "what": "failed",
          "text": "3, all exit 3 \"\\u{1b}[2J singular\"\\x1b[31m",
          "command": "flockwork ls HERE/s.flock -s failed"
        }
      ],
      "notes": []
    }
    "#);
}

#[test]
fn stale_tasks_and_their_commands_are_shown() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let running = shown(&world, Format::Table);
    insta::assert_snapshot!(running, @r"
    s.flock  running TIME
      ok 0  running 2  waiting 2  failed 0  of 4
      ETA -
      workers 1 alive  slots 2  FILE SYSTEM, N free
    ");
    silence(&world.store, Duration::from_secs(45));
    let stale = shown(&world, Format::Table);
    let stale = regex::Regex::new(r"\b\d{7}\b")
        .unwrap()
        .replace_all(&stale, "TASK")
        .into_owned();
    insta::assert_snapshot!(stale, @r"
    s.flock  running
      ok 0  running 0  waiting 2  failed 0  stale 2  of 4
      ETA -
      workers 1 alive  slots 2  FILE SYSTEM, N free
      attention
       ! stale  TASK held by HOST:PID, last sign TIME ago; taken back in TIME  flockwork reclaim HERE/s.flock TASK
       ! stale  TASK held by HOST:PID, last sign TIME ago; taken back in TIME  flockwork reclaim HERE/s.flock TASK
    ");
    world.store.pause("the disk is full\x1b[2J").unwrap();
    let paused = shown(&world, Format::Table);
    assert!(
        paused.contains("! paused  no new tasks are taken: the disk is full\\x1b[2J"),
        "{paused}"
    );
    drop(crew);
}

#[test]
fn a_store_of_a_program_has_figures_too() {
    for codec in [Codec::Bincode, Codec::Json] {
        let text = shown(&World::program(codec), Format::Table);
        assert!(
            text.contains("ok 4  running 0  waiting 0  failed 2  of 6"),
            "{text}"
        );
        assert!(text.contains("! failed  2, all no luck"), "{text}");
    }
}

#[test]
fn figures_are_numbers_in_every_format() {
    let world = World::sweep(TABLE);
    let summary = Summary::look(&world.opened()).unwrap();
    let csv = text(&summary, Format::Csv, None).unwrap();
    assert!(csv.starts_with("figure,value\nstore,"), "{csv}");
    assert!(csv.contains("\ntasks,4\n"), "{csv}");
    let line = text(&summary, Format::Jsonl, None).unwrap();
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (value["waiting"].as_u64(), value["rate"].is_null()),
        (Some(4), true)
    );
}

#[test]
fn a_redrawn_screen_is_cleared_line_by_line() {
    assert_eq!(redrawn("a\nb\n", true), "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    assert!(!redrawn("a\n", false).contains("\x1b[2J"));
}

#[test]
fn journals_that_cannot_be_read_are_a_note() {
    let world = World::sweep(TABLE);
    std::fs::create_dir(world.path().join("journal/x-1-abcdef")).unwrap();
    let text = shown(&world, Format::Table);
    assert!(text.contains("  note: "), "{text}");
}
