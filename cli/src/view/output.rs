//! What commands have written, on its way to the screen or to a file.

use std::io::{IsTerminal, Write};

use flockwork::app::exit::{Failed, NOT_OK};

use super::live::Stream;
use crate::output::{self, escape};

/// Where a stream of a command is written to: stdout to stdout, stderr to stderr.
#[derive(Debug)]
pub(crate) struct Outlet {
    stream: Stream,
    /// Bytes reach a file as they are, and a terminal without what could steer it.
    tamer: Option<Tamer>,
}

impl Outlet {
    pub(crate) fn new(stream: Stream) -> Outlet {
        let on_terminal = match stream {
            Stream::Stdout => std::io::stdout().is_terminal(),
            Stream::Stderr => std::io::stderr().is_terminal(),
        };
        Outlet {
            stream,
            tamer: on_terminal.then(Tamer::default),
        }
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        match &mut self.tamer {
            Some(tamer) => put(self.stream, tamer.tame(bytes).as_bytes()),
            None => put(self.stream, bytes),
        }
    }

    /// Writes what was held back of a character that never became whole.
    ///
    /// # Errors
    ///
    /// As of [`write`](Outlet::write).
    pub(crate) fn end(&mut self) -> Result<(), Failed> {
        match &mut self.tamer {
            Some(tamer) => put(self.stream, tamer.end().as_bytes()),
            None => Ok(()),
        }
    }
}

fn put(stream: Stream, bytes: &[u8]) -> Result<(), Failed> {
    match stream {
        _ if bytes.is_empty() => Ok(()),
        Stream::Stdout => output::write_bytes(bytes),
        Stream::Stderr => match std::io::stderr().write_all(bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failed::new(
                NOT_OK,
                format!("cannot write to standard error: {error}"),
                None,
            )),
            _ => Ok(()),
        },
    }
}

/// Makes text of bytes that come in pieces, in which only line breaks and tabs steer the terminal.
#[derive(Debug, Default)]
struct Tamer {
    /// The beginning of a character.
    held: Vec<u8>,
}

impl Tamer {
    fn tame(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut tame = String::new();
        let mut rest = self.held.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    push(&mut tame, text);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    push(&mut tame, &String::from_utf8_lossy(good));
                    let Some(length) = error.error_len() else {
                        rest = bad;
                        break;
                    };
                    tame.push(char::REPLACEMENT_CHARACTER);
                    rest = &bad[length..];
                }
            }
        }
        self.held = rest.to_vec();
        tame
    }

    fn end(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            String::new()
        } else {
            char::REPLACEMENT_CHARACTER.to_string()
        }
    }
}

fn push(tame: &mut String, text: &str) {
    for piece in text.split_inclusive(['\n', '\t']) {
        let end = piece
            .chars()
            .next_back()
            .filter(|last| matches!(last, '\n' | '\t'));
        tame.push_str(&escape(piece.strip_suffix(['\n', '\t']).unwrap_or(piece)));
        tame.extend(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_breaks_and_tabs_reach_a_terminal() {
        let mut tamer = Tamer::default();
        let text = tamer.tame(b"a\tb\n\x1b[2J\r\n\x07\xff\xc2\x9b31m\n") + &tamer.end();
        assert_eq!(text, "a\tb\n\\x1b[2J\\r\n\\x07\u{fffd}\\x9b31m\n");
    }

    #[test]
    fn a_character_that_comes_in_pieces_is_put_together() {
        let mut tamer = Tamer::default();
        let text: String = "ä漢\u{9b}"
            .as_bytes()
            .iter()
            .map(|byte| tamer.tame(&[*byte]))
            .collect();
        assert_eq!(text, "ä漢\\x9b");
        assert_eq!(tamer.tame(b"\xe6\xbc"), "");
        assert_eq!(tamer.end(), "\u{fffd}");
    }
}
