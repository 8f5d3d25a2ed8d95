//! What `workers` lists.

use flockwork::Codec;

use super::*;
use crate::args::Format;
use crate::view::tests::{Gate, World, report};

fn listed(world: &World, format: Format) -> String {
    let (table, notes) = table(&world.opened(), None, ago::now()).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    let text = table.text(format, None).unwrap();
    world.masked(&text.replace(&format!("  {}  ", std::process::id()), "  PID  "))
}

#[test]
fn workers_that_left_are_known_by_their_journals() {
    let world = World::sweep("{\"alpha\": 1, \"name\": \"a\"}\n");
    world.run(|_, _| Ok(report(b"", b"")));
    insta::assert_snapshot!(listed(&world, Format::Table), @r"
    WORKER  HOST  PID  SLOTS  STATE  RUNNING  OK  FAILED  BUSY  LAST_SIGN  JOB
    WORKER  HOST  PID  left  1  0
    ");
    insta::assert_snapshot!(listed(&world, Format::Json), @r#"
    {
      "schema": "flockwork.workers/1",
      "workers": [
        {
          "worker": "WORKER",
          "host": "HOST",
          "pid": N,
          "slots": null,
          "state": "left",
          "running": "",
          "ok": 1,
          "failed": 0,
          "busy": N,
          "last_sign": null,
          "job": null
        }
      ]
    }
    "#);
    assert!(listed(&World::program(Codec::Json), Format::Plain).contains("\tleft\t\t4\t2\t"));
}

#[test]
fn workers_at_work_say_at_what() {
    let world = World::sweep("{\"alpha\": 1, \"name\": \"a\"}\n{\"alpha\": 2, \"name\": \"b\"}\n");
    let (gate, wait) = Gate::new();
    let _crew = world.start(move |_, task| Err(wait(task)));
    gate.wait(2);
    let text = listed(&world, Format::Plain);
    assert!(text.contains("\t2\talive\t0000000 0000001\t0\t0\t"), "{text}");
}

#[test]
fn a_store_without_workers_has_an_empty_list() {
    assert_eq!(listed(&World::empty(), Format::Plain), "");
}

#[test]
fn only_the_hosts_that_were_asked_for_are_listed_and_those_without_a_worker_are_told() {
    let world = World::sweep("{\"alpha\": 1, \"name\": \"a\"}\n");
    world.run(|_, _| Ok(report(b"", b"")));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let list = |hosts: &str| {
        let asked = Asked::read(hosts).unwrap();
        let (table, notes) = table(&world.opened(), Some(asked), ago::now()).unwrap();
        (table.text(Format::Plain, None).unwrap().lines().count(), notes)
    };
    assert_eq!(list(host.trim()), (1, Vec::new()));
    let none = vec!["no worker on absent[01-03,07]".to_owned()];
    assert_eq!(list("absent[01-03,07]"), (0, none.clone()));
    assert_eq!(list(&format!("absent[01-03,07],{}", host.trim())), (1, none));
}

#[test]
fn a_host_is_asked_for_by_its_short_name_too() {
    let mut asked = Asked::read("node-[1-2],gpu.cluster").unwrap();
    let table = [
        ("node_1.cluster", true),
        ("node_2", true),
        ("node_3", false),
        ("gpu.cluster", true),
        ("gpu", false),
        ("", false),
    ];
    for (host, found) in table {
        assert_eq!(asked.names(host), found, "{host}");
    }
    assert_eq!(asked.missing(), None);
}
