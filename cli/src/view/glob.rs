//! Patterns as a shell has them for file names: `*`, `?` and `[a-z]`.

/// Says whether a text matches a pattern as a whole; what is no well-formed class stands for itself.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last star is, and how much it has taken: it takes one more when the rest does not match.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match one(&pattern[p..], text[t]) {
            Some(length) => {
                p += length;
                t += 1;
            }
            None if pattern.get(p) == Some(&'*') => {
                star = Some((p, t));
                p += 1;
            }
            None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// Returns how many characters of the pattern stand for this letter at its beginning.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern {
        ['*', ..] | [] => None,
        ['?', ..] => Some(1),
        ['[', rest @ ..] => match class(rest, letter) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            None => (letter == '[').then_some(1),
        },
        [own, ..] => (*own == letter).then_some(1),
    }
}

/// Reads `a-z]` or `!a-z]`: whether the letter is in it, and how long it is; `None` if it does not end.
fn class(pattern: &[char], letter: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    let mut at = begin;
    let mut found = false;
    loop {
        match pattern.get(at..)? {
            // At the beginning it is a letter like others.
            [']', ..] if at > begin => return Some((found != negated, at + 1)),
            [from, '-', to, ..] if *to != ']' => {
                found |= (*from..=*to).contains(&letter);
                at += 3;
            }
            [own, ..] => {
                found |= *own == letter;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("0.9*", "0.95", true),
            ("0.9*", "0.9", true),
            ("0.9*", "10.9", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("*.txt", "x.txt.txt", true),
            ("?", "é", true),
            ("?", "", false),
            ("[0-3]", "2", true),
            ("[0-3]", "4", false),
            ("[!0-3]", "4", true),
            ("[^0-3]", "1", false),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("[", "[", true),
            ("x[", "x", false),
            ("**a", "bba", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        // Trying every way to share the letters among the stars would not end today.
        let pattern = "a*".repeat(30) + "b";
        assert!(!matches(&pattern, &"a".repeat(3_000)));
        assert!(matches(&pattern, &("a".repeat(3_000) + "b")));
    }
}
