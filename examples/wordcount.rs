//! Counts the words of text files: a task for each file, added up by the master.
//!
//! ```text
//! cargo run --release --features cli --example wordcount -- run words.flock /usr/share/common-licenses
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber, RoundSummary, Task, Worker};

/// Count the words of text files
#[derive(clap::Args)]
struct Words {
    /// Files, and directories whose files are taken
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How many words to print
    #[arg(long, default_value_t = 10)]
    top: usize,
    #[arg(skip)]
    counts: HashMap<String, u64>,
}

impl Master for Words {
    type Input = PathBuf;
    type Output = BTreeMap<String, u64>;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<PathBuf>>, BoxError> {
        if !round.is_first() {
            return Ok(None);
        }
        let mut files = Vec::new();
        for path in &self.paths {
            // Workers may have another working directory.
            let path = std::path::absolute(path)?;
            if !path.is_dir() {
                files.push(path);
                continue;
            }
            let entries =
                std::fs::read_dir(&path).map_err(|e| format!("cannot list {}: {e}", path.display()))?;
            for entry in entries {
                files.push(entry?.path());
            }
        }
        // Links lead to files that are counted already. The same order each time, so that a run can be taken up.
        files.retain(|path| path.symlink_metadata().is_ok_and(|data| data.is_file()));
        files.sort();
        Ok(Some(Inputs::new(files)))
    }

    fn collect(&mut self, outcome: Outcome<PathBuf, BTreeMap<String, u64>>) -> Result<(), BoxError> {
        for (word, count) in outcome.result.unwrap_or_default() {
            *self.counts.entry(word).or_default() += count;
        }
        Ok(())
    }

    fn end_round(&mut self, _summary: &RoundSummary) -> Result<(), BoxError> {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), word.as_str()));
        for (word, count) in counts.into_iter().take(self.top) {
            println!("{count:>8} {word}");
        }
        Ok(())
    }
}

#[derive(clap::Args)]
struct Count;

impl Worker for Count {
    type Input = PathBuf;
    type Output = BTreeMap<String, u64>;

    fn process(&self, path: PathBuf, _task: &Task<'_>) -> Result<BTreeMap<String, u64>, BoxError> {
        let bytes =
            std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut counts = BTreeMap::new();
        for word in String::from_utf8_lossy(&bytes).split(|c: char| !c.is_alphabetic()) {
            if !word.is_empty() {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

fn main() -> std::process::ExitCode {
    flockwork::app::main::<Words, Count>()
}
