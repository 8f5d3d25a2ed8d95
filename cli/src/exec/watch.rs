//! Watching one process and its group until it has ended, from one thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use wait4::Wait4;

use super::capture::{Capture, Live};
use crate::task::{Captured, Exit};

/// How long the caller's wish to stop may go unseen.
const LOOK: Duration = Duration::from_millis(200);
/// Looks that are so far apart, where they should be `LOOK` apart, tell that this process was suspended.
const SUSPENDED: Duration = Duration::from_secs(5);
/// How long the end of a process may go unseen where the kernel has no pidfd (before Linux 5.3).
const LOOK_WITHOUT_PIDFD: Duration = Duration::from_millis(5);
/// From here on others may want to follow what is written.
const LIVE_AFTER: Duration = Duration::from_secs(2);
const LIVE_FROM: u64 = 64 << 10;
/// A process that waits for a dead file server cannot be killed: it is left behind after this.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(10);
/// As much as a pipe holds by default.
const PIECE: usize = 64 << 10;

/// What to watch for.
pub(super) struct Watch<'a> {
    pub(super) input: &'a [u8],
    /// How many bytes of each stream are kept.
    pub(super) limit: u64,
    /// When it has taken too long, as known by now.
    pub(super) deadline: &'a dyn Fn() -> Option<Instant>,
    /// Between TERM and KILL.
    pub(super) grace: Duration,
    /// The same, when `stop` says so: the worker itself must leave soon.
    pub(super) leave_within: Duration,
    pub(super) stop: &'a dyn Fn() -> bool,
    /// Files that others can follow: for stdout, and for stderr.
    pub(super) live: Option<&'a dyn Fn(&'static str) -> PathBuf>,
}

impl Watch<'_> {
    fn grace_of(&self, why: Why) -> Duration {
        match why {
            Why::Stopped => self.leave_within,
            Why::Timeout | Why::Itself => self.grace,
        }
    }
}

/// Why the process is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Itself,
    Timeout,
    /// Told to, by `stop`.
    Stopped,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) why: Why,
    pub(super) exit: Exit,
    /// It did not even end when it was killed.
    pub(super) unkillable: bool,
    pub(super) user: Duration,
    pub(super) system: Duration,
    pub(super) peak: u64,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
}

/// One of its output streams.
struct Stream {
    pipe: Option<OwnedFd>,
    capture: Capture,
    live: Option<Live>,
}

/// Where it stands; the moment is when that changes.
#[derive(Clone, Copy)]
enum Phase {
    Running,
    Told(Why, Instant),
    Killed(Why, Instant),
}

/// Starts the command in a process group of its own and watches it.
///
/// Neither a process that ignores TERM, nor one that closes or keeps its pipes, nor a child that leaves the group can
/// hold it up.
pub(super) fn run(mut command: Command, watch: &Watch<'_>) -> io::Result<Seen> {
    use std::os::unix::process::CommandExt;

    let stdin = match watch.input.is_empty() {
        true => Stdio::null(),
        false => Stdio::piped(),
    };
    command
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn()?;
    let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    follow(child, pidfd.ok(), watch)
}

/// Watches a child that leads a group; without a pidfd it looks often.
fn follow(mut child: Child, pidfd: Option<OwnedFd>, watch: &Watch<'_>) -> io::Result<Seen> {
    let began = Instant::now();
    let group = Pid::from_child(&child);
    let mut watched = Watched {
        group,
        pidfd,
        stdin: feed(child.stdin.take(), watch.input),
        streams: [
            Stream::new(child.stdout.take().map(OwnedFd::from), watch.limit),
            Stream::new(child.stderr.take().map(OwnedFd::from), watch.limit),
        ],
        buffer: Vec::new(),
    };
    let (why, ended) = watched.until_it_ends(watch, began);
    // Its zombie still holds the number of the group, so this cannot hit another one.
    signal(group, Signal::KILL);
    for stream in &mut watched.streams {
        stream.drain(&mut watched.buffer);
    }
    let [stdout, stderr] = watched.streams;
    let mut seen = Seen {
        why,
        exit: Exit::Signal(Signal::KILL.as_raw()),
        unkillable: !ended,
        user: Duration::ZERO,
        system: Duration::ZERO,
        peak: 0,
        stdout: stdout.capture.finish(),
        stderr: stderr.capture.finish(),
    };
    if ended {
        reap(&mut child, &mut seen)?;
    }
    Ok(seen)
}

/// The pipe to its stdin, if there is anything to be written.
fn feed(stdin: Option<ChildStdin>, input: &[u8]) -> Option<(OwnedFd, &[u8])> {
    let stdin = OwnedFd::from(stdin?);
    // A pipe that would block would hold up all else.
    rustix::io::ioctl_fionbio(&stdin, true).ok()?;
    Some((stdin, input))
}

fn reap(child: &mut Child, seen: &mut Seen) -> io::Result<()> {
    use std::os::unix::process::ExitStatusExt;

    let ended = child.wait4()?;
    seen.exit = match (ended.status.code(), ended.status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    };
    seen.user = ended.rusage.utime;
    seen.system = ended.rusage.stime;
    seen.peak = ended.rusage.maxrss;
    Ok(())
}

/// Signals the group, and its first process should that have gone to another group.
fn signal(group: Pid, signal: Signal) {
    if rustix::process::kill_process_group(group, signal).is_err() {
        // It is our child and was not waited for, so the number is still its own.
        let _ = rustix::process::kill_process(group, signal);
    }
}

/// For how long this process was suspended: looks that come far too late tell it. An engine suspends the command too, so
/// that time does not count for its timeout.
struct Asleep {
    last_look: Instant,
    time: Duration,
}

impl Asleep {
    fn new(now: Instant) -> Asleep {
        Asleep {
            last_look: now,
            time: Duration::ZERO,
        }
    }

    fn look(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last_look);
        if gap > SUSPENDED {
            self.time += gap - LOOK;
        }
        self.last_look = now;
    }
}

struct Watched<'a> {
    group: Pid,
    pidfd: Option<OwnedFd>,
    stdin: Option<(OwnedFd, &'a [u8])>,
    streams: [Stream; 2],
    buffer: Vec<u8>,
}

impl Watched<'_> {
    /// Returns why it ended; `false` if it cannot be killed.
    fn until_it_ends(&mut self, watch: &Watch<'_>, began: Instant) -> (Why, bool) {
        let mut phase = Phase::Running;
        let mut asleep = Asleep::new(began);
        let mut live_at = watch.live.is_some().then(|| began + LIVE_AFTER);
        loop {
            let now = Instant::now();
            asleep.look(now);
            let mut next = now + LOOK;
            match phase {
                Phase::Running => {
                    let deadline = (watch.deadline)().and_then(|deadline| deadline.checked_add(asleep.time));
                    let why = match deadline {
                        _ if (watch.stop)() => Some(Why::Stopped),
                        Some(deadline) if deadline <= now => Some(Why::Timeout),
                        _ => None,
                    };
                    if let Some(why) = why {
                        signal(self.group, Signal::TERM);
                        // One that is suspended sees TERM only when it goes on.
                        signal(self.group, Signal::CONT);
                        phase = Phase::Told(why, now + watch.grace_of(why));
                    }
                    next = deadline.map_or(next, |deadline| next.min(deadline));
                }
                Phase::Told(why, until) if until <= now => {
                    self.kill();
                    phase = Phase::Killed(why, now + UNKILLABLE_AFTER);
                }
                Phase::Killed(why, until) if until <= now => return (why, false),
                Phase::Told(..) | Phase::Killed(..) => {}
            }
            if let Phase::Told(_, until) | Phase::Killed(_, until) = phase {
                next = until.max(now);
            }
            if live_at.is_some_and(|at| at <= now || self.streams.iter().any(Stream::is_much)) {
                live_at = None;
                self.go_live(watch);
            }
            next = live_at.map_or(next, |at| next.min(at));
            if self.wait(next.saturating_duration_since(now)) {
                let why = match phase {
                    Phase::Running => Why::Itself,
                    Phase::Told(why, _) | Phase::Killed(why, _) => why,
                };
                return (why, true);
            }
        }
    }

    fn kill(&self) {
        signal(self.group, Signal::KILL);
        // It may have gone to another group and left members behind in its own.
        let _ = rustix::process::kill_process(self.group, Signal::KILL);
    }

    fn go_live(&mut self, watch: &Watch<'_>) {
        let Some(path) = watch.live else { return };
        for (stream, name) in self.streams.iter_mut().zip(["stdout", "stderr"]) {
            stream.live = Live::begin(path(name), &stream.capture);
        }
    }

    /// Waits for anything to happen, and moves what can be moved; says whether the process has ended.
    fn wait(&mut self, mut most: Duration) -> bool {
        if self.pidfd.is_none() {
            most = most.min(LOOK_WITHOUT_PIDFD);
        }
        let [events, input_events, out_events, err_events] = self.poll(most);
        if !input_events.is_empty() {
            self.write();
        }
        for (stream, events) in self.streams.iter_mut().zip([out_events, err_events]) {
            if events.contains(PollFlags::IN) {
                stream.read(&mut self.buffer, PIECE);
            } else if !events.is_empty() {
                stream.pipe = None;
            }
        }
        match self.pidfd {
            Some(_) => !events.is_empty(),
            None => has_ended(self.group),
        }
    }

    /// Returns what happened to the process, to its stdin, to its stdout and to its stderr.
    fn poll(&self, most: Duration) -> [PollFlags; 4] {
        let fds: [Option<BorrowedFd<'_>>; 4] = [
            self.pidfd.as_ref().map(AsFd::as_fd),
            self.stdin.as_ref().map(|(pipe, _)| pipe.as_fd()),
            self.streams[0].pipe.as_ref().map(AsFd::as_fd),
            self.streams[1].pipe.as_ref().map(AsFd::as_fd),
        ];
        let wanted = [PollFlags::IN, PollFlags::OUT, PollFlags::IN, PollFlags::IN];
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(4);
        for (fd, wanted) in fds.iter().zip(wanted) {
            polled.extend(fd.map(|fd| PollFd::from_borrowed_fd(fd, wanted)));
        }
        let most = Timespec {
            tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: most.subsec_nanos().into(),
        };
        let mut happened = [PollFlags::empty(); 4];
        // An interrupted wait is a short one.
        if rustix::event::poll(&mut polled, Some(&most)).is_ok() {
            let mut polled = polled.iter();
            for (fd, happened) in fds.iter().zip(&mut happened) {
                if fd.is_some() {
                    *happened = polled.next().map_or(PollFlags::empty(), PollFd::revents);
                }
            }
        }
        happened
    }

    fn write(&mut self) {
        let Some((pipe, rest)) = &mut self.stdin else {
            return;
        };
        let piece = &rest[..rest.len().min(PIECE)];
        match rustix::io::write(&*pipe, piece) {
            Ok(written) => *rest = &rest[written..],
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
            // It reads no more; that is its own affair.
            Err(_) => *rest = &[],
        }
        if rest.is_empty() {
            self.stdin = None;
        }
    }
}

impl Stream {
    fn new(pipe: Option<OwnedFd>, limit: u64) -> Stream {
        Stream {
            pipe,
            capture: Capture::new(limit),
            live: None,
        }
    }

    fn is_much(&self) -> bool {
        self.capture.total() > LIVE_FROM
    }

    /// Reads a piece of at most so many bytes; there must be something, else it blocks.
    fn read(&mut self, buffer: &mut Vec<u8>, most: usize) -> usize {
        let Some(pipe) = &self.pipe else { return 0 };
        buffer.resize(PIECE, 0);
        match rustix::io::read(pipe, &mut buffer[..most.min(PIECE)]) {
            Ok(count) if count > 0 => {
                let piece = &buffer[..count];
                self.capture.push(piece);
                if let Some(live) = &mut self.live {
                    live.push(piece);
                }
                count
            }
            Err(rustix::io::Errno::INTR) => 0,
            _ => {
                self.pipe = None;
                0
            }
        }
    }

    /// Reads what is there now; another process may still hold the pipe, and write on.
    fn drain(&mut self, buffer: &mut Vec<u8>) {
        let Some(pipe) = &self.pipe else { return };
        let mut there = rustix::io::ioctl_fionread(pipe).unwrap_or(0);
        while there > 0 {
            let most = usize::try_from(there).unwrap_or(PIECE);
            match self.read(buffer, most) {
                0 => return,
                count => there -= count as u64,
            }
        }
    }
}

/// Looks without waiting for it, so that its number stays its own.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(None))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn a_kernel_without_pidfd_will_do() {
        let watch = |millis: u64, script: &str| {
            let deadline = Instant::now() + Duration::from_millis(millis);
            let child = Command::new("/bin/sh")
                .args(["-c", script])
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let watch = Watch {
                input: b"words",
                limit: 100,
                deadline: &|| Some(deadline),
                grace: Duration::from_millis(50),
                leave_within: Duration::from_millis(50),
                stop: &|| false,
                live: None,
            };
            follow(child, None, &watch).unwrap()
        };
        let seen = watch(60_000, "cat; exec >&- 2>&-; sleep 0.05; exit 3");
        assert_eq!(
            (seen.why, seen.exit, &seen.stdout.head.0[..]),
            (Why::Itself, Exit::Code(3), &b"words"[..])
        );
        let seen = watch(100, "trap '' TERM; while :; do sleep 0.01; done");
        assert_eq!(
            (seen.why, seen.exit, seen.unkillable),
            (Why::Timeout, Exit::Signal(9), false)
        );
    }
}
