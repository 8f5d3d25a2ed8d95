//! The sweep: what is run for each row of parameters. It stands in the store as `sweep/sweep.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
