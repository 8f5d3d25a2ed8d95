//! A command, its files and its output.

use serde_json::Value;

use super::{Hosts, json, sorted};

#[test]
fn a_command_runs_on_each_host_and_255_is_not_ssh_that_failed() {
    let hosts = Hosts::new();
    hosts.has(
        "n4",
        "fails",
        "ssh: connect to host n4 port 22: Connection refused\n",
    );
    let script =
        "echo \"$1 $FLOCKWORK_HOST\"; printf 'half\\377' ; echo bad >&2; [ $1 = n2 ] && exit 255; exit 0";
    let said = hosts.run(&["run", "-n", "n[1-4]", "--", "sh", "-c", script, "$(id)", "{host}"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let out = said.text();
    let seen = sorted(&out);
    assert_eq!(
        seen,
        [
            "n1: half\u{fffd}",
            "n1: n1 n1",
            "n2: half\u{fffd}",
            "n2: n2 n2",
            "n3: half\u{fffd}",
            "n3: n3 n3"
        ]
    );
    assert!(
        said.err.contains("n1: bad\n") && !out.contains("Welcome"),
        "{}",
        said.err
    );
    assert!(said.err.contains("FAIL  n2  exit 255\n"), "{}", said.err);
    assert!(
        said.err.contains("FAIL  n4  the connection is refused"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("4 hosts: 2 ok, 1 failed, 1 unreached"),
        "{}",
        said.err
    );
    let bytes = std::fs::read(hosts.0.path("out/n1/stdout")).unwrap();
    assert_eq!(bytes, b"n1 n1\nhalf\xff");
    assert_eq!(hosts.read("out/n1/stderr"), "bad\n");
    assert_eq!(hosts.read("out/n1/status"), "ok exit 0\n");
    assert_eq!(hosts.read("out/n2/status"), "failed exit 255\n");
    assert!(
        hosts
            .read("out/n4/status")
            .starts_with("unreached the connection is refused")
    );
}

#[test]
fn hosts_that_said_the_same_are_one_line_and_programs_get_all_of_it() {
    let hosts = Hosts::new();
    let line = ["run", "-n", "n[01-12]", "--no-out", "--shell", "--"];
    let script = "echo same | cat; test $FLOCKWORK_HOST != n07 || exit 3";
    let said = hosts.run(&[&line, [script].as_slice()].concat());
    assert_eq!(said.code, 1, "{}", said.err);
    let err = said.err.split("Summary").nth(1).unwrap();
    let words: Vec<Vec<&str>> = err
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words[0], ["n[01-06,08-12]", "ok", "exit", "0", "\"same\""]);
    assert_eq!(words[1], ["n07", "failed", "exit", "3", "\"same\""]);
    assert!(!hosts.0.has("out"));

    let said = hosts.run(&["run", "-n", "n[1-3]", "--format", "json", "--", "echo", "{host}"]);
    let answer = json(&said);
    assert_eq!(
        (said.code, &answer["schema"]),
        (0, &Value::from("flockwork.hosts-run/1"))
    );
    let first = &answer["hosts"][0];
    assert_eq!(
        (&first["host"], &first["exit"], &first["last_line"]),
        (&"n1".into(), &0.into(), &"n1".into())
    );
    assert_eq!(answer["groups"].as_array().unwrap().len(), 3);
}

#[test]
fn files_are_copied_and_checked_and_a_directory_of_ours_goes() {
    let hosts = Hosts::new();
    hosts.0.write("data.txt", "banana\n");
    hosts
        .0
        .write("script", "#!/bin/sh\necho \"$0|$1|$2|$PWD|$(cat data.txt)\"\n");
    hosts.has("n2", "spoils", "");
    let said = hosts.run(&[
        "run", "-n", "n[1-2]", "--script", "script", "-f", "data.txt", "--", "a b", "{host}",
    ]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err
            .contains("FAIL  n2  cannot copy script: the checksum differs"),
        "{}",
        said.err
    );
    let out = hosts.read("out/n1/stdout");
    let parts: Vec<&str> = out.trim_end().split('|').collect();
    let dir = parts[3];
    assert_eq!(parts, [&format!("{dir}/script"), "a b", "n1", dir, "banana"]);
    assert!(dir.contains("/hosts/n1/flockwork."), "{dir}");
    for host in ["n1", "n2"] {
        let names = crate::place::names(&hosts.0.path(&format!("hosts/{host}")));
        assert!(!names.iter().any(|name| name.contains("flockwork")), "{names:?}");
    }

    let said = hosts.run(&[
        "run", "-n", "n1", "-r", "deep/er", "-f", "data.txt", "--", "cat", "{file}",
    ]);
    assert_eq!(
        (said.code, said.text()),
        (0, "n1: banana\n".to_owned()),
        "{}",
        said.err
    );
    assert_eq!(hosts.read("hosts/n1/home/deep/er/data.txt"), "banana\n");
    let said = hosts.run(&["run", "-n", "n1", "--", "cat", "{file}"]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn much_output_arrives_whole_beside_the_signs_of_life() {
    let hosts = Hosts::new();
    // Both streams at once, without an end of line, while signs of life come in between.
    let script = "for n in 1 2 3 4 5 6 7 8; do head -c 4000000 /dev/zero | tr '\\0' x >&2; \
                  head -c 4000000 /dev/zero | tr '\\0' y; sleep 0.2; done";
    let line = [
        "run",
        "-n",
        "n1",
        "--heartbeat",
        "1s",
        "--format",
        "json",
        "--",
        "sh",
        "-c",
        script,
    ];
    let said = hosts.run(&line);
    assert_eq!(said.code, 0, "{}", said.err);
    for (name, byte) in [("stdout", b'y'), ("stderr", b'x')] {
        let kept = std::fs::read(hosts.0.path(&format!("out/n1/{name}"))).unwrap();
        assert_eq!(kept.len(), 32_000_000, "{name}");
        assert!(kept.iter().all(|kept| *kept == byte), "{name}");
    }
}
