//! Patterns: words with placeholders for the parameters of a task.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

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

/// A word with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    /// Returns the word with its placeholders filled.
    pub(crate) fn fill(&self, fill: &Fill<'_>) -> OsString {
        let mut word = self.0.clone().into_bytes();
        for (name, value) in fill.columns.iter().zip(fill.values) {
            let text = String::from_utf8_lossy(&word).replace(&format!("{{{name}}}"), &value.text());
            word = text.into_bytes();
        }
        OsString::from_vec(word)
    }
}
