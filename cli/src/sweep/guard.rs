//! Where a placeholder is safe in a command line for a shell: as a word, or a part of one, outside of quotes.
//!
//! A value is put in with single quotes around it. Inside of the user's own quotes these would end the user's quotes
//! and the shell would run what the value holds, so such places are refused. What is hard to follow is refused too.

use flockwork::app::exit::Failed;

use super::pattern::{Pattern, Piece};
use super::shown::plain;

/// Checks the words of a command line for a shell.
///
/// # Errors
///
/// A usage error for a placeholder where a quoted value is no longer one word.
pub(super) fn check(words: &[Pattern], written: &[String]) -> Result<(), Failed> {
    let mut scan = Scan::default();
    for (pattern, word) in words.iter().zip(written) {
        for piece in pattern.pieces() {
            match piece {
                Piece::Text(text) => text.bytes().for_each(|byte| scan.feed(byte)),
                _ => scan.placeholder().map_err(|place| refused(word, &place))?,
            }
        }
        scan.feed(b' ');
    }
    Ok(())
}

fn refused(word: &str, place: &str) -> Failed {
    Failed::usage(
        format!(
            "the pattern `{}`: a placeholder stands {place}, where the shell could run what a value holds",
            plain(word)
        ),
        "write placeholders outside of quotes, they are quoted for the shell; or name it first: \
         x={column}; ... \"$x\"",
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Plain,
    Single,
    Double,
    Comment,
    /// It takes more than this to know what a byte means from here on.
    Lost(&'static str),
}

/// Where in a shell's line we are.
#[derive(Debug, Default)]
struct Scan {
    mode: Mode,
    /// The byte before was a backslash that takes the meaning of this one.
    escaped: bool,
    /// The byte before; 0 at the start.
    last: u8,
}

impl Scan {
    fn feed(&mut self, byte: u8) {
        if std::mem::take(&mut self.escaped) {
            // Whatever it was, it is now a letter like any other; but a line that goes on leaves nothing behind, and
            // what follows stands after what was before it.
            if byte != b'\n' {
                self.last = b'x';
            }
            return;
        }
        let after = (self.last, byte);
        match self.mode {
            Mode::Plain => match after {
                (_, b'\\') => return self.escaped = true,
                (b'$', b'\'') => self.mode = Mode::Lost("after $'"),
                (b'$', b'[') => self.mode = Mode::Lost("after $["),
                (_, b'\'') => self.mode = Mode::Single,
                (_, b'"') => self.mode = Mode::Double,
                (_, b'`') => self.mode = Mode::Lost("after a backtick"),
                (b'<', b'<') => self.mode = Mode::Lost("after <<"),
                (b'(', b'(') => self.mode = Mode::Lost("after (("),
                (0 | b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>', b'#') => {
                    self.mode = Mode::Comment;
                }
                _ => {}
            },
            Mode::Single if byte == b'\'' => self.mode = Mode::Plain,
            Mode::Double => match after {
                (_, b'\\') => return self.escaped = true,
                (_, b'"') => self.mode = Mode::Plain,
                (_, b'`') => self.mode = Mode::Lost("after a backtick"),
                (b'$', b'(' | b'{') => self.mode = Mode::Lost("after $( or ${ in quotes"),
                _ => {}
            },
            Mode::Comment if byte == b'\n' => self.mode = Mode::Plain,
            Mode::Single | Mode::Comment | Mode::Lost(_) => {}
        }
        self.last = byte;
    }

    /// Takes a placeholder, or says where it stands if that is no safe place.
    fn placeholder(&mut self) -> Result<(), String> {
        let place = match self.mode {
            Mode::Plain if self.escaped => "after a backslash",
            Mode::Plain if self.last == b'$' => "after $",
            Mode::Plain => {
                self.last = b'x';
                return Ok(());
            }
            Mode::Single | Mode::Double => "in quotes",
            Mode::Comment => "in a comment",
            Mode::Lost(place) => place,
        };
        Err(place.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str) -> Result<(), Failed> {
        let columns = ["x".to_owned()];
        let pattern = Pattern::parse(line, &columns, false).unwrap();
        check(&[pattern], &[line.to_owned()])
    }

    #[test]
    fn words_and_parts_of_words_are_safe() {
        for line in [
            "echo {x}",
            "echo a{x}b >{x}.txt",
            "echo 'a b' {x} \"c d\" | tr a b >{x}",
            "echo it\\'s {x}",
            "y=$(echo \"a\" {x}); echo \"$y\"",
            "echo \"\\\"\" {x}",
            "echo a\\\n{x} \\\n  {x} a\\\n#{x}",
            "# a comment\necho {x}",
            "echo a#b {x}",
            "[ {x} -gt 3 ] && echo ${{#HOME}} {x}",
        ] {
            assert!(checked(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn places_where_a_value_could_be_run_are_refused() {
        for line in [
            "echo '{x}'",
            "echo \"{x}\"",
            "echo \"a\\\" {x}\"",
            "echo \\{x}",
            "echo $'\\'' '{x}'",
            "echo `echo {x}`",
            "cat <<E\n{x}\nE",
            "echo $(({x}+1))",
            "echo a # {x}",
            "echo a \\\n#{x}",
            "echo a >#{x}",
            "echo $\\\n{x}",
            "echo \"$\\\n(echo \"{x}\")\"",
            "cat <\\\n<E\n{x}\nE",
            "echo $[{x}+1]",
            "echo \"$(echo \"{x}\")\"",
            "echo \"${{y:-\"{x}\"}}\"",
            "echo ${x}",
        ] {
            let text = checked(line).expect_err(line).text();
            assert!(
                text.contains("a placeholder stands") && text.contains("hint: "),
                "{text}"
            );
        }
    }
}
