//! Names, values and command lines as a person sees them: on one line, without what steers a terminal.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::output;

/// Returns the text with control characters, and those that turn the direction of writing, as escapes.
pub(crate) fn plain(text: &str) -> String {
    output::escape(text).into_owned()
}

/// Returns a path for people.
pub(crate) fn path(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// Returns words as they could be typed into a shell, on one line.
pub(crate) fn words<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> String {
    let quoted = |word: W| plain(&String::from_utf8_lossy(&quoted(word.as_ref().as_bytes())));
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &[u8]) -> Cow<'_, [u8]> {
    // Placeholders and lists are easier to read without quotes; nobody runs what is shown.
    let easy = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-./:@_{}=,%".contains(byte);
    match !word.is_empty() && word.iter().all(easy) {
        true => Cow::Borrowed(word),
        false => shlex::bytes::try_quote(word).unwrap_or(Cow::Borrowed(word)),
    }
}

/// Returns the text, cut with `...` if it has more than `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns `1 cell`, `2 cells`.
pub(crate) fn count(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_shown() {
        assert_eq!(
            plain("a\x1b[31m\nb\u{202e}\u{9b}"),
            "a\\x1b[31m\\nb\\u{202e}\\x9b"
        );
        assert_eq!(words(["a b", "x\ny", "", "--n={n}"]), "'a b' 'x\\ny' '' --n={n}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(
            (cut("äöü", 2), cut("äöü", 3)),
            ("äö...".to_owned(), "äöü".to_owned())
        );
        assert_eq!(
            (count(1, "cell"), count(0, "cell")),
            ("1 cell".to_owned(), "0 cells".to_owned())
        );
    }
}
