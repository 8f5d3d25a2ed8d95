//! What the targets of `fuzz/` check in this crate, one function for each: properties, and not only that nothing panics.
//!
//! Tests walk the corpora and mutations of them through the same functions, so that every `cargo test` looks for what was
//! found once. See `fuzz/README.md`.
#![cfg(any(test, fuzzing))]

mod node_range;
mod params;
mod pattern;
mod rows;
mod shell;

pub use node_range::node_range;
pub use params::params;
pub use pattern::pattern;
pub use rows::{rows, sweep_json};

#[cfg(test)]
#[path = "../../../fuzz/walk.rs"]
mod walk;

#[cfg(test)]
mod tests {
    use super::walk::walk;

    #[test]
    fn node_range() {
        walk("node_range", super::node_range);
    }

    #[test]
    fn params() {
        walk("params", super::params);
    }

    #[test]
    fn pattern() {
        walk("pattern", super::pattern);
    }

    #[test]
    fn rows() {
        walk("rows", super::rows);
    }

    #[test]
    fn sweep_json() {
        walk("sweep_json", super::sweep_json);
    }
}
