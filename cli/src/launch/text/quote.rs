//! Words and paths as each engine reads them, or an error that says why it would not.

use flockwork::app::exit::{Failed, USAGE};

use crate::sweep::shown;

const MOVE: &str = "use a path with plain letters; a link to the place will do";

/// Refuses what no line of a submit file can hold.
pub(in crate::launch) fn check_line(what: &str, text: &str) -> Result<(), Failed> {
    match text.chars().find(|letter| letter.is_control()) {
        Some(_) => Err(refused(
            what,
            text,
            "has a line break or another control character in it",
        )),
        None => Ok(()),
    }
}

/// Refuses what an engine would read as something else.
pub(super) fn check_without(what: &str, text: &str, special: &str, engine: &str) -> Result<(), Failed> {
    match text.chars().find(|letter| special.contains(*letter)) {
        Some(letter) => {
            let why = format!(
                "has {} in it, which {engine} reads as something else",
                name(letter)
            );
            Err(refused(what, text, &why))
        }
        None => Ok(()),
    }
}

pub(super) fn refused(what: &str, text: &str, why: &str) -> Failed {
    let text = format!("{what} {} {why}", shown::plain(text));
    Failed::new(USAGE, text, Some(MOVE.to_owned()))
}

fn name(letter: char) -> String {
    match letter {
        ' ' => "a blank".to_owned(),
        letter => format!("`{letter}`"),
    }
}

/// Returns words for a shell.
pub(super) fn shell(words: impl IntoIterator<Item = impl AsRef<str>>) -> Result<String, Failed> {
    let mut line = Vec::new();
    for word in words {
        let word = word.as_ref();
        let quoted =
            shlex::try_quote(word).map_err(|_| refused("the word", word, "cannot be written for a shell"))?;
        line.push(quoted.into_owned());
    }
    Ok(line.join(" "))
}

/// Returns a value for a line of `#SBATCH`: in double quotes, where a backslash takes the next letter as it is.
pub(super) fn sbatch(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@%=,:".contains(letter);
    match value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// Returns a value for a line of a submit file of HTCondor, where `$` begins a macro.
pub(super) fn condor(value: &str) -> String {
    value.replace('$', "$(DOLLAR)")
}

/// Returns words in HTCondor's new syntax of arguments: all in double quotes, words with blanks in single ones; each
/// quote in it stands twice.
pub(super) fn condor_words(words: &[String]) -> String {
    let word = |word: &String| {
        let doubled = word.replace('\'', "''");
        match word.is_empty() || word.contains([' ', '\t', '\'']) {
            true => format!("'{doubled}'"),
            false => doubled,
        }
    };
    let line = words.iter().map(word).collect::<Vec<_>>().join(" ");
    format!("\"{}\"", condor(&line.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn each_engine_has_its_quotes() {
        assert_eq!(sbatch("/proj/a-b_%A.out"), "/proj/a-b_%A.out");
        assert_eq!(sbatch("/a b/it's \"x\" #1"), r#""/a b/it's \"x\" #1""#);
        let words = strings(&["worker", "/a b/it's", "say \"x\"", "", "$HOME"]);
        assert_eq!(
            condor_words(&words),
            r#""worker '/a b/it''s' 'say ""x""' '' $(DOLLAR)HOME""#
        );
        let line = shell(["/a b/it's", "$(rm -rf x)", "plain"]).unwrap();
        assert_eq!(
            shlex::split(&line).unwrap(),
            ["/a b/it's", "$(rm -rf x)", "plain"]
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_shown_on_one_line() {
        let failed = check_line("the store's path", "/a\nb").unwrap_err();
        assert_eq!(failed.code(), USAGE);
        assert!(
            failed.text().contains("the store's path /a\\nb has a line break"),
            "{}",
            failed.text()
        );
        let failed = check_without("the store's path", "/a,b", ",:", "Grid Engine").unwrap_err();
        assert!(
            failed.text().contains("has `,` in it, which Grid Engine reads"),
            "{}",
            failed.text()
        );
        assert!(check_line("", "/a b'\"").is_ok() && check_without("", "/ab", ",:", "").is_ok());
    }
}
