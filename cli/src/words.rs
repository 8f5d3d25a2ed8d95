//! Tasks and parameters in words, for lines that people read.

pub(crate) use crate::output::count;
use crate::sweep::shown;
use crate::task::Bytes;

/// The longest text of a value on a line.
const LONGEST: usize = 40;
/// Parameters that a line names.
const MOST: usize = 6;

/// Returns a text that stays on its line and in its place: control characters are escaped, and it is cut.
pub(crate) fn tame(text: &str, longest: usize) -> String {
    shown::plain(&shown::cut(text, longest))
}

/// Returns `alpha=0.9 beta=12`.
pub(crate) fn parameters(columns: &[String], values: &[Bytes]) -> String {
    let pairs = columns.iter().zip(values).take(MOST);
    let mut text: Vec<_> = pairs
        .map(|(name, value)| format!("{}={}", tame(name, LONGEST), tame(&value.text(), LONGEST)))
        .collect();
    if columns.len() > MOST {
        text.push("...".to_owned());
    }
    text.join(" ")
}

/// Returns `1 task` or `1,200 tasks`.
pub(crate) fn tasks(number: u64) -> String {
    format!("{} task{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_their_line() {
        assert_eq!(tame("a\u{1b}[2J\nb\u{202e}c", 99), "a\\x1b[2J\\nb\\u{202e}c");
        assert_eq!(tame("abcdef", 3), "abc...");
        let columns = ["alpha".to_owned(), "name".to_owned()];
        assert_eq!(
            parameters(&columns, &[Bytes::from("0.9"), Bytes::from("x\ty")]),
            "alpha=0.9 name=x\\ty"
        );
    }

    #[test]
    fn numbers_have_separators() {
        assert_eq!(
            (tasks(1), tasks(1_200)),
            ("1 task".to_owned(), "1,200 tasks".to_owned())
        );
    }
}
