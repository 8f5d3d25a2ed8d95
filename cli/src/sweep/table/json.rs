//! Tables with one JSON object per line. The keys of the first line are the columns.
//!
//! Strings are values as they are, numbers and booleans as they are written, null is the empty value, and lists and
//! objects are values as JSON without blanks.

use std::fmt;

use flockwork::app::exit::Failed;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::lines::Lines;
use super::{ReadRows, Table, TableRow, no_headline, without_nul};
use crate::nearest::nearest;
use crate::sweep::shown::plain;
use crate::task::Bytes;

/// The members of an object in their order; keys may be there twice.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object such as {\"alpha\": 0.1}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

struct Objects {
    lines: Lines,
    columns: Vec<String>,
    /// The line with the columns; it is a row too.
    first: Option<(u64, Members)>,
}

/// Reads the first line.
pub(super) fn open(mut lines: Lines) -> Result<Table, Failed> {
    let Some(first) = read(&mut lines)? else {
        return Err(no_headline(lines.name()));
    };
    let columns: Vec<String> = first.1.0.iter().map(|(key, _)| key.clone()).collect();
    let name = lines.name().to_owned();
    let rows = Box::new(Objects {
        lines,
        columns: columns.clone(),
        first: Some(first),
    });
    Ok(Table { name, columns, rows })
}

impl ReadRows for Objects {
    fn next_row(&mut self) -> Result<Option<TableRow>, Failed> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => read(&mut self.lines)?,
        };
        let Some((line, members)) = next else {
            return Ok(None);
        };
        let mut values: Vec<Option<Bytes>> = vec![None; self.columns.len()];
        for (at, (key, value)) in members.0.iter().enumerate() {
            // Nearly always the keys come in the same order.
            let column = match self.columns.get(at) == Some(key) {
                true => Some(at),
                false => self.columns.iter().position(|column| column == key),
            };
            let Some(column) = column else {
                return Err(self.other_key(line, key));
            };
            if values[column].replace(text(value.get()).into()).is_some() {
                let what = format!("the key `{}` is there twice", plain(key));
                return Err(refused(&self.lines, line, &what, "write each key once"));
            }
        }
        if let Some(missing) = values.iter().position(Option::is_none) {
            let what = format!(
                "no key `{}`, which the first line has",
                plain(&self.columns[missing])
            );
            return Err(refused(
                &self.lines,
                line,
                &what,
                "give each line the same keys; null is the empty value",
            ));
        }
        let row = TableRow {
            line,
            values: values.into_iter().flatten().collect(),
        };
        without_nul(&row, self.lines.name(), &self.columns)?;
        Ok(Some(row))
    }
}

impl Objects {
    fn other_key(&self, line: u64, key: &str) -> Failed {
        let what = format!(
            "the key `{}` is not in the first line ({})",
            plain(key),
            super::list(&self.columns)
        );
        let hint = match nearest(key, self.columns.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{}`?", plain(meant)),
            None => "give each line the same keys".to_owned(),
        };
        refused(&self.lines, line, &what, &hint)
    }
}

fn refused(lines: &Lines, line: u64, what: &str, hint: &str) -> Failed {
    Failed::usage(format!("{} line {line}: {what}", lines.name()), hint)
}

fn read(lines: &mut Lines) -> Result<Option<(u64, Members)>, Failed> {
    let Some(line) = lines.next_line()? else {
        return Ok(None);
    };
    match serde_json::from_slice::<Members>(line) {
        Ok(members) => Ok(Some((lines.number(), members))),
        Err(error) => {
            // The parser sees one line only, so its own "line 1" would mislead.
            let text = error.to_string();
            let what = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(what, _)| what);
            let place = match error.column() {
                0 => String::new(),
                column => format!(" (column {column})"),
            };
            let what = format!("no JSON object: {}{place}", plain(what));
            Err(refused(
                lines,
                lines.number(),
                &what,
                "write one object per line, such as {\"alpha\": 0.1, \"beta\": 1}",
            ))
        }
    }
}

/// Returns the value of a member.
fn text(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()),
        Some(b'{' | b'[') => compact(raw),
        _ if raw == "null" => String::new(),
        _ => raw.to_owned(),
    }
}

/// Returns JSON without the blanks between its parts; numbers stay as they are written.
fn compact(raw: &str) -> String {
    let (mut within, mut escaped) = (false, false);
    let keep = |letter: &char| {
        let kept = within || !letter.is_ascii_whitespace();
        match *letter {
            _ if escaped => escaped = false,
            '\\' => escaped = within,
            '"' => within = !within,
            _ => {}
        }
        kept
    };
    raw.chars().filter(keep).collect()
}
