//! Tables whose cells are separated by one byte, `|` or a tab, without quoting.

use flockwork::app::exit::Failed;

use super::lines::Lines;
use super::{ReadRows, Table, TableRow, names, no_headline, without_nul, wrong_cells};
use crate::task::Bytes;

struct Cells {
    lines: Lines,
    separator: u8,
    columns: Vec<String>,
}

/// Reads the headline. Only with `|`, lines before it that begin with `#` are comments.
pub(super) fn open(mut lines: Lines, separator: u8) -> Result<Table, Failed> {
    let columns = loop {
        let number = lines.number() + 1;
        let name = lines.name().to_owned();
        match lines.next_line()? {
            Some(line) if separator == b'|' && line.starts_with(b"#") => {}
            Some(line) => break names(&name, number, line.split(|byte| *byte == separator))?,
            None => return Err(no_headline(&name)),
        }
    };
    let name = lines.name().to_owned();
    let rows = Box::new(Cells {
        lines,
        separator,
        columns: columns.clone(),
    });
    Ok(Table { name, columns, rows })
}

impl ReadRows for Cells {
    fn next_row(&mut self) -> Result<Option<TableRow>, Failed> {
        let separator = self.separator;
        let Some(line) = self.lines.next_line()? else {
            return Ok(None);
        };
        let mut values = Vec::with_capacity(self.columns.len());
        values.extend(line.split(|byte| *byte == separator).map(Bytes::from));
        let row = TableRow {
            line: self.lines.number(),
            values,
        };
        if row.values.len() != self.columns.len() {
            return Err(wrong_cells(
                self.lines.name(),
                row.line,
                row.values.len(),
                &self.columns,
            ));
        }
        without_nul(&row, self.lines.name(), &self.columns)?;
        Ok(Some(row))
    }
}
