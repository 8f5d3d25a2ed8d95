//! Lines out of a stream that comes in pieces; pure.

/// A line that is longer comes in pieces.
const LONGEST: usize = 16 << 10;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what came next, and gives each whole line without its end.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.begun.len() >= LONGEST {
                line(without_end(&self.begun));
                self.begun.clear();
            }
        }
    }

    /// Gives the last line, if it has no end.
    pub(crate) fn end(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            line(without_end(&self.begun));
            self.begun.clear();
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_whatever_the_pieces_are() {
        let mut lines = Lines::default();
        let mut seen: Vec<String> = Vec::new();
        let mut take = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        for piece in ["on", "e\ntwo\r\n\n", "thr"] {
            lines.feed(piece.as_bytes(), &mut take);
        }
        lines.end(&mut take);
        lines.end(&mut take);
        assert_eq!(seen, ["one", "two", "", "thr"]);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut lines = Lines::default();
        let mut most = 0;
        for _ in 0..1000 {
            lines.feed(&[b'x'; 1000], |line| most = most.max(line.len()));
            assert!(lines.begun.len() < LONGEST);
        }
        assert!((LONGEST..LONGEST + 1000).contains(&most), "{most}");
    }
}
