//! What is in a store, read by anybody at any time: beside running masters and workers, and without mastership.
//!
//! Nothing here decides anything, and nothing is changed: what masters and workers do in between shows as it was
//! before or as it is after. See `walk.rs` for how that holds while shards are cleaned.

mod attempts;
mod decode;
mod entries;
mod journal;
mod piece;
mod running;
mod shard;
mod span;
mod states;
#[cfg(test)]
mod tests;
mod walk;

pub use attempts::{AttemptState, AttemptStatus, LockSeen};
pub(crate) use decode::{EndedInput, outcomes_of_done_file, outcomes_of_input};
pub use entries::{Entry, OpenTask, Outcomes};
pub use journal::{JournalEntries, JournalEntry, JournalOutcome};
pub use running::RunningStatus;
#[cfg(any(test, fuzzing))]
pub(crate) use span::{Span, by_groups, by_header, listed};
pub use states::{States, TaskSpan, TaskState};
pub(super) use walk::RoundWalk;
