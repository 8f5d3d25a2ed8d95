//! What was found: a verdict, a line for people, figures for programs.

use serde_json::{Map, Value};

use crate::args::Format;
use crate::output::{Cell, Column, Kind, Table, escape, paint};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Ok,
    /// It works, but somebody should know of it.
    Warn,
    /// A store would not work here, or something does other than it says.
    Fail,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }

    fn word(self) -> String {
        match self {
            Verdict::Ok => paint(Kind::Ok, "ok  "),
            Verdict::Warn => paint(Kind::Warning, "WARN"),
            Verdict::Fail => paint(Kind::Failed, "FAIL"),
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// Which: a name that stays.
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// For people; may change.
    pub(crate) text: String,
    pub(crate) figures: Map<String, Value>,
}

impl Finding {
    pub(crate) fn new(check: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
        Finding {
            check,
            verdict,
            text: text.into(),
            figures: Map::new(),
        }
    }

    pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Finding {
        Finding::new(check, Verdict::Ok, text)
    }

    pub(crate) fn warn(check: &'static str, text: impl Into<String>) -> Finding {
        Finding::new(check, Verdict::Warn, text)
    }

    pub(crate) fn fail(check: &'static str, text: impl Into<String>) -> Finding {
        Finding::new(check, Verdict::Fail, text)
    }

    /// Adds a figure.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Finding {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    /// The line that a person sees.
    pub(crate) fn line(&self) -> String {
        format!("{}  {}\n", self.verdict.word(), escape(&self.text))
    }
}

/// Returns the worst verdict.
pub(crate) fn worst(findings: &[Finding]) -> Verdict {
    let verdicts = findings.iter().map(|finding| finding.verdict);
    verdicts.max().unwrap_or(Verdict::Ok)
}

/// Returns all findings as a table for programs.
pub(crate) fn table(dir: &str, findings: &[Finding]) -> Table {
    let columns = ["check", "verdict", "text", "figures"].map(Column::left);
    let mut table = Table::new("doctor", "checks", columns.to_vec());
    table.about("directory", dir);
    table.about("verdict", worst(findings).name());
    for finding in findings {
        table.row(vec![
            finding.check.into(),
            finding.verdict.name().into(),
            finding.text.as_str().into(),
            Cell::from(Value::Object(finding.figures.clone())),
        ]);
    }
    table
}

/// Says whether findings are written one by one, as they are made.
pub(crate) fn as_lines(format: Format) -> bool {
    format == Format::Table
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn findings_are_lines_for_people_and_an_array_for_programs() {
        let findings = [
            Finding::ok("flock", "flock excludes").with("seconds", 0.25),
            Finding::warn("place", "odd\x1b[2J"),
        ];
        assert_snapshot!(findings.iter().map(Finding::line).collect::<String>(), @r"
        ok    flock excludes
        WARN  odd\x1b[2J
        ");
        assert_snapshot!(table("/proj", &findings).text(Format::Json, None).unwrap(), @r#"
        {
          "schema": "flockwork.doctor/1",
          "directory": "/proj",
          "verdict": "warn",
          "checks": [
            {
              "check": "flock",
              "verdict": "ok",
              "text": "flock excludes",
              "figures": {
                "seconds": 0.25
              }
            },
            {
              "check": "place",
              "verdict": "warn",
              "text": "odd\u001b[2J",
              "figures": {}
            }
          ]
        }
        "#);
        assert_eq!(worst(&findings), Verdict::Warn);
        assert_eq!(worst(&[]), Verdict::Ok);
    }
}
