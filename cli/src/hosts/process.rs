//! A local program that is talked with, line by line and with a limit of time: here, ssh.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// As much of stderr as is kept: its end.
const KEPT: usize = 16 << 10;
/// The longest line that is taken; the rest of it comes as the next one.
const LONGEST: u64 = 64 << 10;
/// How often it is looked whether the program has ended, once its stdout has.
const LOOK: Duration = Duration::from_millis(5);

/// A program that runs, with its streams.
///
/// It is killed when this is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// What was heard next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Line(String),
    /// Its stdout has ended.
    End,
    /// Nothing came in time.
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
    /// Starts it, in a process group of its own: a signal of the terminal is for us to answer.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start(mut command: Command) -> std::io::Result<Talk> {
        use std::os::unix::process::CommandExt;

        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                loop {
                    let mut line = Vec::new();
                    match stdout.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                        Ok(1..) if sender.send(line).is_ok() => {}
                        _ => return,
                    }
                }
            });
        }
        let stderr = child
            .stderr
            .take()
            .map(|stderr| std::thread::spawn(move || tail(stderr)));
        Ok(Talk {
            stdin: child.stdin.take(),
            child,
            lines,
            stderr,
        })
    }

    /// Waits for the next line of its stdout, without the line's end.
    pub(crate) fn hear(&self, until: Instant) -> Heard {
        let left = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                let text = String::from_utf8_lossy(&line);
                Heard::Line(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Writes all of it to its stdin.
    ///
    /// # Errors
    ///
    /// Those of reading, and of writing to a program that no longer listens.
    pub(crate) fn say(&mut self, mut what: impl Read) -> std::io::Result<u64> {
        match &mut self.stdin {
            Some(stdin) => {
                let said = std::io::copy(&mut what, stdin)?;
                stdin.flush()?;
                Ok(said)
            }
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
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
                Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
                _ => break,
            }
        }
        if status.is_none() {
            self.kill();
        }
        let stderr = self
            .stderr
            .take()
            .and_then(|thread| match thread.is_finished() || status.is_some() {
                true => thread.join().ok(),
                // A process that it has started may hold the pipe for ever.
                false => None,
            });
        Ended {
            status,
            stderr: String::from_utf8_lossy(&stderr.unwrap_or_default()).into_owned(),
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself just now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
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
