//! `hosts status`: who is there, and by which ping.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{Hosts, json};
use crate::place::Running;

#[test]
fn hosts_that_are_alike_are_one_line_and_programs_have_each() {
    let hosts = Hosts::new();
    for host in ["n03", "n05"] {
        let said = format!("ssh: connect to host {host} port 22: Connection refused\n");
        hosts.has(host, "fails", &said);
    }
    hosts.has("n11", "fails", "Connection timed out during banner exchange\n");
    let said = hosts.run(&["status", "-n", "n[01-12]", "--group"]);
    assert_eq!(said.code, 1, "{}", said.err);
    insta::assert_snapshot!(said.text(), @r"
    HOSTS                 COUNT  STATE  REASON
    n[01-02,04,06-10,12]      9  ON
    n[03,05]                  2  OFF    the connection is refused: no sshd there (ssh: connect to host HOST port 22: Connection refused)
    n11                       1  OFF    no answer in time (Connection timed out during banner exchange)
    9 of 12 ON
    ");
    let said = hosts.run(&["status", "-n", "n[01-12]", "--group", "--format", "json"]);
    let told = json(&said);
    assert_eq!(told["hosts"].as_array().unwrap().len(), 12);
    assert_eq!(
        (&told["hosts"][2]["host"], &told["hosts"][2]["code"]),
        (&"n03".into(), &"refused".into())
    );
}

/// Takes what the `ping` of Linux takes, and nothing else; `-W` is in seconds.
const PING: &str = r#"#!/bin/sh
echo "$*" >>"$HOSTS.pings"
while [ "$1" != -- ]; do case $1 in
-n) shift;;
-c) [ "$2" = 2 ] || exit 2; shift 2;;
-i) [ "$2" = 0.2 ] || exit 2; shift 2;;
-W) case $2 in 0|''|*[!0-9]*) echo "ping: bad linger time: $2" >&2; exit 2;; esac; shift 2;;
*) echo "ping: invalid option -- '$1'" >&2; exit 2;;
esac; done
away() { echo "From 10.0.0.9 icmp_seq=1 Destination Host Unreachable"; }
told() { echo "2 packets transmitted, $1 received, 0% packet loss, time 200ms"; }
case $2 in
n1) told 2; echo "rtt min/avg/max/mdev = 0.029/0.033/0.038/0.004 ms";;
n2) told 1; exit 1;;
n3) away; told 0; exit 1;;
n4) echo "ping: $2: Name or service not known" >&2; exit 2;;
n5) away; exec sleep 1000;;
esac
"#;

#[test]
fn a_ping_is_given_what_it_takes_here() {
    let hosts = Hosts::new();
    std::fs::create_dir_all(hosts.0.path("bin")).unwrap();
    hosts.0.write("bin/ping", PING);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(hosts.0.path("bin/ping"), executable).unwrap();
    let ping = |arguments: &[&str]| {
        let mut command = hosts.command(&[&["status", "--ping", "--format", "json"], arguments].concat());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", hosts.0.path("bin").display()));
        json(&Running::start(command).end())
    };
    let told = ping(&["-n", "n[1-4]", "--timeout", "100s"]);
    let codes: Vec<_> = told["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| &host["code"])
        .collect();
    assert_eq!(
        codes,
        [
            &Value::Null,
            &"timeout".into(),
            &"no-route".into(),
            &"unknown-host".into()
        ],
        "{told}"
    );
    assert_eq!(
        (&told["hosts"][0]["by"], &told["hosts"][0]["rtt"]),
        (&"icmp".into(), &0.000_033.into()),
        "{told}"
    );
    // One that has not ended in time has said enough.
    let told = ping(&["-n", "n5", "--timeout", "1s"]);
    assert_eq!(told["hosts"][0]["code"], "no-route", "{told}");
    let pings = hosts.read("hosts.pings");
    assert_eq!(pings.lines().count(), 5, "{pings}");
    for line in pings.lines() {
        let seconds = line.split(' ').nth(6).and_then(|word| word.parse::<u64>().ok());
        // In milliseconds it would be more.
        assert!(
            seconds.is_some_and(|seconds| (1..100).contains(&seconds)),
            "{line}"
        );
    }
}
