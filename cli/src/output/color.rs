//! Colour on stdout: when, and which.

use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::args::Color;

/// What a text is, which says how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A headline.
    Head,
    Ok,
    Running,
    Waiting,
    Failed,
    /// Stale, slow, lost: somebody should look.
    Warning,
}

impl Kind {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Kind::Head => Style::new().bold(),
            Kind::Ok => colour(AnsiColor::Green),
            Kind::Running => colour(AnsiColor::Blue),
            Kind::Waiting => Style::new(),
            Kind::Failed => colour(AnsiColor::Red),
            Kind::Warning => colour(AnsiColor::Yellow),
        }
    }
}

static ON: AtomicBool = AtomicBool::new(false);

/// Decides once, after the command line is read, whether stdout has colour.
///
/// With `auto` it has on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`; `CLICOLOR_FORCE` brings it anywhere.
pub(crate) fn set(color: Color) {
    let on = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
    };
    ON.store(on, Ordering::SeqCst);
    // The talk on stderr decides for itself, unless somebody has decided.
    match color {
        Color::Always => flockwork::app::set_colour(true),
        Color::Never => flockwork::app::set_colour(false),
        Color::Auto => {}
    }
}

/// Returns the text as it should look on stdout.
pub(crate) fn paint(kind: Kind, text: &str) -> String {
    painted(ON.load(Ordering::SeqCst), kind, text)
}

fn painted(on: bool, kind: Kind, text: &str) -> String {
    let style = kind.style();
    if on && style != Style::new() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_off_unless_it_was_set_on() {
        assert_eq!(paint(Kind::Failed, "no"), "no");
        assert_eq!(painted(true, Kind::Failed, "no"), "\x1b[31mno\x1b[0m");
        assert_eq!(painted(true, Kind::Waiting, "not yet"), "not yet");
        assert_eq!(painted(false, Kind::Head, "HEAD"), "HEAD");
    }
}
