//! Patterns: words with placeholders for the parameters of a task.
//!
//! | written | stands for |
//! |---|---|
//! | `{name}` | the value of the column `name` |
//! | `{name/}`, `{name.}`, `{name/.}` | its base name; without its extension; both |
//! | `{}`, `{/}`, `{.}`, `{/.}` | the same for the only column, if there is only one |
//! | `{#}` | the number of the task, from 1 |
//! | `{task}` | the task as in the names of files: seven digits, from 0 |
//! | `{dir}`, `{here}` | the attempt's own directory; where the sweep was submitted |
//! | `{stdout}`, `{stderr}` | files with what the command wrote, for `--ok-if` only |
//! | `{{`, `}}` | a brace |
//!
//! Other braces stay as they are: `awk '{print $1}'`, `{"a": {"b": 1}}`. So `}}` is one brace only where it closes a
//! `{{`, or nothing. What a value holds is never looked at again.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use flockwork::app::exit::Failed;

use super::shown::plain;
use crate::nearest::nearest;
use crate::task::Bytes;

/// What placeholders stand for, in one attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) columns: &'a [String],
    pub(crate) values: &'a [Bytes],
    /// The task's number, from 0, as in the names of its files.
    pub(crate) task: u64,
    /// The attempt's own directory.
    pub(crate) dir: &'a Path,
    /// Where the sweep was submitted.
    pub(crate) here: &'a Path,
    /// Files with what the command wrote; only `--ok-if` has them.
    pub(crate) output: Option<(&'a Path, &'a Path)>,
}

/// Names that stand for something else than a column; no column may have one of them.
pub(super) const OURS: [&str; 6] = ["#", "task", "dir", "here", "stdout", "stderr"];

/// A word with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Value(usize, Part),
    Number,
    Task,
    Dir,
    Here,
    Stdout,
    Stderr,
}

/// What of a value is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Base,
    Stem,
    BaseStem,
}

impl Pattern {
    /// Reads a word. `output`: `{stdout}` and `{stderr}` are known.
    ///
    /// # Errors
    ///
    /// A usage error for braces around a name that is no column.
    pub(crate) fn parse(word: &str, columns: &[String], output: bool) -> Result<Pattern, Failed> {
        let mut pieces = Pieces::default();
        let mut rest = word;
        // How the braces that are open now were written: doubled or not.
        let mut open: Vec<bool> = Vec::new();
        while let Some(at) = rest.find(['{', '}']) {
            pieces.text(&rest[..at]);
            rest = &rest[at..];
            let taken = if rest.starts_with("{{") {
                open.push(true);
                pieces.text("{");
                2
            } else if let Some(after) = rest.strip_prefix('{') {
                let inner = after.find(['{', '}']).map(|end| &after[..end]);
                let closed = inner.filter(|inner| after[inner.len()..].starts_with('}'));
                match closed
                    .map(|name| placeholder(word, name, columns, output))
                    .transpose()?
                    .flatten()
                {
                    Some(piece) => {
                        pieces.0.push(piece);
                        closed.map_or(1, str::len) + 2
                    }
                    None => {
                        open.push(false);
                        pieces.text("{");
                        1
                    }
                }
            } else {
                pieces.text("}");
                match rest.starts_with("}}") && open.last() != Some(&false) {
                    true => {
                        open.pop();
                        2
                    }
                    false => {
                        // A single brace closes a single one; a doubled one that is open waits for its own.
                        open.pop_if(|doubled| !*doubled);
                        1
                    }
                }
            };
            rest = &rest[taken..];
        }
        pieces.text(rest);
        Ok(Pattern(pieces.0))
    }

    /// Returns the word with its placeholders filled.
    pub(crate) fn fill(&self, fill: &Fill<'_>) -> OsString {
        OsString::from_vec(self.0.iter().fold(Vec::new(), |mut word, piece| {
            word.extend_from_slice(&piece.bytes(fill));
            word
        }))
    }

    /// Returns the columns that it uses.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(column, _) => Some(*column),
            _ => None,
        })
    }

    /// Returns the word if nothing in it is to be filled.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns whether `{here}` is in it.
    pub(crate) fn names_here(&self) -> bool {
        self.0.contains(&Piece::Here)
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

/// Returns a text as a pattern that stands for just this text.
pub(crate) fn literally(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }
}

impl Piece {
    /// Returns what it stands for.
    pub(super) fn bytes<'a>(&'a self, fill: &Fill<'a>) -> Cow<'a, [u8]> {
        let path = |path: &'a Path| Cow::Borrowed(path.as_os_str().as_bytes());
        match self {
            Piece::Text(text) => Cow::Borrowed(text.as_bytes()),
            Piece::Value(column, part) => Cow::Borrowed(
                fill.values
                    .get(*column)
                    .map_or(&[][..], |value| part.of(&value.0)),
            ),
            Piece::Number => Cow::Owned(fill.task.saturating_add(1).to_string().into_bytes()),
            Piece::Task => Cow::Owned(name_of(fill.task).into_bytes()),
            Piece::Dir => path(fill.dir),
            Piece::Here => path(fill.here),
            Piece::Stdout => fill.output.map_or(Cow::Borrowed(&[]), |(stdout, _)| path(stdout)),
            Piece::Stderr => fill.output.map_or(Cow::Borrowed(&[]), |(_, stderr)| path(stderr)),
        }
    }
}

/// Returns a task's number as in the names of its files.
pub(super) fn name_of(task: u64) -> String {
    format!("{task:07}")
}

impl Part {
    fn of(self, value: &[u8]) -> &[u8] {
        match self {
            Part::Whole => value,
            Part::Base => base(value),
            Part::Stem => stem(value),
            Part::BaseStem => stem(base(value)),
        }
    }
}

/// Returns what follows the last slash; slashes at the end do not count.
fn base(value: &[u8]) -> &[u8] {
    let end = value
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(value.len(), |last| last + 1);
    let start = value[..end]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    // A value of slashes only is its own base name.
    if end == value.len() && value.ends_with(b"/") {
        value
    } else {
        &value[start..end]
    }
}

/// Returns what stands before the last dot of the last part; a dot that begins it starts no extension.
fn stem(value: &[u8]) -> &[u8] {
    let start = value
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    match value[start..].iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &value[..start + dot],
        _ => value,
    }
}

/// Returns what the name between two braces stands for; `None`: the braces are not ours.
fn placeholder(word: &str, name: &str, columns: &[String], output: bool) -> Result<Option<Piece>, Failed> {
    let column = |name: &str| columns.iter().position(|column| column == name);
    // A name as it is goes before a name with a suffix: a column may be called `a.`.
    for (suffix, part) in [
        ("", Part::Whole),
        ("/.", Part::BaseStem),
        ("/", Part::Base),
        (".", Part::Stem),
    ] {
        let Some(name) = name.strip_suffix(suffix) else {
            continue;
        };
        if let Some(column) = column(name) {
            return Ok(Some(Piece::Value(column, part)));
        }
        if name.is_empty() && columns.len() == 1 {
            return Ok(Some(Piece::Value(0, part)));
        }
    }
    let only_ok_if = |piece| match output {
        true => Ok(Some(piece)),
        false => Err(Failed::usage(
            format!(
                "the pattern `{}`: {{{name}}} is known to --ok-if only",
                plain(word)
            ),
            "the command's output is kept anyway; name a part of it with --result NAME=stdout",
        )),
    };
    match name {
        "#" => Ok(Some(Piece::Number)),
        "task" => Ok(Some(Piece::Task)),
        "dir" => Ok(Some(Piece::Dir)),
        "here" => Ok(Some(Piece::Here)),
        "stdout" => only_ok_if(Piece::Stdout),
        "stderr" => only_ok_if(Piece::Stderr),
        _ if looks_meant(name) => Err(no_column(word, name, columns)),
        _ => Ok(None),
    }
}

/// Returns whether braces around it can hardly be anything else than a placeholder.
fn looks_meant(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name.strip_suffix('/').unwrap_or(name);
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-')
}

fn no_column(word: &str, name: &str, columns: &[String]) -> Failed {
    let list = columns
        .iter()
        .map(|column| plain(column))
        .collect::<Vec<_>>()
        .join(", ");
    let brace = "to write a brace as it is, double it: {{ and }}";
    let known = columns.iter().map(String::as_str).chain(OURS);
    let hint = match nearest(name.trim_end_matches(['/', '.']), known) {
        Some(meant) => format!("did you mean {{{}}}? {brace}", plain(meant)),
        None => brace.to_owned(),
    };
    Failed::usage(
        format!(
            "the pattern `{}`: {{{name}}} is no column; the columns are {list}",
            plain(word)
        ),
        hint,
    )
}

#[cfg(test)]
#[path = "pattern/tests.rs"]
mod tests;
