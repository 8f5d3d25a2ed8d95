//! What is known of one host, and what follows from it; pure. Times are counted from the beginning of the run.

use std::time::Duration;

use crate::hosts::Trouble;
use crate::hosts::trouble::Why;

/// What the executor needs beyond the grace to say that it has stopped.
const MARGIN: Duration = Duration::from_secs(5);
/// When the command has ended, something that it left behind may still hold its streams: so long they are read.
const LINGER: Duration = Duration::from_secs(1);

/// Limits of time, the same for all hosts.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Until the executor must have said hello.
    pub(crate) reach: Duration,
    /// After which silence a host is dead; `None` without signs of life.
    pub(crate) dead_after: Option<Duration>,
    /// How long the command may run on each host.
    pub(crate) host: Option<Duration>,
    /// How long all may take.
    pub(crate) all: Option<Duration>,
    /// Between TERM and KILL.
    pub(crate) grace: Duration,
}

/// Why a command is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    HostTimeout,
    Timeout,
    Signal,
}

/// How it ended with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The command ended by itself, with this status.
    Exit(i32),
    /// It was stopped, and this was its status.
    Stopped(Cause, i32),
    /// It was told to stop, and nothing was heard of it.
    Unstopped(Cause),
    /// A signal came here before it was connected to.
    Unbegun,
    /// The host was not reached, or was lost.
    Trouble(Trouble),
    /// It fell silent, and the others had ended.
    Dead(Duration),
}

/// Where a host stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting,
    Connecting {
        since: Duration,
    },
    Running {
        since: Duration,
    },
    Stopping {
        since: Duration,
        why: Cause,
    },
    /// The command has ended; its streams have not.
    Ending {
        since: Duration,
        end: End,
    },
    Over(End),
}

/// One host.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) stage: Stage,
    pub(crate) pid: Option<u32>,
    /// When the command began, and when it ended.
    pub(crate) began: Option<Duration>,
    pub(crate) ended: Option<Duration>,
    /// When something was last heard of it.
    heard: Duration,
    dead: bool,
}

/// What must be done about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Tell that it is dead, as no sign of it came for so long.
    MarkDead(Duration),
    /// Ask the executor to stop the command.
    Stop(Cause),
    /// Close the connection: this is how it ends.
    GiveUp(End),
}

impl State {
    pub(crate) fn new() -> State {
        State {
            stage: Stage::Waiting,
            pid: None,
            began: None,
            ended: None,
            heard: Duration::ZERO,
            dead: false,
        }
    }

    /// Notes that ssh was started.
    pub(crate) fn connecting(&mut self, now: Duration) {
        self.stage = Stage::Connecting { since: now };
        self.heard = now;
    }

    /// Notes that something came from there. Returns how long it was silent, if it was held for dead.
    pub(crate) fn heard(&mut self, now: Duration) -> Option<Duration> {
        let silence = now.saturating_sub(self.heard);
        self.heard = now;
        std::mem::replace(&mut self.dead, false).then_some(silence)
    }

    /// Takes a word of the executor.
    pub(crate) fn word(&mut self, word: &str, now: Duration) {
        let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
        match (verb, &self.stage) {
            ("begin", Stage::Connecting { .. }) => {
                self.pid = rest.parse().ok();
                self.began = Some(now);
                self.stage = Stage::Running { since: now };
            }
            // It was told to stop before it began.
            ("begin", Stage::Stopping { .. }) => {
                self.pid = rest.parse().ok();
                self.began = Some(now);
            }
            ("end", Stage::Running { .. } | Stage::Stopping { .. }) => {
                // What is no number is none of ours.
                let Ok(status) = rest.parse() else { return };
                let end = match self.stage {
                    Stage::Stopping { why, .. } => End::Stopped(why, status),
                    _ => End::Exit(status),
                };
                self.ended = Some(now);
                self.stage = Stage::Ending { since: now, end };
            }
            ("fail", Stage::Connecting { .. } | Stage::Stopping { .. }) => {
                let end = End::Trouble(Trouble::there("cannot enter the directory there"));
                self.stage = Stage::Ending { since: now, end };
            }
            _ => {}
        }
    }

    /// Says what must be done now. Whoever was asked to stop is not asked again.
    pub(crate) fn judge(&self, now: Duration, limits: &Limits) -> Option<Act> {
        let over = |since: Duration, limit: Duration| now.saturating_sub(since) >= limit;
        let all = limits.all.filter(|limit| now >= *limit);
        match &self.stage {
            Stage::Connecting { since } if over(*since, limits.reach) => {
                Some(Act::GiveUp(End::Trouble(Trouble::no_shell())))
            }
            Stage::Waiting | Stage::Connecting { .. } if all.is_some() => {
                let trouble = Trouble::new(Why::Timeout, "not begun when the time for all was over");
                Some(Act::GiveUp(End::Trouble(trouble)))
            }
            Stage::Running { .. } if all.is_some() => Some(Act::Stop(Cause::Timeout)),
            Stage::Running { since } if limits.host.is_some_and(|limit| over(*since, limit)) => {
                Some(Act::Stop(Cause::HostTimeout))
            }
            Stage::Stopping { since, why } if over(*since, limits.grace + MARGIN) => {
                Some(Act::GiveUp(End::Unstopped(*why)))
            }
            Stage::Ending { since, end } if over(*since, LINGER) => Some(Act::GiveUp(end.clone())),
            Stage::Running { .. } | Stage::Stopping { .. } => {
                let limit = limits.dead_after.filter(|limit| over(self.heard, *limit))?;
                (!self.dead).then_some(Act::MarkDead(limit))
            }
            _ => None,
        }
    }

    pub(crate) fn mark_dead(&mut self) {
        self.dead = true;
    }

    /// Notes that it was asked to stop.
    pub(crate) fn stopping(&mut self, why: Cause, now: Duration) {
        self.stage = Stage::Stopping { since: now, why };
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    /// How long nothing was heard of it.
    pub(crate) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard)
    }

    /// Says whether nothing is waited for any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.dead || matches!(self.stage, Stage::Over(_))
    }

    /// Ends it.
    pub(crate) fn over(&mut self, end: End) {
        self.dead = false;
        self.stage = Stage::Over(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limits() -> Limits {
        Limits {
            reach: s(20),
            dead_after: Some(s(30)),
            host: None,
            all: None,
            grace: s(5),
        }
    }

    fn running() -> State {
        let mut state = State::new();
        state.connecting(s(1));
        state.heard(s(2));
        state.word("begin 77", s(2));
        assert_eq!((state.pid, state.began), (Some(77), Some(s(2))));
        state
    }

    #[test]
    fn the_silent_are_dead_once_and_alive_again_when_they_report() {
        let mut state = running();
        assert_eq!(state.judge(s(31), &limits()), None);
        assert_eq!(state.judge(s(32), &limits()), Some(Act::MarkDead(s(30))));
        state.mark_dead();
        assert_eq!(state.judge(s(40), &limits()), None);
        assert!(state.is_settled());
        assert_eq!(state.heard(s(43)), Some(s(41)));
        assert!(!state.is_settled() && !state.is_dead());
        assert_eq!(state.heard(s(44)), None);
        let quiet = Limits {
            dead_after: None,
            ..limits()
        };
        assert_eq!(state.judge(s(10_000), &quiet), None);
    }

    #[test]
    fn the_end_is_what_the_executor_says() {
        let mut state = running();
        state.word("end x", s(3));
        state.word("beat", s(3));
        assert_eq!(state.stage, Stage::Running { since: s(2) });
        state.word("end 255", s(4));
        assert_eq!(state.judge(s(4), &limits()), None);
        assert_eq!(state.judge(s(5), &limits()), Some(Act::GiveUp(End::Exit(255))));
        // Before it has begun, and twice, an end is none.
        let mut state = State::new();
        state.connecting(s(0));
        state.word("end 0", s(1));
        assert_eq!(state.stage, Stage::Connecting { since: s(0) });
    }

    #[test]
    fn limits_of_time_are_held() {
        let host = Limits {
            host: Some(s(10)),
            ..limits()
        };
        let mut state = running();
        assert_eq!(state.judge(s(11), &host), None);
        assert_eq!(state.judge(s(12), &host), Some(Act::Stop(Cause::HostTimeout)));
        state.stopping(Cause::HostTimeout, s(12));
        assert_eq!(state.judge(s(13), &host), None);
        let unstopped = Act::GiveUp(End::Unstopped(Cause::HostTimeout));
        assert_eq!(state.judge(s(22), &host), Some(unstopped));
        state.word("end 143", s(14));
        let Stage::Ending { end, .. } = &state.stage else {
            panic!("{state:?}")
        };
        assert_eq!(*end, End::Stopped(Cause::HostTimeout, 143));

        let all = Limits {
            all: Some(s(3)),
            ..limits()
        };
        assert_eq!(running().judge(s(3), &all), Some(Act::Stop(Cause::Timeout)));
        assert!(matches!(State::new().judge(s(3), &all), Some(Act::GiveUp(_))));
        let mut state = State::new();
        state.connecting(s(0));
        assert_eq!(state.judge(s(19), &limits()), None);
        assert!(matches!(
            state.judge(s(20), &limits()),
            Some(Act::GiveUp(End::Trouble(_)))
        ));
    }
}
