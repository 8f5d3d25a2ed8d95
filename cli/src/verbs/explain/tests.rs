//! What `explain` says of tasks in each state.

use std::time::Duration;

use flockwork::{Codec, How};

use super::*;
use crate::task::Exit;
use crate::view::tests::{Gate, World, failed, report, silence};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"a\"}\n{\"alpha\": 0.2, \"name\": \"b\"}\n{\"alpha\": 0.3, \"name\": \"c\"}\n";

fn said(world: &World, task: &str, format: Format) -> String {
    let opened = world.opened();
    world.masked(&text(&opened, task.parse().unwrap(), format, None).unwrap())
}

#[test]
fn a_task_that_is_not_published_waits_for_workers() {
    let world = World::sweep(TABLE);
    insta::assert_snapshot!(said(&world, "1", Format::Table), @r"
    0000001 is waiting: it is submitted, and not in the store yet
      tasks are put in as others end; 1 comes before it
      no worker lives
      next  nothing, until a worker is started  now: flockwork worker HERE/s.flock
    ");
    world.store.pause("no licence\x1b[2J").unwrap();
    insta::assert_snapshot!(said(&world, "1", Format::Table), @r"
    0000001 is waiting: it is submitted, and not in the store yet
      tasks are put in as others end; 1 comes before it
      the store is paused: no licence\x1b[2J
      next  nothing, until it is resumed  now: flockwork resume HERE/s.flock
    ");
    world.store.stop(How::Now, "wrong inputs").unwrap();
    insta::assert_snapshot!(said(&world, "1", Format::Table), @r"
    0000001 is waiting: it is submitted, and not in the store yet
      tasks are put in as others end; 1 comes before it
      the store is stopped: wrong inputs
      next  nothing, until it is run again  now: flockwork run HERE/s.flock
    ");
}

#[test]
fn ended_tasks_say_how_they_ended_and_what_may_help() {
    let world = World::sweep(TABLE);
    world.run(|row, _| match &*row.values[1].text() {
        "a" => Ok(report(b"", b"")),
        "b" => Err(failed("killed by signal 9 (KILL)", Exit::Signal(9))),
        _ => Err(failed("over the timeout of 1s", Exit::Signal(15))),
    });
    insta::assert_snapshot!(said(&world, "0", Format::Table), @r"
    0000000 is done: attempt 1 on HOST:PID in TIME
      attempt 1  HOST:PID  TIME  ok  (cpu TIME  peak 3.0 MiB)
    ");
    insta::assert_snapshot!(said(&world, "1", Format::Table), @r"
    0000001 has failed, after 2 attempts
      attempt 1  HOST:PID  TIME  failed: killed by signal 9 (KILL)  (cpu TIME  peak 3.0 MiB)
      attempt 2  HOST:PID  TIME  failed: killed by signal 9 (KILL)  (cpu TIME  peak 3.0 MiB)
      hint  perhaps it was out of memory: its peak was 3.0 MiB
      next  nothing, until it is granted new attempts  now: flockwork retry HERE/s.flock --task 1
    ");
    insta::assert_snapshot!(said(&world, "2", Format::Table), @r"
    0000002 has failed, after 2 attempts
      attempt 1  HOST:PID  TIME  failed: over the timeout of TIME  (cpu TIME  peak 3.0 MiB)
      attempt 2  HOST:PID  TIME  failed: over the timeout of TIME  (cpu TIME  peak 3.0 MiB)
      hint  it was stopped by the timeout: flockwork retry HERE/s.flock --task 2 --set timeout=TIME
      next  nothing, until it is granted new attempts  now: flockwork retry HERE/s.flock --task 2
    ");
    insta::assert_snapshot!(said(&world, "2", Format::Json), @r#"
    {
      "schema": "flockwork.explain/1",
      "task": "0000002",
      "summary": "0000002 has failed, after 2 attempts",
      "details": [],
      "attempts": [
        {
          "attempt": 1,
          "state": "failed",
          "again": false,
          "worker": "WORKER",
          "host": "HOST",
          "pid": N,
          "began_ms": N,
          "ended_ms": N,
          "seconds": N,
          "why": "the task failed",
          "failure": {
            "kind": "error",
            "message": "over the timeout of TIME",
            "place": null
          },
          "exit": null,
          "signal": 15,
          "user_seconds": N,
          "system_seconds": N,
          "peak_bytes": N,
          "stdout": {
            "bytes": N,
            "left_out": 0
          },
          "stderr": {
            "bytes": N,
            "left_out": 0
          },
          "silent_seconds": N
        },
        {
          "attempt": 2,
          "state": "failed",
          "again": false,
          "worker": "WORKER",
          "host": "HOST",
          "pid": N,
          "began_ms": N,
          "ended_ms": N,
          "seconds": N,
          "why": "the task failed",
          "failure": {
            "kind": "error",
            "message": "over the timeout of TIME",
            "place": null
          },
          "exit": null,
          "signal": 15,
          "user_seconds": N,
          "system_seconds": N,
          "peak_bytes": N,
          "stdout": {
            "bytes": N,
            "left_out": 0
          },
          "stderr": {
            "bytes": N,
            "left_out": 0
          },
          "silent_seconds": N
        }
      ],
      "hints": [
        "it was stopped by the timeout: flockwork retry HERE/s.flock --task 2 --set timeout=TIME"
      ],
      "next": [
        {
          "text": "nothing, until it is granted new attempts",
          "command": "flockwork retry HERE/s.flock --task 2"
        }
      ]
    }
    "#);
}

#[test]
fn a_running_task_says_who_holds_it_and_when_it_is_given_up() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let running: Vec<_> = world
        .store
        .running()
        .unwrap()
        .iter()
        .map(|running| running.first.to_string())
        .collect();
    insta::assert_snapshot!(said(&world, &running[0], Format::Table).replace(&running[0], "TASK"), @r"
    TASK is running on HOST:PID for TIME, attempt 1
      worker WORKER
      its process lives on this host
      its lock is held
      last sign of life TIME ago; it is given up after TIME without one
      next  it ends, or it is given up when it falls silent  now: flockwork logs -f HERE/s.flock TASK
    ");
    silence(&world.store, Duration::from_secs(45));
    insta::assert_snapshot!(said(&world, &running[0], Format::Table).replace(&running[0], "TASK"), @r"
    TASK is running on HOST:PID for TIME, attempt 1
      worker WORKER
      its process lives on this host
      its lock is held
      last sign of life TIME ago; it is given up after TIME without one
      next  it is given up in TIME, and done again  now: flockwork reclaim HERE/s.flock TASK
    ");
    let waits = (0..3)
        .map(|number| format!("{number:07}"))
        .find(|task| !running.contains(task))
        .unwrap();
    insta::assert_snapshot!(said(&world, &waits, Format::Table).replace(&waits, "TASK"), @r"
    TASK is waiting: nobody has taken it yet
      1 task waits in all
      1 worker with 2 slots, 2 tasks running
      next  it is taken by the next worker that is free
    ");
}

#[test]
fn a_task_of_a_program_is_explained_without_commands_of_sweeps() {
    insta::assert_snapshot!(said(&World::program(Codec::Bincode), "2", Format::Table), @r"
    0000002 has failed, after one attempt
      attempt 1  HOST:PID  TIME  failed: no luck
      next  nothing, until it is granted new attempts
    ");
}
