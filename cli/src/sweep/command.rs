//! A command line with placeholders: words for a program, or text for a shell.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use flockwork::app::exit::Failed;

use super::guard;
use super::pattern::{Fill, Pattern, Piece};
use super::shown;
use super::spec::Sweep;

/// What runs command lines that are for a shell.
const SHELL: &str = "/bin/sh";

/// A command line with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    words: Vec<Pattern>,
    shell: bool,
}

impl CommandLine {
    /// Reads the words of a command. `output`: `{stdout}` and `{stderr}` are known.
    ///
    /// # Errors
    ///
    /// A usage error for a placeholder that is no column, or, with `shell`, that stands where it cannot be quoted.
    pub(crate) fn parse(
        words: &[String],
        columns: &[String],
        shell: bool,
        output: bool,
    ) -> Result<CommandLine, Failed> {
        let parse = |word: &String| Pattern::parse(word, columns, output);
        let patterns = words.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if shell {
            guard::check(&patterns, words)?;
        }
        Ok(CommandLine {
            words: patterns,
            shell,
        })
    }

    /// Returns the command of a sweep.
    ///
    /// # Errors
    ///
    /// As [`parse`](CommandLine::parse); not for a sweep that was submitted.
    pub(crate) fn of(sweep: &Sweep) -> Result<CommandLine, Failed> {
        CommandLine::parse(&sweep.command, &sweep.columns, sweep.shell, false)
    }

    /// Returns the command that says whether a task is ok. It never goes through a shell.
    ///
    /// # Errors
    ///
    /// As [`of`](CommandLine::of).
    pub(crate) fn ok_if(sweep: &Sweep) -> Result<Option<CommandLine>, Failed> {
        let parse = |words| CommandLine::parse(words, &sweep.columns, false, true);
        sweep.ok_if.as_ref().map(|words| parse(words)).transpose()
    }

    /// Returns the program and its arguments.
    pub(crate) fn argv(&self, fill: &Fill<'_>) -> Vec<OsString> {
        match self.shell {
            true => vec![SHELL.into(), "-c".into(), self.line(fill)],
            false => self.words.iter().map(|word| word.fill(fill)).collect(),
        }
    }

    /// Returns the command for people: on one line, as it could be typed.
    pub(crate) fn shown(&self, fill: &Fill<'_>) -> String {
        match self.shell {
            true => shown::plain(&self.line(fill).to_string_lossy()),
            false => shown::words(self.argv(fill)),
        }
    }

    /// Returns its words.
    pub(crate) fn words(&self) -> &[Pattern] {
        &self.words
    }

    /// Returns the words joined by blanks, each value in single quotes.
    fn line(&self, fill: &Fill<'_>) -> OsString {
        let mut line = Vec::new();
        for (number, word) in self.words.iter().enumerate() {
            if number > 0 {
                line.push(b' ');
            }
            for piece in word.pieces() {
                let bytes = piece.bytes(fill);
                match piece {
                    Piece::Text(_) => line.extend_from_slice(&bytes),
                    _ => quote(&bytes, &mut line),
                }
            }
        }
        OsString::from_vec(line)
    }
}

/// Appends a word in single quotes.
///
/// shlex leaves the quotes out where it can, but a bare `2` before a `>` is no word for a shell, nor is `if`.
fn quote(word: &[u8], line: &mut Vec<u8>) {
    line.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            _ => line.push(*byte),
        }
    }
    line.push(b'\'');
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::task::Bytes;

    fn fill<'a>(columns: &'a [String], values: &'a [Bytes]) -> Fill<'a> {
        let (dir, here) = (Path::new("/d"), Path::new("/h"));
        Fill {
            columns,
            values,
            task: 41,
            dir,
            here,
            output: None,
        }
    }

    const HOSTILE: &[&[u8]] = &[
        b"plain",
        b"",
        b"-rf",
        b"a b",
        b"it's",
        b"''\"'",
        b"; touch /tmp/never; #",
        b"$(touch never) `id` $HOME ${x}",
        b"line\nbreak\r\n",
        b"\\ \\' \\",
        b"{x} {{x}} }",
        b"\xff\xfe\x80",
        b"* ? ~ [a-z] !! \x1b[31m",
        b"2",
        b"if",
    ];

    #[test]
    fn hostile_values_reach_a_program_as_they_are() {
        let columns = ["x".to_owned(), "y".to_owned()];
        for value in HOSTILE {
            let values = [Bytes::from(*value), Bytes::from("{x}")];
            let words = ["a{x}b".to_owned(), "{y}".to_owned()];
            let argv = CommandLine::parse(&words, &columns, false, false)
                .unwrap()
                .argv(&fill(&columns, &values));
            assert_eq!(argv[0].as_bytes(), [b"a", *value, b"b"].concat());
            assert_eq!(argv[1], "{x}", "a value is not filled again");
        }
    }

    #[test]
    fn hostile_values_pass_a_shell_as_they_are() {
        let columns = ["x".to_owned()];
        let words = ["printf %s".to_owned(), "{x}+{x}".to_owned()];
        let line = CommandLine::parse(&words, &columns, true, false).unwrap();
        for value in HOSTILE {
            let values = [Bytes::from(*value)];
            let argv = line.argv(&fill(&columns, &values));
            let output = Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
            assert_eq!(output.stdout, [*value, b"+", *value].concat(), "{argv:?}");
            assert!(output.status.success() && output.stderr.is_empty());
        }
    }

    #[test]
    fn a_number_before_a_redirection_is_a_word() {
        let columns = ["x".to_owned()];
        let line = CommandLine::parse(&["echo {x}>&1".to_owned()], &columns, true, false).unwrap();
        let argv = line.argv(&fill(&columns, &[Bytes::from("2")]));
        assert_eq!(
            Command::new(&argv[0]).args(&argv[1..]).output().unwrap().stdout,
            b"2\n"
        );
    }

    #[test]
    fn a_command_is_shown_on_one_line() {
        let columns = ["x".to_owned()];
        let values = [Bytes::from("a\nb\x1b")];
        let shown = |shell| {
            let words = ["run".to_owned(), "--x={x}".to_owned()];
            CommandLine::parse(&words, &columns, shell, false)
                .unwrap()
                .shown(&fill(&columns, &values))
        };
        assert_eq!(shown(false), "run '--x=a\\nb\\x1b'");
        assert_eq!(shown(true), "run --x='a\\nb\\x1b'");
    }
}
