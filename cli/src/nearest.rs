//! The name that somebody may have meant.

/// Returns the candidate that differs least from `name`, if it is near enough to be worth a question.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let least = |candidate: &'a str| {
        (
            distance(&name.to_lowercase(), &candidate.to_lowercase()),
            candidate,
        )
    };
    let (distance, candidate) = candidates
        .into_iter()
        .map(least)
        .min_by_key(|(distance, _)| *distance)?;
    let near = (name.chars().count().max(candidate.chars().count()) / 3).max(1);
    (distance <= near).then_some(candidate)
}

/// Returns how many letters must be put in, left out, replaced or swapped with the next to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut above2: Vec<usize> = Vec::new();
    let mut before = None;
    for (row, letter) in one.chars().enumerate() {
        let mut this = vec![row + 1];
        for (column, there) in other.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != *there);
            let mut best = replaced.min(above[column + 1] + 1).min(this[column] + 1);
            if column > 0 && before == Some(*there) && letter == other[column - 1] {
                best = best.min(above2[column - 1] + 1);
            }
            this.push(best);
        }
        above2 = std::mem::replace(&mut above, this);
        before = Some(letter);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_slips_are_found_and_other_names_are_not() {
        let columns = ["alpha", "beta", "seed"];
        for (typed, meant) in [
            ("alhpa", Some("alpha")),
            ("Beta", Some("beta")),
            ("sed", Some("seed")),
            ("seeds", Some("seed")),
            ("gamma", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, columns), meant, "{typed}");
        }
        assert_eq!(nearest("alpha", []), None);
    }
}
