//! All hosts at once, from one thread: what comes in is taken, and what is due is done.

use std::time::{Duration, Instant};

use flockwork::app::exit::Failed;
use flockwork::app::times;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::files::Place;
use super::frame::{Frames, Part};
use super::kept::Kept;
use super::link::{Channel, Link};
use super::state::{Act, Cause, End, Limits, Stage, State};
use super::summary::Row;
use super::view::{Drawn, View};
use crate::hosts::trouble::{SSH_FAILED, Why};
use crate::hosts::{Host, Trouble};
use crate::signals::Caught;

/// It is looked for what is due at least so often.
const TICK: Duration = Duration::from_millis(100);
/// As much of what ssh itself says is kept.
const SAID: usize = 4 << 10;

/// A host with all that belongs to it.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) host: &'a Host,
    pub(crate) place: Option<Place>,
    pub(crate) state: State,
    pub(crate) kept: Kept,
    link: Option<Link>,
    out: Frames,
    err: Frames,
    /// Whether the executor has said hello on stdout; what came before is none of the command's.
    greeted: (bool, bool),
    /// Whether the executor has said on stdout that all of it was written.
    is_written: bool,
    /// The end of what came on stderr when no command ran: words of ssh.
    said: Vec<u8>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(host: &'a Host, token: &str, kept: Kept) -> Runner<'a> {
        Runner {
            host,
            place: None,
            state: State::new(),
            kept,
            link: None,
            out: Frames::new(token),
            err: Frames::new(token),
            greeted: (false, false),
            is_written: false,
            said: Vec::new(),
        }
    }

    fn drawn(&self, now: Duration) -> Drawn {
        let word = match &self.state.stage {
            _ if self.state.is_dead() => "dead",
            Stage::Waiting => "waiting",
            Stage::Connecting { .. } => "connect",
            Stage::Running { .. } => "running",
            Stage::Stopping { .. } => "stopping",
            Stage::Ending { .. } => "ending",
            Stage::Over(_) => self.row().word(),
        };
        let until = self.state.ended.unwrap_or(now);
        let row = self.row();
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

/// What all hosts share.
pub(crate) struct Driver<'a, Start: Fn(&Runner<'_>) -> std::process::Command> {
    pub(crate) limits: &'a Limits,
    pub(crate) fanout: usize,
    /// Returns the command that connects to a host.
    pub(crate) start: Start,
    pub(crate) caught: &'a Caught,
    pub(crate) view: &'a mut View,
    pub(crate) begun: Instant,
    /// Whether something that was written could not be kept here.
    pub(crate) has_lost_output: bool,
}

impl<Start: Fn(&Runner<'_>) -> std::process::Command> Driver<'_, Start> {
    /// Runs the command on all hosts, until nothing is waited for any more.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub(crate) fn run(&mut self, runners: &mut [Runner<'_>]) -> Result<(), Failed> {
        let mut is_stopping = false;
        let mut piece = Vec::new();
        while !runners.iter().all(|runner| runner.state.is_settled()) {
            if self.caught.code().is_some() && !is_stopping {
                is_stopping = true;
                self.stop_all(runners);
            }
            self.connect(runners);
            for (number, channel) in ready(runners, TICK) {
                self.take(&mut runners[number], channel, &mut piece)?;
            }
            for runner in runners.iter_mut() {
                self.look(runner)?;
            }
            if self.view.is_due() {
                let now = self.now();
                self.view
                    .draw(&runners.iter().map(|runner| runner.drawn(now)).collect::<Vec<_>>());
            }
        }
        let now = self.now();
        for runner in runners.iter_mut() {
            if runner.state.is_dead() {
                let silence = runner.state.silence(now);
                self.over(runner, End::Dead(silence))?;
            }
        }
        self.view.erase();
        Ok(())
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Connects to those that wait, as long as not too many are connecting.
    fn connect(&mut self, runners: &mut [Runner<'_>]) {
        let is = |runner: &Runner<'_>| matches!(runner.state.stage, Stage::Connecting { .. });
        let connecting = runners.iter().filter(|runner| is(runner)).count();
        let room = self.fanout.saturating_sub(connecting);
        let waiting = runners
            .iter_mut()
            .filter(|runner| runner.state.stage == Stage::Waiting);
        for runner in waiting.take(room) {
            let now = self.now();
            match Link::start((self.start)(runner)) {
                Ok(link) => {
                    runner.link = Some(link);
                    runner.state.connecting(now);
                }
                Err(error) => {
                    let trouble = Trouble::new(Why::Here, format!("cannot start ssh: {error}"));
                    runner.state.over(End::Trouble(trouble));
                    self.tell_end(runner);
                }
            }
        }
    }

    /// Takes a piece of a stream.
    fn take(&mut self, runner: &mut Runner<'_>, channel: Channel, piece: &mut Vec<u8>) -> Result<(), Failed> {
        let Some(link) = &mut runner.link else {
            return Ok(());
        };
        let Some(count) = link.read(channel, piece) else {
            return Ok(());
        };
        let now = self.now();
        if let Some(silence) = runner.state.heard(now) {
            let silence = times::short(silence);
            self.view.event(&format!(
                "BACK  {}  reports again after {silence}",
                runner.host.name
            ));
        }
        let mut frames = match channel {
            Channel::Out => std::mem::replace(&mut runner.out, Frames::new("")),
            Channel::Err => std::mem::replace(&mut runner.err, Frames::new("")),
        };
        let mut shown = Vec::new();
        frames.feed(&piece[..count], |part| {
            self.part(runner, channel, part, now, &mut shown);
        });
        match channel {
            Channel::Out => runner.out = frames,
            Channel::Err => runner.err = frames,
        }
        self.view.show(channel, &shown)
    }

    fn part(
        &mut self,
        runner: &mut Runner<'_>,
        channel: Channel,
        part: Part<'_>,
        now: Duration,
        shown: &mut Vec<u8>,
    ) {
        match (part, channel) {
            (Part::Word("hello"), Channel::Out) => runner.greeted.0 = true,
            (Part::Word("hello"), Channel::Err) => runner.greeted.1 = true,
            (Part::Word("end"), Channel::Out) => runner.is_written = true,
            (Part::Word(_), Channel::Out) => {}
            (Part::Word(word), Channel::Err) => runner.state.word(word, now),
            (Part::Data(bytes), Channel::Out) if runner.greeted.0 => {
                self.keep(runner, channel, bytes, shown);
            }
            // What the files of a shell write.
            (Part::Data(_), Channel::Out) => {}
            (Part::Data(bytes), Channel::Err) => {
                runner.said.extend_from_slice(bytes);
                let more = runner.said.len().saturating_sub(SAID);
                runner.said.drain(..more);
                if runner.greeted.1 {
                    self.keep(runner, channel, bytes, shown);
                }
            }
        }
    }

    fn keep(&mut self, runner: &mut Runner<'_>, channel: Channel, bytes: &[u8], shown: &mut Vec<u8>) {
        let (view, name) = (&*self.view, &runner.host.name);
        let (stream, file) = match channel {
            Channel::Out => (&mut runner.kept.out, "stdout"),
            Channel::Err => (&mut runner.kept.err, "stderr"),
        };
        let kept = stream.feed(bytes, |line| {
            if view.is_live() {
                view.add(shown, channel, name, line);
            }
        });
        if let Err(error) = kept {
            self.has_lost_output = true;
            let line =
                format!("error: cannot keep the {file} of {name}: {error}; it is not kept from here on");
            self.view.event(&line);
        }
    }

    /// Looks what is due for one host.
    fn look(&mut self, runner: &mut Runner<'_>) -> Result<(), Failed> {
        let Some(link) = &mut runner.link else {
            if let Some(Act::GiveUp(end)) = runner.state.judge(self.now(), self.limits) {
                return self.over(runner, end);
            }
            return Ok(());
        };
        if let Some(status) = link.ended()
            // A process that ssh has left behind may hold the streams for ever; what is in them is read first.
            && is_read(runner)
        {
            let end = match &runner.state.stage {
                Stage::Ending { end, .. } => end.clone(),
                Stage::Stopping { why, .. } if runner.greeted.1 => End::Unstopped(*why),
                Stage::Connecting { .. } => End::Trouble(unreached(status.code(), &runner.said)),
                _ => End::Trouble(lost(status.code(), &runner.said)),
            };
            return self.over(runner, end);
        }
        if let Stage::Ending { end, .. } = &runner.state.stage
            && runner.is_written
            && is_read(runner)
        {
            // All was written and all is read: nothing is waited for.
            let end = end.clone();
            return self.over(runner, end);
        }
        match runner.state.judge(self.now(), self.limits) {
            // If we were held up ourselves, its signs are there and not yet read.
            Some(Act::MarkDead(limit)) if is_read(runner) => {
                runner.state.mark_dead();
                let limit = times::short(limit);
                self.view
                    .event(&format!("DEAD  {}  no sign for {limit}", runner.host.name));
            }
            Some(Act::Stop(why)) => self.stop(runner, why),
            Some(Act::GiveUp(end)) => return self.over(runner, end),
            Some(Act::MarkDead(_)) | None => {}
        }
        Ok(())
    }

    fn stop(&mut self, runner: &mut Runner<'_>, why: Cause) {
        let now = self.now();
        if let Some(link) = &mut runner.link {
            link.ask_to_stop();
        }
        runner.state.stopping(why, now);
    }

    fn stop_all(&mut self, runners: &mut [Runner<'_>]) {
        let grace = times::short(self.limits.grace);
        self.view.event(&format!(
            "stopping all commands: TERM, and KILL after {grace}; once more leaves at once"
        ));
        for runner in runners {
            match runner.state.stage {
                Stage::Waiting => {
                    runner.state.over(End::Unstopped(Cause::Signal));
                }
                Stage::Connecting { .. } | Stage::Running { .. } => self.stop(runner, Cause::Signal),
                _ => {}
            }
        }
    }

    /// Ends a host.
    fn over(&mut self, runner: &mut Runner<'_>, end: End) -> Result<(), Failed> {
        let mut shown = Vec::new();
        // What was kept because it could have become a word.
        let now = self.now();
        for channel in [Channel::Out, Channel::Err] {
            shown.clear();
            let mut frames = match channel {
                Channel::Out => std::mem::replace(&mut runner.out, Frames::new("")),
                Channel::Err => std::mem::replace(&mut runner.err, Frames::new("")),
            };
            frames.end(|part| self.part(runner, channel, part, now, &mut shown));
            let (view, name) = (&*self.view, &runner.host.name);
            let stream = match channel {
                Channel::Out => &mut runner.kept.out,
                Channel::Err => &mut runner.kept.err,
            };
            stream.end(|line| {
                if view.is_live() {
                    view.add(&mut shown, channel, name, line);
                }
            });
            self.view.show(channel, &shown)?;
        }
        runner.link = None;
        runner.state.over(end);
        self.tell_end(runner);
        Ok(())
    }

    /// Writes how it ended, and tells it if it is not well.
    fn tell_end(&mut self, runner: &Runner<'_>) {
        let row = runner.row();
        if let Err(error) = runner.kept.status(&row.status()) {
            self.has_lost_output = true;
            self.view
                .event(&format!("error: cannot keep how {} ended: {error}", row.host));
        }
        match row.word() {
            "ok" | "dead" | "stopped" => {}
            "timeout" => self
                .view
                .event(&format!("TIMEOUT  {}  {}", row.host, row.detail())),
            "lost" => self.view.event(&format!("LOST  {}  {}", row.host, row.detail())),
            _ => self.view.event(&format!("FAIL  {}  {}", row.host, row.detail())),
        }
    }
}

/// Waits until something is in a stream, at most so long, and returns in which.
fn ready(runners: &[Runner<'_>], limit: Duration) -> Vec<(usize, Channel)> {
    let mut places = Vec::new();
    let mut fds = Vec::new();
    for (number, runner) in runners.iter().enumerate() {
        for (channel, fd) in runner.link.iter().flat_map(Link::open) {
            places.push((number, channel));
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
    }
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: limit.subsec_nanos().into(),
    };
    // A signal cuts it short: it is looked at next.
    let _ = poll(&mut fds, Some(&limit));
    let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let found = places.into_iter().zip(&fds).filter(|(_, fd)| is_ready(fd));
    found.map(|(place, _)| place).collect()
}

/// Says whether nothing that has come is unread.
fn is_read(runner: &Runner<'_>) -> bool {
    ready(std::slice::from_ref(runner), Duration::ZERO).is_empty()
}

/// ssh has ended before the executor said hello.
fn unreached(code: Option<i32>, said: &[u8]) -> Trouble {
    let said = String::from_utf8_lossy(said);
    match code {
        Some(SSH_FAILED) | None => Trouble::of_ssh(&said),
        Some(status) => {
            let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
            let last = crate::words::tame(last.unwrap_or_default(), 160);
            Trouble::there(format!("its shell runs no commands: exit {status} {last:?}"))
        }
    }
}

/// ssh has ended while the command ran, and its end was not told.
fn lost(code: Option<i32>, said: &[u8]) -> Trouble {
    let said = String::from_utf8_lossy(said);
    let last = said
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    match code {
        // The words before may be the command's.
        Some(SSH_FAILED) | None => Trouble::new(Why::Lost, crate::words::tame(last, 160)),
        Some(status) => Trouble::new(
            Why::Lost,
            format!("what watches the command there ended with {status}"),
        ),
    }
}
