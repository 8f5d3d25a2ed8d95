//! What stands in the file, with the line of each entry; nothing is known of flags here.

use flockwork::app::exit::Failed;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FILE;
use crate::nearest::nearest;
use crate::output::escape;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) line: usize,
    pub(super) table: String,
    pub(super) key: String,
    pub(super) value: Value,
}

/// What a flag may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    One(String),
    Many(Vec<String>),
}

impl Value {
    /// Returns the values as they would be typed.
    pub(super) fn texts(&self) -> Vec<String> {
        match self {
            Value::Bool(value) => vec![value.to_string()],
            Value::One(value) => vec![value.clone()],
            Value::Many(values) => values.clone(),
        }
    }
}

impl Entry {
    /// A value that the flag does not take.
    pub(super) fn wrong(&self, why: &str) -> Failed {
        let Entry { line, table, key, .. } = self;
        let value = self.value.texts().join(",");
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(" = {}", escape(&value))
        };
        let text = format!("{FILE}:{line}: [{}] {}{value}: {why}", escape(table), escape(key));
        Failed::usage(text, hint(table))
    }

    /// A name that is none.
    pub(super) fn unknown<'a>(&self, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failed {
        let Entry { line, table, key, .. } = self;
        let text = format!("{FILE}:{line}: [{}] {}: {what}", escape(table), escape(key));
        match nearest(name, known) {
            Some(near) => Failed::usage(text, format!("did you mean `{near}`?")),
            None => Failed::usage(text, hint(table)),
        }
    }
}

fn hint(table: &str) -> String {
    let verb = if table == super::ALL { "VERB" } else { table };
    format!(
        "keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork {} --help`",
        escape(verb)
    )
}

/// Reads all entries.
///
/// # Errors
///
/// With file and line, if it is no TOML, or if something stands outside of a table.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, Failed> {
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Failed::usage(
            format!("{FILE}:{line}: {}", escape(error.message())),
            "see toml.io for how it is written",
        )
    })?;
    let mut entries = Vec::new();
    for (table, value) in document.get_ref() {
        let name = table.get_ref().to_string();
        let DeValue::Table(keys) = value.get_ref() else {
            let line = line_of(text, table.span().start);
            let text = format!("{FILE}:{line}: {} stands outside of a table", escape(&name));
            return Err(Failed::usage(
                text,
                "put it below [all], or below the name of a verb such as [run]",
            ));
        };
        for (key, value) in keys {
            let entry = Entry {
                line: line_of(text, key.span().start),
                table: name.clone(),
                key: key.get_ref().to_string(),
                value: Value::One(String::new()),
            };
            let value = value_of(value).ok_or_else(|| {
                entry.wrong(
                    "a value is a text in quotes, a number, true, false, or a list of texts and numbers",
                )
            })?;
            entries.push(Entry { value, ..entry });
        }
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn value_of(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    match value.get_ref() {
        DeValue::Boolean(value) => Some(Value::Bool(*value)),
        DeValue::Array(values) => values.iter().map(text_of).collect::<Option<_>>().map(Value::Many),
        _ => text_of(value).map(Value::One),
    }
}

fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
