//! Which file goes to which host; pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::torture::random::mix;

/// How it is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// By the name and this seed, so that other files change nothing.
    Chance(u64),
    Index,
    Size,
}

/// A file: its name and its size.
pub(crate) type Sized<'a> = (&'a [u8], u64);

/// Chooses a host for each file. `loads` are the bytes and the files that each host has already.
///
/// # Errors
///
/// The names without a number, which [`Rule::Index`] needs.
pub(crate) fn spread<'a>(
    files: &[Sized<'a>],
    loads: &[(u64, u64)],
    rule: Rule,
) -> Result<Vec<usize>, Vec<&'a [u8]>> {
    let hosts = loads.len() as u64;
    let place = |number: u64| usize::try_from(number).unwrap_or(0);
    match rule {
        Rule::Chance(seed) => Ok(files
            .iter()
            .map(|(name, _)| place(chance(name, seed) % hosts))
            .collect()),
        Rule::Index => {
            let without = files.iter().filter(|(name, _)| index(name, hosts).is_none());
            let without: Vec<_> = without.map(|(name, _)| *name).collect();
            if !without.is_empty() {
                return Err(without);
            }
            let indices = files.iter().filter_map(|(name, _)| index(name, hosts));
            Ok(indices.map(place).collect())
        }
        Rule::Size => Ok(balance(files, loads)),
    }
}

/// The largest first, each to the host that has the least.
fn balance(files: &[Sized<'_>], loads: &[(u64, u64)]) -> Vec<usize> {
    let mut heap: BinaryHeap<_> = loads
        .iter()
        .enumerate()
        .map(|(host, (bytes, count))| Reverse((*bytes, *count, host)))
        .collect();
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|at| (Reverse(files[*at].1), files[*at].0));
    let mut chosen = vec![0; files.len()];
    for at in order {
        if let Some(Reverse((bytes, count, host))) = heap.pop() {
            chosen[at] = host;
            heap.push(Reverse((bytes.saturating_add(files[at].1), count + 1, host)));
        }
    }
    chosen
}

/// Returns the number behind the last `_`, modulo the number of hosts; it may have any number of digits.
fn index(name: &[u8], hosts: u64) -> Option<u64> {
    let from = name.iter().rposition(|byte| *byte == b'_')? + 1;
    let digits = name[from..].iter().take_while(|byte| byte.is_ascii_digit());
    let digits: Vec<u64> = digits.map(|digit| u64::from(digit - b'0')).collect();
    if digits.is_empty() {
        return None;
    }
    Some(digits.iter().fold(0, |rest, digit| (rest * 10 + digit) % hosts))
}

fn chance(name: &[u8], seed: u64) -> u64 {
    // The lowest bits are not the best ones.
    name.iter()
        .fold(mix(seed), |mixed, byte| mix(mixed ^ u64::from(*byte)))
        >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_behind_the_last_underscore_counts() {
        for (name, expected) in [
            ("img_00012.fits", Some(12 % 7)),
            ("a_1_b_23", Some(23 % 7)),
            ("run_5x6.dat", Some(5)),
            (
                "x_100000000000000000000000000000000000001",
                Some((1 + 10_u64.pow(9) % 7) % 7),
            ),
            ("a_1_b", None),
            ("12", None),
            ("x_", None),
            ("x_-1", None),
        ] {
            // 10 to the 38 is 10^(38 mod 6) = 10^2 modulo 7.
            let expected = match name.len() > 30 {
                true => Some((100 + 1) % 7),
                false => expected,
            };
            assert_eq!(index(name.as_bytes(), 7), expected, "{name}");
        }
        let files: [Sized<'_>; 3] = [(b"a_1", 0), (b"b", 0), (b"c_", 0)];
        let without = spread(&files, &[(0, 0); 3], Rule::Index).unwrap_err();
        assert_eq!(without, [b"b".as_slice(), b"c_"]);
    }

    #[test]
    fn sizes_are_balanced_and_nothing_depends_on_the_order() {
        let names: Vec<String> = (0..1000).map(|number| format!("f{number}")).collect();
        let files: Vec<Sized<'_>> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_bytes(), mix(at as u64) % 1_000_000))
            .collect();
        let chosen = spread(&files, &[(0, 0); 7], Rule::Size).unwrap();
        let mut loads = [0; 7];
        for (host, (_, size)) in chosen.iter().zip(&files) {
            loads[*host] += size;
        }
        let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
        assert!(most - least < 10_000, "{loads:?}");
        let backwards: Vec<_> = files.iter().rev().copied().collect();
        let mut again = spread(&backwards, &[(0, 0); 7], Rule::Size).unwrap();
        again.reverse();
        assert_eq!(again, chosen);
        // Who has much already gets nothing.
        let chosen = spread(&files, &[(u64::MAX, 1), (0, 0)], Rule::Size).unwrap();
        assert!(chosen.iter().all(|host| *host == 1));
        // Empty files go to all hosts too.
        let empty: Vec<Sized<'_>> = files.iter().map(|(name, _)| (*name, 0)).collect();
        let chosen = spread(&empty, &[(0, 0); 4], Rule::Size).unwrap();
        assert_eq!(chosen.iter().filter(|host| **host == 3).count(), 250);
    }

    #[test]
    fn chance_depends_on_name_and_seed_alone() {
        let names: Vec<String> = (0..4000).map(|number| format!("f_{number}")).collect();
        let files: Vec<Sized<'_>> = names.iter().map(|name| (name.as_bytes(), 1)).collect();
        let of = |seed| spread(&files, &[(0, 0); 4], Rule::Chance(seed)).unwrap();
        let chosen = of(1);
        assert_eq!(chosen, of(1));
        assert_ne!(chosen, of(2));
        for host in 0..4 {
            let count = chosen.iter().filter(|chosen| **chosen == host).count();
            assert!((850..1150).contains(&count), "{count}");
        }
        assert_eq!(
            spread(&files[7..8], &[(0, 0); 4], Rule::Chance(1)).unwrap()[0],
            chosen[7]
        );
    }
}
