//! The line that says that a list was cut.

use super::size::count;

/// Returns `3 of 31 shown`, and how to see the rest; `None` if nothing was left out.
pub(crate) fn showing(shown: usize, of: usize) -> Option<String> {
    let (shown_text, of_text) = (count(shown as u64), count(of as u64));
    (shown < of).then(|| format!("{shown_text} of {of_text} shown; --limit 0 shows all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_never_cut_silently() {
        assert_eq!(
            showing(3, 4_311).as_deref(),
            Some("3 of 4,311 shown; --limit 0 shows all")
        );
        assert_eq!(showing(31, 31), None);
    }
}
