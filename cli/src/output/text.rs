//! Texts from outside, made fit for a terminal.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Writes control characters, and those that turn the direction of writing, as escapes: `\n`, `\x1b`, `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut fit = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => fit.push_str("\\n"),
            '\r' => fit.push_str("\\r"),
            '\t' => fit.push_str("\\t"),
            c if !is_unfit(c) => fit.push(c),
            c if u32::from(c) < 0x100 => fit.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => fit.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(fit)
}

fn is_unfit(c: char) -> bool {
    let ends_a_line = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || ends_a_line || turns
}

/// Returns how many columns of a terminal a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a text to so many columns; what is left out is told by `...`.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    const MORE: &str = "...";
    if width(text) <= most {
        return Cow::Borrowed(text);
    }
    let room = most.saturating_sub(MORE.len());
    let mut taken = 0;
    let fits = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > room
    });
    let end = fits.map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("{}{}", &text[..end], &MORE[..MORE.len().min(most)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_escaped() {
        for (text, fit) in [
            ("plain ünïcode 漢字", "plain ünïcode 漢字"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\x1b[2J\x07\u{7f}", "\\x1b[2J\\x07\\x7f"),
            ("\u{9b}31m", "\\x9b31m"),
            ("exe.\u{202e}fdp", "exe.\\u{202e}fdp"),
            ("a\u{2028}b", "a\\u{2028}b"),
        ] {
            assert_eq!(escape(text), fit);
        }
    }

    #[test]
    fn a_cut_text_never_takes_more_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abc...");
        assert_eq!(cut("漢字漢字", 6), "漢...");
        assert_eq!(cut("abcdef", 2), "..");
        assert_eq!(cut("abcdef", 0), "");
        for most in 0..12 {
            assert!(width(&cut("aé漢b\u{301}cd漢字", most)) <= most);
        }
    }
}
