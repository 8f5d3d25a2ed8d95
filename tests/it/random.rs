//! Chance that can be had again: the same seed, the same choices.

use crate::errands::mix;

/// A sequence of choices.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Takes the seed from the environment, or makes one; the test prints it.
    pub(crate) fn seeded(variable: &str) -> (Random, u64) {
        let given = std::env::var(variable).ok().and_then(|seed| seed.parse().ok());
        let made = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            mix(now.unwrap().subsec_nanos().into()) >> 32
        };
        let seed = given.unwrap_or_else(made);
        (Random(seed), seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(items.len().max(1) as u64);
        items.get(usize::try_from(at).unwrap())
    }
}
