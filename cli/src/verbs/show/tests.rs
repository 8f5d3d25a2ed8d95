//! What `show` tells of single tasks.

use flockwork::Codec;

use super::*;
use crate::task::Exit;
use crate::view::tests::{Gate, World, failed, report};

const TABLE: &str = "{\"alpha\": 0.1, \"name\": \"it's\"}\n{\"alpha\": 0.2, \"name\": \"\\u001b[2J\"}\n";

fn shown(world: &World, task: &str, format: Format) -> String {
    let opened = world.opened();
    let shown = Shown::read(&opened, task.parse().unwrap()).unwrap();
    world.masked(&shown.text(format, None).unwrap())
}

#[test]
fn a_task_is_shown_with_its_command_and_attempts() {
    let world = World::sweep(TABLE);
    insta::assert_snapshot!(shown(&world, "1", Format::Table), @r"
    0000001  not in the store yet
      parameters  alpha=0.2
                  name=\x1b[2J
      command  /bin/echo --alpha=0.2 '\x1b[2J'
      settings  timeout TIME, output up to 1.0 MiB
    ");
    world.run(|row, _| match &*row.values[0].text() {
        "0.1" => Ok(report(b"energy=-14.22\n", b"")),
        _ => Err(failed("killed by signal 9 (KILL)", Exit::Signal(9))),
    });
    insta::assert_snapshot!(shown(&world, "0", Format::Table), @r#"
    0000000  ok
      parameters  alpha=0.1
                  name=it's
      command  /bin/echo --alpha=0.1 "it's"
      attempts  1  HOST:PID  began TIME ago  took TIME  ok  cpu TIME  peak 3.0 MiB
      results  energy=-14.22
      output  stdout 14 B, stderr 0 B  flockwork logs HERE/s.flock 0000000
      settings  timeout TIME, output up to 1.0 MiB
    "#);
    insta::assert_snapshot!(shown(&world, "1", Format::Table), @r"
    0000001  failed
      parameters  alpha=0.2
                  name=\x1b[2J
      command  /bin/echo --alpha=0.2 '\x1b[2J'
      attempts  1  HOST:PID  began TIME ago  took TIME  failed: killed by signal 9 (KILL)  cpu TIME  peak 3.0 MiB
                  2  HOST:PID  began TIME ago  took TIME  failed: killed by signal 9 (KILL)  cpu TIME  peak 3.0 MiB
      output  stdout 12 B, stderr 25 B  flockwork logs HERE/s.flock 0000001
      settings  timeout TIME, output up to 1.0 MiB
    ");
    insta::assert_snapshot!(shown(&world, "1", Format::Json), @r#"
    {
      "schema": "flockwork.task/1",
      "task": "0000001",
      "state": "failed",
      "parameters": {
        "alpha": "0.2",
        "name": "\u001b[2J"
      },
      "command": "/bin/echo --alpha=0.2 '\\x1b[2J'",
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
            "message": "killed by signal 9 (KILL)",
            "place": null
          },
          "exit": null,
          "signal": 9,
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
            "message": "killed by signal 9 (KILL)",
            "place": null
          },
          "exit": null,
          "signal": 9,
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
      "results": {},
      "settings": {
        "timeout_seconds": N,
        "timeout_times_median": null,
        "output_bytes": N,
        "cpus": 1,
        "memory_bytes": N
      }
    }
    "#);
    insta::assert_snapshot!(shown(&world, "0", Format::Plain), @r#"
    task	0000000
    state	ok
    parameter.alpha	0.1
    parameter.name	it's
    command	/bin/echo --alpha=0.1 "it's"
    attempt.1	ok
    result.energy	-14.22
    "#);
}

#[test]
fn a_running_task_is_shown_with_its_holder() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let text = shown(&world, "0", Format::Table);
    assert!(
        text.contains("attempts  1  HOST:PID  began TIME ago  running"),
        "{text}"
    );
}

#[test]
fn a_task_of_a_program_is_shown_without_what_is_not_known() {
    insta::assert_snapshot!(shown(&World::program(Codec::Bincode), "2", Format::Table), @r"
    0000002  failed
      attempts  1  HOST:PID  began TIME ago  took TIME  failed: no luck
    ");
    insta::assert_snapshot!(shown(&World::program(Codec::Json), "1", Format::Table), @r"
    0000001  ok
      attempts  1  HOST:PID  began TIME ago  took TIME  ok
    ");
}

#[test]
fn a_task_that_is_not_there_is_told_with_those_that_are() {
    let refused = |world: &World, task: &str| {
        let store = world.path().to_string_lossy().into_owned();
        world.masked(&Opened::with_task(&[store, task.to_owned()]).unwrap_err().text())
    };
    insta::assert_snapshot!(refused(&World::sweep(TABLE), "2"), @r"
    error: there is no task 0000002; the store has 2 tasks: 0000000 to 0000001
    hint: list them: flockwork ls HERE/s.flock
    ");
    insta::assert_snapshot!(refused(&World::program(Codec::Json), "1/0"), @r"
    error: s.flock has no round 1
    hint: list them: flockwork ls HERE/s.flock
    ");
    insta::assert_snapshot!(refused(&World::program(Codec::Json), "6"), @r"
    error: there is no task 0000006; the store has 6 tasks: 0000000 to 0000005
    hint: list them: flockwork ls HERE/s.flock
    ");
    insta::assert_snapshot!(refused(&World::empty(), "0"), @r"
    error: s.flock has no tasks yet
    hint: list them: flockwork ls HERE/s.flock
    ");
    insta::assert_snapshot!(refused(&World::empty(), "x\x1b[2J"), @r#"
    error: "x\u{1b}[2J" is no task: write ROUND/NUMBER, such as 0/0000012, or the number alone
    hint: write its number, such as 377
    "#);
}
