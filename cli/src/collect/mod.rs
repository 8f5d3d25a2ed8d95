//! Results, written for other programs: tables, objects, plain concatenation.

mod failed;
mod sink;

pub(crate) use failed::FailedTable;
pub(crate) use sink::{Done, Sink};

use flockwork::{Outcome, TaskId};

use crate::args::As;
use crate::sweep::spec::Sweep;
use crate::task::{Report, Row};

/// The names of what is written of each task: its parameters, then its results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) parameters: Vec<String>,
    pub(crate) results: Vec<String>,
}

impl Columns {
    /// Returns what is known before any task is read: programs that name their results themselves are not.
    pub(crate) fn of(sweep: &Sweep) -> Columns {
        Columns {
            parameters: sweep.columns.clone(),
            results: sweep.results.iter().map(|result| result.name.clone()).collect(),
        }
    }

    /// Takes note of the results that a program has named.
    pub(crate) fn note(&mut self, report: &Report) {
        for (name, _) in &report.results {
            if !self.results.contains(name) {
                self.results.push(name.clone());
            }
        }
    }

    /// Returns a name for a column of ours that no parameter and no result has.
    fn own(&self, name: &str) -> String {
        let mut name = name.to_owned();
        while self.parameters.contains(&name) || self.results.contains(&name) {
            name.push('_');
        }
        name
    }
}

/// Returns how results are written: as asked for, or as the file's name says.
pub(crate) fn shape(asked: Option<As>, file: Option<&std::path::Path>) -> As {
    let extension = file
        .and_then(|file| file.extension())
        .and_then(|extension| extension.to_str());
    asked.unwrap_or(match extension {
        Some("jsonl" | "ndjson") => As::Jsonl,
        Some("txt" | "out" | "dat") => As::Concat,
        _ => As::Csv,
    })
}

/// Returns the task's number in the list, as its row is numbered in the files: from 0.
fn number(task: TaskId) -> String {
    task.to_string()
}

/// Returns the host that the outcome came from.
fn host(outcome: &Outcome<Row, Report>) -> String {
    crate::master::host_of(&outcome.worker).to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use flockwork::RoundNumber;

    use super::*;
    use crate::task::{Bytes, Captured, Exit};

    /// An outcome with these parameters and results.
    pub(crate) fn outcome(number: u64, values: &[&[u8]], results: &[(&str, &[u8])]) -> Outcome<Row, Report> {
        let stdout = results.first().map_or(&b""[..], |result| result.1);
        Outcome {
            task: TaskId {
                round: RoundNumber::FIRST,
                number,
            },
            input: Row {
                values: values.iter().map(|value| Bytes::from(*value)).collect(),
                cancelled: false,
            },
            result: Ok(Report {
                exit: Exit::Code(0),
                host: "node01".into(),
                began_ms: 0,
                wall_us: 2_980_000,
                user_us: 0,
                system_us: 0,
                peak: 0,
                stdout: Captured {
                    head: Bytes::from(stdout),
                    tail: Bytes::default(),
                    total: stdout.len() as u64,
                },
                stderr: Captured::default(),
                results: results
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), Bytes::from(*value)))
                    .collect(),
            }),
            attempt: 1,
            worker: "node01-812-abcdef".into(),
            elapsed: Duration::from_secs(3),
        }
    }

    #[test]
    fn the_files_name_says_how_it_is_written() {
        let of = |name: &str| shape(None, Some(std::path::Path::new(name)));
        assert_eq!(
            (of("a.csv"), of("a.jsonl"), of("a.txt"), of("a")),
            (As::Csv, As::Jsonl, As::Concat, As::Csv)
        );
        assert_eq!(
            shape(Some(As::Blocks), Some(std::path::Path::new("a.csv"))),
            As::Blocks
        );
    }

    #[test]
    fn our_columns_make_way_for_theirs() {
        let columns = Columns {
            parameters: vec!["host".into()],
            results: vec!["host_".into()],
        };
        assert_eq!(
            (columns.own("host"), columns.own("task")),
            ("host__".to_owned(), "task".to_owned())
        );
    }
}
