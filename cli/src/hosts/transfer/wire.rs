//! One connection to a host: lines and bytes out, lines and bytes in, each with a limit of time.

use std::time::{Duration, Instant};

use crate::hosts::process::{Heard, Talk};
use crate::hosts::ssh::HELLO;
use crate::hosts::sum::Sum;
use crate::hosts::trouble::{SSH_FAILED, Why};
use crate::hosts::{Host, Ssh, Trouble};
use crate::words;

/// Whoever reads or writes this slowly is as good as gone: bytes a second.
const SLOWEST: u64 = 256 << 10;
/// The longest reason of a host that is shown.
const LONGEST: usize = 200;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    /// `None` once it is known to be broken.
    talk: Option<Talk>,
    stall: Duration,
    /// What the host calls itself.
    name: String,
}

/// An answer: the number of its request, its word, and the rest of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) number: usize,
    pub(super) word: String,
    pub(super) rest: String,
}

impl Wire {
    /// Connects and starts a script, which says that it is ready.
    ///
    /// # Errors
    ///
    /// Why the host could not be reached, or what it lacks.
    pub(super) fn open(
        ssh: &Ssh,
        host: &Host,
        script: &str,
        arguments: &[&str],
        stall: Duration,
    ) -> Result<Wire, Trouble> {
        Wire::begin(ssh, host, script, arguments, stall)?.ready()
    }

    /// Does as [`Wire::open`], for a script that connects to another host and starts one there, which says that it is
    /// ready. The name is that of the other host.
    ///
    /// # Errors
    ///
    /// As of [`Wire::open`], also for the way from the one to the other.
    pub(super) fn open_far(
        ssh: &Ssh,
        host: &Host,
        script: &str,
        arguments: &[&str],
        stall: Duration,
    ) -> Result<Wire, Trouble> {
        let mut wire = Wire::begin(ssh, host, script, arguments, stall)?;
        loop {
            let line = wire.line(0)?;
            if line == HELLO {
                break;
            }
            // Anything else is what the other's shell writes before it starts the script.
            refused(&line)?;
        }
        wire.ready()
    }

    fn begin(
        ssh: &Ssh,
        host: &Host,
        script: &str,
        arguments: &[&str],
        stall: Duration,
    ) -> Result<Wire, Trouble> {
        Ok(Wire {
            talk: Some(ssh.talk(host, script, arguments)?),
            stall,
            name: String::new(),
        })
    }

    /// Waits for the first word of a script that takes or gives files.
    fn ready(mut self) -> Result<Wire, Trouble> {
        let line = self.line(0)?;
        refused(&line)?;
        let name = line.strip_prefix("ready ").ok_or_else(|| out_of_step(&line))?;
        name.clone_into(&mut self.name);
        Ok(self)
    }

    /// Returns what the host calls itself.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// Why the connection broke; if they are not taken in time.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let until = self.until(bytes.len() as u64);
        let Some(talk) = &mut self.talk else {
            return Err(Trouble::new(Why::Lost, ""));
        };
        match talk.say_until(bytes, until) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(self.silent()),
            Err(_) => Err(self.broken()),
        }
    }

    /// Waits for a line; `work` is how many bytes the host may have to read before.
    ///
    /// # Errors
    ///
    /// Why the connection broke; if none comes in time.
    pub(super) fn line(&mut self, work: u64) -> Result<String, Trouble> {
        let until = self.until(work);
        let Some(talk) = &self.talk else {
            return Err(Trouble::new(Why::Lost, ""));
        };
        match talk.hear(until) {
            Heard::Line(line) => Ok(line),
            Heard::End => Err(self.broken()),
            Heard::Silence => Err(self.silent()),
        }
    }

    /// Waits for an answer.
    ///
    /// # Errors
    ///
    /// As of [`Wire::line`]; if it is none.
    pub(super) fn answer(&mut self, work: u64) -> Result<Answer, Trouble> {
        let line = self.line(work)?;
        Answer::read(&line).ok_or_else(|| out_of_step(&line))
    }

    /// Waits for so many bytes, and gives them on in pieces.
    ///
    /// # Errors
    ///
    /// Why the connection broke; if they do not come in time.
    pub(super) fn bytes(&mut self, mut count: u64, mut take: impl FnMut(&[u8])) -> Result<(), Trouble> {
        while count > 0 {
            let until = self.until(0);
            let Some(talk) = &self.talk else {
                return Err(Trouble::new(Why::Lost, ""));
            };
            let most = usize::try_from(count).unwrap_or(usize::MAX);
            match talk.hear_bytes(most, until) {
                Ok(piece) => {
                    count -= piece.len() as u64;
                    take(&piece);
                }
                Err(Heard::Silence) => return Err(self.silent()),
                Err(_) => return Err(self.broken()),
            }
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) fn close(mut self) {
        if let Some(talk) = self.talk.take() {
            talk.end(Instant::now() + Duration::from_secs(5));
        }
    }

    fn until(&self, work: u64) -> Instant {
        Instant::now() + self.stall + Duration::from_secs(work / SLOWEST)
    }

    fn silent(&mut self) -> Trouble {
        // What has come may still be heard then.
        if self.talk.as_ref().is_some_and(Talk::is_cut) {
            return Trouble::new(Why::Interrupted, "");
        }
        self.talk = None;
        let text = format!("nothing moved for {}", flockwork::app::times::short(self.stall));
        Trouble::new(Why::Timeout, text)
    }

    fn broken(&mut self) -> Trouble {
        let Some(talk) = self.talk.take() else {
            return Trouble::new(Why::Lost, "");
        };
        let ended = talk.end(Instant::now() + Duration::from_secs(5));
        let said = words::tame(ended.stderr.lines().next_back().unwrap_or_default(), LONGEST);
        match ended.status.and_then(|status| status.code()) {
            Some(SSH_FAILED) | None => Trouble::of_ssh(&ended.stderr),
            Some(_) => Trouble::new(Why::Lost, format!("its shell ended: {said}")),
        }
    }
}

impl Answer {
    /// Reads a line.
    pub(super) fn read(line: &str) -> Option<Answer> {
        let (number, rest) = line.split_once(' ')?;
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Answer {
            number: number.parse().ok()?,
            word: word.to_owned(),
            rest: rest.trim().to_owned(),
        })
    }

    /// Returns a size and a checksum.
    pub(super) fn size_and_sum(&self) -> Option<(u64, Sum)> {
        let (size, sum) = self.rest.split_once(' ')?;
        Some((size.parse().ok()?, Sum::read(sum)?))
    }

    /// Returns what it says for people.
    pub(super) fn reason(&self) -> String {
        words::tame(&self.rest, LONGEST)
    }
}

/// The first line of a script that cannot begin.
fn refused(line: &str) -> Result<(), Trouble> {
    match line.strip_prefix("! ") {
        Some(reason) => Err(Trouble::there(words::tame(reason.trim(), LONGEST))),
        None => Ok(()),
    }
}

/// The host does not do what its script says, so nothing more can be understood.
pub(super) fn out_of_step(line: &str) -> Trouble {
    Trouble::new(
        Why::Lost,
        format!("it answers out of step: {}", words::tame(line, 60)),
    )
}
