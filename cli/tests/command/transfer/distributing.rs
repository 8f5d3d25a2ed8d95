use std::collections::BTreeMap;
use std::path::Path;

use super::site::{Site, bytes};
use crate::place::names;

const JOURNAL: &str = "in/.flockwork-distribute.jsonl";

/// Files `img_0` and so on, of different sizes.
fn images(site: &Site, count: usize) {
    std::fs::create_dir_all(site.here("in")).unwrap();
    for number in 0..count {
        let content = bytes(1000 + 37 * (number % 50));
        std::fs::write(site.here(&format!("in/img_{number}.fits")), content).unwrap();
    }
}

/// Which host each file is on.
fn placed(site: &Site, hosts: usize) -> BTreeMap<String, usize> {
    let mut placed = BTreeMap::new();
    for host in 1..=hosts {
        for name in names(&site.there(host, "out")) {
            assert!(!name.ends_with(".part"), "{name}");
            let other = placed.insert(name.clone(), host);
            assert_eq!(other, None, "{name} is there twice");
        }
    }
    placed
}

fn left(dir: &Path) -> Vec<String> {
    let mut left = names(dir);
    left.retain(|name| !name.starts_with('.'));
    left
}

#[test]
fn each_file_goes_to_one_host_and_a_second_run_sends_nothing() {
    let site = Site::new(4);
    images(&site, 200);
    site.place.write("in/odd\n'name'_7\u{ff}", "x");
    std::fs::create_dir(site.here("in/directory")).unwrap();
    let said = site.ok("distribute", &["in", "out", "--by", "index"]);
    assert!(
        said.err
            .contains("left out: 1 in in that are no files: directory\n"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("Transferred 201/201 files to 4 hosts"),
        "{}",
        said.err
    );
    assert!(said.err.contains("0 failed checksum"), "{}", said.err);
    let there = placed(&site, 4);
    assert_eq!(there.len(), 201);
    for number in 0..200 {
        let name = format!("img_{number}.fits");
        let host = number % 4 + 1;
        assert_eq!(there[&name], host, "{name}");
        let sent = std::fs::read(site.there(host, &format!("out/{name}"))).unwrap();
        assert_eq!(sent, std::fs::read(site.here(&format!("in/{name}"))).unwrap());
    }
    assert_eq!(there["odd\n'name'_7\u{ff}"], 4);
    assert_eq!((site.connections(1), left(&site.here("in")).len()), (1, 202));
    let said = site.ok("distribute", &["in", "out", "--by", "index"]);
    assert!(
        said.err.contains("Transferred 201/201 files to 4 hosts · 0 B"),
        "{}",
        said.err
    );
    assert_eq!(site.connections(1), 1, "what has arrived needs no connection");
    // What has changed is sent to the same host again.
    site.place.write("in/img_5.fits", "changed");
    site.ok("distribute", &["in", "out", "--by", "index"]);
    assert_eq!(
        std::fs::read(site.there(2, "out/img_5.fits")).unwrap(),
        b"changed"
    );
}

#[test]
fn what_is_no_file_is_named() {
    let site = Site::new(1);
    images(&site, 1);
    for number in 1..=4 {
        std::fs::create_dir(site.here(&format!("in/d{number}"))).unwrap();
    }
    std::os::unix::fs::symlink("img_0.fits", site.here("in/link\n")).unwrap();
    let said = site.ok("distribute", &["in", "out", "--by", "index"]);
    let told = "left out: 5 in in that are no files: d1, d2, d3, d4, link\\n\n";
    assert!(said.err.contains(told), "{}", said.err);
    for number in 5..=6 {
        std::fs::create_dir(site.here(&format!("in/d{number}"))).unwrap();
    }
    let said = site.ok("distribute", &["in", "out", "--by", "index"]);
    let told = "left out: 7 in in that are no files: d1, d2, d3, d4, d5, and 2 more\n";
    assert!(said.err.contains(told), "{}", said.err);
}

#[test]
fn mistakes_are_told_before_anything_is_sent() {
    let site = Site::new(2);
    images(&site, 3);
    site.place.write("in/none", "x");
    let said = site.run("distribute", &["in", "out", "--by", "index"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("no number stands behind the last `_` in none"),
        "{}",
        said.err
    );
    assert_eq!((site.connections(1), site.connections(2)), (0, 0));
    assert!(!site.place.has(JOURNAL));
    site.ok("distribute", &["in", "out", "--by", "size"]);
    let said = site.run("distribute", &["in", "other", "--by", "size"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("belongs to a distribution into out"),
        "{}",
        said.err
    );
    std::fs::write(site.here(JOURNAL), "rubbish\n").unwrap();
    let err = site.fails("distribute", &["in", "out", "--by", "size"]);
    assert!(err.contains("line 1: this is no line of a journal"), "{err}");
}

#[test]
fn moved_files_go_when_they_are_there_and_what_failed_stays() {
    let site = Site::new(3);
    images(&site, 60);
    // Each of its files arrives with a byte changed, and the third one breaks in the middle.
    site.fault(2, "spoil", "");
    site.fault(3, "cut", "15000");
    let arguments = ["in", "out", "--by", "index", "--move", "--retries", "0"];
    let err = site.fails("distribute", &arguments);
    assert!(err.contains("failed: n2: img_1.fits: checksum differs"), "{err}");
    assert!(err.contains("failed: n3: the connection broke"), "{err}");
    let there = placed(&site, 3);
    let here = left(&site.here("in"));
    // What is on its host is no longer here, and the reverse: nothing is lost, and nothing is deleted too early.
    for number in 0..60 {
        let name = format!("img_{number}.fits");
        match number % 3 {
            0 => assert!(there.contains_key(&name) && !here.contains(&name), "{name}"),
            1 => assert!(!there.contains_key(&name) && here.contains(&name), "{name}"),
            // It may have its name there, and the connection broke before that was told.
            _ => assert!(there.contains_key(&name) || here.contains(&name), "{name}"),
        }
    }
    assert!(
        here.iter()
            .any(|name| name == "img_2.fits" || name == "img_59.fits"),
        "{here:?}"
    );
    site.mend(2, "spoil");
    site.ok("distribute", &arguments);
    let there = placed(&site, 3);
    assert_eq!(there.len(), 60);
    assert!(left(&site.here("in")).is_empty());
    for (name, host) in there {
        let number: usize = name["img_".len()..].split('.').next().unwrap().parse().unwrap();
        assert_eq!(number % 3 + 1, host);
        let sent = std::fs::read(site.there(host, &format!("out/{name}"))).unwrap();
        assert_eq!(sent, bytes(1000 + 37 * (number % 50)));
    }
}

#[test]
fn files_stay_with_their_hosts_whatever_comes_later() {
    let site = Site::new(3);
    images(&site, 90);
    site.fault(2, "cut", "5000");
    let arguments = |by| ["in", "out", "--by", by, "--move", "--retries", "0"];
    site.fails("distribute", &arguments("size"));
    let planned = site.place.read(JOURNAL);
    let host_of = |name: &str| {
        let line = planned
            .lines()
            .find(|line| line.contains(&format!("\"file\":\"{name}\"")));
        let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
        line["host"].as_str().unwrap().to_owned()
    };
    for number in 90..120 {
        site.place.write(&format!("in/img_{number}.fits"), bytes(2000));
    }
    site.ok("distribute", &arguments("random"));
    let there = placed(&site, 3);
    assert_eq!(there.len(), 120);
    for number in 0..90 {
        let name = format!("img_{number}.fits");
        assert_eq!(host_of(&name), format!("n{}", there[&name]), "{name}");
    }
    // Another list of hosts is told; what it still names stays.
    site.place.write("in/img_500.fits", "x");
    let mut command = site.command("distribute", &["in", "out", "--by", "index", "-x", "n3"]);
    command.stdin(std::process::Stdio::null());
    let said = crate::place::Running::start(command).end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("the list of hosts has changed: 0 new, 1 gone"),
        "{}",
        said.err
    );
    assert!(site.there(1, "out/img_500.fits").exists());
}
