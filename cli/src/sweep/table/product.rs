//! Each row of a table with each row of the sweeps.

use flockwork::app::exit::Failed;

use super::inline::Sweeps;
use super::{ReadRows, Table, TableRow};

struct Product {
    /// `None`: there is no table, only the sweeps.
    outer: Option<Box<dyn ReadRows>>,
    sweeps: Sweeps,
    /// The row of the table that is being combined, and how many rows it has made.
    current: Option<TableRow>,
    made: u64,
}

/// Combines a table, which varies slowest, with sweeps.
pub(super) fn product(outer: Option<Table>, sweeps: Sweeps) -> Table {
    let names: Vec<String> = sweeps.names().map(str::to_owned).collect();
    let Some(outer) = outer else {
        let current = Some(TableRow {
            line: 0,
            values: Vec::new(),
        });
        let rows = Box::new(Product {
            outer: None,
            sweeps,
            current,
            made: 0,
        });
        return Table {
            name: "--sweep".to_owned(),
            columns: names,
            rows,
        };
    };
    let columns = outer.columns.into_iter().chain(names).collect();
    let rows = Box::new(Product {
        outer: Some(outer.rows),
        sweeps,
        current: None,
        made: 0,
    });
    Table {
        name: outer.name,
        columns,
        rows,
    }
}

impl ReadRows for Product {
    fn next_row(&mut self) -> Result<Option<TableRow>, Failed> {
        if self.made == self.sweeps.count {
            self.current = None;
        }
        if self.current.is_none() {
            let Some(outer) = &mut self.outer else {
                return Ok(None);
            };
            self.current = outer.next_row()?;
            self.made = 0;
        }
        let Some(current) = &self.current else {
            return Ok(None);
        };
        let mut values = current.values.clone();
        values.extend(self.sweeps.row(self.made));
        self.made += 1;
        Ok(Some(TableRow {
            line: current.line,
            values,
        }))
    }
}
