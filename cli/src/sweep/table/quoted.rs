//! Tables in CSV: cells separated by commas, quoted where they hold commas, quotes or line breaks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use flockwork::app::exit::Failed;

use super::{LONGEST, ReadRows, Table, TableRow, names, no_headline, unreadable, without_nul, wrong_cells};
use crate::task::Bytes;

/// What is known of the bytes that the parser has read.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes in all, and since the last row.
    bytes: u64,
    since: u64,
    /// Whether the number of quotes is odd: then one of them was never closed, or stands bare in a cell.
    odd: bool,
    /// Line breaks so far, and whether a line begins here.
    breaks: u64,
    within: bool,
    /// Lines that are not empty and that the parser has not passed: where each begins, and its number.
    ///
    /// The parser counts lines too, but it is one behind if lines end with `\r\n` or if empty lines come before.
    lines: VecDeque<(u64, u64)>,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    self.breaks += 1;
                    self.within = false;
                }
                b'\r' => {}
                _ => {
                    if !self.within {
                        self.within = true;
                        self.lines.push_back((self.bytes, self.breaks + 1));
                    }
                    self.odd ^= *byte == b'"';
                }
            }
            self.bytes += 1;
            self.since += 1;
        }
    }

    /// Returns the line of a row that the parser began to look for at a byte.
    fn line(&mut self, begins: u64) -> u64 {
        while self.lines.front().is_some_and(|(at, _)| *at < begins) {
            self.lines.pop_front();
        }
        self.lines.front().map_or(self.breaks + 1, |(_, line)| *line)
    }
}

/// Looks at what passes; it fails before a row can fill the memory.
struct Watched {
    reader: Box<dyn Read>,
    seen: Rc<RefCell<Seen>>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let mut seen = self.seen.borrow_mut();
        seen.take(&buffer[..read]);
        match seen.since > LONGEST {
            true => Err(io::Error::other(
                "a row is longer than 64 MiB; is a quote left open?",
            )),
            false => Ok(read),
        }
    }
}

/// Skips a byte order mark. The parser would do so too, but then its places are three bytes off.
fn without_mark(mut reader: Box<dyn Read>, name: &str) -> Result<Box<dyn Read>, Failed> {
    let mut begin = Vec::new();
    let read = (&mut reader).take(3).read_to_end(&mut begin);
    read.map_err(|error| unreadable(name, 0, &error))?;
    if begin == b"\xef\xbb\xbf" {
        begin.clear();
    }
    Ok(Box::new(io::Cursor::new(begin).chain(reader)))
}

struct Quoted {
    reader: Reader<Watched>,
    record: ByteRecord,
    seen: Rc<RefCell<Seen>>,
    name: String,
    columns: Vec<String>,
    line: u64,
}

/// Reads the headline.
pub(super) fn open(reader: Box<dyn Read>, name: &str) -> Result<Table, Failed> {
    let reader = without_mark(reader, name)?;
    let seen = Rc::new(RefCell::new(Seen::default()));
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
        let mut seen = self.seen.borrow_mut();
        seen.since = 0;
        if more {
            self.line = seen.line(self.record.position().map_or(0, csv::Position::byte));
        } else if seen.odd {
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
