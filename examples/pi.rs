//! Estimates pi by throwing darts, round after round, until the error is small.
//!
//! ```text
//! cargo run --release --features cli --example pi -- run pi.flock --error 0.0005
//! ```
//!
//! Each task seeds its own random numbers with its id, so the same store gives the same estimate, whoever works.

use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber, RoundSummary, Task, Worker};

/// Estimate pi by throwing darts
#[derive(clap::Args)]
struct Pi {
    /// Go on until the standard error is below this
    #[arg(long, default_value_t = 0.0005)]
    error: f64,
    /// How many darts a task throws
    #[arg(long, default_value_t = 500_000)]
    darts: u64,
    /// How many tasks a round has
    #[arg(long, default_value_t = 8)]
    tasks: usize,
    #[arg(skip)]
    thrown: u64,
    #[arg(skip)]
    hits: u64,
}

impl Pi {
    /// The estimate and its standard error.
    fn estimate(&self) -> Option<(f64, f64)> {
        let (hits, thrown) = (self.hits as f64, self.thrown as f64);
        let share = hits / thrown;
        (self.thrown > 0).then(|| (4.0 * share, 4.0 * (share * (1.0 - share) / thrown).sqrt()))
    }
}

impl Master for Pi {
    type Input = u64;
    type Output = u64;

    fn create_inputs(&mut self, _round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
        if self.error.is_nan() || self.error <= 0.0 {
            return Err("--error is greater than 0".into());
        }
        let enough = self.estimate().is_some_and(|(_, error)| error < self.error);
        Ok((!enough).then(|| Inputs::new(vec![self.darts; self.tasks])))
    }

    fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
        if let Ok(hits) = outcome.result {
            self.thrown += outcome.input;
            self.hits += hits;
        }
        Ok(())
    }

    fn end_round(&mut self, summary: &RoundSummary) -> Result<(), BoxError> {
        let (pi, error) = self.estimate().ok_or("every task failed")?;
        println!(
            "round {}: pi = {pi:.6} +- {error:.6} after {} darts",
            summary.round, self.thrown
        );
        Ok(())
    }
}

#[derive(clap::Args)]
struct Throw;

impl Worker for Throw {
    type Input = u64;
    type Output = u64;

    fn process(&self, darts: u64, task: &Task<'_>) -> Result<u64, BoxError> {
        // SplitMix64, seeded by the task's id.
        let id = task.id();
        let mut state = u64::from(id.round.get()) << 40 | id.number;
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        Ok((0..darts)
            .filter(|_| next().powi(2) + next().powi(2) < 1.0)
            .count() as u64)
    }
}

fn main() -> std::process::ExitCode {
    flockwork::app::main::<Pi, Throw>()
}
