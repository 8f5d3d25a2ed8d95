//! What `explain` says of tasks in each state.

use std::time::Duration;

use flockwork::{Codec, How};

use super::*;
use crate::task::Exit;
use crate::view::testing::{Gate, World, failed, report, silence};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"a\"}\n{\"alpha\": 0.2, \"name\": \"b\"}\n{\"alpha\": 0.3, \"name\": \"c\"}\n";

fn said(world: &World, task: &str, format: Format) -> String {
    let opened = world.opened();
    world.masked(&text(&opened, task.parse().unwrap(), format, None).unwrap())
}

#[test]
fn a_task_that_is_not_published_waits_for_workers() {
    let world = World::sweep(TABLE);
    insta::assert_snapshot!(said(&world, "1", Format::Table), @"");
    world.store.pause("no licence\x1b[2J").unwrap();
    insta::assert_snapshot!(said(&world, "1", Format::Table), @"");
    world.store.stop(How::Now, "wrong inputs").unwrap();
    insta::assert_snapshot!(said(&world, "1", Format::Table), @"");
}

#[test]
fn ended_tasks_say_how_they_ended_and_what_may_help() {
    let world = World::sweep(TABLE);
    world.run(|row, _| match &*row.values[1].text() {
        "a" => Ok(report(b"", b"")),
        "b" => Err(failed("killed by signal 9 (KILL)", Exit::Signal(9))),
        _ => Err(failed("over the timeout of 1s", Exit::Signal(15))),
    });
    insta::assert_snapshot!(said(&world, "0", Format::Table), @"");
    insta::assert_snapshot!(said(&world, "1", Format::Table), @"");
    insta::assert_snapshot!(said(&world, "2", Format::Table), @"");
    insta::assert_snapshot!(said(&world, "2", Format::Json), @"");
}

#[test]
fn a_running_task_says_who_holds_it_and_when_it_is_given_up() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let running: Vec<_> = world.store.running().unwrap().iter().map(|running| running.first.to_string()).collect();
    insta::assert_snapshot!(said(&world, &running[0], Format::Table).replace(&running[0], "TASK"), @"");
    silence(&world.store, Duration::from_secs(45));
    insta::assert_snapshot!(said(&world, &running[0], Format::Table).replace(&running[0], "TASK"), @"");
    let waits = (0..3).map(|number| format!("{number:07}")).find(|task| !running.contains(task)).unwrap();
    insta::assert_snapshot!(said(&world, &waits, Format::Table).replace(&waits, "TASK"), @"");
}

#[test]
fn a_task_of_a_program_is_explained_without_commands_of_sweeps() {
    insta::assert_snapshot!(said(&World::program(Codec::Bincode), "2", Format::Table), @"");
}
