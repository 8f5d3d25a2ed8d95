//! What `show` tells of single tasks.

use flockwork::Codec;

use super::*;
use crate::task::Exit;
use crate::view::testing::{Gate, World, failed, report};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"it's\"}\n{\"alpha\": 0.2, \"name\": \"\\u001b[2J\"}\n";

fn shown(world: &World, task: &str, format: Format) -> String {
    let opened = world.opened();
    let shown = Shown::read(&opened, task.parse().unwrap()).unwrap();
    world.masked(&shown.text(format, None).unwrap())
}

#[test]
fn a_task_is_shown_with_its_command_and_attempts() {
    let world = World::sweep(TABLE);
    insta::assert_snapshot!(shown(&world, "1", Format::Table), @"");
    world.run(|row, _| match &*row.values[0].text() {
        "0.1" => Ok(report(b"energy=-14.22\n", b"")),
        _ => Err(failed("killed by signal 9 (KILL)", Exit::Signal(9))),
    });
    insta::assert_snapshot!(shown(&world, "0", Format::Table), @"");
    insta::assert_snapshot!(shown(&world, "1", Format::Table), @"");
    insta::assert_snapshot!(shown(&world, "1", Format::Json), @"");
    insta::assert_snapshot!(shown(&world, "0", Format::Plain), @"");
}

#[test]
fn a_running_task_is_shown_with_its_holder() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let text = shown(&world, "0", Format::Table);
    assert!(text.contains("attempts    1  HOST:PID  began TIME ago  running"), "{text}");
}

#[test]
fn a_task_of_a_program_is_shown_without_what_is_not_known() {
    insta::assert_snapshot!(shown(&World::program(Codec::Bincode), "2", Format::Table), @"");
    insta::assert_snapshot!(shown(&World::program(Codec::Json), "1", Format::Table), @"");
}

#[test]
fn a_task_that_is_not_there_is_told_with_those_that_are() {
    let refused = |world: &World, task: &str| {
        let store = world.path().to_string_lossy().into_owned();
        world.masked(&Opened::with_task(&[store, task.to_owned()]).unwrap_err().text())
    };
    insta::assert_snapshot!(refused(&World::sweep(TABLE), "2"), @"");
    insta::assert_snapshot!(refused(&World::program(Codec::Json), "1/0"), @"");
    insta::assert_snapshot!(refused(&World::program(Codec::Json), "6"), @"");
    insta::assert_snapshot!(refused(&World::empty(), "0"), @"");
    insta::assert_snapshot!(refused(&World::empty(), "x\x1b[2J"), @"");
}
