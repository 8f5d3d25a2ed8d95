//! All hosts at once, from one thread: what comes in is taken, and what is due is done.

use std::time::{Duration, Instant};

use flockwork::app::exit::Failed;
use flockwork::app::times;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frame::{Frames, Part};
use super::link::{Channel, Link};
use super::runner::Runner;
use super::state::{Act, Cause, End, Limits, Stage};
use super::view::View;
use crate::hosts::Trouble;
use crate::hosts::trouble::Why;
use crate::signals::Caught;

/// It is looked for what is due at least so often.
const TICK: Duration = Duration::from_millis(100);
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
        let mut shown = Vec::new();
        let mut frames = take_frames(runner, channel);
        frames.feed(&piece[..count], |part| {
            self.part(runner, channel, part, now, &mut shown);
        });
        runner.side(channel).frames = frames;
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
            (Part::Word("hello"), _) => runner.side(channel).is_greeted = true,
            (Part::Word(word), Channel::Out) => runner.is_written |= word == "end",
            (Part::Word(word), Channel::Err) => runner.state.word(word, now),
            (Part::Data(bytes), _) => {
                if channel == Channel::Err {
                    runner.heard_on_stderr(bytes);
                }
                // Before that it is what the files of a shell write, or ssh.
                if runner.side(channel).is_greeted {
                    self.keep(runner, channel, bytes, shown);
                }
            }
        }
    }

    fn keep(&mut self, runner: &mut Runner<'_>, channel: Channel, bytes: &[u8], shown: &mut Vec<u8>) {
        let (view, name) = (&*self.view, &runner.host.name);
        let stream = runner.kept.stream(channel);
        let kept = stream.feed(bytes, |line| view.add(shown, channel, name, line));
        if let Err(error) = kept {
            self.has_lost_output = true;
            let file = channel.name();
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
            let end = runner.end_of_ssh(status.code());
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
                    runner.state.over(End::Unbegun);
                    self.tell_end(runner);
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
            let mut frames = take_frames(runner, channel);
            frames.end(|part| self.part(runner, channel, part, now, &mut shown));
            let (view, name) = (&*self.view, &runner.host.name);
            let stream = runner.kept.stream(channel);
            stream.end(|line| view.add(&mut shown, channel, name, line));
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

/// Takes the frames of a stream out of the runner, which they change by what is in them.
fn take_frames(runner: &mut Runner<'_>, channel: Channel) -> Frames {
    std::mem::replace(&mut runner.side(channel).frames, Frames::new(""))
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
