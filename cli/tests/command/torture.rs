//! The torture: kills at random and the proof, a verdict that can fail, and processes that all end.
//!
//! `FLOCKWORK_TORTURE_KILLS` says how many kills there are in all (300), `FLOCKWORK_TORTURE_SEED` makes the same
//! choices again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::place::{Place, Said, names, wait_until, wait_until_gone};

const TORTURED: &str = "t.flock";

fn kills_in_all() -> u64 {
    let kills = std::env::var("FLOCKWORK_TORTURE_KILLS").ok();
    kills.map_or(300, |kills| {
        kills.parse().expect("FLOCKWORK_TORTURE_KILLS is a number")
    })
}

/// Runs the torture to its end, as programs would.
fn torture(place: &Place, arguments: &[&str]) -> Said {
    let seed = std::env::var("FLOCKWORK_TORTURE_SEED").ok();
    let mut line = vec!["torture", TORTURED, "--format", "json"];
    if let Some(seed) = &seed {
        line.extend(["--seed", seed]);
    }
    line.extend(arguments);
    // It may take longer than anything else here: as long as it is asked to.
    let out = place.command(&line).stderr(Stdio::piped()).output().unwrap();
    Said {
        code: out.status.code().unwrap_or(-1),
        out: out.stdout,
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

fn verdict(said: &Said) -> Value {
    serde_json::from_slice(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.text(), said.err))
}

/// What was broken, by name.
fn broken(verdict: &Value) -> BTreeSet<String> {
    let violations = verdict["violations"].as_array().unwrap();
    violations
        .iter()
        .map(|broken| broken["promise"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn must_pass(said: &Said) -> Value {
    let verdict = verdict(said);
    assert_eq!(verdict["verdict"], "passed", "{verdict:#}\n{}", said.err);
    assert_eq!(said.code, 0, "{verdict:#}\n{}", said.err);
    assert_eq!(verdict["schema"], "flockwork.torture/1");
    println!("{verdict:#}");
    verdict
}

fn count(verdict: &Value, name: &str) -> u64 {
    verdict[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name}: {verdict:#}"))
}

#[test]
fn single_tasks_survive_kills_stops_and_removals() {
    let place = Place::new();
    let kills = kills_in_all() * 2 / 3;
    let said = torture(&place, &["--kills", &kills.to_string(), "-w", "7"]);
    let verdict = must_pass(&said);
    assert!(count(&verdict, "kills") >= kills, "{verdict:#}");
    for name in [
        "master_kills",
        "stops",
        "removals",
        "rounds",
        "executions_again",
        "lost",
        "failures",
    ] {
        assert!(count(&verdict, name) > 0, "{name}: {verdict:#}");
    }
    for name in ["restored", "watched"] {
        assert!(count(&verdict, name) > 0, "{name}: {verdict:#}");
    }
    assert!(
        !place.has(TORTURED),
        "the store of one that has passed is removed"
    );
}

#[test]
fn batches_survive_kills_stops_and_removals() {
    let place = Place::new();
    let kills = kills_in_all() / 3;
    let said = torture(
        &place,
        &["--kills", &kills.to_string(), "-w", "6", "--batch", "5", "--keep"],
    );
    let verdict = must_pass(&said);
    assert!(count(&verdict, "kills") >= kills, "{verdict:#}");
    assert!(count(&verdict, "batch_kills") > 0, "{verdict:#}");
    // The store is a store like every other.
    let audit = place.json(&["audit", TORTURED]);
    assert_eq!(audit["verdict"], "complete", "{audit}");
    assert_eq!(audit["tasks"], verdict["tasks"]);
}

/// All files of shards whose names end so.
fn files_of_shards(store: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for round in names(&store.join("rounds")) {
        let round = store.join("rounds").join(round);
        for shard in names(&round).iter().filter(|name| !name.contains('.')) {
            let shard = round.join(shard);
            let files = names(&shard);
            found.extend(
                files
                    .iter()
                    .filter(|name| name.ends_with(ending))
                    .map(|name| shard.join(name)),
            );
        }
    }
    found
}

/// Runs a torture beside which somebody does harm again and again; it must fail.
fn harmed(harm: impl Fn(&Path)) -> (Value, Place) {
    let place = Place::new();
    // It runs until it notices.
    let line = [
        "torture",
        TORTURED,
        "--format",
        "json",
        "--for",
        "1h",
        "--lease",
        "500ms",
        "--patience",
        "4s",
        "--tasks",
        "96",
    ];
    let mut run = place.start(&line);
    wait_until("the end of the torture", || {
        harm(&place.path(TORTURED));
        match run.runs() {
            true => Err("it goes on".to_owned()),
            false => Ok(()),
        }
    });
    let said = run.end();
    let verdict = verdict(&said);
    assert_eq!(verdict["verdict"], "failed", "{verdict:#}\n{}", said.err);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("VIOLATION"), "{}", said.err);
    assert!(place.has(TORTURED), "the store is evidence");
    (verdict, place)
}

#[test]
fn an_accepted_outcome_that_somebody_overwrites_is_noticed() {
    let (verdict, place) = harmed(|store| {
        for out in files_of_shards(store, ".out") {
            // It may have been cleaned: then nothing is made.
            if let Ok(file) = std::fs::File::options().write(true).open(out) {
                let _ = file.set_len(30);
            }
        }
    });
    assert!(broken(&verdict).contains("stable"), "{verdict:#}");
    // What is kept is not overwritten by the next.
    let again = place.run(&["torture", TORTURED, "--for", "1s"]);
    assert_eq!(again.code, 2, "{}", again.err);
    assert!(
        again.err.contains("hint: look at it, then remove it: rm -r "),
        "{}",
        again.err
    );
    assert!(place.has(TORTURED));
}

#[test]
fn an_input_that_somebody_removes_is_noticed() {
    let (verdict, _) = harmed(|store| {
        let outs: BTreeSet<PathBuf> = files_of_shards(store, ".out").into_iter().collect();
        let inputs = files_of_shards(store, ".in");
        let mut open = inputs
            .iter()
            .filter(|input| !outs.contains(&input.with_extension("out")));
        if let Some(input) = open.next_back() {
            let _ = std::fs::remove_file(input);
        }
    });
    let broken = broken(&verdict);
    assert!(
        broken.contains("stuck") || broken.contains("answers"),
        "{verdict:#}"
    );
}

#[test]
fn an_outcome_that_somebody_forges_is_noticed() {
    let (verdict, _) = harmed(|store| {
        // The outcome of another task, under the name of one that has none yet.
        let outs = files_of_shards(store, ".out");
        let Some(bytes) = outs.first().and_then(|out| std::fs::read(out).ok()) else {
            return;
        };
        let inputs = files_of_shards(store, ".in");
        let forged = inputs.last().map(|input| input.with_extension("out"));
        if let Some(forged) = forged.filter(|forged| !outs.contains(forged)) {
            let stem: u64 = forged.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let private = store.join("forged");
            std::fs::write(&private, made_out_for(bytes, stem)).unwrap();
            let _ = std::fs::hard_link(&private, &forged);
            let _ = std::fs::remove_file(&private);
        }
    });
    assert!(broken(&verdict).contains("answers"), "{verdict:#}");
}

/// Writes another number into the head of an outcome, so that it is whole again: see docs/protocol.md.
fn made_out_for(mut bytes: Vec<u8>, stem: u64) -> Vec<u8> {
    assert_eq!(
        (&bytes[..2], bytes[2]),
        (&b"fw"[..], 1),
        "an attempt header comes first"
    );
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    bytes[16..24].copy_from_slice(&stem.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..12]);
    crc.update(&bytes[16..24 + length]);
    let crc = crc.finalize().to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
    bytes
}

/// All processes that name this store on their command line.
fn processes_of(store: &Path) -> Vec<u32> {
    let wanted = store.to_string_lossy().into_owned();
    let pids = names(Path::new("/proc"))
        .into_iter()
        .filter_map(|name| name.parse().ok());
    let names_it = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|word| word == wanted.as_bytes())
    };
    pids.filter(names_it).collect()
}

/// Ends a torture by a signal, while some of its processes are stopped; returns what it said.
fn ended_by(signal: Signal, place: &Place) -> Said {
    let store = place
        .path(TORTURED)
        .canonicalize()
        .unwrap_or_else(|_| place.path(TORTURED));
    let run = place.start(&["torture", TORTURED, "--for", "1h", "--pace", "20ms"]);
    let parts = wait_until("a master and four workers", || {
        let parts = processes_of(&store);
        let stopped = parts.iter().any(|pid| is_stopped(*pid));
        match parts.len() >= 5 && stopped {
            true => Ok(parts),
            false => Err(format!("{parts:?}, one of them stopped: {stopped}")),
        }
    });
    run.signal(signal);
    let said = run.end();
    parts.into_iter().for_each(wait_until_gone);
    wait_until("nothing that works on the store", || match processes_of(&store) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    said
}

fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

#[test]
fn an_interrupt_ends_all_processes_and_removes_the_store() {
    let place = Place::new();
    let said = ended_by(Signal::INT, &place);
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(said.err.contains("stopped: no verdict"), "{}", said.err);
    assert!(said.out.is_empty(), "{}", said.text());
    assert!(!place.has(TORTURED));
}

#[test]
fn nothing_lives_on_when_the_torture_itself_is_killed_and_the_next_takes_its_place() {
    let place = Place::new();
    assert_eq!(ended_by(Signal::KILL, &place).code, 137);
    let said = place.ok(&["torture", TORTURED, "--kills", "2"]);
    assert!(
        said.err.contains("of an earlier torture is replaced"),
        "{}",
        said.err
    );
    assert!(
        said.text().starts_with("PASSED  every promise was held\n"),
        "{}",
        said.text()
    );
}

#[test]
fn a_path_where_something_else_is_stays_as_it_is() {
    let place = Place::new();
    place.write("file", "mine");
    std::fs::create_dir(place.path("dir")).unwrap();
    place.write("dir/data", "mine");
    place.ok(&["submit", "s.flock", "--sweep", "a=1..2", "--", "true"]);
    for name in ["file", "dir", "s.flock"] {
        let said = place.run(&["torture", name, "--for", "1s"]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(
            said.err.contains("is there, and is no store of a torture"),
            "{}",
            said.err
        );
        assert!(
            said.err.contains("hint: name a path where nothing is"),
            "{}",
            said.err
        );
    }
    assert_eq!(
        (place.read("file"), place.read("dir/data")),
        ("mine".into(), "mine".into())
    );
    let said = place.run(&["torture", "no/such/t.flock"]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn another_host_takes_part_and_the_first_proves_for_both() {
    let place = Place::new();
    // Who joins waits for the store.
    let other = place.start(&["torture", TORTURED, "--join", "-w", "3", "--seed", "5"]);
    let first = place.start(&[
        "torture", TORTURED, "--kills", "60", "--seed", "4", "--format", "json", "--keep",
    ]);
    let (first, other) = (first.end(), other.end());
    let verdict = must_pass(&first);
    assert_eq!(other.code, 0, "{}", other.err);
    assert_eq!(count(&verdict, "hosts"), 2, "{verdict:#}\n{}", other.err);
    // What the other did is counted too.
    let line = other.err.lines().last().unwrap();
    let kills: u64 = line.split(' ').next().unwrap().parse().unwrap();
    assert!(
        kills > 0 && count(&verdict, "kills") >= 60 + kills,
        "{line}\n{verdict:#}"
    );
    // Nobody comes late.
    let late = place.run(&["torture", TORTURED, "--join"]);
    assert_eq!(late.code, 4, "{}", late.err);
    assert!(late.err.contains("this torture is over"), "{}", late.err);
}

#[test]
fn a_host_that_has_joined_and_falls_silent_is_told() {
    let place = Place::new();
    let first = place.start(&[
        "torture",
        TORTURED,
        "--kills",
        "30",
        "--lease",
        "500ms",
        "--patience",
        "3s",
        "--format",
        "json",
    ]);
    let store = place
        .path(TORTURED)
        .canonicalize()
        .unwrap_or_else(|_| place.path(TORTURED));
    let other = place.start(&["torture", TORTURED, "--join", "-w", "2"]);
    wait_until("two hosts", || {
        let hosts = names(&store.join("torture"))
            .into_iter()
            .filter(|name| name.ends_with(".host"));
        match hosts.count() {
            2 => Ok(()),
            hosts => Err(format!("{hosts} hosts")),
        }
    });
    // As when its power is cut: its workers die with it.
    other.signal(Signal::KILL);
    other.end();
    let verdict = must_pass(&first.end());
    let remarks = verdict["remarks"].to_string();
    assert!(
        remarks.contains("took part and never said that it ended"),
        "{verdict:#}"
    );
}
