//! The master: creates inputs, round by round, and collects outcomes.

mod config;
mod feed;
mod mastership;
mod publish;
mod round;
mod run;
mod shard;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use config::MasterConfig;
pub use feed::Inputs;

use crate::error::BoxError;
use crate::name::RoundNumber;
use crate::outcome::{Outcome, RoundSummary};

/// What makes the inputs and takes the outcomes; implemented by the user.
///
/// A master is a *fold*: what it knows must come from its own beginning and from the outcomes that it was given.
/// Then a master that died is simply started again: it is asked for the inputs of each round again (those that are
/// in the store already are skipped, so they must come in the same order), and is given every outcome once more.
///
/// ```
/// use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber};
///
/// #[derive(Default)]
/// struct Squares {
///     sum: u64,
/// }
///
/// impl Master for Squares {
///     type Input = u64;
///     type Output = u64;
///
///     fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
///         Ok(round.is_first().then(|| Inputs::new(1..=1000)))
///     }
///
///     fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
///         self.sum += outcome.result?;
///         Ok(())
///     }
/// }
/// ```
pub trait Master {
    /// What a task is given.
    type Input: Serialize + DeserializeOwned;
    /// What a task gives.
    type Output: Serialize + DeserializeOwned;

    /// Returns the inputs of a round, as a stream; `None`, or a stream without a single input, ends the run.
    ///
    /// Only a bounded part of the stream is in the store at any time. While the stream waits for its next input nothing
    /// is collected, so it must not wait for outcomes. A stream that never ends is a round that
    /// never ends; one that ends for a while is [open-ended](Inputs::open_ended).
    ///
    /// # Errors
    ///
    /// An error, or a panic, ends this master; the store stays as it is, and `run` goes on from there.
    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Self::Input>>, BoxError>;

    /// Takes what a task ended with; called once for each task, in any order.
    ///
    /// # Errors
    ///
    /// An error, or a panic, ends this master; the outcome stays in the store, and is given to the next one.
    fn collect(&mut self, outcome: Outcome<Self::Input, Self::Output>) -> Result<(), BoxError>;

    /// Called when every task of a round has ended and was collected. Does nothing by default.
    ///
    /// # Errors
    ///
    /// An error, or a panic, ends this master.
    fn end_round(&mut self, summary: &RoundSummary) -> Result<(), BoxError> {
        let _ = summary;
        Ok(())
    }
}
