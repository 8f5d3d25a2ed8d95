//! Chance that can be had again: the same seed, the same choices.

/// A sequence of choices.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Takes the seed from the environment, or makes one; the test prints it.
    pub(crate) fn seeded() -> (Random, u64) {
        let given = std::env::var("FLOCKWORK_FAULTS_SEED").ok();
        let made = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            mix(now.unwrap().subsec_nanos().into()) >> 32
        };
        let seed = given.map_or_else(made, |seed| {
            seed.parse().expect("FLOCKWORK_FAULTS_SEED is a number")
        });
        (Random(seed), seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = self.below(items.len() as u64);
        &items[usize::try_from(at).unwrap()]
    }
}

/// A good shuffle of bits (splitmix64).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
