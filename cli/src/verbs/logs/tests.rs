//! What `logs` prints, run as a program would run it.

use super::*;
use crate::task::Exit;
use crate::view::tests::{Gate, World, failed, report};

const TABLE: &str = "{\"alpha\": 1, \"name\": \"a\"}\n{\"alpha\": 2, \"name\": \"b\"}\n";

fn args(world: &World, task: &str, attempt: Option<u32>) -> LogsArgs {
    use clap::Parser;
    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: LogsArgs,
    }
    let store = world.path().to_string_lossy().into_owned();
    let mut typed = Typed::parse_from(["logs", &store, task]).args;
    typed.attempt = attempt;
    typed
}

#[test]
fn a_task_that_has_not_begun_says_how_to_wait() {
    let world = World::sweep(TABLE);
    let failed = logs(&args(&world, "0", None)).unwrap_err();
    insta::assert_snapshot!(world.masked(&failed.text()), @r"
    error: 0000000 has not begun, so it has written nothing
    hint: wait for it: flockwork logs -f HERE/s.flock 0000000
    ");
}

#[test]
fn an_attempt_that_never_was_is_refused() {
    let world = World::sweep(TABLE);
    world.run(|_, _| Ok(report(b"out", b"err")));
    let failed = logs(&args(&world, "0", Some(7))).unwrap_err();
    insta::assert_snapshot!(world.masked(&failed.text()), @r"
    error: 0000000 has no attempt 7; known are 1
    hint: the attempts before an accepted one are kept only until its shard is cleaned
    ");
    assert_eq!(logs(&args(&world, "0", Some(1))).unwrap(), OK);
}

#[test]
fn each_attempt_has_its_own_output() {
    let world = World::sweep(TABLE);
    world.run(|_, task| Err(failed(&format!("attempt {}", task.attempt()), Exit::Code(1))));
    let opened = world.opened();
    let tries = Tried::all(&opened, "1".parse().unwrap(), None).unwrap();
    let stderr = |tried: &Tried| report(&opened, tried).stderr.head.text().into_owned();
    assert_eq!(
        tries.iter().map(stderr).collect::<Vec<_>>(),
        ["attempt 1", "attempt 2"]
    );

    fn report(opened: &Opened, tried: &Tried) -> Report {
        super::report(opened, "1".parse().unwrap(), tried)
            .unwrap()
            .unwrap()
    }
}

#[test]
fn a_store_of_a_program_has_no_output() {
    let world = World::program(flockwork::Codec::Json);
    let failed = logs(&args(&world, "0", None)).unwrap_err();
    assert!(failed.text().contains("flockwork explain"), "{}", failed.text());
}

#[test]
fn a_running_task_is_read_from_its_files() {
    let world = World::sweep(TABLE);
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    std::fs::create_dir_all(world.path().join("logs")).unwrap();
    std::fs::write(world.path().join("logs/0000000.1.stdout"), "so far\n").unwrap();
    let opened = world.opened();
    let mut printing = Printing::new(
        &opened,
        "0".parse().unwrap(),
        1,
        &[Stream::Stdout, Stream::Stderr],
    );
    printing.read_on().unwrap();
    assert_eq!(printing.streams[0].1.read, 7);
    assert_eq!(logs(&args(&world, "0", None)).unwrap(), OK);
}
