//! The checkers. Each returns its findings, one a line: `file:line: what, and what to do`.

use std::fs;
use std::path::Path;

use crate::source::{Source, entries, file_name, is_word, mask, relative, sources, walk};
use crate::{
    IMPURE, MAY_NAME, MAY_PRINT, MOST_LINES, ONLY_IN, PRINTING, PURE, REFUSED, REFUSED_ATTRIBUTES,
    REFUSED_WORDS,
};

/// Where non-test code is that the rules of style hold for.
const SOURCES: &[&str] = &["src", "cli/src", "cli/build.rs"];
/// All code that cargo builds.
const ALL_CODE: &[&str] = &["src", "cli", "tests", "benches", "examples", "fuzz"];

pub(crate) fn module_order(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources(root, &["src"]) {
        // lib.rs stands above all modules.
        let Some(module) = source.module_path().first().cloned() else {
            continue;
        };
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            let what = format!("module `{module}` has no row in MAY_NAME (tests/tidy.rs)");
            findings.push(source.finding(0, &what));
            continue;
        };
        for (at, named) in source.modules_named() {
            if named == module || allowed.split_whitespace().any(|name| name == named) {
                continue;
            }
            let what = if MAY_NAME.iter().any(|(name, _)| *name == named) {
                format!("`{module}` names `{named}`; it may name: {allowed}")
            } else {
                format!("`crate::{named}` is no module of MAY_NAME; name the module that the item is in")
            };
            findings.push(source.finding(at, &what));
        }
    }
    findings
}

pub(crate) fn lengths(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources(root, SOURCES) {
        let lines = source.text.lines().count();
        if lines > MOST_LINES {
            findings.push(format!("{}:{lines}: longer than {MOST_LINES} lines", source.path));
        }
    }
    findings
}

pub(crate) fn crates(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources(root, SOURCES) {
        for (name, places, why) in ONLY_IN
            .iter()
            .filter(|(_, places, _)| !under(&source.path, places))
        {
            for (at, before, after) in source.words(name) {
                let within_a_path = before
                    .strip_suffix("::")
                    .is_some_and(|before| before.trim_end().ends_with(is_word));
                let is_crate =
                    after.starts_with("::") || before.ends_with("use") || before.ends_with("crate");
                if is_crate && !within_a_path {
                    let what = format!("names {name}; only {} may: {why}", places.join(" and "));
                    findings.push(source.finding(at, &what));
                }
            }
        }
    }
    findings
}

pub(crate) fn purity(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources(root, PURE) {
        for (word, left) in IMPURE {
            for (at, _, _) in source.words(word).filter(|(_, before, _)| before.ends_with(left)) {
                findings.push(source.finding(at, &format!("`{left}{word}` in a file that is pure")));
            }
        }
    }
    findings
}

pub(crate) fn shortcuts(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources(root, SOURCES) {
        for (word, left, right, instead) in REFUSED {
            for (at, before, after) in source.words(word) {
                if before.ends_with(left) && after.starts_with(right) && !after.starts_with("!=") {
                    findings.push(source.finding(at, &format!("`{left}{word}{right}`: {instead}")));
                }
            }
        }
        for word in PRINTING.iter().filter(|_| !under(&source.path, MAY_PRINT)) {
            for (at, _, _) in source.words(word).filter(|(_, _, after)| after.starts_with("!(")) {
                findings
                    .push(source.finding(at, &format!("`{word}!`: send an event; src/app and cli print")));
            }
        }
    }
    findings
}

pub(crate) fn attributes(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources(root, ALL_CODE) {
        // `source.code` lacks the tests, and this rule holds for them too.
        let code = mask(&source.text);
        for (attribute, instead) in REFUSED_ATTRIBUTES {
            for (at, _) in code.match_indices(attribute) {
                findings.push(source.finding(at, &format!("`{attribute}`: {instead}")));
            }
        }
    }
    findings
}

/// Looks for modules in `folder`, and in folders below it, that the parent file does not name.
pub(crate) fn forgotten_files(root: &Path, folder: &str, parent: &str) -> Vec<String> {
    let parent = format!("{folder}/{parent}");
    let named = fs::read_to_string(root.join(&parent))
        .map(|text| mask(&text))
        .unwrap_or_default();
    let mut findings = Vec::new();
    for path in entries(&root.join(folder)) {
        let name = file_name(&path);
        let is_folder = path.join("mod.rs").is_file();
        let module = if is_folder {
            Some(name.as_str())
        } else {
            name.strip_suffix(".rs")
        };
        let Some(module) = module.filter(|module| !["main", "mod"].contains(module)) else {
            continue;
        };
        if !named.contains(&format!("mod {module};")) {
            findings.push(format!(
                "{folder}/{name}:1: {parent} does not say `mod {module};`"
            ));
        }
        if is_folder {
            findings.extend(forgotten_files(root, &format!("{folder}/{name}"), "mod.rs"));
        }
    }
    findings
}

/// Checks that each fuzz target is short, built, described, has a corpus, and is walked by a test; and that the corpora
/// are small.
pub(crate) fn fuzz_targets(root: &Path) -> Vec<String> {
    const MOST_LINES: usize = 5;
    const MOST_FILES: usize = 300;
    const MOST_BYTES: u64 = 300 << 10;
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (manifest, readme) = (read("fuzz/Cargo.toml"), read("fuzz/README.md"));
    let bodies = read("src/fuzz/mod.rs") + &read("cli/src/fuzz/mod.rs");
    let mut findings = Vec::new();
    for path in walk(&root.join("fuzz/fuzz_targets")) {
        let file = relative(root, &path);
        let name = file_name(&path).trim_end_matches(".rs").to_owned();
        let lines = fs::read_to_string(&path).unwrap_or_default().lines().count();
        let has_corpus = !entries(&root.join("fuzz/corpus").join(&name)).is_empty();
        for (is_so, what) in [
            (lines <= MOST_LINES, "has more in it than a call"),
            (
                manifest.contains(&format!("\nname = \"{name}\"\n")),
                "is not in fuzz/Cargo.toml",
            ),
            (
                readme.contains(&format!("| `{name}` |")),
                "is not in fuzz/README.md",
            ),
            (
                bodies.contains(&format!("walk(\"{name}\", ")),
                "is walked by no test",
            ),
            (has_corpus, "has no corpus"),
        ] {
            if !is_so {
                findings.push(format!("{file}:1: {what}"));
            }
        }
    }
    let corpus = walk(&root.join("fuzz/corpus"));
    let bytes: u64 = corpus
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|file| file.len())
        .sum();
    if corpus.len() > MOST_FILES || bytes > MOST_BYTES {
        let count = corpus.len();
        findings.push(format!(
            "fuzz/corpus:1: {count} files, {bytes} bytes: make them fewer, or smaller"
        ));
    }
    findings
}

pub(crate) fn dependencies(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for manifest in ["Cargo.toml", "cli/Cargo.toml", "fuzz/Cargo.toml"] {
        let Ok(text) = fs::read_to_string(root.join(manifest)) else {
            continue;
        };
        let mut in_table = false;
        // Brackets that are open: a value may take several lines.
        let mut open = 0;
        let mut above = "";
        for (number, line) in text.lines().map(str::trim).enumerate() {
            let (code, comment) = split_comment(line);
            let begins = open == 0 && !code.is_empty();
            let is_header = begins && code.starts_with('[');
            let header = code.trim_matches(['[', ']']);
            if is_header {
                in_table = header.ends_with("dependencies");
            }
            // `[dependencies]` has one on each line, `[dependencies.serde]` is one.
            let is_dependency = if is_header {
                header.contains("dependencies.")
            } else {
                begins && in_table
            };
            let explained = comment.len() > 1 || (above.starts_with('#') && above.len() > 1);
            if is_dependency && !explained {
                let name = if is_header {
                    header
                } else {
                    code.split(['=', '.']).next().unwrap_or(code).trim()
                };
                findings.push(format!(
                    "{manifest}:{}: `{name}` does not say why it is there",
                    number + 1
                ));
            }
            open += code.matches(['[', '{']).count();
            open = open.saturating_sub(code.matches([']', '}']).count());
            above = line;
        }
    }
    findings
}

pub(crate) fn vocabulary(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    let places = [
        "src",
        "cli",
        "docs",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
    ];
    for path in places.iter().flat_map(|place| walk(&root.join(place))) {
        if !["rs", "md", "toml", "txt"]
            .iter()
            .any(|kind| path.extension().is_some_and(|it| it == *kind))
        {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let words = line.to_lowercase().replace(['_', '-'], " ");
            for (refused, right) in REFUSED_WORDS
                .iter()
                .filter(|(refused, _)| words.contains(refused))
            {
                let place = relative(root, &path);
                findings.push(format!("{place}:{}: `{refused}`: say `{right}`", number + 1));
            }
        }
    }
    findings
}

/// Splits a line of TOML at its comment.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    let comment = line.find(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    let (code, comment) = line.split_at(comment.unwrap_or(line.len()));
    (code.trim(), comment.trim())
}

/// Says whether the path is one of the places or lies below one.
fn under(path: &str, places: &[&str]) -> bool {
    let is_there = |rest: &str| rest.is_empty() || rest.starts_with('/') || rest == ".rs";
    places
        .iter()
        .any(|place| path.strip_prefix(place).is_some_and(is_there))
}

impl Source {
    fn finding(&self, at: usize, what: &str) -> String {
        let line = 1 + self.text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        format!("{}:{line}: {what}", self.path)
    }
}
