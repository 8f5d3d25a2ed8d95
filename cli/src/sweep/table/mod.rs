//! Tables of parameters: rows of values, read one by one, so that a table may be larger than memory.
//!
//! | form | chosen by | what is trimmed, and what is skipped |
//! |---|---|---|
//! | pipe | any other name, and `-` | nothing is trimmed; empty lines; before the headline lines that begin with `#` |
//! | csv | `.csv` | nothing is trimmed; empty lines; cells may be quoted as in RFC 4180; a lone `\r` ends a row too |
//! | tsv | `.tsv` | nothing is trimmed; empty lines; no quoting |
//! | jsonl | `.jsonl` | empty lines; one object per line, with the keys of the first line |
//! | lines | `--each-line` | empty lines; each other line is a value as it is |
//!
//! Lines end with `\n` or `\r\n`. A byte order mark at the start of a table with names is skipped.

mod cells;
mod inline;
mod json;
mod lines;
mod product;
mod quoted;
mod range;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flockwork::app::exit::Failed;

use self::lines::Lines;
use super::pattern::OURS;
use super::shown::{self, count, plain};
use crate::task::Bytes;

/// The most bytes of one row; a file without line breaks must not fill the memory.
const LONGEST: u64 = 64 << 20;

/// Which rows somebody asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableSpec {
    /// `--params FILE`, or `-`.
    pub(crate) params: Option<PathBuf>,
    /// `--params-format`; `None`: by the name of the file.
    pub(crate) format: Option<Format>,
    /// `--each-line FILE`, or `-`.
    pub(crate) each_line: Option<PathBuf>,
    /// `--sweep NAME=VALUES`, as they were given. The first varies slowest, after the rows of the table.
    pub(crate) sweeps: Vec<OsString>,
    /// `--zip`: the lists of the sweeps are walked together.
    pub(crate) zip: bool,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Cells separated by `|`
    Pipe,
    Csv,
    Tsv,
    /// An object in each line
    Jsonl,
}

impl Format {
    fn of(path: &Path) -> Format {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("csv") => Format::Csv,
            Some("tsv") => Format::Tsv,
            Some("jsonl") => Format::Jsonl,
            _ => Format::Pipe,
        }
    }
}

/// A row, and the line where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableRow {
    pub(crate) line: u64,
    pub(crate) values: Vec<Bytes>,
}

/// Rows, one after the other; `None` at the end.
trait ReadRows {
    fn next_row(&mut self) -> Result<Option<TableRow>, Failed>;
}

/// An open table: its columns are known, its rows are still to be read.
pub(crate) struct Table {
    /// What it is called in messages: the file, or the options.
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    rows: Box<dyn ReadRows>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({}: {:?})", self.name, self.columns)
    }
}

impl TableSpec {
    /// Opens what was asked for and reads the names of the columns. `here`: where relative names are meant from.
    ///
    /// # Errors
    ///
    /// A usage error for a file that cannot be read, for names that cannot be, and for options that do not go together.
    pub(crate) fn open(&self, here: &Path) -> Result<Table, Failed> {
        let asked = match (&self.params, &self.each_line) {
            (Some(_), Some(_)) => {
                return Err(Failed::usage(
                    "--params and --each-line are two tables",
                    "leave one out; --sweep goes with either",
                ));
            }
            (Some(path), None) => Some(open_params(path, self.format, here)?),
            (None, Some(path)) => Some(open_lines(path, here)?),
            (None, None) => None,
        };
        let sweeps = inline::Sweeps::parse(&self.sweeps, self.zip)?;
        let table = match (asked, sweeps) {
            (None, None) => {
                return Err(Failed::usage(
                    "nothing says which tasks there are",
                    "--params FILE, --sweep NAME=VALUES, or --each-line FILE",
                ));
            }
            (Some(table), None) => table,
            (asked, Some(sweeps)) => product::product(asked, sweeps),
        };
        check_names(&table)?;
        Ok(table)
    }
}

impl Iterator for Table {
    type Item = Result<TableRow, Failed>;

    fn next(&mut self) -> Option<Result<TableRow, Failed>> {
        self.rows.next_row().transpose()
    }
}

fn open_params(path: &Path, format: Option<Format>, here: &Path) -> Result<Table, Failed> {
    let (name, reader) = open(path, here)?;
    read_table(name, reader, format.unwrap_or_else(|| Format::of(path)))
}

/// Reads the headline of a table.
pub(crate) fn read_table(name: String, reader: Box<dyn Read>, format: Format) -> Result<Table, Failed> {
    match format {
        Format::Pipe => cells::open(Lines::with_names(reader, &name), b'|'),
        Format::Tsv => cells::open(Lines::with_names(reader, &name), b'\t'),
        Format::Csv => quoted::open(reader, &name),
        Format::Jsonl => json::open(Lines::with_names(reader, &name)),
    }
}

fn open_lines(path: &Path, here: &Path) -> Result<Table, Failed> {
    struct EachLine(Lines);

    impl ReadRows for EachLine {
        fn next_row(&mut self) -> Result<Option<TableRow>, Failed> {
            let Some(line) = self.0.next_line()? else {
                return Ok(None);
            };
            let value = Bytes::from(line);
            let row = TableRow {
                line: self.0.number(),
                values: vec![value],
            };
            without_nul(&row, self.0.name(), &["line".to_owned()])?;
            Ok(Some(row))
        }
    }

    let (name, reader) = open(path, here)?;
    let rows = Box::new(EachLine(Lines::new(reader, &name)));
    Ok(Table {
        name,
        columns: vec!["line".to_owned()],
        rows,
    })
}

fn open(path: &Path, here: &Path) -> Result<(String, Box<dyn Read>), Failed> {
    if path.as_os_str() == "-" {
        return Ok(("stdin".to_owned(), Box::new(std::io::stdin())));
    }
    let name = shown::path(path);
    let file = File::open(here.join(path)).map_err(|error| {
        let hint = format!("check the name; it is meant from {}", shown::path(here));
        Failed::usage(format!("cannot read {name}: {error}"), hint)
    })?;
    Ok((name, Box::new(file)))
}

/// A read that failed after the table was opened.
fn unreadable(name: &str, line: u64, error: &std::io::Error) -> Failed {
    let text = match line {
        0 => format!("cannot read {name}: {error}"),
        _ => format!("cannot read {name} after line {line}: {error}"),
    };
    Failed::usage(text, "give a file that can be read to its end")
}

fn no_headline(name: &str) -> Failed {
    Failed::usage(
        format!("{name}: no rows, not even a headline"),
        "write the names first, such as alpha|beta|seed",
    )
}

/// A row with another number of cells than the headline.
fn wrong_cells(name: &str, line: u64, cells: usize, columns: &[String]) -> Failed {
    let cells = count(cells as u64, "cell");
    let text = format!(
        "{name} line {line}: {cells}, but the headline has {} ({})",
        columns.len(),
        list(columns)
    );
    Failed::usage(text, "give each row a cell for each name; a cell may be empty")
}

fn list(columns: &[String]) -> String {
    shown::cut(&plain(&columns.join("|")), 200)
}

/// Checks that no value holds a NUL byte: neither arguments nor variables of a program can.
fn without_nul(row: &TableRow, name: &str, columns: &[String]) -> Result<(), Failed> {
    let Some(at) = row.values.iter().position(|value| value.0.contains(&0)) else {
        return Ok(());
    };
    let column = columns.get(at).map(|column| plain(column)).unwrap_or_default();
    Err(Failed::usage(
        format!("{name} line {}: the value of {column} holds a NUL byte", row.line),
        "a program cannot be given one; is this a text file (UTF-8, not UTF-16)?",
    ))
}

/// Returns the names of a headline as text.
fn names<'a>(name: &str, line: u64, cells: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>, Failed> {
    let text = |(number, cell): (usize, &[u8])| {
        String::from_utf8(cell.to_vec()).map_err(|_| {
            let name_of = plain(&String::from_utf8_lossy(cell));
            let text = format!(
                "{name} line {line}: the name of column {}, `{name_of}`, is no UTF-8",
                number + 1
            );
            Failed::usage(text, "write names of columns in UTF-8; values may be any bytes")
        })
    };
    cells.enumerate().map(text).collect()
}

/// Checks that each column has a name of its own that can stand between braces.
pub(crate) fn check_names(table: &Table) -> Result<(), Failed> {
    let refuse = |what: String, hint: &str| Err(Failed::usage(format!("{}: {what}", table.name), hint));
    for (number, column) in table.columns.iter().enumerate() {
        let shown = plain(column);
        let place = number + 1;
        if column.trim().is_empty() {
            return refuse(
                format!("column {place} has no name"),
                "give every column a name in the headline",
            );
        }
        if column.trim() != column {
            let what = format!("the name of column {place}, `{shown}`, begins or ends with a blank");
            return refuse(
                what,
                "nothing is trimmed: write the names without blanks around them",
            );
        }
        if column.contains(['{', '}']) || column.chars().any(char::is_control) {
            let what = format!("the name of column {place}, `{shown}`, holds a brace or a control character");
            return refuse(what, "letters, digits, `_`, `-` and `.` are safe");
        }
        if OURS.contains(&column.as_str()) {
            let what =
                format!("column {place} is called `{shown}`, but {{{shown}}} stands for something else");
            return refuse(what, "give the column another name");
        }
        if let Some(first) = table.columns[..number].iter().position(|other| other == column) {
            let what = format!("columns {} and {place} are both called `{shown}`", first + 1);
            return refuse(what, "give every column a name of its own");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
