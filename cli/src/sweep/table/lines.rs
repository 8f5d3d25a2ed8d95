//! Lines of a file as bytes, with their numbers, each of bounded length.

use std::io::{BufRead, BufReader, Read};

use flockwork::app::exit::Failed;

use super::{LONGEST, unreadable};

/// The lines of a file that are not empty.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read>>,
    name: String,
    number: u64,
    buffer: Vec<u8>,
    /// A byte order mark is no part of the first line.
    skip_mark: bool,
}

impl Lines {
    pub(super) fn new(reader: Box<dyn Read>, name: &str) -> Lines {
        let reader = BufReader::with_capacity(1 << 16, reader);
        Lines {
            reader,
            name: name.to_owned(),
            number: 0,
            buffer: Vec::new(),
            skip_mark: false,
        }
    }

    /// For a table that begins with names.
    pub(super) fn with_names(reader: Box<dyn Read>, name: &str) -> Lines {
        Lines {
            skip_mark: true,
            ..Lines::new(reader, name)
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the next line that is not empty, without its line break.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, Failed> {
        let length = loop {
            self.buffer.clear();
            let mut limited = (&mut self.reader).take(LONGEST + 1);
            let read = limited.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| unreadable(&self.name, self.number, &error))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 > LONGEST {
                let most = LONGEST >> 20;
                let text = format!("{} line {}: longer than {most} MiB", self.name, self.number);
                return Err(Failed::usage(text, "is this the right file?"));
            }
            if self.number == 1 && self.skip_mark && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            let line = self.buffer.as_slice();
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                break line.len();
            }
        };
        Ok(Some(&self.buffer[..length]))
    }
}
