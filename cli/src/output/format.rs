//! The one table that all reading verbs write, and the forms it is written in.

use std::io::IsTerminal;

use flockwork::app::exit::Failed;
use serde_json::{Map, Value};

use super::color::{Kind, paint};
use super::text::{cut, escape, width};
use crate::args::Format;

/// A column: its name in data, and on which side of it texts stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    name: String,
    right: bool,
}

impl Column {
    /// A column whose texts begin at its left side.
    pub(crate) fn left(name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            right: false,
        }
    }

    /// A column for numbers.
    pub(crate) fn right(name: impl Into<String>) -> Column {
        Column {
            name: name.into(),
            right: true,
        }
    }
}

/// A cell: its value for programs, and how people see it if that is something else.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cell {
    value: Value,
    shown: Option<String>,
    kind: Option<Kind>,
}

impl Cell {
    /// Shows people this text instead of the value: `3m12s` for 192.
    pub(crate) fn shown(mut self, text: impl Into<String>) -> Cell {
        self.shown = Some(text.into());
        self
    }

    /// Gives it the colour of its kind on a terminal.
    pub(crate) fn of_kind(mut self, kind: Kind) -> Cell {
        self.kind = Some(kind);
        self
    }

    fn for_people(&self) -> String {
        match &self.shown {
            Some(text) => escape(text).into_owned(),
            None => escape(&plain(&self.value)).into_owned(),
        }
    }
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Cell {
        Cell {
            value: value.into(),
            ..Cell::default()
        }
    }
}

/// Rows of cells, under the name of what they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table {
    schema: &'static str,
    rows_name: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    about: Map<String, Value>,
    note: Option<String>,
}

impl Table {
    /// An empty table; `json` says `flockwork.SCHEMA/1`, and has the rows under `rows_name`.
    pub(crate) fn new(schema: &'static str, rows_name: &'static str, columns: Vec<Column>) -> Table {
        Table {
            schema,
            rows_name,
            columns,
            ..Table::default()
        }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{cells:?}");
        self.rows.push(cells);
    }

    /// Adds a member beside the rows, in `json` only.
    pub(crate) fn about(&mut self, name: &str, value: impl Into<Value>) {
        self.about.insert(name.to_owned(), value.into());
    }

    /// Adds a line below the table, for people only: see [`showing`](super::showing).
    pub(crate) fn note(&mut self, note: Option<String>) {
        self.note = note;
    }

    /// Writes it to stdout; on a terminal no wider than that.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub(crate) fn print(&self, format: Format) -> Result<(), Failed> {
        super::write_all(&self.text(format, terminal_width())?)
    }

    /// Returns it as text, for people at most so wide.
    ///
    /// # Errors
    ///
    /// None that could be brought about: what stands in cells can be written.
    pub(crate) fn text(&self, format: Format, most: Option<usize>) -> Result<String, Failed> {
        Ok(match format {
            Format::Table => self.for_people(most.unwrap_or(usize::MAX)),
            Format::Json => {
                let rows = self.rows.iter().map(|row| Value::Object(self.object(row)));
                let mut members = self.about.clone();
                members.insert(self.rows_name.to_owned(), rows.collect());
                document(self.schema, members)
            }
            Format::Jsonl => {
                let rows = self.rows.iter().map(|row| Value::Object(self.object(row)));
                rows.map(|row| format!("{row}\n")).collect()
            }
            Format::Csv => self.csv()?,
            Format::Plain => self.plain(),
        })
    }

    fn object(&self, row: &[Cell]) -> Map<String, Value> {
        let names = self.columns.iter().map(|column| column.name.clone());
        names.zip(row.iter().map(|cell| cell.value.clone())).collect()
    }

    fn csv(&self) -> Result<String, Failed> {
        let failed = |error: &dyn std::fmt::Display| Failed::usage(format!("cannot write csv: {error}"), "");
        let mut writer = csv::Writer::from_writer(Vec::new());
        let names = self.columns.iter().map(|column| column.name.as_str());
        writer.write_record(names).map_err(|error| failed(&error))?;
        for row in &self.rows {
            let cells = row.iter().map(|cell| plain(&cell.value));
            writer.write_record(cells).map_err(|error| failed(&error))?;
        }
        let bytes = writer.into_inner().map_err(|error| failed(&error))?;
        String::from_utf8(bytes).map_err(|error| failed(&error))
    }

    fn plain(&self) -> String {
        let line = |row: &Vec<Cell>| {
            let cells = row.iter().map(|cell| escape(&plain(&cell.value)).into_owned());
            cells.collect::<Vec<_>>().join("\t") + "\n"
        };
        self.rows.iter().map(line).collect()
    }

    fn for_people(&self, most: usize) -> String {
        let heads: Vec<String> = self
            .columns
            .iter()
            .map(|column| escape(&column.name.to_uppercase()).into_owned())
            .collect();
        let texts: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(Cell::for_people).collect())
            .collect();
        let widths: Vec<usize> = heads
            .iter()
            .enumerate()
            .map(|(at, head)| {
                let cells = texts.iter().filter_map(|row| row.get(at));
                cells.map(|text| width(text)).fold(width(head), usize::max)
            })
            .collect();
        let mut text = self.line(&heads, &widths, most, |_| Some(Kind::Head));
        for (row, texts) in self.rows.iter().zip(&texts) {
            let kind = |at: usize| row.get(at).and_then(|cell| cell.kind);
            text.push_str(&self.line(texts, &widths, most, kind));
        }
        if let Some(note) = &self.note {
            text.push_str(&cut(&escape(note), most));
            text.push('\n');
        }
        text
    }

    /// One line; the cell that would reach beyond the edge is cut, and those after it are left out.
    fn line(
        &self,
        texts: &[String],
        widths: &[usize],
        most: usize,
        kind: impl Fn(usize) -> Option<Kind>,
    ) -> String {
        const GAP: usize = 2;
        let mut line = String::new();
        let mut at = 0;
        // Blanks are written when something follows them, so that lines do not end with blanks.
        let mut blanks = 0;
        for (number, (text, full)) in texts.iter().zip(widths).enumerate() {
            let Some(room) = most.checked_sub(at).filter(|room| *room > 0) else {
                break;
            };
            let text = cut(text, room);
            let fill = full.min(&room).saturating_sub(width(&text));
            let (before, after) = match self.columns.get(number) {
                Some(column) if column.right => (fill, 0),
                _ => (0, fill),
            };
            if !text.is_empty() {
                line.push_str(&" ".repeat(blanks + before));
                line.push_str(&kind(number).map_or_else(|| text.to_string(), |kind| paint(kind, &text)));
                blanks = after + GAP;
            } else {
                blanks += fill + GAP;
            }
            at += full + GAP;
        }
        line.push('\n');
        line
    }
}

/// Returns a JSON document: `{"schema": "flockwork.NAME/1", ...}`, with an end of line.
pub(crate) fn document(name: &str, members: Map<String, Value>) -> String {
    let mut document = Map::new();
    document.insert("schema".to_owned(), format!("flockwork.{name}/1").into());
    document.extend(members);
    format!("{:#}\n", Value::Object(document))
}

/// Writes a value as a cell of data: texts as they are, nothing for null, the rest as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns how wide the terminal is; `None` if stdout is none.
pub(crate) fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout).ok())??;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests;
