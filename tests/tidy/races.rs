//! Checks that the tests that `docs/races.md` names are there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{is_word, mask};

/// Where the first word of a test's name leads to; other names begin in `src/`.
const PLACES: &[(&str, &str)] = &[
    ("it", "tests/it"),
    ("model", "tests/model"),
    ("faults", "tests/faults"),
    ("nfs", "tests/nfs"),
    ("command", "cli/tests/command"),
    ("cli", "cli/src"),
];

/// A row that has no test yet says so with this.
const TO_COME: &str = "to come";

/// Looks in a page for rows of tables without a test, and for tests that are not there.
pub(crate) fn races(root: &Path, page: &str) -> Vec<String> {
    let Ok(text) = fs::read_to_string(root.join(page)) else {
        return vec![format!("{page}:1: the page is missing")];
    };
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut find = |what: String| findings.push(format!("{page}:{}: {what}", number + 1));
        let names = tests_named(line);
        for name in &names {
            if let Err(what) = look_for(root, name) {
                find(format!("`{name}`: {what}"));
            }
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let is_row =
            line.starts_with('|') && cells.len() > 1 && !cells[0].is_empty() && !line.starts_with("|--");
        let says_so = cells.last().is_some_and(|cell| cell.starts_with(TO_COME));
        if is_row && names.is_empty() && !says_so && !is_head(&text, number) {
            find(format!("{}: no test, and not `{TO_COME}`", cells[0]));
        }
    }
    findings
}

/// The first line of a table stands above a line of dashes.
fn is_head(text: &str, number: usize) -> bool {
    text.lines()
        .nth(number + 1)
        .is_some_and(|next| next.starts_with("|--"))
}

/// Finds what is between backticks and has a path in it.
fn tests_named(line: &str) -> Vec<&str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let is_path = |name: &&str| name.contains("::") && name.chars().all(|c| c == ':' || is_word(c));
    quoted.filter(is_path).collect()
}

fn look_for(root: &Path, name: &str) -> Result<(), String> {
    let mut parts: Vec<&str> = name.split("::").collect();
    let place = PLACES.iter().find(|(first, _)| *first == parts[0]);
    let folder = match place {
        Some((_, folder)) => {
            parts.remove(0);
            folder
        }
        None => "src",
    };
    let test = parts.pop().unwrap_or_default();
    let (file, within) = file_of(&root.join(folder), &parts).ok_or("no such module")?;
    let text = mask(&fs::read_to_string(&file).map_err(|error| error.to_string())?);
    let mut rest = text.as_str();
    for module in within {
        let begin = rest.find(&format!("mod {module} {{")).ok_or("no such module")?;
        rest = &rest[begin..];
    }
    let at = rest.find(&format!("fn {test}(")).ok_or_else(|| {
        format!(
            "no such test in {}",
            file.strip_prefix(root).unwrap_or(&file).display()
        )
    })?;
    let before = rest[..at].trim_end();
    if before.ends_with("#[test]") {
        Ok(())
    } else {
        Err("it is no test".to_owned())
    }
}

/// Finds the file of a module; what is left of its path are modules within the file.
fn file_of<'a>(folder: &Path, modules: &'a [&'a str]) -> Option<(PathBuf, &'a [&'a str])> {
    for count in (1..=modules.len()).rev() {
        let path: PathBuf = modules[..count].iter().collect();
        for file in [
            format!("{}.rs", path.display()),
            format!("{}/mod.rs", path.display()),
        ] {
            let file = folder.join(file);
            if file.is_file() {
                return Some((file, &modules[count..]));
            }
        }
    }
    let main = folder.join("main.rs");
    (modules.is_empty() && main.is_file()).then_some((main, modules))
}
