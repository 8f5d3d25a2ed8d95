//! Tests of patterns.

use super::*;

fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn filled(word: &str, names: &[&str], values: &[&str]) -> String {
    let columns = columns(names);
    let values: Vec<Bytes> = values.iter().map(|value| Bytes::from(*value)).collect();
    let output = Some((Path::new("/o"), Path::new("/e")));
    let fill = Fill {
        columns: &columns,
        values: &values,
        task: 6,
        dir: Path::new("/d"),
        here: Path::new("/h"),
        output,
    };
    Pattern::parse(word, &columns, true)
        .unwrap()
        .fill(&fill)
        .into_string()
        .unwrap()
}

#[test]
fn placeholders_are_filled() {
    for (word, is) in [
        ("{file}", "/data/x.tar.gz"),
        ("{file/}", "x.tar.gz"),
        ("{file.}", "/data/x.tar"),
        ("{file/.}", "x.tar"),
        ("--n={#},{task}", "--n=7,0000006"),
        ("{dir}:{here}:{stdout}:{stderr}", "/d:/h:/o:/e"),
        ("{a.}{a}", "dotplain"),
        ("", ""),
    ] {
        assert_eq!(
            filled(word, &["file", "a.", "a"], &["/data/x.tar.gz", "dot", "plain"]),
            is,
            "{word}"
        );
    }
}

#[test]
fn the_only_column_needs_no_name() {
    assert_eq!(
        filled("{}|{/}|{.}|{/.}", &["line"], &["d/a.b"]),
        "d/a.b|a.b|d/a|a"
    );
    assert_eq!(filled("{}{/.}", &["x", "y"], &["1", "2"]), "{}{/.}");
}

#[test]
fn base_names_and_extensions_are_those_of_paths() {
    for (value, base, stem) in [
        ("a/b/", "b", "a/b/"),
        ("/", "/", "/"),
        ("//", "//", "//"),
        ("", "", ""),
        (".hidden", ".hidden", ".hidden"),
        ("d.d/.hidden", ".hidden", "d.d/.hidden"),
        ("d.d/plain", "plain", "d.d/plain"),
        ("a.", "a.", "a"),
    ] {
        assert_eq!(
            (filled("{x/}", &["x"], &[value]), filled("{x.}", &["x"], &[value])),
            (base.into(), stem.into())
        );
    }
}

#[test]
fn other_braces_stay_as_they_are() {
    for word in [
        "{print $1}",
        r#"{"a":{"b":[1,{"c":2}]}}"#,
        "x{3}",
        "a{1,2}b{c,d}",
        "}{",
        "{",
        "}",
        "{ x }",
        "${1}",
        "{{".trim_end_matches('{'),
    ] {
        assert_eq!(filled(word, &["x", "y"], &["1", "2"]), word);
    }
}

#[test]
fn doubled_braces_are_one_brace() {
    for (word, is) in [
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{1}"),
        (r#"{{"a":{{"b":{x}}}}}"#, r#"{"a":{"b":1}}"#),
        (r#"{"a":{x}}"#, r#"{"a":1}"#),
        (r#"{"a":{{x}}}"#, r#"{"a":{x}}"#),
        ("${{HOME}}", "${HOME}"),
        ("}}", "}"),
        ("{{x}", "{x}"),
        ("{{", "{"),
    ] {
        assert_eq!(filled(word, &["x", "y"], &["1", "2"]), is, "{word}");
    }
    for text in ["", "{x}", "{{x}}", "a}b{", "{{{}}", "\u{e4}{"] {
        assert_eq!(filled(&literally(text), &["x"], &["1"]), text);
    }
}

#[test]
fn a_name_that_is_no_column_is_an_error() {
    let text = |word: &str| {
        Pattern::parse(word, &columns(&["alpha", "beta"]), false)
            .unwrap_err()
            .text()
    };
    assert_eq!(
        text("--x={alhpa}"),
        "error: the pattern `--x={alhpa}`: {alhpa} is no column; the columns are alpha, beta\n\
         hint: did you mean {alpha}? to write a brace as it is, double it: {{ and }}"
    );
    assert_eq!(
        text("{BEGIN}\x1b"),
        "error: the pattern `{BEGIN}\\x1b`: {BEGIN} is no column; the columns are alpha, beta\n\
         hint: to write a brace as it is, double it: {{ and }}"
    );
    assert_eq!(
        text("{stdout}"),
        "error: the pattern `{stdout}`: {stdout} is known to --ok-if only\n\
         hint: the command's output is kept anyway; name a part of it with --result NAME=stdout"
    );
    assert!(text("{betta/.}").contains("did you mean {beta}?"));
}

#[test]
fn no_word_makes_it_panic() {
    let letters = [
        "{", "}", "{{", "}}", "x", "x/", ".", "#", "task", "\u{e4}", "\n", " ", "$", "\"", "stdout",
    ];
    // A generator that gives the same words each time.
    let mut state = 1_u64;
    for _ in 0..50_000 {
        let mut word = String::new();
        for _ in 0..state >> 61 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            word.push_str(letters[(state >> 33) as usize % letters.len()]);
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        for names in [&[][..], &["x"], &["x", "y"]] {
            let columns = columns(names);
            if let Ok(pattern) = Pattern::parse(&word, &columns, true) {
                let (dir, here) = (Path::new("d"), Path::new("h"));
                let fill = Fill {
                    columns: &columns,
                    values: &[],
                    task: 0,
                    dir,
                    here,
                    output: None,
                };
                pattern.fill(&fill);
            }
        }
    }
}
