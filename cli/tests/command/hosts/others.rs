//! The verbs beside `run`, and who is meant.

use serde_json::Value;

use super::{Hosts, json};

#[test]
fn names_that_try_to_be_options_reach_nobody() {
    let hosts = Hosts::new();
    for verb in [
        ["run", "--", "true"].as_slice(),
        &["status"],
        &["mkdir", "/tmp", "x"],
    ] {
        let (first, rest) = verb.split_first().unwrap();
        for (name, why) in [
            ("-n=-oProxyCommand", "would be an option"),
            ("-n=-oProxyCommand=touch pwned", "-oProxyCommand"),
        ] {
            let said = hosts.run(&[&[first, name], rest].concat());
            assert_eq!(said.code, 2, "{}", said.err);
            assert!(said.err.contains(why), "{}", said.err);
        }
    }
    hosts.0.write("list", "n1\n-oProxyCommand\n");
    let said = hosts.run(&["run", "-n", "@list", "--", "true"]);
    assert!(
        said.code == 2 && said.err.contains("list, line 2") && said.err.contains("would be an option"),
        "{}",
        said.err
    );
    assert!(!hosts.0.has("hosts") && !hosts.0.has("pwned"));
}

#[test]
fn nobody_is_reached() {
    let hosts = Hosts::new();
    hosts.has("n1", "fails", "ana@n1: Permission denied (publickey).\n");
    hosts.has(
        "n2",
        "fails",
        "ssh: connect to host n2 port 22: No route to host\n",
    );
    assert_eq!(hosts.run(&["run", "-n", "n[1-2]", "--", "true"]).code, 7);
    let said = hosts.run(&["status", "-n", "n[1-3]", "--format", "json"]);
    let answer = json(&said);
    assert_eq!(
        (said.code, &answer["on"], &answer["off"]),
        (1, &1.into(), &2.into())
    );
    let codes: Vec<&Value> = answer["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| &host["code"])
        .collect();
    assert_eq!(
        codes,
        [
            &Value::from("not-authorised"),
            &Value::from("no-route"),
            &Value::Null
        ]
    );
    assert_eq!(hosts.run(&["status", "-n", "n3"]).code, 0);
}

#[test]
fn a_directory_is_made_or_it_is_told_why_not() {
    let hosts = Hosts::new();
    for (host, name) in [("n1", "sub"), ("n2", "sub/new"), ("n3", "sub"), ("n4", "")] {
        std::fs::create_dir_all(hosts.0.path(&format!("hosts/{host}/home/{name}"))).unwrap();
    }
    hosts.has("n3", "home/sub/new", "a file");
    let said = hosts.run(&["mkdir", "-n", "n[1-4]", "sub", "new", "--format", "plain"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let base = hosts
        .0
        .path("hosts")
        .canonicalize()
        .unwrap()
        .display()
        .to_string();
    let told = [
        format!("n1\tmade\t{base}/n1/home/sub/new\t"),
        format!("n2\texists\t{base}/n2/home/sub/new\tthe directory is there already"),
        format!("n3\texists\t{base}/n3/home/sub/new\tsomething is there that is no directory"),
        "n4\tfailed\t\tthe parent sub is missing".to_owned(),
    ];
    assert_eq!(said.text().lines().collect::<Vec<_>>(), told);
    assert!(hosts.0.path("hosts/n1/home/sub/new").is_dir());
    assert_eq!(hosts.run(&["mkdir", "-n", "n1", "sub", "a/b"]).code, 2);
    assert_eq!(hosts.run(&["mkdir", "-n", "n1", "--", "sub", "-p"]).code, 0);
    assert!(hosts.0.path("hosts/n1/home/sub/-p").is_dir());
}
