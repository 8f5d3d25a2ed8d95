//! How many workers may be launched at most. Pure.
//!
//! A launch is counted when its record gets its number, and each number is given once. So whoever gets a number has
//! seen all launches before it, and no two launches at once can both take the last place.

use super::records::{Cap, Record};

/// Says whether so many workers more would be too many; if so, returns how many there were and may be.
pub(super) fn passed(cap: Cap, family: Option<u64>, before: &[Record], workers: u32) -> Option<(u64, u64)> {
    let (counted, most) = match cap {
        Cap::None => return None,
        Cap::Store { most } => (count(before.iter()), most),
        Cap::Family { most } => {
            let of_family = |record: &&Record| Some(record.family()) == family;
            (count(before.iter().filter(of_family)), most)
        }
    };
    (counted.saturating_add(u64::from(workers)) > most).then_some((counted, most))
}

fn count<'a>(records: impl Iterator<Item = &'a Record>) -> u64 {
    records
        .map(|record| u64::from(record.asked.workers))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::records::tests::record;

    #[test]
    fn the_last_place_is_given_and_none_after_it() {
        let mut before = vec![record(1, 5, None), record(2, 3, None), record(3, 1, Some(1))];
        let store = |most| Cap::Store { most };
        assert_eq!(passed(store(10), None, &before, 1), None);
        assert_eq!(passed(store(10), None, &before, 2), Some((9, 10)));
        assert_eq!(passed(Cap::None, None, &before, u32::MAX), None);
        // A family is a launch with its replacements, whatever others launch.
        let family = |most| Cap::Family { most };
        assert_eq!(passed(family(7), Some(1), &before, 1), None);
        assert_eq!(passed(family(6), Some(1), &before, 1), Some((6, 6)));
        // The first of its family.
        assert_eq!(passed(family(50), None, &before, 5), None);
        assert_eq!(passed(family(4), None, &before, 5), Some((0, 4)));
        before.push(record(4, u32::MAX, None));
        assert_eq!(passed(store(u64::MAX), None, &before, u32::MAX), None);
        assert!(passed(store(0), None, &[], 1).is_some());
    }
}
