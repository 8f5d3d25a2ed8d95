//! Tables in CSV: cells separated by commas, quoted where they hold commas, quotes or line breaks.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use flockwork::app::exit::Failed;

use super::{LONGEST, ReadRows, Table, TableRow, names, no_headline, unreadable, without_nul, wrong_cells};
use crate::task::Bytes;

/// What is known of the bytes that the parser has read.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes since the last row.
    since: Cell<u64>,
    /// Whether the number of quotes is odd: then one of them was never closed, or stands bare in a cell.
    odd: Cell<bool>,
}

/// Counts what passes; it fails before a row can fill the memory.
struct Watched {
    reader: Box<dyn Read>,
    seen: Rc<Seen>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let quotes = buffer[..read].iter().filter(|byte| **byte == b'"').count();
        self.seen.odd.set(self.seen.odd.get() ^ (quotes % 2 == 1));
        self.seen.since.set(self.seen.since.get() + read as u64);
        match self.seen.since.get() > LONGEST {
            true => Err(io::Error::other(
                "a row is longer than 64 MiB; is a quote left open?",
            )),
            false => Ok(read),
        }
    }
}

struct Quoted {
    reader: Reader<Watched>,
    record: ByteRecord,
    seen: Rc<Seen>,
    name: String,
    columns: Vec<String>,
    line: u64,
}

/// Reads the headline.
pub(super) fn open(reader: Box<dyn Read>, name: &str) -> Result<Table, Failed> {
    let seen = Rc::new(Seen::default());
    let watched = Watched {
        reader,
        seen: Rc::clone(&seen),
    };
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(watched);
    let mut quoted = Quoted {
        reader,
        record: ByteRecord::new(),
        seen,
        name: name.to_owned(),
        columns: Vec::new(),
        line: 0,
    };
    if !quoted.read()? {
        return Err(no_headline(name));
    }
    // The parser itself skips a byte order mark at the start.
    let columns = names(name, quoted.line, quoted.record.iter())?;
    quoted.columns.clone_from(&columns);
    Ok(Table {
        name: name.to_owned(),
        columns,
        rows: Box::new(quoted),
    })
}

impl Quoted {
    /// Reads the next record; false at the end.
    fn read(&mut self) -> Result<bool, Failed> {
        let more =
            self.reader
                .read_byte_record(&mut self.record)
                .map_err(|error| match error.into_kind() {
                    ErrorKind::Io(error) => unreadable(&self.name, self.line, &error),
                    other => unreadable(&self.name, self.line, &io::Error::other(format!("{other:?}"))),
                })?;
        self.seen.since.set(0);
        if more {
            self.line = self.record.position().map_or(self.line + 1, csv::Position::line);
        } else if self.seen.odd.get() {
            // A quote that is left open takes all that follows into one cell, silently.
            let text = format!(
                "{}: the number of quotes is odd; the last row begins in line {}",
                self.name, self.line
            );
            return Err(Failed::usage(
                text,
                "close each quote; a quote within a cell is written \"5\"\" pipe\"",
            ));
        }
        Ok(more)
    }
}

impl ReadRows for Quoted {
    fn next_row(&mut self) -> Result<Option<TableRow>, Failed> {
        if !self.read()? {
            return Ok(None);
        }
        let row = TableRow {
            line: self.line,
            values: self.record.iter().map(Bytes::from).collect(),
        };
        if row.values.len() != self.columns.len() {
            return Err(wrong_cells(&self.name, row.line, row.values.len(), &self.columns));
        }
        without_nul(&row, &self.name, &self.columns)?;
        Ok(Some(row))
    }
}
