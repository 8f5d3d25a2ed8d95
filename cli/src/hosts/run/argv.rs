//! What is run on a host: the words of the command, with the placeholders of that host; pure.

use flockwork::app::exit::Failed;

/// The host's name.
const HOST: &str = "{host}";
/// Where the first copied file is there.
const FILE: &str = "{file}";

/// Checks that what the words ask for can be given.
///
/// # Errors
///
/// A placeholder for a file that is not copied, or one that a shell would read.
pub(crate) fn check(words: &[String], has_file: bool, shell: bool) -> Result<(), Failed> {
    let has = |name: &str| words.iter().any(|word| word.contains(name));
    if shell && (has(HOST) || has(FILE)) {
        return Err(Failed::usage(
            "with --shell there are no placeholders: a shell would read what stands there",
            "write \"$FLOCKWORK_HOST\", \"$FLOCKWORK_FILE\" or \"$FLOCKWORK_DIR\"",
        ));
    }
    if has(FILE) && !has_file {
        return Err(Failed::usage(
            "{file} is the first copied file, and none is copied",
            "copy one with -f FILE",
        ));
    }
    Ok(())
}

/// Returns the words for one host. Other braces stay as they are.
pub(crate) fn words(words: &[String], shell: bool, host: &str, file: &str) -> Vec<String> {
    if shell {
        return vec!["sh".to_owned(), "-c".to_owned(), words.join(" ")];
    }
    words.iter().map(|word| filled(word, host, file)).collect()
}

/// What is put in is not looked at again.
fn filled(word: &str, host: &str, file: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (value, length) = if rest.starts_with(HOST) {
            (host, HOST.len())
        } else if rest.starts_with(FILE) {
            (file, FILE.len())
        } else {
            ("{", 1)
        };
        text.push_str(value);
        rest = &rest[length..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn placeholders_are_filled_once_and_other_braces_stay() {
        let given = owned(&["a{host}b{file}", "{print $1}", "{{host}", "{x"]);
        let filled = words(&given, false, "{file}", "/t/f");
        assert_eq!(filled, owned(&["a{file}b/t/f", "{print $1}", "{{file}", "{x"]));
        let shell = words(&owned(&["echo", "$HOME"]), true, "n1", "");
        assert_eq!(shell, owned(&["sh", "-c", "echo $HOME"]));
    }

    #[test]
    fn what_cannot_be_given_is_a_usage_error() {
        assert!(check(&owned(&["{file}"]), false, false).is_err());
        assert!(check(&owned(&["{file}"]), true, false).is_ok());
        assert!(check(&owned(&["echo {host}"]), true, true).is_err());
        assert!(check(&owned(&["{other}"]), false, true).is_ok());
    }
}
