//! What a person sees while it runs: lines with the host's name, or a line for each host that is drawn anew.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use flockwork::app::{Screen, times};

use super::link::Channel;
use crate::output::{cut, escape, is_read, write_bytes};

/// Drawn so often.
const DRAW: Duration = Duration::from_millis(200);
/// Off a terminal a line of progress comes so often.
const TELL: Duration = Duration::from_secs(10);
/// Drawn no wider if the terminal does not say how wide it is.
const WIDTH: usize = 80;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Each line as it comes.
    Live,
    /// One line for each host, in place.
    InPlace,
    /// Only what goes wrong.
    Quiet,
}

/// One host, as it is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    pub(crate) host: String,
    pub(crate) word: &'static str,
    pub(crate) since: Option<Duration>,
    pub(crate) last: String,
    pub(crate) is_over: bool,
}

/// The screen.
#[derive(Debug)]
pub(crate) struct View {
    style: Style,
    screen: Screen,
    tame_out: bool,
    tame_err: bool,
    /// How many lines are drawn.
    drawn: usize,
    next: Instant,
}

impl View {
    /// Off a terminal nothing is drawn in place; there is a line of progress now and then instead.
    pub(crate) fn new(style: Style) -> View {
        View {
            style,
            screen: Screen::plain(),
            tame_out: std::io::stdout().is_terminal(),
            tame_err: std::io::stderr().is_terminal(),
            drawn: 0,
            next: Instant::now()
                + if std::io::stderr().is_terminal() {
                    DRAW
                } else {
                    TELL
                },
        }
    }

    /// Adds a line of a host to what is shown next, if lines are shown as they come.
    pub(crate) fn add(&self, shown: &mut Vec<u8>, channel: Channel, host: &str, line: &[u8]) {
        if self.style != Style::Live {
            return;
        }
        let is_tame = match channel {
            Channel::Out => self.tame_out,
            Channel::Err => self.tame_err,
        };
        shown.extend_from_slice(host.as_bytes());
        shown.extend_from_slice(b": ");
        match is_tame {
            true => shown.extend_from_slice(tamed(&String::from_utf8_lossy(line)).as_bytes()),
            false => shown.extend_from_slice(line),
        }
        shown.push(b'\n');
    }

    /// Shows what was added.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written, though somebody reads it.
    pub(crate) fn show(&self, channel: Channel, shown: &[u8]) -> Result<(), flockwork::app::exit::Failed> {
        match channel {
            _ if shown.is_empty() => Ok(()),
            Channel::Out if is_read() => write_bytes(shown),
            Channel::Out => Ok(()),
            Channel::Err => {
                // Nobody may listen any more; that stops nothing.
                let _ = std::io::stderr().write_all(shown);
                Ok(())
            }
        }
    }

    /// Tells what has happened.
    pub(crate) fn event(&mut self, line: &str) {
        self.erase();
        self.screen.line(line);
        if self.tame_err {
            self.next = self.next.min(Instant::now() + DRAW);
        }
    }

    /// Says whether it is time to draw.
    pub(crate) fn is_due(&self) -> bool {
        self.style != Style::Quiet && Instant::now() >= self.next
    }

    /// Draws the hosts, or tells how far it is.
    pub(crate) fn draw(&mut self, hosts: &[Drawn]) {
        let is_terminal = self.tame_err;
        self.next = Instant::now()
            + if is_terminal && self.style == Style::InPlace {
                DRAW
            } else {
                TELL
            };
        if self.style == Style::InPlace && is_terminal {
            self.erase();
            let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
            let (width, height) = size.map_or((WIDTH, 24), |size| (size.ws_col.into(), size.ws_row.into()));
            let lines = drawn(hosts, width, height);
            self.drawn = lines.len();
            let _ = std::io::stderr().write_all((lines.join("\n") + "\n").as_bytes());
        } else if !is_terminal {
            self.screen
                .line(&format!("{} {}", times::time_of_day(), counts(hosts)));
        }
    }

    /// Takes away what is drawn.
    pub(crate) fn erase(&mut self) {
        if self.drawn > 0 {
            let _ = write!(std::io::stderr(), "\x1b[{}A\r\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }
}

/// Control characters are harmless, and tabs stay.
fn tamed(line: &str) -> String {
    let pieces: Vec<_> = line.split('\t').map(escape).collect();
    pieces.join("\t")
}

/// Returns the lines that fit: those that have not ended first.
fn drawn(hosts: &[Drawn], width: usize, height: usize) -> Vec<String> {
    let room = height.saturating_sub(2).max(1);
    let name = hosts
        .iter()
        .map(|host| host.host.len())
        .max()
        .unwrap_or(0)
        .min(width / 3);
    let is_cut = hosts.len() > room;
    let mut shown: Vec<&Drawn> = hosts.iter().collect();
    if is_cut {
        // Sorting is stable: hosts stay in their order.
        shown.sort_by_key(|host| host.is_over);
        shown.truncate(room);
    }
    let mut lines: Vec<String> = shown
        .iter()
        .map(|host| {
            let since = host.since.map(times::short).unwrap_or_default();
            let line = format!(
                "{:name$}  {:9}  {since:>6}  {}",
                host.host,
                host.word,
                escape(&host.last)
            );
            cut(line.trim_end(), width.saturating_sub(1)).into_owned()
        })
        .collect();
    let more = match is_cut {
        true => format!("; {} of {} shown", shown.len(), hosts.len()),
        false => String::new(),
    };
    lines.push(cut(&(counts(hosts) + &more), width.saturating_sub(1)).into_owned());
    lines
}

/// Returns `18/20 ended running=1 dead=1`.
fn counts(hosts: &[Drawn]) -> String {
    let ended = hosts.iter().filter(|host| host.is_over).count();
    let mut text = format!("{ended}/{} ended", hosts.len());
    for word in [
        "waiting",
        "connect",
        "running",
        "stopping",
        "dead",
        "failed",
        "lost",
        "unreached",
    ] {
        let count = hosts.iter().filter(|host| host.word == word).count();
        if count > 0 {
            text.push_str(&format!(" {word}={count}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, word: &'static str, is_over: bool) -> Drawn {
        Drawn {
            host: name.to_owned(),
            word,
            since: Some(Duration::from_secs(12)),
            last: "step 3\t\x1b[2J of a long text that does not fit".to_owned(),
            is_over,
        }
    }

    #[test]
    fn lines_fit_and_those_that_run_come_first() {
        let hosts: Vec<Drawn> = (0..30)
            .map(|number| match number % 10 {
                0 => host(&format!("n{number}"), "running", false),
                _ => host(&format!("n{number}"), "ok", true),
            })
            .collect();
        let lines = drawn(&hosts, 50, 8);
        assert_eq!(lines.len(), 7);
        assert!(
            lines[..3]
                .iter()
                .all(|line| line.contains("running") && line.contains("12.0s")),
            "{lines:?}"
        );
        assert_eq!(lines[6], "27/30 ended running=3; 6 of 30 shown");
        assert!(
            lines
                .iter()
                .all(|line| crate::output::width(line) < 50 && !line.contains('\x1b')),
            "{lines:?}"
        );
        assert_eq!(drawn(&hosts, 80, 50).len(), 31);
    }
}
