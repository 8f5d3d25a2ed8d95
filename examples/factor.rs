//! Finds the prime factors of every number in a file, one number a line.
//!
//! ```text
//! cargo run --release --features cli --example factor -- run factor.flock examples/data/numbers.txt --workers 4
//! ```
//!
//! With `--primes N`, rounds follow: the numbers above the last ones are searched, until N primes are found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber, RoundSummary, Task, Worker};

/// Find the prime factors of every number in a file
#[derive(clap::Args)]
struct Factor {
    /// The file: a number a line; empty lines and lines that begin with `#` do not count
    numbers: PathBuf,
    /// Search on above the largest number, a hundred numbers a round, until so many primes are found in all
    #[arg(long, value_name = "N", default_value_t = 0)]
    primes: usize,
    #[arg(skip)]
    factors: BTreeMap<u64, (u64, Vec<u64>)>,
    #[arg(skip)]
    found: usize,
    #[arg(skip)]
    largest: u64,
}

impl Master for Factor {
    type Input = u64;
    type Output = Vec<u64>;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
        if !round.is_first() {
            let from = self.largest.saturating_add(1);
            return Ok((self.found < self.primes).then(|| Inputs::new(from..from.saturating_add(100))));
        }
        let path = self.numbers.display().to_string();
        let text =
            std::fs::read_to_string(&self.numbers).map_err(|error| format!("cannot read {path}: {error}"))?;
        let mut numbers = Vec::new();
        for (line, word) in (1..).zip(text.lines().map(str::trim)) {
            if !word.is_empty() && !word.starts_with('#') {
                let bad =
                    |_| format!("{path}:{line}: {word:?} is not a number from 0 to 18446744073709551615");
                numbers.push(word.parse().map_err(bad)?);
            }
        }
        Ok(Some(Inputs::new(numbers)))
    }

    fn collect(&mut self, outcome: Outcome<u64, Vec<u64>>) -> Result<(), BoxError> {
        self.largest = self.largest.max(outcome.input);
        if let Ok(factors) = outcome.result {
            self.found += usize::from(factors == [outcome.input]);
            self.factors.insert(outcome.task.number, (outcome.input, factors));
        }
        Ok(())
    }

    /// Outcomes come in any order; here they are printed in the order of the inputs.
    fn end_round(&mut self, _summary: &RoundSummary) -> Result<(), BoxError> {
        for (number, factors) in std::mem::take(&mut self.factors).into_values() {
            println!("{number} = {factors:?}");
        }
        Ok(())
    }
}

#[derive(clap::Args)]
struct Factorize;

impl Worker for Factorize {
    type Input = u64;
    type Output = Vec<u64>;

    fn process(&self, number: u64, task: &Task<'_>) -> Result<Vec<u64>, BoxError> {
        let (mut rest, mut divisor, mut factors) = (number, 2, Vec::new());
        while rest > 1 {
            if u128::from(divisor).pow(2) > u128::from(rest) {
                divisor = rest;
            }
            while rest.is_multiple_of(divisor) {
                rest /= divisor;
                factors.push(divisor);
            }
            divisor += 1;
            // The worker was told to leave: the number is given back, and another worker takes it.
            if divisor.is_multiple_of(1 << 20) && task.should_stop() {
                return Err("told to stop".into());
            }
        }
        Ok(factors)
    }
}

fn main() -> std::process::ExitCode {
    flockwork::app::main::<Factor, Factorize>()
}
