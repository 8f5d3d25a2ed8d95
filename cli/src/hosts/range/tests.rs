//! Tests of node ranges: what they stand for, what is refused, and the way back.

use super::*;
use crate::hosts::fold;

fn names(text: &str) -> String {
    expand(text)
        .unwrap_or_else(|failed| panic!("{text}: {failed}"))
        .join(" ")
}

#[test]
fn each_form_stands_for_its_names() {
    let table = [
        ("node01", "node01"),
        ("one,two", "one two"),
        ("node[1-3]", "node1 node2 node3"),
        ("node[01-03]", "node01 node02 node03"),
        ("node[08-11]", "node08 node09 node10 node11"),
        ("node[98-101]", "node98 node99 node100 node101"),
        ("node[099-101]", "node099 node100 node101"),
        (
            "node[01-02,07,10-12].cluster",
            "node01.cluster node02.cluster node07.cluster node10.cluster node11.cluster node12.cluster",
        ),
        (
            "192.168.100.101..103",
            "192.168.100.101 192.168.100.102 192.168.100.103",
        ),
        (
            "192.168.100.[9-11]",
            "192.168.100.9 192.168.100.10 192.168.100.11",
        ),
        ("node[1..2]", "node1 node2"),
        ("node01..02.cluster", "node01.cluster node02.cluster"),
        ("node{a,b}", "nodea nodeb"),
        ("node{,-gpu}", "node node-gpu"),
        ("node{1..3,x}", "node1 node2 node3 nodex"),
        ("r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2"),
        ("r{a,b}[1-2],c", "ra1 ra2 rb1 rb2 c"),
        ("a,a,[1-2],[2-3]", "a 1 2 3"),
        ("me@node[1-2]:2222", "me@node1:2222 me@node2:2222"),
        ("[7]", "7"),
        ("[0-0]", "0"),
        ("[999999999999999999]", "999999999999999999"),
    ];
    for (text, expected) in table {
        assert_eq!(names(text), expected, "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_told_with_its_column() {
    let long = format!("a[1-2]{}", "x".repeat(300));
    let texts = [
        "",
        ",",
        "a,,b",
        "a,",
        "node[01-",
        "node[",
        "node[]",
        "node[a]",
        "node[1-2",
        "node[1-2x]",
        "node]",
        "node}",
        "node[04-01]",
        "node[1-04]",
        "node[1-2-3]",
        "node[[1]]",
        "node{a",
        "node{a,{b,c}}",
        "node{a..c}",
        "node..4",
        "1..2..3",
        "192.168.100.101..192.168.100.200",
        "10.0.0.1..",
        "-oProxyCommand=x",
        "me@-oProxyCommand",
        "me@",
        "a{.,b}.c",
        "node 1",
        "node1, node2",
        "node'1",
        "$(id)",
        "a/b",
        "größe[1-2]",
        "a\u{1b}[31m",
        "a\nb",
        "node[1-65537]",
        "a[1-300]b[1-300]",
        "[0-999999999999999999]",
        "[1-99999999999999999999]",
        "[1-9][0-999999999999999999][0-999999999999999999][0-999999999999999999]",
        &long,
    ];
    let told = texts.map(|text| expand(text).expect_err(text).text()).join("\n");
    insta::assert_snapshot!(told);
}

#[test]
fn the_most_names_are_as_many_as_is_said() {
    assert_eq!(expand("n[1-65536]").unwrap().len() as u64, MOST);
    assert_eq!(expand("a[1-256]b[1-256]").unwrap().len() as u64, MOST);
    assert!(expand("n[1-65536],x").is_err());
}

#[test]
fn names_are_folded_to_ranges() {
    let table = [
        ("", ""),
        ("a", "a"),
        ("node1 node2 node3", "node[1-3]"),
        ("node01 node02 node04", "node[01-02,04]"),
        ("node8 node9 node10 node11", "node[8-11]"),
        ("node08 node09 node10", "node[08-10]"),
        ("node9 node09 node10", "node[9,09-10]"),
        ("node99 node099 node100", "node[99,099-100]"),
        ("node01.cluster node02.cluster login", "login,node[01-02].cluster"),
        ("a1b7 a2b7 a3b7", "a[1-3]b7"),
        ("r1n1 r1n2 r2n1 r2n2", "r1n[1-2],r2n[1-2]"),
        ("10.0.0.1 10.0.0.2 10.0.1.1", "10.0.0.[1-2],10.0.1.1"),
        ("node1 node1", "node1"),
        (
            "x11111111111111111111 x11111111111111111112",
            "x11111111111111111111,x11111111111111111112",
        ),
    ];
    for (names, expected) in table {
        let names: Vec<&str> = names.split_whitespace().collect();
        let folded = fold(names.iter().copied());
        assert_eq!(folded, expected);
        if !names.is_empty() {
            let mut again = expand(&folded).unwrap();
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            again.sort_unstable();
            names.sort_unstable();
            names.dedup();
            assert_eq!(again, names, "{folded}");
        }
    }
}
