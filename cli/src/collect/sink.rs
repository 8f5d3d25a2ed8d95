//! The results of tasks that are ok, in each of the forms.

use std::io::{self, Write};

use flockwork::Outcome;
use serde_json::{Map, Value, json};

use super::{Columns, host, number};
use crate::args::As;
use crate::task::{Bytes, Report, Row};
use crate::words;

/// Where results are written to, and how.
pub(crate) enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>, Columns),
    Jsonl(W, Columns),
    Concat(W, Columns),
    Blocks(W, Columns),
}

/// What has been written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) rows: u64,
    /// Outputs whose middle was left out for they were longer than the limit.
    pub(crate) cut: u64,
}

impl<W: Write> Sink<W> {
    /// Begins; a table gets its headline.
    pub(crate) fn begin(shape: As, columns: Columns, to: W) -> io::Result<Sink<W>> {
        Ok(match shape {
            As::Csv => {
                let mut writer = csv::Writer::from_writer(to);
                let ours = |name| columns.own(name);
                let names = std::iter::once(ours("task"))
                    .chain(columns.parameters.iter().cloned())
                    .chain(columns.results.iter().cloned())
                    .chain([ours("host"), ours("seconds"), ours("attempt")]);
                writer.write_record(names)?;
                Sink::Csv(Box::new(writer), columns)
            }
            As::Jsonl => Sink::Jsonl(to, columns),
            As::Concat => Sink::Concat(to, columns),
            As::Blocks => Sink::Blocks(to, columns),
        })
    }

    /// Writes a task that is ok; another is left out.
    pub(crate) fn add(&mut self, outcome: &Outcome<Row, Report>, done: &mut Done) -> io::Result<()> {
        let Ok(report) = &outcome.result else {
            return Ok(());
        };
        done.rows += 1;
        // Without a result of a name, the output itself is what counts.
        let is_plain =
            matches!(self, Sink::Concat(_, columns) | Sink::Blocks(_, columns) if columns.results.is_empty());
        done.cut += u64::from(report.stdout.omitted() > 0 && (is_plain || report.results.is_empty()));
        match self {
            Sink::Csv(writer, columns) => {
                let empty = Bytes::default();
                writer.write_field(number(outcome.task))?;
                for value in &outcome.input.values {
                    writer.write_field(&value.0)?;
                }
                for name in &columns.results {
                    writer.write_field(&result(report, name).unwrap_or(&empty).0)?;
                }
                writer.write_field(host(outcome))?;
                writer.write_field(seconds(report))?;
                writer.write_field(outcome.attempt.to_string())?;
                writer.write_record(None::<&[u8]>)?;
                Ok(())
            }
            Sink::Jsonl(to, columns) => {
                let parameters: Map<String, Value> = columns
                    .parameters
                    .iter()
                    .cloned()
                    .zip(outcome.input.values.iter().map(text))
                    .collect();
                let results: Map<String, Value> = report
                    .results
                    .iter()
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect();
                let line = json!({
                    "task": number(outcome.task),
                    "parameters": parameters,
                    "results": results,
                    "host": host(outcome),
                    "seconds": report.wall_us as f64 / 1e6,
                    "attempt": outcome.attempt,
                });
                writeln!(to, "{line}")
            }
            Sink::Concat(to, columns) => output(to, report, columns),
            Sink::Blocks(to, columns) => {
                let parameters = columns.parameters.iter().zip(&outcome.input.values);
                let parameters: Vec<_> = parameters
                    .map(|(name, value)| format!("{name}={}", words::tame(&value.text(), usize::MAX)))
                    .collect();
                writeln!(to, "# task {} {}", number(outcome.task), parameters.join(" "))?;
                output(to, report, columns)
            }
        }
    }

    /// Ends, and gives back what was written to.
    pub(crate) fn end(self) -> io::Result<W> {
        match self {
            Sink::Csv(writer, _) => writer.into_inner().map_err(|error| error.into_error()),
            Sink::Jsonl(mut to, _) | Sink::Concat(mut to, _) | Sink::Blocks(mut to, _) => {
                to.flush()?;
                Ok(to)
            }
        }
    }

    /// Passes on what has been written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Csv(writer, _) => writer.flush(),
            Sink::Jsonl(to, _) | Sink::Concat(to, _) | Sink::Blocks(to, _) => to.flush(),
        }
    }
}

/// Writes the named results, each ended by a line break; without any, stdout as it is.
fn output(to: &mut impl Write, report: &Report, columns: &Columns) -> io::Result<()> {
    if columns.results.is_empty() {
        to.write_all(&report.stdout.head.0)?;
        return to.write_all(&report.stdout.tail.0);
    }
    for name in &columns.results {
        if let Some(value) = result(report, name) {
            // A result has lost its last line break, and only that one.
            to.write_all(&value.0)?;
            to.write_all(b"\n")?;
        }
    }
    Ok(())
}

fn result<'a>(report: &'a Report, name: &str) -> Option<&'a Bytes> {
    report
        .results
        .iter()
        .find(|(own, _)| own == name)
        .map(|(_, value)| value)
}

/// Returns the value as JSON: a number if that is how the program wrote it, else a string.
fn text(value: &Bytes) -> Value {
    let text = value.text();
    match serde_json::from_str::<serde_json::Number>(&text) {
        // Only where nothing of the text is lost.
        Ok(number) if number.to_string() == text => Value::Number(number),
        _ => Value::String(text.into_owned()),
    }
}

fn seconds(report: &Report) -> String {
    format!("{:.3}", report.wall_us as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::tests::outcome;
    use super::*;

    fn columns() -> Columns {
        Columns {
            parameters: vec!["alpha".into(), "name".into()],
            results: vec!["energy".into()],
        }
    }

    fn written(shape: As, columns: Columns) -> (String, Done) {
        let mut done = Done::default();
        let mut sink = Sink::begin(shape, columns, Vec::new()).unwrap();
        sink.add(
            &outcome(1, &[b"0.1", b"a,\"b\"\nc"], &[("energy", b"-14.22")]),
            &mut done,
        )
        .unwrap();
        sink.add(
            &outcome(2, &[b"0.2", b"=1+1"], &[("energy", b"1e999"), ("more", b"x")]),
            &mut done,
        )
        .unwrap();
        (String::from_utf8(sink.end().unwrap()).unwrap(), done)
    }

    #[test]
    fn a_table_has_a_row_for_each_task() {
        let (text, done) = written(As::Csv, columns());
        insta::assert_snapshot!(text, @r#"
        task,alpha,name,energy,host,seconds,attempt
        0000001,0.1,"a,""b""
        c",-14.22,node01,2.980,1
        0000002,0.2,=1+1,1e999,node01,2.980,1
        "#);
        assert_eq!(done, Done { rows: 2, cut: 0 });
    }

    #[test]
    fn objects_keep_every_digit() {
        let (text, _) = written(As::Jsonl, columns());
        insta::assert_snapshot!(text, @r#"
        {"task":"0000001","parameters":{"alpha":0.1,"name":"a,\"b\"\nc"},"results":{"energy":-14.22},"host":"node01","seconds":2.98,"attempt":1}
        {"task":"0000002","parameters":{"alpha":0.2,"name":"=1+1"},"results":{"energy":"1e999","more":"x"},"host":"node01","seconds":2.98,"attempt":1}
        "#);
    }

    #[test]
    fn plain_concatenation_is_in_the_order_given() {
        assert_eq!(written(As::Concat, columns()).0, "-14.22\n1e999\n");
        let plain = Columns {
            results: Vec::new(),
            ..columns()
        };
        assert_eq!(written(As::Concat, plain).0, "-14.221e999");
        let (text, _) = written(As::Blocks, columns());
        assert_eq!(
            text,
            "# task 0000001 alpha=0.1 name=a,\"b\"\\nc\n-14.22\n# task 0000002 alpha=0.2 name==1+1\n1e999\n"
        );
    }
}
