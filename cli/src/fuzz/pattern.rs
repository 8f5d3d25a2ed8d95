//! Patterns of commands: no value makes another word, or is looked at again.
//!
//! The input: a line with the names of columns and a line with values, both separated by `|`; then a word in each line.
//! In values U+0001 stands for a line break.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::shell;
use crate::sweep::command::CommandLine;
use crate::sweep::pattern::{Fill, Pattern, literally};
use crate::sweep::spec::{ResultSpec, Timeout};
use crate::sweep::template::Template;
use crate::task::Bytes;

/// A command with its row.
pub fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let columns = columns(lines.next().unwrap_or_default());
    let mut cells = bytes
        .split(|byte| *byte == b'\n')
        .nth(1)
        .unwrap_or_default()
        .split(|byte| *byte == b'|');
    let values: Vec<Bytes> = columns
        .iter()
        .map(|_| value(cells.next().unwrap_or_default()))
        .collect();
    let words: Vec<String> = lines.skip(1).map(str::to_owned).collect();
    for output in [false, true] {
        check_program(&words, &columns, &values, output);
    }
    check_shell(&words, &columns, &values);
    check_literal(&text);
    check_template(&text, &columns, &values);
    if let Ok(result) = ResultSpec::parse(&text) {
        assert_eq!(ResultSpec::parse(&result.to_string()), Ok(result));
    }
    if let Ok(timeout) = Timeout::parse(&text) {
        assert!(Timeout::parse(&timeout.to_string()).is_ok(), "{timeout}");
    }
}

fn columns(line: &str) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for name in line.split('|') {
        let is_name = !name.is_empty() && name.trim() == name && !name.contains(['{', '}']);
        let is_ours = ["#", "task", "dir", "here", "stdout", "stderr"].contains(&name);
        if is_name
            && !is_ours
            && !name.chars().any(char::is_control)
            && !columns.iter().any(|one| one == name)
        {
            columns.push(name.to_owned());
        }
    }
    columns
}

fn value(cell: &[u8]) -> Bytes {
    let bytes = cell.iter().filter(|byte| **byte != 0);
    Bytes(bytes.map(|byte| if *byte == 1 { b'\n' } else { *byte }).collect())
}

fn fill<'a>(columns: &'a [String], values: &'a [Bytes], task: u64) -> Fill<'a> {
    Fill {
        columns,
        values,
        task,
        dir: Path::new("/d"),
        here: Path::new("/h"),
        output: Some((Path::new("/o"), Path::new("/e"))),
    }
}

fn check_program(words: &[String], columns: &[String], values: &[Bytes], output: bool) {
    let Ok(line) = CommandLine::parse(words, columns, false, output) else {
        return;
    };
    let argv = line.argv(&fill(columns, values, u64::MAX));
    assert_eq!(argv.len(), words.len());
    for (word, argument) in words.iter().zip(&argv) {
        if !word.contains(['{', '}']) {
            assert_eq!(argument.as_bytes(), word.as_bytes());
        }
    }
    line.shown(&fill(columns, values, 0))
        .chars()
        .for_each(|letter| assert!(!letter.is_control()));
    // With a mark instead of each value, and then the value instead of the mark, it is the same.
    if words
        .iter()
        .any(|word| word.contains("/}") || word.contains(".}") || word.contains('\u{2}'))
    {
        return;
    }
    let marks: Vec<Bytes> = (0..columns.len())
        .map(|at| Bytes::from(format!("\u{2}{at}\u{2}")))
        .collect();
    let marked = line.argv(&fill(columns, &marks, u64::MAX));
    for (argument, marked) in argv.iter().zip(marked) {
        let mut expected = Vec::new();
        for (at, part) in marked.as_bytes().split(|byte| *byte == 2).enumerate() {
            let value = std::str::from_utf8(part)
                .ok()
                .and_then(|part| values.get(part.parse::<usize>().ok()?));
            match value.filter(|_| at % 2 == 1) {
                Some(value) => expected.extend_from_slice(&value.0),
                None => expected.extend_from_slice(part),
            }
        }
        assert_eq!(argument.as_bytes(), expected);
    }
}

/// A shell sees as many words, whatever the values are.
fn check_shell(words: &[String], columns: &[String], values: &[Bytes]) {
    let Ok(line) = CommandLine::parse(words, columns, true, false) else {
        return;
    };
    let harmless = vec![Bytes::from("x"); columns.len()];
    let argv = line.argv(&fill(columns, values, 7));
    assert!(argv.len() == 3 && argv[0] == "/bin/sh" && argv[1] == "-c");
    let expected = line.argv(&fill(columns, &harmless, 7));
    let shape = |text: &[u8]| shell::words(text);
    assert_eq!(
        shape(argv[2].as_bytes()),
        shape(expected[2].as_bytes()),
        "{argv:?}"
    );
}

fn check_literal(text: &str) {
    let columns = ["a".to_owned()];
    let pattern = Pattern::parse(&literally(text), &columns, false);
    assert!(pattern.is_ok_and(|pattern| pattern.fill(&fill(&columns, &[], 0)) == text));
}

/// Any text may be a template; one that is filled has the value as it is.
fn check_template(text: &str, columns: &[String], values: &[Bytes]) {
    // The parser is another crate's, and slow on long texts.
    if text.len() <= 2_000 {
        let _ = Template::parse(text, "t", columns);
    }
    let (Some(column), Some(value)) = (columns.first(), values.first()) else {
        return;
    };
    let source = format!("<{{{{ text[{}] }}}}>", serde_json::json!(column));
    let Ok(template) = Template::parse(&source, "t", columns) else {
        return;
    };
    match (
        template.render(&fill(columns, values, 7)),
        std::str::from_utf8(&value.0),
    ) {
        (Ok(made), Ok(value)) => assert_eq!(made, format!("<{value}>").into_bytes()),
        (made, value) => assert!(made.is_err() && value.is_err(), "{made:?} {value:?}"),
    }
}
