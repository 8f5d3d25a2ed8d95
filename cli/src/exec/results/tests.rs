//! Results in all kinds of output.

use super::*;
use crate::exec::capture::Capture;

fn captured(text: impl AsRef<[u8]>, limit: u64) -> Captured {
    let mut capture = Capture::new(limit);
    capture.push(text.as_ref());
    capture.finish()
}

fn find(name: &str, source: Source, stdout: &Captured) -> Result<String, String> {
    let spec = ResultSpec {
        name: name.to_owned(),
        source,
    };
    let found = Results::new(&[spec])?.find(stdout, &Captured::default(), None, 100)?;
    Ok(found[0].1.text().into_owned())
}

fn shown(results: &[(String, Bytes)]) -> String {
    let pairs = results
        .iter()
        .map(|(name, value)| format!("{name}:{}", value.text()));
    pairs.collect::<Vec<_>>().join("|")
}

#[test]
fn what_was_not_asked_for_is_found_in_the_last_line() {
    for (stdout, expected) in [
        (
            "log\n{\"b\": 1e5, \"a\": \"x y\", \"n\": null}\n\n",
            "b:1e5|a:x y|n:",
        ),
        ("energy=-14.22 steps=7\n", "energy:-14.22|steps:7"),
        ("a=1 a=2 b=", "a:2|b:"),
        ("{\"a\": [1]}", "stdout:{\"a\": [1]}"),
        ("{}", "stdout:{}"),
        ("{\"a\": 1", "stdout:{\"a\": 1"),
        ("x = 1", "stdout:x = 1"),
        ("1a=2", "stdout:1a=2"),
        ("see a=1", "stdout:see a=1"),
        ("42\r\n", "stdout:42"),
        ("", "stdout:"),
        ("\n\n", "stdout:\n"),
    ] {
        assert_eq!(shown(&unasked(&captured(stdout, 1_000))), expected, "{stdout:?}");
    }
}

#[test]
fn of_cut_output_the_last_line_still_counts_if_it_is_whole() {
    let long = "x".repeat(500);
    let whole = captured(format!("{long}\nenergy=3\n"), 100);
    assert_eq!(shown(&unasked(&whole)), "energy:3");
    assert_eq!(shown(&unasked(&captured(format!("energy={long}"), 100))), "");
    let json = captured(format!("{long}\n{{\"e\": 3}}\n"), 100);
    assert_eq!(find("e", Source::Json, &json), Ok("3".to_owned()));
    let cut_json = captured(format!("{{\"a\": \"{long}\", \"e\": 3}}\n"), 100);
    assert_eq!(
        find("e", Source::Json, &cut_json).unwrap_err(),
        "no result e: the last line of stdout is longer than the 100 bytes that are kept"
    );
    assert_eq!(
        find("all", Source::Stdout, &whole).unwrap_err(),
        "no result all: stdout is longer than the 100 bytes that are kept"
    );
}

#[test]
fn members_of_json_come_as_they_were_written() {
    let line = r#"{"i": 12345678901234567890123, "f": 1.50, "t": true, "s": "a\n\"b\"", "o": { "k" : [1.0, " x \" " ] }}"#;
    for (name, value) in [
        ("i", "12345678901234567890123"),
        ("f", "1.50"),
        ("t", "true"),
        ("s", "a\n\"b\""),
        ("o", r#"{"k":[1.0," x \" "]}"#),
    ] {
        assert_eq!(
            find(name, Source::Json, &captured(line, 1_000)),
            Ok(value.to_owned())
        );
    }
    let missing = find("e", Source::Json, &captured(line, 1_000)).unwrap_err();
    assert_eq!(
        missing,
        "no result e: the JSON object in the last line of stdout has no such member"
    );
    let none = find("e", Source::Json, &captured("[1]", 1_000)).unwrap_err();
    assert_eq!(none, "no result e: the last line of stdout is no JSON object");
    let empty = find("e", Source::Json, &captured(" \n", 1_000)).unwrap_err();
    assert_eq!(empty, "no result e: stdout is empty");
}

#[test]
fn the_last_match_counts_and_its_first_group() {
    for (pattern, expected) in [
        ("e=([0-9]+)", Ok("22")),
        ("e=[0-9]+", Ok("e=22")),
        ("(?m)^e=(.)", Ok("1")),
        ("\\A(.)", Ok("e")),
        ("(q)?z", Ok("")),
        (
            "f=(.*)",
            Err("no result r: nothing in stdout matches f=(.*)".to_owned()),
        ),
    ] {
        let found = find(
            "r",
            Source::Regex(pattern.to_owned()),
            &captured("e=1\nz e=22\n", 1_000),
        );
        assert_eq!(found, expected.map(str::to_owned), "{pattern}");
    }
    let bytes = captured(b"\xff e=\xfe.", 1_000);
    let spec = ResultSpec {
        name: "r".to_owned(),
        source: Source::Regex("(?-u)e=([^.]*)".to_owned()),
    };
    let found = Results::new(&[spec]).unwrap();
    let found = found.find(&bytes, &Captured::default(), None, 100).unwrap();
    assert_eq!(found[0].1, Bytes::from(*b"\xfe"));
}

#[test]
fn a_match_is_not_invented_where_output_was_cut() {
    // The tail begins within the first line.
    let cut = captured(format!("{}e=1\nlast\n", "x".repeat(500)), 20);
    let wrong = find("r", Source::Regex("e=(.)".to_owned()), &cut).unwrap_err();
    assert!(
        wrong.starts_with("no result r: nothing in the last lines of stdout matches e=(.)"),
        "{wrong}"
    );
    assert!(find("r", Source::Regex("\\A(l)".to_owned()), &cut).is_err());
    assert_eq!(
        find("r", Source::Regex("(?m)^(l.*)$".to_owned()), &cut),
        Ok("last".to_owned())
    );
}

#[test]
fn a_pattern_that_does_not_compile_is_told_with_its_name() {
    let error = find("energy", Source::Regex("(".to_owned()), &captured("", 10)).unwrap_err();
    assert!(error.starts_with("result energy: regex parse error"), "{error}");
}
