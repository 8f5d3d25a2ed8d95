//! Node ranges: names that are safe to be given to other programs, and the way there and back.

use std::collections::BTreeSet;

use crate::hosts::range::MOST;
use crate::hosts::{expand, fold};

/// Longer lists are not folded here, for time's sake.
const FOLDED: usize = 2_000;

/// A text as a node range, and as names with commas between them.
pub fn node_range(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match expand(&text) {
        Ok(names) => {
            assert!(names.len() as u64 <= MOST);
            names.iter().for_each(|name| check_name(name));
            if names.len() <= FOLDED {
                let there = names.iter().map(String::as_str).collect();
                comes_back(&there);
                assert_eq!(there.len(), names.len(), "each name is there once");
            }
        }
        Err(failed) => {
            let told = failed.text();
            assert!(told.contains("\nhint: "), "{told}");
            let after = told.split("`, column ").last().unwrap_or_default();
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            let column: usize = digits.parse().unwrap_or_default();
            assert!((1..=text.chars().count() + 1).contains(&column), "{told}");
        }
    }
    // Whatever hosts are called, they can be shown; and those that can be typed come back.
    let words: BTreeSet<&str> = text.split(',').take(FOLDED).collect();
    fold(words.iter().copied());
    let is_plain = |word: &&str| expand(word).is_ok_and(|names| names == [*word]);
    comes_back(&words.into_iter().filter(is_plain).collect());
}

fn check_name(name: &str) {
    assert!(!name.is_empty() && name.len() <= 300);
    assert!(!name.starts_with('-') && !name.contains("@-") && !name.contains(".."));
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@:".contains(&byte);
    assert!(name.bytes().all(is_safe), "{name:?}");
}

fn comes_back(names: &BTreeSet<&str>) {
    if names.is_empty() {
        return;
    }
    let folded = fold(names.iter().copied());
    let again = expand(&folded).map_err(|failed| failed.text());
    let again = again
        .as_ref()
        .map(|again| again.iter().map(String::as_str).collect());
    assert_eq!(again, Ok(names.clone()), "{folded}");
}
