use super::sending::hostile;
use super::site::{Site, bytes, parts, tree};

const LENGTH: usize = (9 << 20) + 5;

/// One host after the other, so that it is known who sends: the first gets it from here, and each has what came before.
fn one_by_one(site: &Site, sources: &[&str]) -> String {
    let arguments = [sources, &[":in", "--tree", "--fanout", "1"]].concat();
    site.ok("cp", &arguments).err
}

/// What ends with a line's end passes through a `sed` to its last byte.
fn content() -> Vec<u8> {
    let mut content = bytes(LENGTH);
    content.push(b'\n');
    content
}

/// A large file, which every host must have in the end.
fn with_file(hosts: usize) -> Site {
    let site = Site::new(hosts);
    site.place.write("f", content());
    site
}

#[track_caller]
fn all_have_it(site: &Site, hosts: usize) {
    for host in 1..=hosts {
        assert!(
            std::fs::read(site.there(host, "in/f")).unwrap() == content(),
            "n{host}"
        );
        assert!(parts(&site.there(host, "in")).is_empty(), "n{host}");
    }
}

#[test]
fn hosts_that_have_everything_send_it_on() {
    let site = Site::new(4);
    hostile(&site, "data");
    for host in 2..=4 {
        site.fault(host, "far-count", "");
    }
    let err = one_by_one(&site, &["data"]);
    assert!(err.contains("4 hosts: 68/68 files"), "{err}");
    assert!(
        err.contains("0 failed checksum · 3 served by other hosts"),
        "{err}"
    );
    let source = tree(&site.here("data"));
    for host in 1..=4 {
        assert_eq!(tree(&site.there(host, "in/data")), source, "n{host}");
    }
    for host in 2..=4 {
        let came = site.here(&format!("hosts/n{host}.far-count")).metadata().unwrap();
        assert!(came.len() > 3 << 20, "n{host}: {}", came.len());
    }
    // Nothing is missing, so nobody is asked.
    let before: usize = (1..=4).map(|host| site.connections(host)).sum();
    let err = one_by_one(&site, &["data"]);
    assert!(err.contains("68 same") && !err.contains("served"), "{err}");
    let after: usize = (1..=4).map(|host| site.connections(host)).sum();
    assert_eq!(after - before, 4);
}

#[test]
fn many_at_once_have_the_same() {
    let site = with_file(9);
    let said = site.ok("cp", &["f", ":in", "--tree", "--format", "json"]);
    all_have_it(&site, 9);
    let told: serde_json::Value = serde_json::from_slice(&said.out).unwrap();
    let from: Vec<_> = told["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|host| host["from"].as_str())
        .collect();
    assert!(
        !from.is_empty() && from.iter().all(|host| host.starts_with('n')),
        "{from:?}"
    );
}

#[test]
fn what_a_host_spoils_comes_from_here() {
    let site = with_file(2);
    site.fault(2, "far-spoil", "");
    let err = one_by_one(&site, &["f"]);
    all_have_it(&site, 2);
    assert!(
        err.contains("note: n1 could not send to n2, served from here: checksum differs"),
        "{err}"
    );
    assert!(
        err.contains("2/2 files") && err.contains("0 failed checksum"),
        "{err}"
    );
    assert!(!err.contains("served by other"), "{err}");
}

#[test]
fn what_a_host_has_no_more_comes_from_here() {
    let site = with_file(2);
    site.fault(1, "then", "rm in/f; echo longer >in/f");
    let err = one_by_one(&site, &["f"]);
    assert!(
        err.contains(
            "note: n1 could not send to n2, served from here: the host that should send it has it no more"
        ),
        "{err}"
    );
    assert!(std::fs::read(site.there(2, "in/f")).unwrap() == content());
}

#[test]
fn a_way_that_is_cut_is_no_loss() {
    let site = with_file(2);
    site.fault(2, "far-cut", "2500000");
    let err = one_by_one(&site, &["f"]);
    all_have_it(&site, 2);
    assert!(
        err.contains("note: n1 could not send to n2, served from here: "),
        "{err}"
    );
    // And gone on with, when a copy from here was cut.
    let site = with_file(2);
    site.fault(2, "cut", "2500000");
    site.fault(2, "far-count", "");
    one_by_one(&site, &["f"]);
    all_have_it(&site, 2);
    let came = site.here("hosts/n2.far-count").metadata().unwrap().len();
    assert!(came < LENGTH as u64 + 1000, "{came}");
}

#[test]
fn a_part_that_another_host_has_let_grow_is_begun_anew_from_here() {
    let site = with_file(2);
    site.fault(2, "cut", "2500000");
    site.fails("cp", &["f", ":in", "--retries", "0"]);
    assert_eq!(parts(&site.there(2, "in")).len(), 1);
    std::fs::remove_file(site.there(1, "in/f")).unwrap();
    site.fault(2, "far-cut", "3000000");
    let said = site.ok("cp", &["f", ":in", "--tree", "--fanout", "1", "--retries", "0"]);
    all_have_it(&site, 2);
    assert!(said.err.contains("note: n1 could not send to n2"), "{}", said.err);
}

#[test]
fn hosts_that_do_not_know_each_other_have_it_from_here() {
    let site = with_file(8);
    for host in 1..=8 {
        site.fault(host, "far-refused", "Host key verification failed.\n");
    }
    let err = one_by_one(&site, &["f"]);
    all_have_it(&site, 8);
    assert!(
        err.contains("note: n[1-2] could not send to n[2-4], served from here: the host's key is not known"),
        "{err}"
    );
    let connections: usize = (1..=8).map(|host| site.connections(host)).sum();
    assert_eq!(connections, 8 + 2 * 3, "three attempts, and none more");
}

#[test]
fn a_name_that_means_another_host_there_gets_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let site = with_file(2);
    let bin = site.here("hosts/n2.far-bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("uname"), "#!/bin/sh\necho stranger\n").unwrap();
    std::fs::set_permissions(bin.join("uname"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let err = one_by_one(&site, &["f"]);
    all_have_it(&site, 2);
    assert!(
        err.contains("served from here: HOST is another host there"),
        "{err}"
    );
}
