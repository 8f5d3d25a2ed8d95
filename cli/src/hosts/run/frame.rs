//! Tells the executor's own words from what the command writes to the same stream; pure.
//!
//! A word is written in one call: a byte that texts seldom have, a token that nobody else knows, the word, the end of a
//! line. It may stand anywhere, also in the middle of a line of the command.

/// What stands in front of the token.
const MARK: u8 = 0x1e;
/// A word is never longer.
const LONGEST: usize = 256;

/// A piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// What the command has written, as it came.
    Data(&'a [u8]),
    /// A word of the executor.
    Word(&'a str),
}

/// Takes a stream apart, whatever the pieces are in which it comes.
#[derive(Debug)]
pub(crate) struct Frames {
    mark: Vec<u8>,
    kept: Vec<u8>,
}

impl Frames {
    pub(crate) fn new(token: &str) -> Frames {
        let mut mark = vec![MARK];
        mark.extend_from_slice(token.as_bytes());
        mark.push(b' ');
        Frames {
            mark,
            kept: Vec::new(),
        }
    }

    /// Takes what came next. What could be the beginning of a word is kept until more has come.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut part: impl FnMut(Part<'_>)) {
        self.kept.extend_from_slice(bytes);
        let mut rest = self.kept.as_slice();
        // Up to here of `rest` there is no word.
        let mut plain = 0;
        loop {
            let Some(at) = rest[plain..].iter().position(|byte| *byte == MARK) else {
                plain = rest.len();
                break;
            };
            let at = plain + at;
            let behind = &rest[at..];
            if !behind.starts_with(&self.mark) {
                if self.mark.starts_with(behind) {
                    plain = at;
                    break;
                }
                plain = at + 1;
                continue;
            }
            let word = &behind[self.mark.len()..];
            match word.iter().position(|byte| *byte == b'\n') {
                Some(end) if end <= LONGEST => {
                    if at > 0 {
                        part(Part::Data(&rest[..at]));
                    }
                    part(Part::Word(std::str::from_utf8(&word[..end]).unwrap_or_default()));
                    rest = &word[end + 1..];
                    plain = 0;
                }
                None if word.len() <= LONGEST => {
                    plain = at;
                    break;
                }
                // Nobody of us writes such a line.
                _ => plain = at + 1,
            }
        }
        if plain > 0 {
            part(Part::Data(&rest[..plain]));
        }
        let kept = rest[plain..].to_vec();
        self.kept = kept;
    }

    /// Takes the end of the stream: what was kept was no word.
    pub(crate) fn end(&mut self, mut part: impl FnMut(Part<'_>)) {
        if !self.kept.is_empty() {
            part(Part::Data(&self.kept));
            self.kept.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, and the words with the place in the data at which each came.
    fn taken(pieces: &[&[u8]]) -> (Vec<u8>, Vec<(usize, String)>) {
        let (mut data, mut words) = (Vec::new(), Vec::new());
        let mut frames = Frames::new("TOKEN");
        let mut take = |part: Part<'_>| match part {
            Part::Data(bytes) => data.extend_from_slice(bytes),
            Part::Word(word) => words.push((data.len(), word.to_owned())),
        };
        for piece in pieces {
            frames.feed(piece, &mut take);
        }
        frames.end(&mut take);
        (data, words)
    }

    #[test]
    fn words_are_found_wherever_the_stream_is_cut() {
        let stream = b"a\x1eb\x1eTOKEN beat\nc\n\x1eTOKE\x1eTOKEN end 3\nno end\x1eTOKEN";
        let data = b"a\x1ebc\n\x1eTOKEno end\x1eTOKEN".to_vec();
        let words = vec![(3, "beat".to_owned()), (10, "end 3".to_owned())];
        assert_eq!(taken(&[stream]), (data.clone(), words.clone()));
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let pieces: [&[u8]; 3] = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(taken(&pieces), (data.clone(), words.clone()), "{first} {second}");
            }
        }
    }

    #[test]
    fn data_is_given_on_at_once_and_a_line_that_is_too_long_is_no_word() {
        let mut frames = Frames::new("TOKEN");
        let mut seen = Vec::new();
        frames.feed(b"prompt> ", |part| seen.push(format!("{part:?}")));
        assert_eq!(seen.len(), 1, "{seen:?}");
        let long = [b"\x1eTOKEN ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        assert_eq!(taken(&[&long]), (long.clone(), Vec::new()));
    }
}
