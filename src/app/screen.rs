//! What goes to stderr: lines, and on a terminal a progress bar below them.

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The talk of this program; clones share it.
#[derive(Debug, Clone)]
pub struct Screen {
    /// There only on a terminal.
    bar: Option<ProgressBar>,
    /// Whether the bar is on the screen.
    drawn: Arc<AtomicBool>,
    /// The user's own output goes to a terminal too: then the bar makes way for it.
    shares: bool,
    colour: bool,
}

/// Whether there is colour, if somebody has said so: 1 no, 2 yes.
static COLOUR: AtomicU8 = AtomicU8::new(0);

/// Sets whether stderr has colour. Default: on a terminal, unless `NO_COLOR` is set.
pub fn set_colour(on: bool) {
    COLOUR.store(1 + u8::from(on), Ordering::SeqCst);
}

fn has_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match COLOUR.load(Ordering::SeqCst) {
        1 => false,
        2 => true,
        _ if is_set("NO_COLOR") => false,
        _ => is_set("CLICOLOR_FORCE") || std::io::stderr().is_terminal(),
    }
}

/// Gives a line its colour, by its first word.
fn painted(line: &str) -> String {
    let word = line.trim_start().split([' ', ':']).next().unwrap_or_default();
    let code = match word {
        "FAIL" | "FAILED" | "TIMEOUT" | "DAMAGED" | "VIOLATION" | "error" => "1;31",
        "LOST" | "DEAD" | "SLOW" | "WAIT" | "LATE" | "LOCK" | "BACK" | "CANCELLED" | "WARN" | "stopped" => {
            "33"
        }
        "Summary" | "attention" => "1",
        "note" | "hint" | "next" | "results" => "36",
        _ => return line.to_owned(),
    };
    let (before, rest) = line.split_at(line.len() - line.trim_start().len());
    let (_, rest) = rest.split_at(word.len());
    format!("{before}\u{1b}[{code}m{word}\u{1b}[0m{rest}")
}

impl Screen {
    /// Lines only.
    pub fn plain() -> Screen {
        Screen {
            bar: None,
            drawn: Arc::default(),
            shares: false,
            colour: has_colour(),
        }
    }

    /// A bar too, if stderr is a terminal.
    pub fn with_bar() -> Screen {
        if !std::io::stderr().is_terminal() {
            return Screen::plain();
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        // The template is a constant: if it were wrong, the plain bar would do.
        if let Ok(style) = ProgressStyle::with_template("  {bar:24} {msg}") {
            bar.set_style(style.progress_chars("█▓░"));
        }
        Screen {
            bar: Some(bar),
            drawn: Arc::default(),
            shares: std::io::stdout().is_terminal(),
            colour: has_colour(),
        }
    }

    pub(super) fn has_bar(&self) -> bool {
        self.bar.is_some()
    }

    /// Prints a line, or several.
    pub fn line(&self, text: &str) {
        let text = match self.colour {
            true => text.lines().map(painted).collect::<Vec<_>>().join("\n"),
            false => text.to_owned(),
        };
        // Nobody may listen any more; that stops nothing.
        let print = || drop(writeln!(std::io::stderr(), "{text}"));
        match self.drawn() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Calls the user's code, which may print.
    pub(super) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(bar) = self.drawn().filter(|_| self.shares) else {
            return work();
        };
        // A panic must not pass through the bar: it would be of no use afterwards.
        match bar.suspend(|| catch_unwind(AssertUnwindSafe(work))) {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Draws the bar anew.
    pub(super) fn draw(&self, position: u64, length: u64, text: String) {
        if let Some(bar) = &self.bar {
            self.drawn.store(true, Ordering::SeqCst);
            bar.set_length(length);
            bar.set_position(position);
            bar.set_message(text);
        }
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.drawn() {
            bar.finish_and_clear();
            self.drawn.store(false, Ordering::SeqCst);
        }
    }

    fn drawn(&self) -> Option<&ProgressBar> {
        self.bar.as_ref().filter(|_| self.drawn.load(Ordering::SeqCst))
    }

    /// How often progress is shown.
    pub(super) fn every(&self) -> Duration {
        match self.has_bar() {
            true => Duration::from_millis(200),
            false => Duration::from_secs(10),
        }
    }
}

/// Prints results on stdout; says whether somebody takes them.
pub(super) fn result(text: &str) -> bool {
    writeln!(std::io::stdout(), "{text}").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_gives_the_colour() {
        assert_eq!(painted("FAIL  7 x"), "\u{1b}[1;31mFAIL\u{1b}[0m  7 x");
        assert_eq!(painted("  next  x"), "  \u{1b}[36mnext\u{1b}[0m  x");
        assert_eq!(painted("error: no"), "\u{1b}[1;31merror\u{1b}[0m: no");
        assert_eq!(painted("12 tasks FAIL"), "12 tasks FAIL");
        assert_eq!(painted(""), "");
    }
}
