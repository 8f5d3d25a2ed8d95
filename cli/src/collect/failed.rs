//! The tasks that failed, as a table beside the results.

use std::io::{self, Write};

use flockwork::Outcome;

use super::{Columns, host, number};
use crate::tally::{self, Sort};
use crate::task::{Exit, Report, Row};

/// Its columns beside the task and its parameters.
const OURS: [&str; 8] = [
    "state", "exit", "signal", "host", "seconds", "attempt", "cause", "stderr",
];

/// The table of tasks that failed.
pub(crate) struct FailedTable<W: Write> {
    writer: csv::Writer<W>,
    pub(crate) rows: u64,
}

impl<W: Write> FailedTable<W> {
    pub(crate) fn begin(columns: &Columns, to: W) -> io::Result<FailedTable<W>> {
        let mut writer = csv::Writer::from_writer(to);
        let names = std::iter::once(columns.own("task"))
            .chain(columns.parameters.iter().cloned())
            .chain(OURS.iter().map(|name| columns.own(name)));
        writer.write_record(names)?;
        Ok(FailedTable { writer, rows: 0 })
    }

    /// Writes a task that failed; another is left out.
    pub(crate) fn add(&mut self, outcome: &Outcome<Row, Report>) -> io::Result<()> {
        let Err(failure) = &outcome.result else {
            return Ok(());
        };
        self.rows += 1;
        let report: Option<Report> = failure
            .detail
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        let (exit, signal) = match report.as_ref().map(|report| report.exit) {
            Some(Exit::Code(code)) => (code.to_string(), String::new()),
            Some(Exit::Signal(signal)) => (String::new(), signal.to_string()),
            Some(Exit::NotStarted) | None => Default::default(),
        };
        let state = match Sort::of(failure) {
            Sort::Failed => "failed",
            Sort::Timeout => "timeout",
            Sort::Lost => "lost",
            Sort::Cancelled => "cancelled",
        };
        let (seconds, stderr) = report.as_ref().map_or_else(Default::default, |report| {
            (format!("{:.3}", report.wall_us as f64 / 1e6), last_line(report))
        });
        self.writer.write_field(number(outcome.task))?;
        for value in &outcome.input.values {
            self.writer.write_field(&value.0)?;
        }
        let cause = tally::cause(failure);
        for cell in [
            state,
            &exit,
            &signal,
            &host(outcome),
            &seconds,
            &outcome.attempt.to_string(),
            &cause,
            &stderr,
        ] {
            self.writer.write_field(cell)?;
        }
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(crate) fn end(self) -> io::Result<W> {
        self.writer.into_inner().map_err(|error| error.into_error())
    }
}

impl FailedTable<Vec<u8>> {
    /// Returns the first line of such a table, with its line break.
    pub(crate) fn headline(columns: &Columns) -> Vec<u8> {
        let table = FailedTable::begin(columns, Vec::new()).and_then(FailedTable::end);
        // Writing to memory does not fail.
        table.unwrap_or_default()
    }
}

/// Returns the last line of stderr that is not empty.
fn last_line(report: &Report) -> String {
    let end = if report.stderr.tail.0.is_empty() {
        &report.stderr.head
    } else {
        &report.stderr.tail
    };
    let text = end.text();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;
    use crate::task::Bytes;

    #[test]
    fn the_table_says_how_each_task_failed() {
        let columns = Columns {
            parameters: vec!["alpha".into()],
            results: Vec::new(),
        };
        let mut failed = outcome(7, &[b"0.9"], &[]);
        let mut report = failed.result.unwrap();
        report.exit = Exit::Code(3);
        report.stderr.head = Bytes::from("step 14\nsingular matrix\n\n");
        let detail = serde_json::to_string(&report).unwrap();
        let failure =
            serde_json::json!({"kind": "error", "message": "exit 3 \"singular matrix\"", "detail": detail});
        failed.result = Err(serde_json::from_value(failure).unwrap());
        let mut table = FailedTable::begin(&columns, Vec::new()).unwrap();
        table.add(&failed).unwrap();
        table.add(&outcome(8, &[b"1"], &[])).unwrap();
        assert_eq!(table.rows, 1);
        insta::assert_snapshot!(String::from_utf8(table.end().unwrap()).unwrap(), @r#"
        task,alpha,state,exit,signal,host,seconds,attempt,cause,stderr
        0000007,0.9,failed,3,,node01,2.980,1,"exit 3 ""singular matrix""",singular matrix
        "#);
    }
}
