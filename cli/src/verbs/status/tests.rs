//! What `status` shows of small stores.

use flockwork::Codec;

use super::*;
use crate::task::Exit;
use crate::view::testing::{Gate, World, failed, report, silence};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"a\"}\n{\"alpha\": 0.2, \"name\": \"b\"}\n\
                     {\"alpha\": 0.3, \"name\": \"c\"}\n{\"alpha\": 0.4, \"name\": \"d\"}\n";

fn shown(world: &World, format: Format) -> String {
    let summary = Summary::look(&world.opened()).unwrap();
    world.masked(&text(&summary, format, None).unwrap())
}

#[test]
fn an_empty_store_is_empty() {
    insta::assert_snapshot!(shown(&World::empty(), Format::Table), @"");
}

#[test]
fn tasks_that_wait_for_workers_say_what_to_type() {
    insta::assert_snapshot!(shown(&World::sweep(TABLE), Format::Table), @"");
}

#[test]
fn a_store_that_is_done_tells_its_failures_by_cause() {
    let world = World::sweep(TABLE);
    world.run(|row, _| match &*row.values[1].text() {
        "a" => Ok(report(b"", b"")),
        _ => Err(failed("exit 3 \"\\u{1b}[2J singular\"\x1b[31m", Exit::Code(3))),
    });
    insta::assert_snapshot!(shown(&world, Format::Table), @"");
    insta::assert_snapshot!(shown(&world, Format::Json), @"");
}

#[test]
fn stale_tasks_and_their_commands_are_shown() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let running = shown(&world, Format::Table);
    insta::assert_snapshot!(running, @"");
    silence(&world.store, Duration::from_secs(45));
    insta::assert_snapshot!(shown(&world, Format::Table), @"");
    world.store.pause("the disk is full\x1b[2J").unwrap();
    let paused = shown(&world, Format::Table);
    assert!(paused.contains("paused   no new tasks are taken: the disk is full\\u{1b}[2J"), "{paused}");
    drop(crew);
}

#[test]
fn a_store_of_a_program_has_figures_too() {
    for codec in [Codec::Bincode, Codec::Json] {
        let text = shown(&World::program(codec), Format::Table);
        assert!(text.contains("ok 4   running 0   waiting 0   failed 2   of 6"), "{text}");
        assert!(text.contains("! failed   2, all no luck"), "{text}");
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
    assert_eq!((value["waiting"].as_u64(), value["rate"].is_null()), (Some(4), true));
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
