//! Reads Rust sources as text, with comments, literals and tests blanked out.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments, literals and tests; they are blanked out, so that offsets are those of `text`.
    pub(crate) code: String,
}

impl Source {
    /// `src/store/claim.rs` is `[store, claim]`, `src/store/mod.rs` is `[store]`, `src/lib.rs` is `[]`.
    pub(crate) fn module_path(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner
            .split('/')
            .filter(|part| !["lib", "main", "mod"].contains(part))
            .map(str::to_owned)
            .collect()
    }

    /// Finds a word: where it stands, the code before it and the code after it.
    pub(crate) fn words<'a>(&'a self, word: &str) -> impl Iterator<Item = (usize, &'a str, &'a str)> {
        self.code.match_indices(word).filter_map(|(at, found)| {
            let (before, after) = (&self.code[..at], &self.code[at + found.len()..]);
            let alone = !before.ends_with(is_word) && !after.starts_with(is_word);
            alone.then(|| (at, before.trim_end(), after.trim_start()))
        })
    }

    /// Finds the top modules that paths name, by `crate::` or by as many `super::` as lead up to the crate.
    pub(crate) fn modules_named(&self) -> Vec<(usize, &str)> {
        let mut named = Vec::new();
        for (at, _, after) in self.words("crate") {
            if let Some(path) = after.strip_prefix("::") {
                named.extend(first_names(path).into_iter().map(|name| (at, name)));
            }
        }
        for (at, before, mut after) in self.words("super") {
            let mut steps = 1;
            while let Some(rest) = after.strip_prefix("::super") {
                (after, steps) = (rest, steps + 1);
            }
            let begins = !before.ends_with("::");
            if let Some(path) = after
                .strip_prefix("::")
                .filter(|_| begins && steps == self.module_path().len())
            {
                named.extend(first_names(path).into_iter().map(|name| (at, name)));
            }
        }
        named
    }
}

/// The first name of a path, or of each path in a group: `{fs::{Dir, File}, store}` gives fs and store.
fn first_names(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    match path.trim_start().strip_prefix('{') {
        None => parts.push(path),
        Some(group) => {
            let (mut open, mut start) = (1, 0);
            for (at, c) in group.char_indices() {
                match c {
                    '{' => open += 1,
                    '}' => open -= 1,
                    _ => {}
                }
                if open == 0 || (open == 1 && c == ',') {
                    parts.push(&group[start..at]);
                    start = at + 1;
                }
                if open == 0 {
                    break;
                }
            }
        }
    }
    let names = parts.into_iter().map(|part| {
        let part = part.trim_start();
        let end = part.find(|c| !is_word(c) && c != '*').unwrap_or(part.len());
        &part[..end]
    });
    names.filter(|name| !name.is_empty() && *name != "self").collect()
}

/// Reads all Rust files at or below these places.
pub(crate) fn sources(root: &Path, places: &[&str]) -> Vec<Source> {
    let files = places.iter().flat_map(|place| walk(&root.join(place)));
    let rust = files.filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let read = rust.map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = relative(root, &path);
        // What fuzz targets check is compiled for tests and for cargo-fuzz only.
        let is_test =
            path.ends_with("/tests.rs") || path.split('/').any(|part| ["tests", "fuzz"].contains(&part));
        let code = if is_test {
            blank(&text)
        } else {
            without_tests(mask(&text))
        };
        Source { path, text, code }
    });
    read.collect()
}

/// Blanks out all but the line ends; the length in bytes stays.
fn blank(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

/// Blanks out comments and literals.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let hidden = comment_or_literal(rest);
        if hidden == 0 {
            masked.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            masked.push_str(&blank(&rest[..hidden]));
            rest = &rest[hidden..];
        }
    }
    masked
}

/// The length of the comment or literal that begins here; 0 if none does.
fn comment_or_literal(text: &str) -> usize {
    let until = |from: usize, end: &str| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment(text.as_bytes()),
        [b'"', ..] => {
            let mut escaped = false;
            let end = text[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(text.len(), |at| at + 2)
        }
        // Raw strings; those of bytes begin one letter earlier, which stays.
        [b'r', b'"' | b'#', ..] => {
            let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
            let is_string = text[1 + hashes..].starts_with('"');
            if is_string {
                until(hashes + 2, &format!("\"{}", "#".repeat(hashes)))
            } else {
                0
            }
        }
        [b'\'', b'\\', ..] => until(3, "'"),
        // A character ends after one; a lifetime does not end in a quote.
        [b'\'', ..] => {
            let inner = text[1..].chars().next().map_or(0, char::len_utf8);
            if text[1 + inner..].starts_with('\'') {
                inner + 2
            } else {
                0
            }
        }
        _ => 0,
    }
}

/// Block comments may hold block comments.
fn block_comment(text: &[u8]) -> usize {
    let (mut at, mut open) = (0, 0);
    loop {
        match &text[at..] {
            [b'/', b'*', ..] => (at, open) = (at + 2, open + 1),
            [b'*', b'/', ..] => (at, open) = (at + 2, open - 1),
            [_, ..] => at += 1,
            [] => return at,
        }
        if open == 0 {
            return at;
        }
    }
}

/// Blanks out items under `#[cfg(test)]`, and all of a file that is one; takes masked text.
fn without_tests(mut code: String) -> String {
    if code.contains("#![cfg(test)]") {
        return blank(&code);
    }
    for attribute in ["#[cfg(test)]", "#[cfg(all(test"] {
        while let Some(start) = code.find(attribute) {
            let mut open = 0;
            let end = code[start..].find(|c| {
                open += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
                open < 0 || (open == 0 && (c == ';' || c == '}'))
            });
            let end = end.map_or(code.len(), |length| start + length + 1);
            let blanked = blank(&code[start..end]);
            code.replace_range(start..end, &blanked);
        }
    }
    code
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(crate) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The names in a folder, sorted; none if it is not there.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = listing
        .map(|entry| entry.expect("the listing goes on").path())
        .collect();
    paths.sort();
    paths
}

/// The files at or below a path, without build output and hidden names.
pub(crate) fn walk(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let below = entries(path).into_iter().filter(|path| {
        let name = file_name(path);
        name != "target" && !name.starts_with('.')
    });
    below.flat_map(|path| walk(&path)).collect()
}
