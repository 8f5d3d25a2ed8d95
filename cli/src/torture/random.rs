//! Chance that can be had again: the same seed, the same choices.

/// A good shuffle of bits (splitmix64).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A sequence of choices.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(mix(seed))
    }

    /// A number below the bound; 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix(self.0);
        (self.0 >> 8) % bound.max(1)
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(items.len() as u64);
        items.get(usize::try_from(at).unwrap_or(0))
    }
}

/// A seed that nobody has chosen, short enough to be typed.
pub(crate) fn new_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.as_nanos());
    // The lower half is what changes.
    mix(nanos as u64 ^ u64::from(std::process::id())) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let choices = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.below(100)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
        assert!(choices(7).iter().all(|choice| *choice < 100));
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        let mut random = Random::new(1);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.pick(&["one"]), Some(&"one"));
    }
}
