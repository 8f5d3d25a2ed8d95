//! Lines of text for people, in colour where that is wanted, and never wider than the terminal.

use crate::output::{Kind, cut, escape, paint, width};

/// A line: texts, each in its colour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<(Option<Kind>, String)>);

impl Line {
    /// A line that begins with a text.
    pub(crate) fn of(text: impl AsRef<str>) -> Line {
        Line::default().and(text)
    }

    /// Adds a text; whatever it holds, it stays on the line.
    #[must_use]
    pub(crate) fn and(mut self, text: impl AsRef<str>) -> Line {
        self.0.push((None, escape(text.as_ref()).into_owned()));
        self
    }

    /// Adds a text in a colour.
    #[must_use]
    pub(crate) fn with(mut self, kind: Kind, text: impl AsRef<str>) -> Line {
        self.0.push((Some(kind), escape(text.as_ref()).into_owned()));
        self
    }

    /// Adds blanks until the line is so wide, but at least two.
    #[must_use]
    pub(crate) fn to(self, column: usize) -> Line {
        let blanks = column.saturating_sub(self.width()).max(2);
        self.and(" ".repeat(blanks))
    }

    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    fn text(&self, most: usize) -> String {
        let mut line = String::new();
        let mut room = most;
        for (kind, text) in &self.0 {
            let fits = cut(text, room);
            room -= width(&fits).min(room);
            line.push_str(&kind.map_or_else(|| fits.to_string(), |kind| paint(kind, &fits)));
            if room == 0 {
                break;
            }
        }
        line.trim_end().to_owned()
    }
}

/// Returns the lines as text; none is wider than `most`.
pub(crate) fn text(lines: &[Line], most: Option<usize>) -> String {
    let most = most.unwrap_or(usize::MAX);
    lines.iter().map(|line| line.text(most) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_on_its_line_and_within_the_terminal() {
        let lines = [
            Line::of("a\nb").to(6).and("x\x1b[2J"),
            Line::of("abcdefgh").and("ijk"),
        ];
        assert_eq!(text(&lines, None), "a\\nb  x\\x1b[2J\nabcdefghijk\n");
        assert_eq!(text(&lines, Some(10)), "a\\nb  x...\nabcdefgh..\n");
    }
}
