//! Tables of parameters: each row has a cell for each column, and what was read is read again as it was.

use std::ffi::OsString;
use std::io::Cursor;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use flockwork::app::exit::USAGE;

use crate::sweep::table::{Format, TableRow, TableSpec, check_names, read_table};
use crate::task::Bytes;

const MOST: usize = 500;

/// Any bytes as a table in each format, and their lines as `--sweep` options.
pub fn params(bytes: &[u8]) {
    for format in [Format::Pipe, Format::Csv, Format::Tsv, Format::Jsonl] {
        let Some((columns, rows)) = read(bytes, format) else {
            continue;
        };
        if let Some(again) = write(format, &columns, &rows) {
            let values = |rows: Vec<TableRow>| rows.into_iter().map(|row| row.values).collect::<Vec<_>>();
            let (columns_again, rows_again) = read(&again, format).unwrap_or_default();
            assert_eq!(columns_again, columns);
            assert_eq!(values(rows_again), values(rows));
        }
    }
    sweeps(bytes);
}

/// Reads a table up to the first error; `None`: it has no headline that could be.
fn read(bytes: &[u8], format: Format) -> Option<(Vec<String>, Vec<TableRow>)> {
    let reader = Box::new(Cursor::new(bytes.to_vec()));
    let table = read_table("t".to_owned(), reader, format);
    let table = match table.and_then(|table| check_names(&table).map(|()| table)) {
        Ok(table) => table,
        Err(failed) => {
            assert_eq!(failed.code(), USAGE);
            return None;
        }
    };
    let columns = table.columns.clone();
    let mut rows: Vec<TableRow> = Vec::new();
    for row in table.take(MOST) {
        let row = match row {
            Ok(row) => row,
            Err(failed) => {
                assert!(failed.code() == USAGE && failed.text().contains("\nhint: "));
                break;
            }
        };
        assert_eq!(row.values.len(), columns.len());
        assert!(
            row.values.iter().all(|value| !value.0.contains(&0)),
            "no program can be given one"
        );
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        assert!((1..=lines).contains(&row.line), "{row:?} of {lines}");
        // In CSV a lone \r ends a row, but no line.
        let after = rows.last().map_or(0, |last| last.line) + u64::from(format != Format::Csv);
        assert!(row.line >= after, "{rows:?} {row:?}");
        rows.push(row);
    }
    Some((columns, rows))
}

/// Writes a table; `None`: the format has no way to write such values.
fn write(format: Format, columns: &[String], rows: &[TableRow]) -> Option<Vec<u8>> {
    let head: Vec<Bytes> = columns
        .iter()
        .map(|column| Bytes::from(column.as_str()))
        .collect();
    let all = std::iter::once(&head).chain(rows.iter().map(|row| &row.values));
    match format {
        Format::Pipe => cells(all, b'|'),
        Format::Tsv => cells(all, b'\t'),
        Format::Csv => {
            let mut writer = csv::WriterBuilder::new()
                .quote_style(csv::QuoteStyle::Always)
                .from_writer(Vec::new());
            for row in all {
                writer.write_record(row.iter().map(|value| &value.0)).ok()?;
            }
            writer.into_inner().ok()
        }
        Format::Jsonl => {
            let mut text = String::new();
            // The first line is a row too, so there is none without rows.
            for row in rows {
                let mut members = Vec::new();
                for (name, value) in columns.iter().zip(&row.values) {
                    let value = std::str::from_utf8(&value.0).ok()?;
                    members.push(format!(
                        "{}:{}",
                        serde_json::json!(name),
                        serde_json::json!(value)
                    ));
                }
                text.push_str(&format!("{{{}}}\n", members.join(",")));
            }
            (!rows.is_empty()).then(|| text.into_bytes())
        }
    }
}

fn cells<'a>(rows: impl Iterator<Item = &'a Vec<Bytes>>, separator: u8) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for (number, row) in rows.enumerate() {
        let values: Vec<&[u8]> = row.iter().map(|value| value.0.as_slice()).collect();
        let line = values.join(&separator);
        // What would be an empty line, a comment or a mark of the byte order, and line breaks cannot be written.
        let is_special = number == 0 && (line.starts_with(b"#") || line.starts_with(b"\xef\xbb\xbf"));
        if line.is_empty() || is_special || line.iter().any(|byte| b"\r\n".contains(byte)) {
            return None;
        }
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    Some(text)
}

fn sweeps(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').take(4);
    let sweeps: Vec<OsString> = lines.map(|line| OsString::from_vec(line.to_vec())).collect();
    for zip in [false, true] {
        let spec = TableSpec {
            sweeps: sweeps.clone(),
            zip,
            ..TableSpec::default()
        };
        let Ok(table) = spec.open(Path::new("/")) else {
            continue;
        };
        let columns = table.columns.len();
        for row in table.take(MOST) {
            assert!(row.is_ok_and(|row| row.values.len() == columns));
        }
    }
}
