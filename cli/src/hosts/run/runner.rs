//! One host with all that belongs to it while the command runs there.

use std::time::Duration;

use super::files::Place;
use super::frame::Frames;
use super::kept::Kept;
use super::link::{Channel, Link};
use super::state::{End, Stage, State};
use super::summary::Row;
use super::view::Drawn;
use crate::hosts::trouble::{SSH_FAILED, Why, last_line};
use crate::hosts::{Host, Trouble};

/// As much of what ssh itself says is kept.
const SAID: usize = 4 << 10;

/// A host.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) host: &'a Host,
    pub(crate) place: Option<Place>,
    pub(crate) state: State,
    pub(crate) kept: Kept,
    pub(super) link: Option<Link>,
    out: Side,
    err: Side,
    /// Whether the executor has said on stdout that all of it was written.
    pub(super) is_written: bool,
    /// The end of what came on stderr: words of ssh, as long as no command runs.
    said: Vec<u8>,
}

/// One of its two streams.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) frames: Frames,
    /// Whether the executor has said hello there; what came before is none of the command's.
    pub(super) is_greeted: bool,
}

impl Side {
    fn new(token: &str) -> Side {
        Side {
            frames: Frames::new(token),
            is_greeted: false,
        }
    }
}

impl<'a> Runner<'a> {
    pub(crate) fn new(host: &'a Host, token: &str, kept: Kept) -> Runner<'a> {
        Runner {
            host,
            place: None,
            state: State::new(),
            kept,
            link: None,
            out: Side::new(token),
            err: Side::new(token),
            is_written: false,
            said: Vec::new(),
        }
    }

    pub(super) fn side(&mut self, channel: Channel) -> &mut Side {
        match channel {
            Channel::Out => &mut self.out,
            Channel::Err => &mut self.err,
        }
    }

    /// Keeps the end of what came on stderr.
    pub(super) fn heard_on_stderr(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        let more = self.said.len().saturating_sub(SAID);
        self.said.drain(..more);
    }

    /// Returns how it ended with the host, now that ssh has ended with this status.
    pub(super) fn end_of_ssh(&self, code: Option<i32>) -> End {
        let said = String::from_utf8_lossy(&self.said);
        match &self.state.stage {
            Stage::Ending { end, .. } => end.clone(),
            Stage::Stopping { why, .. } if self.err.is_greeted => End::Unstopped(*why),
            Stage::Connecting { .. } => End::Trouble(unreached(code, &said)),
            _ => End::Trouble(lost(code, &said)),
        }
    }

    /// Returns what is drawn of it.
    pub(super) fn drawn(&self, now: Duration) -> Drawn {
        let row = self.row();
        let word = match &self.state.stage {
            _ if self.state.is_dead() => "dead",
            Stage::Waiting => "waiting",
            Stage::Connecting { .. } => "connect",
            Stage::Running { .. } => "running",
            Stage::Stopping { .. } => "stopping",
            Stage::Ending { .. } => "ending",
            Stage::Over(_) => row.word(),
        };
        let until = self.state.ended.unwrap_or(now);
        // Who did not end well is drawn with the reason.
        let last = match &self.state.stage {
            Stage::Over(end) if *end != End::Exit(0) => row.detail(),
            _ => row.last,
        };
        Drawn {
            host: self.host.name.clone(),
            word,
            since: self.state.began.map(|began| until.saturating_sub(began)),
            last,
            is_over: matches!(self.state.stage, Stage::Over(_)),
        }
    }

    /// Returns what the summary needs.
    pub(crate) fn row(&self) -> Row {
        let end = match &self.state.stage {
            Stage::Over(end) | Stage::Ending { end, .. } => end.clone(),
            _ => End::Trouble(Trouble::new(Why::Lost, "")),
        };
        let (out, err) = (&self.kept.out, &self.kept.err);
        // Who fails says why on stderr.
        let told = match (end == End::Exit(0) || err.last.is_empty()) && !out.last.is_empty() {
            true => out,
            false => err,
        };
        Row {
            host: self.host.name.clone(),
            end,
            began: self.state.began.is_some(),
            output: (out.sum(), err.sum()),
            lines: told.count,
            last: String::from_utf8_lossy(&told.last).into_owned(),
        }
    }
}

/// ssh has ended before the executor said hello.
fn unreached(code: Option<i32>, said: &str) -> Trouble {
    match code {
        Some(SSH_FAILED) | None => Trouble::of_ssh(said),
        Some(status) => Trouble::of_shell(status, said),
    }
}

/// ssh has ended while the command ran, and its end was not told.
fn lost(code: Option<i32>, said: &str) -> Trouble {
    let text = match code {
        // The words before may be the command's.
        Some(SSH_FAILED) | None => last_line(said),
        Some(status) => format!("what watches the command there ended with {status}"),
    };
    Trouble::new(Why::Lost, text)
}
