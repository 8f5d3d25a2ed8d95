//! An ssh that runs the executor on one host, with its streams.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, ExitStatus};

use crate::hosts::process;

/// As much is read at once from a stream, so that no host keeps the others waiting.
const PIECE: usize = 64 << 10;

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Out,
    Err,
}

impl Channel {
    /// Returns what it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Channel::Out => "stdout",
            Channel::Err => "stderr",
        }
    }
}

/// A connection.
///
/// The ssh is killed when this is dropped; the executor there then stops the command.
#[derive(Debug)]
pub(crate) struct Link {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Option<File>,
    err: Option<File>,
}

impl Link {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If the program cannot be started.
    pub(crate) fn start(command: Command) -> std::io::Result<Link> {
        let mut child = process::start(command)?;
        Ok(Link {
            stdin: child.stdin.take(),
            out: child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe))),
            err: child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe))),
            child,
        })
    }

    /// Returns the streams that have not ended.
    pub(crate) fn open(&self) -> impl Iterator<Item = (Channel, BorrowedFd<'_>)> {
        let out = self.out.iter().map(|pipe| (Channel::Out, pipe.as_fd()));
        out.chain(self.err.iter().map(|pipe| (Channel::Err, pipe.as_fd())))
    }

    /// Reads a piece of a stream in which something is; `None` at its end.
    pub(crate) fn read(&mut self, channel: Channel, into: &mut Vec<u8>) -> Option<usize> {
        let pipe = match channel {
            Channel::Out => &mut self.out,
            Channel::Err => &mut self.err,
        };
        into.resize(PIECE, 0);
        match pipe.as_mut().map(|pipe| pipe.read(into)) {
            Some(Ok(count @ 1..)) => Some(count),
            Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => Some(0),
            _ => {
                *pipe = None;
                None
            }
        }
    }

    /// Asks the executor to stop the command.
    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(stdin) = &mut self.stdin {
            // An ssh that has gone is noticed otherwise. The pipe holds far more than these few bytes.
            let _ = stdin.write_all(b"stop\n");
        }
    }

    /// Returns how ssh ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}
