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
    /// The table and those in it that the key stands in: `hosts`, `run` for `[hosts.run]`.
    pub(super) table: Vec<String>,
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
    /// Says whether it is for every verb.
    pub(super) fn is_for_all(&self) -> bool {
        self.table == [super::ALL]
    }

    /// A value that the flag does not take.
    pub(super) fn wrong(&self, why: &str) -> Failed {
        let value = self.value.texts().join(",");
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(" = {}", escape(&value))
        };
        Failed::usage(format!("{}{value}: {why}", self.place()), hint(self.verb()))
    }

    /// A name that is none, of what the help of this verb tells; without words, of any.
    pub(super) fn unknown<'a>(
        &self,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
        verb: &[String],
    ) -> Failed {
        let text = format!("{}: {what}", self.place());
        match nearest(name, known) {
            Some(near) => Failed::usage(text, format!("did you mean `{near}`?")),
            None => Failed::usage(text, hint(verb)),
        }
    }

    fn place(&self) -> String {
        let Entry { line, table, key, .. } = self;
        format!("{FILE}:{line}: [{}] {}", escape(&table.join(".")), escape(key))
    }

    /// Returns the verb that it is for, without words if it is for all.
    pub(super) fn verb(&self) -> &[String] {
        if self.is_for_all() { &[] } else { &self.table }
    }
}

fn hint(verb: &[String]) -> String {
    let verb = match verb {
        [] => "VERB".to_owned(),
        words => words.join(" "),
    };
    format!(
        "keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork {} --help`",
        escape(&verb)
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
        read_table(text, vec![name], keys, &mut entries)?;
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// Reads a table, and those in it: `[hosts.run]` stands in `[hosts]`.
fn read_table(
    text: &str,
    table: Vec<String>,
    keys: &DeTable<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(), Failed> {
    for (key, value) in keys {
        if let DeValue::Table(keys) = value.get_ref() {
            let name = key.get_ref().to_string();
            read_table(text, [table.clone(), vec![name]].concat(), keys, entries)?;
            continue;
        }
        let entry = Entry {
            line: line_of(text, key.span().start),
            table: table.clone(),
            key: key.get_ref().to_string(),
            value: Value::One(String::new()),
        };
        let value = value_of(value).ok_or_else(|| {
            entry.wrong("a value is a text in quotes, a number, true, false, or a list of texts and numbers")
        })?;
        entries.push(Entry { value, ..entry });
    }
    Ok(())
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
