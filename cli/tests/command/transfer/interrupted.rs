use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;

use super::site::{Site, bytes, parts};
use crate::place::{LONG, Running, kill, names, wait_until, wait_until_gone};

const HINT: &str = "hint: interrupted; give the same command again to go on\n";

/// Starts it, waits until nothing moves any more at n2 and n1 has ended, and sends a signal.
#[track_caller]
fn interrupted(site: &Site, verb: &str, arguments: &[&str], signal: Signal) -> String {
    site.fault(1, "tells", "");
    let running = Running::start(site.command(verb, arguments));
    site.wait_until_stuck(2);
    // Collecting asks first what is there.
    let connections = if arguments[0].starts_with(':') { 2 } else { 1 };
    wait_until("n1 to end", || {
        match std::fs::read(site.here("hosts/n1.ended")).map_or(0, |ended| ended.len()) {
            ended if ended >= connections => Ok(()),
            ended => Err(format!("{ended} connections have ended")),
        }
    });
    // The first piece of what is on its way is there, so all before it was answered.
    wait_until("n2 to have a part", || match verb {
        "distribute" => match parts(&site.there(2, "out")).first().map(|part| part.metadata()) {
            Some(Ok(part)) if part.len() >= 1 << 20 => Ok(()),
            other => Err(format!("{other:?}")),
        },
        _ => Ok(()),
    });
    let begun = std::time::Instant::now();
    running.signal(signal);
    let said = running.end();
    // Without the signal it would wait for two minutes.
    assert!(begun.elapsed() < LONG / 2, "{:?}: {}", begun.elapsed(), said.err);
    assert_eq!(said.code, 128 + signal.as_raw(), "{}", said.err);
    assert!(said.err.ends_with(HINT), "{}", said.err);
    assert!(!said.err.contains("failed: "), "{}", said.err);
    if site.here("hosts/n2.stuck").exists() {
        // What it has been sent is written there when it notices that nobody is there any more.
        site.place.wait_for_file("hosts/n2.is-over");
    }
    said.err
}

#[test]
fn a_copy_that_is_interrupted_tells_what_arrived_and_goes_on() {
    let site = Site::new(2);
    let content = bytes(5 << 20);
    site.place.write("f", &content);
    site.place.write("g", "last");
    site.fault(2, "stuck", "2500000");
    let err = interrupted(&site, "cp", &["f", "g", ":"], Signal::INT);
    assert!(
        err.contains("2 hosts: 2/4 files") && err.contains(" · 1 of the hosts interrupted"),
        "{err}"
    );
    // No other file was begun, and it was not tried again.
    assert_eq!((site.connections(2), site.there(2, "g").exists()), (1, false));
    let left = parts(&site.there(2, ""));
    let length = left[0].metadata().unwrap().len();
    assert!((1 << 20..5 << 20).contains(&length), "{length}");
    site.mend(2, "stuck");
    site.fault(2, "count", "");
    site.ok("cp", &["f", "g", ":"]);
    let sent = site.here("hosts/n2.count").metadata().unwrap().len();
    let rest = (5 << 20) - length;
    assert!((rest..rest + 10_000).contains(&sent), "{sent} of {rest}");
    assert_eq!(std::fs::read(site.there(2, "f")).unwrap(), content);
    assert!(parts(&site.there(2, "")).is_empty());
}

#[test]
fn collecting_that_is_interrupted_keeps_the_part_and_goes_on() {
    let site = Site::new(2);
    let content = bytes(9 << 20);
    for host in 1..=2 {
        std::fs::write(site.there(host, "f"), &content).unwrap();
    }
    site.fault(2, "stuck-back", "7000000");
    let arguments = [":f", "back", "--divide"];
    let err = interrupted(&site, "cp", &arguments, Signal::TERM);
    assert!(err.contains("2 hosts: 1/2 files"), "{err}");
    let left = parts(&site.here("back/n2"));
    let length = left[0].metadata().unwrap().len();
    assert!((1 << 20..9 << 20).contains(&length), "{length}");
    site.mend(2, "stuck-back");
    site.ok("cp", &arguments);
    assert_eq!(std::fs::read(site.here("back/n2/f")).unwrap(), content);
    assert!(parts(&site.here("back/n2")).is_empty());
}

#[test]
fn hosts_that_were_not_begun_are_left_alone() {
    let site = Site::new(3);
    site.place.write("f", bytes(100));
    site.fault(1, "stuck", "10");
    let running = Running::start(site.command("cp", &["f", ":", "--fanout", "1", "--format", "json"]));
    site.wait_until_stuck(1);
    running.signal(Signal::INT);
    let said = running.end();
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(said.err.contains("3 hosts: 0/3 files"), "{}", said.err);
    assert_eq!((site.connections(2), site.connections(3)), (0, 0));
    let told: serde_json::Value = serde_json::from_slice(&said.out).unwrap();
    assert_eq!(told["hosts"][2]["error"], "interrupted", "{told}");
}

/// What has arrived and was noted is not sent again, and nothing was deleted that was not noted.
#[test]
fn the_journal_is_right_when_a_distribution_is_interrupted() {
    let site = Site::new(2);
    std::fs::create_dir_all(site.here("in")).unwrap();
    let content = |number: usize| bytes(if number == 7 { 3 << 20 } else { 1000 + number });
    for number in 0..10 {
        std::fs::write(site.here(&format!("in/i_{number}")), content(number)).unwrap();
    }
    // The odd ones: some of them arrive, and the large one is on its way.
    site.fault(2, "stuck", "1500000");
    let arguments = ["in", "out", "--by", "index", "--move"];
    let err = interrupted(&site, "distribute", &arguments, Signal::INT);
    assert!(
        err.contains("Transferred ") && err.contains("/10 files to 2 hosts"),
        "{err}"
    );
    let journal = site.place.read("in/.flockwork-distribute.jsonl");
    let here = names(&site.here("in"));
    for number in 0..10 {
        let name = format!("i_{number}");
        let is_noted = journal.contains(&format!("{{\"done\":\"{name}\""));
        assert_eq!(is_noted, !here.contains(&name), "{name}: {journal}");
        let there = site.there(number % 2 + 1, &format!("out/{name}"));
        assert!(
            !is_noted || std::fs::read(there).unwrap() == content(number),
            "{name}"
        );
    }
    assert!(
        here.contains(&"i_7".to_owned()) && here.contains(&"i_9".to_owned()),
        "{here:?}"
    );
    assert!(!here.contains(&"i_1".to_owned()), "{here:?}: {journal}");
    site.mend(2, "stuck");
    site.ok("distribute", &arguments);
    assert_eq!(names(&site.here("in")), [".flockwork-distribute.jsonl"]);
    for number in 0..10 {
        let there = site.there(number % 2 + 1, &format!("out/i_{number}"));
        assert_eq!(std::fs::read(there).unwrap(), content(number), "{number}");
    }
    assert!(parts(&site.there(2, "out")).is_empty());
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let site = Site::new(2);
    site.place.write("f", bytes(100));
    site.fault(2, "stuck", "10");
    // A stderr that nobody reads: the summary waits there.
    let (_reader, mut writer) = std::io::pipe().unwrap();
    let size = rustix::pipe::fcntl_getpipe_size(&writer).unwrap();
    writer.write_all(&vec![b'x'; size]).unwrap();
    let mut command = site.command("cp", &["f", ":"]);
    command.stdout(Stdio::null()).stderr(writer);
    let mut child = command.spawn().unwrap();
    // It would go on to hold the pipe.
    drop(command);
    let ssh = site.wait_until_stuck(2);
    kill(child.id(), Signal::INT);
    wait_until_gone(ssh);
    assert_eq!(
        child.try_wait().unwrap(),
        None,
        "the first signal leaves the summary"
    );
    kill(child.id(), Signal::INT);
    let status = wait_until("the second signal to end it", || {
        child.try_wait().unwrap().ok_or_else(|| "it lives".to_owned())
    });
    assert_eq!(status.signal(), Some(2), "{status:?}");
}
