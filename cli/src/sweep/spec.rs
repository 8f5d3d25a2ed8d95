//! The sweep: what is run for each row of parameters. It stands in the store as `sweep/sweep.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use flockwork::app::times;
use serde::{Deserialize, Serialize};

use super::shown::plain;

/// What is run for each row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// `flockwork.sweep/1`.
    pub(crate) schema: String,
    /// The names of the parameters.
    pub(crate) columns: Vec<String>,
    /// The command's pattern, word by word: see [`Pattern`](super::pattern::Pattern).
    pub(crate) command: Vec<String>,
    /// Whether the words are joined and given to `sh -c`; values are quoted then.
    pub(crate) shell: bool,
    /// Where it was submitted: relative names of programs and files are meant from here.
    pub(crate) here: PathBuf,
    /// Where the command runs; `None`: in the attempt's own directory.
    pub(crate) cwd: Option<PathBuf>,
    /// The variables that were asked for with `--env`, with their values.
    pub(crate) env: BTreeMap<String, String>,
    /// Files that are made in the attempt's directory before it begins.
    pub(crate) inputs: Vec<InputFile>,
    /// A template for what the command reads; `None`: nothing.
    pub(crate) stdin: Option<String>,
    pub(crate) results: Vec<ResultSpec>,
    /// A command, word by word, that says by its exit status whether a task that ended with 0 is ok.
    pub(crate) ok_if: Option<Vec<String>>,
    pub(crate) limits: Limits,
}

/// A file made from a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputFile {
    /// Its name in the attempt's directory; relative, without `..`.
    pub(crate) name: String,
    /// The text of the template.
    pub(crate) template: String,
}

/// A named result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResultSpec {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// Where a result comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// All of stdout, without the last line break.
    Stdout,
    Stderr,
    /// A file that the command writes, relative to the attempt's directory.
    File(String),
    /// The member of that name of the JSON object in the last line of stdout.
    Json,
    /// The first group (or all) of the last match in stdout.
    Regex(String),
}

/// What an attempt may use, and what is done when it fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) timeout: Option<Timeout>,
    /// Between TERM and KILL.
    pub(crate) grace: Duration,
    /// The most bytes that are kept of each of stdout and stderr: the first half and the last half.
    pub(crate) output: u64,
    /// Processors that a task needs; 1 is the default.
    pub(crate) cpus: u32,
    /// Memory that a task needs, in bytes.
    pub(crate) memory: Option<u64>,
    /// Exit codes after which a task is tried again; empty: all.
    pub(crate) retry_on: Vec<i32>,
    /// Exit codes after which it is not.
    pub(crate) no_retry_on: Vec<i32>,
    /// The store stops when so many tasks have failed.
    #[serde(default)]
    pub(crate) max_failures: Option<u64>,
    /// Tasks that share an input file, and are taken together.
    #[serde(default = "one")]
    pub(crate) batch: u32,
}

fn one() -> u32 {
    1
}

/// How long an attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Timeout {
    After(Duration),
    /// Times the median of those that are ok; counts once ten tasks are done.
    TimesMedian(f64),
}

impl ResultSpec {
    /// Reads `NAME=stdout|stderr|json|file:PATH|regex:EXPRESSION`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<ResultSpec, String> {
        let shown = plain(text);
        let form = "write NAME=stdout, NAME=stderr, NAME=json, NAME=file:PATH or NAME=regex:EXPRESSION";
        let (name, source) = text
            .split_once('=')
            .ok_or(format!("`{shown}` has no `=`; {form}"))?;
        if name.trim().is_empty() || name.trim() != name || name.chars().any(char::is_control) {
            return Err(format!(
                "`{shown}` has no name that can stand in a headline; {form}"
            ));
        }
        let source = match source.split_once(':') {
            None if source == "stdout" => Source::Stdout,
            None if source == "stderr" => Source::Stderr,
            None if source == "json" => Source::Json,
            Some(("file", path)) => {
                let file = inside(path).map_err(|what| format!("`{shown}`: the file {what}"))?;
                Source::File(file.to_owned())
            }
            Some(("regex", expression)) => {
                if let Err(error) = regex::bytes::Regex::new(expression) {
                    // The last line says what is wrong; those above draw where.
                    let what = error.to_string();
                    let what = plain(
                        what.lines()
                            .last()
                            .unwrap_or_default()
                            .trim_start_matches("error: "),
                    );
                    return Err(format!("`{shown}`: the expression does not parse: {what}"));
                }
                Source::Regex(expression.to_owned())
            }
            _ => return Err(format!("`{shown}` names no source; {form}")),
        };
        Ok(ResultSpec {
            name: name.to_owned(),
            source,
        })
    }
}

impl std::fmt::Display for ResultSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match &self.source {
            Source::Stdout => write!(f, "{name}=stdout"),
            Source::Stderr => write!(f, "{name}=stderr"),
            Source::Json => write!(f, "{name}=json"),
            Source::File(path) => write!(f, "{name}=file:{path}"),
            Source::Regex(expression) => write!(f, "{name}=regex:{expression}"),
        }
    }
}

/// Checks that a name stays in the attempt's own directory.
///
/// # Errors
///
/// What is wrong with it, without its subject.
pub(super) fn inside(name: &str) -> Result<&str, &'static str> {
    if name.is_empty() || name.ends_with('/') {
        return Err("has no name");
    }
    if name.starts_with('/') {
        return Err("must be named relative to the attempt's directory, without a `/` in front");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character in its name");
    }
    match name.split('/').find(|part| ["", ".", ".."].contains(part)) {
        Some(_) => Err("must stay in the attempt's directory, and be named without `.`, `..` and `//`"),
        None => Ok(name),
    }
}

impl Timeout {
    /// Reads a duration such as `4m`, or a multiple of the median such as `20x`, which is 1x at least.
    ///
    /// # Errors
    ///
    /// A sentence that says how to write one.
    pub(crate) fn parse(text: &str) -> Result<Timeout, String> {
        if let Some(times) = text.strip_suffix('x') {
            let times = times
                .parse::<f64>()
                .ok()
                .filter(|times| times.is_finite() && *times >= 1.0);
            return times
                .map(Timeout::TimesMedian)
                .ok_or("write a multiple of the median as 20x; 1x is the least".into());
        }
        match times::parse(text) {
            Ok(duration) if duration.is_zero() => {
                Err("a task needs some time; leave the option out for no limit".into())
            }
            Ok(duration) => Ok(Timeout::After(duration)),
            Err(what) => Err(format!("{what}; or as a multiple of the median, such as 20x")),
        }
    }
}

impl std::fmt::Display for Timeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Timeout::After(duration) => f.write_str(&times::exact(*duration)),
            Timeout::TimesMedian(times) => write!(f, "{times}x"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_durations_or_multiples() {
        assert_eq!(Timeout::parse("4m"), Ok(Timeout::After(Duration::from_secs(240))));
        assert_eq!(Timeout::parse("20x"), Ok(Timeout::TimesMedian(20.0)));
        assert_eq!(
            Timeout::parse("1.5x").map(|timeout| timeout.to_string()),
            Ok("1.5x".to_owned())
        );
        for text in ["", "x", "0.5x", "-2x", "nanx", "infx", "0s", "4", "4 parsecs"] {
            assert!(Timeout::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn results_have_a_name_and_a_source() {
        let parsed = |text: &str| {
            let spec = ResultSpec::parse(text)?;
            assert_eq!(spec.to_string(), text, "it is written as it is read");
            Ok::<_, String>((spec.name, spec.source))
        };
        assert_eq!(parsed("e=stdout"), Ok(("e".to_owned(), Source::Stdout)));
        assert_eq!(parsed("a b=json"), Ok(("a b".to_owned(), Source::Json)));
        assert_eq!(
            parsed("e=file:out/e.txt"),
            Ok(("e".to_owned(), Source::File("out/e.txt".to_owned())))
        );
        assert_eq!(
            parsed("e=regex:e=(.*):"),
            Ok(("e".to_owned(), Source::Regex("e=(.*):".to_owned())))
        );
        let texts: Vec<String> = [
            "stdout",
            "=stdout",
            " e=stdout",
            "e=stdin",
            "e=file:",
            "e=file:/etc/passwd",
            "e=file:../x",
            "e=regex:(",
            "e=file:a\x1bb",
        ]
        .iter()
        .map(|text| parsed(text).unwrap_err())
        .collect();
        insta::assert_snapshot!(texts.join("\n"));
    }
}
