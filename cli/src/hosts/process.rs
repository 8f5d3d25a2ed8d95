//! A local program that is talked with, line by line and with a limit of time: here, ssh.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::signals::Caught;

/// As much of stderr as is kept: its end.
const KEPT: usize = 16 << 10;
/// The longest line that is taken; the rest of it comes as the next one.
const LONGEST: usize = 64 << 10;
/// As much is read and written at once.
const PIECE: usize = 64 << 10;
/// How often it is looked whether the program has ended, once its stdout has.
const LOOK: Duration = Duration::from_millis(5);
/// How often it is looked whether a signal has come, while it is waited.
const SIGNAL: Duration = Duration::from_millis(100);

/// How long its stderr is waited for, once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Starts a program with a pipe for each of its streams, in a process group of its own: a signal of the terminal is for
/// us to answer.
///
/// # Errors
///
/// If it cannot be started.
pub(crate) fn start(mut command: Command) -> std::io::Result<Child> {
    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Kills it, if it has not ended.
pub(crate) fn kill(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        // It may have ended by itself just now.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A program that runs, with its streams.
///
/// It is killed when this is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its stdout, as it came.
    pieces: Receiver<Vec<u8>>,
    /// What has come and was not asked for yet.
    rest: RefCell<VecDeque<u8>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    /// Once a signal has come, nothing is waited for.
    caught: Option<Caught>,
}

/// What was heard next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Line(String),
    /// Its stdout has ended.
    End,
    /// Nothing came in time, or a signal did: see [`Talk::is_cut`].
    Silence,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it did not end in time, and was killed.
    pub(crate) status: Option<ExitStatus>,
    /// The end of what it wrote to stderr.
    pub(crate) stderr: String,
}

impl Talk {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start(command: Command) -> std::io::Result<Talk> {
        let mut child = start(command)?;
        let (sender, pieces) = channel();
        if let Some(mut stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut piece = vec![0; PIECE];
                while let Ok(count @ 1..) = stdout.read(&mut piece) {
                    if sender.send(piece[..count].to_vec()).is_err() {
                        return;
                    }
                }
            });
        }
        // So that writing to a program that does not read has a limit too. The other end of the pipe does not notice.
        if let Some(stdin) = &child.stdin {
            rustix::fs::fcntl_setfl(stdin, rustix::fs::OFlags::NONBLOCK)?;
        }
        let stderr = child
            .stderr
            .take()
            .map(|stderr| std::thread::spawn(move || tail(stderr)));
        Ok(Talk {
            stdin: child.stdin.take(),
            child,
            pieces,
            rest: RefCell::default(),
            stderr,
            caught: None,
        })
    }

    /// Has a signal cut it short: nothing is said any more and nothing waited for, as if the time were over; what has come is
    /// heard.
    pub(crate) fn heeding(mut self, caught: Option<Caught>) -> Talk {
        self.caught = caught;
        self
    }

    /// Says whether a signal has cut it short.
    pub(crate) fn is_cut(&self) -> bool {
        self.caught.as_ref().is_some_and(|caught| caught.code().is_some())
    }

    /// Waits for the next line of its stdout, without the line's end.
    pub(crate) fn hear(&self, until: Instant) -> Heard {
        let mut rest = self.rest.borrow_mut();
        let mut looked = 0;
        loop {
            let end = rest.iter().skip(looked).position(|byte| *byte == b'\n');
            let length = match end {
                Some(at) => Some(looked + at + 1),
                None => Some(LONGEST).filter(|longest| rest.len() >= *longest),
            };
            if let Some(length) = length {
                return Heard::Line(line(rest.drain(..length.min(LONGEST))));
            }
            looked = rest.len();
            match self.more(until) {
                Ok(piece) => rest.extend(piece),
                Err(Heard::End) if !rest.is_empty() => return Heard::Line(line(rest.drain(..))),
                Err(heard) => return heard,
            }
        }
    }

    /// Waits for the next bytes of its stdout, and returns at most so many of them.
    ///
    /// # Errors
    ///
    /// Its end, or silence; never a line.
    pub(crate) fn hear_bytes(&self, most: usize, until: Instant) -> Result<Vec<u8>, Heard> {
        let mut rest = self.rest.borrow_mut();
        if rest.is_empty() {
            let piece = self.more(until)?;
            if piece.len() <= most {
                return Ok(piece);
            }
            rest.extend(piece);
        }
        let count = rest.len().min(most);
        Ok(rest.drain(..count).collect())
    }

    fn more(&self, until: Instant) -> Result<Vec<u8>, Heard> {
        loop {
            // What has come already is heard whatever the time is.
            let left = match self.is_cut() {
                true => Duration::ZERO,
                false => until.saturating_duration_since(Instant::now()),
            };
            let step = self.caught.as_ref().map_or(left, |_| left.min(SIGNAL));
            match self.pieces.recv_timeout(step) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Disconnected) => return Err(Heard::End),
                Err(RecvTimeoutError::Timeout) if step < left => {}
                Err(RecvTimeoutError::Timeout) => return Err(Heard::Silence),
            }
        }
    }

    /// Writes all of it to its stdin.
    ///
    /// # Errors
    ///
    /// Those of reading, and of writing to a program that no longer listens.
    pub(crate) fn say(&mut self, mut what: impl Read) -> std::io::Result<u64> {
        let (mut piece, mut said) = (vec![0; PIECE], 0);
        loop {
            match what.read(&mut piece)? {
                0 => return Ok(said),
                count => {
                    self.write(&piece[..count], None)?;
                    said += count as u64;
                }
            }
        }
    }

    /// Writes all bytes to its stdin, if it takes them in time.
    ///
    /// # Errors
    ///
    /// `TimedOut`, also when a signal has come, and those of writing to a program that no longer listens.
    pub(crate) fn say_until(&mut self, what: &[u8], until: Instant) -> std::io::Result<()> {
        self.write(what, Some(until))
    }

    fn write(&mut self, mut what: &[u8], until: Option<Instant>) -> std::io::Result<()> {
        let Some(stdin) = &mut self.stdin else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let caught = self.caught.as_ref();
        while !what.is_empty() {
            if caught.is_some_and(|caught| caught.code().is_some()) {
                return Err(ErrorKind::TimedOut.into());
            }
            match stdin.write(what) {
                Ok(count) => what = &what[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                    if left.is_some_and(|left| left.is_zero()) {
                        return Err(ErrorKind::TimedOut.into());
                    }
                    let step = match caught {
                        Some(_) => Some(left.map_or(SIGNAL, |left| left.min(SIGNAL))),
                        None => left,
                    };
                    let step = step.and_then(|step| Timespec::try_from(step).ok());
                    let mut polled = [PollFd::new(stdin, PollFlags::OUT)];
                    match poll(&mut polled, step.as_ref()) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes its stdin.
    pub(crate) fn hush(&mut self) {
        drop(self.stdin.take());
    }

    /// Closes its stdin and waits for its end; what it still writes to stdout is not looked at.
    pub(crate) fn end(mut self, until: Instant) -> Ended {
        self.hush();
        let mut status = None;
        loop {
            match self.child.try_wait() {
                Ok(Some(ended)) => {
                    status = Some(ended);
                    break;
                }
                Ok(None) if Instant::now() < until && !self.is_cut() => std::thread::sleep(LOOK),
                _ => break,
            }
        }
        if status.is_none() {
            kill(&mut self.child);
        }
        let stderr = self.stderr.take().and_then(|thread| {
            // A process that it has started may hold the pipe for ever: a shared connection, for one.
            let until = Instant::now() + LAST_WORDS;
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(LOOK);
            }
            thread.is_finished().then(|| thread.join().ok()).flatten()
        });
        Ended {
            status,
            stderr: String::from_utf8_lossy(&stderr.unwrap_or_default()).into_owned(),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

fn line(bytes: impl Iterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches(['\n', '\r']).to_owned()
}

/// Reads to the end and keeps the last bytes.
fn tail(mut stream: impl Read) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        kept.extend_from_slice(&piece[..count]);
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Talk {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Talk::start(command).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn it_is_asked_and_answers() {
        let mut talk = sh("echo ready; read word; echo \"got $word\"; echo trouble >&2; exit 7");
        assert_eq!(talk.hear(soon()), Heard::Line("ready".into()));
        talk.say("blue\n".as_bytes()).unwrap();
        assert_eq!(talk.hear(soon()), Heard::Line("got blue".into()));
        assert_eq!(talk.hear(soon()), Heard::End);
        let ended = talk.end(soon());
        assert_eq!(ended.status.unwrap().code(), Some(7));
        assert_eq!(ended.stderr, "trouble\n");
    }

    #[test]
    fn a_stderr_that_somebody_else_holds_is_not_waited_for() {
        let talk = sh("echo last words >&2; sleep 1000 >/dev/null & echo $!");
        let Heard::Line(pid) = talk.hear(soon()) else {
            panic!("no line");
        };
        let ended = talk.end(soon());
        assert_eq!(ended.status.unwrap().code(), Some(0));
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        // It lives, so the pipe was open all the time.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn who_does_not_read_is_given_up() {
        let mut talk = sh("echo ready; exec sleep 1000");
        assert_eq!(talk.hear(soon()), Heard::Line("ready".into()));
        let much = vec![0; 1 << 20];
        let error = talk.say_until(&much, Instant::now() + Duration::from_millis(50));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_signal_cuts_short_what_is_waited_for() {
        let caught = Caught::default();
        let talk = |script| sh(script).heeding(Some(caught.clone()));
        let mut deaf = talk("printf 'ready\\nmore\\n'; exec sleep 1000");
        assert_eq!(deaf.hear(soon()), Heard::Line("ready".into()));
        let begun = Instant::now();
        let long = Duration::from_secs(60);
        std::thread::scope(|scope| {
            let heard = scope.spawn(|| talk("exec sleep 1000").hear(begun + long));
            let said = scope.spawn(|| deaf.say_until(&vec![0; 1 << 20], begun + long));
            caught.catch(2);
            assert_eq!(heard.join().unwrap(), Heard::Silence);
            let error = said.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        });
        assert!(deaf.is_cut() && begun.elapsed() < long);
        // What has come before is heard, and its end is not waited for.
        assert_eq!(deaf.hear(begun + long), Heard::Line("more".into()));
        assert_eq!(deaf.hear(begun + long), Heard::Silence);
        assert!(deaf.end(begun + long).status.is_none());
    }

    #[test]
    fn lines_and_bytes_come_in_their_order() {
        let talk = sh("printf 'one\\n12\\n45two\\nlast'");
        assert_eq!(talk.hear(soon()), Heard::Line("one".into()));
        let mut bytes = Vec::new();
        while bytes.len() < 5 {
            bytes.extend(talk.hear_bytes(5 - bytes.len(), soon()).unwrap());
        }
        assert_eq!(bytes, b"12\n45");
        for line in ["two", "last"] {
            assert_eq!(talk.hear(soon()), Heard::Line(line.into()));
        }
        assert_eq!(talk.hear_bytes(5, soon()), Err(Heard::End));
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let talk = sh("echo $$; exec sleep 1000");
        let Heard::Line(pid) = talk.hear(soon()) else {
            panic!("no line");
        };
        assert_eq!(talk.hear(Instant::now()), Heard::Silence);
        assert!(talk.end(Instant::now()).status.is_none());
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
