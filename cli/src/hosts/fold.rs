//! Many names of hosts as one short word, the reverse of [`expand`](super::expand).

use std::collections::{BTreeMap, BTreeSet};

/// Numbers with more digits are left as they are.
const DIGITS: usize = 18;

/// Returns the names as ranges, sorted: `node[01-63]`, `a,b`. Whoever expands it has the same names again.
pub(crate) fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut left: BTreeSet<&str> = names.into_iter().collect();
    let mut folded = BTreeSet::new();
    // The number that differs is most often the last; what it does not bring together, the one before may.
    for back in 0.. {
        let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        let mut has_numbers = false;
        for name in &left {
            if let Some((before, digits, after)) = split(name, back) {
                has_numbers = true;
                if digits.len() <= DIGITS {
                    groups.entry((before, after)).or_default().push(digits);
                }
            }
        }
        if !has_numbers {
            break;
        }
        for ((before, after), numbers) in groups.into_iter().filter(|(_, numbers)| numbers.len() > 1) {
            for digits in &numbers {
                left.remove(format!("{before}{digits}{after}").as_str());
            }
            folded.insert(format!("{before}[{}]{after}", ranges(numbers)));
        }
    }
    folded.extend(left.into_iter().map(str::to_owned));
    folded.into_iter().collect::<Vec<_>>().join(",")
}

/// Splits a name around a number in it; `back`: how many other numbers follow that one.
fn split(name: &str, back: usize) -> Option<(&str, &str, &str)> {
    let mut end = name.len();
    for skipped in 0.. {
        let until = name[..end].rfind(|letter: char| letter.is_ascii_digit())? + 1;
        let from = name[..until]
            .rfind(|letter: char| !letter.is_ascii_digit())
            .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
        if skipped == back {
            return Some((&name[..from], &name[from..until], &name[until..]));
        }
        end = from;
    }
    None
}

/// Returns `01-04,07`.
fn ranges(mut numbers: Vec<&str>) -> String {
    // Those with more digits follow: 9 is before 10, and 01 is none of them.
    numbers.sort_by_key(|digits| (digits.len(), *digits));
    let mut ranges: Vec<(&str, &str)> = Vec::new();
    for digits in numbers {
        match ranges.last_mut() {
            Some((first, last)) if follows(first, last, digits) => *last = digits,
            _ => ranges.push((digits, digits)),
        }
    }
    let shown = ranges.into_iter().map(|(first, last)| match first == last {
        true => first.to_owned(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// Says whether a range that is written from `first` to `last` would go on with this number.
fn follows(first: &str, last: &str, digits: &str) -> bool {
    let next = last.parse::<u64>().ok().and_then(|number| number.checked_add(1));
    next.is_some_and(|next| format!("{next:0width$}", width = first.len()) == digits)
}
