//! flock: does it exclude, and is it let go?

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::finding::Finding;
use super::held::Held;

/// What asking for a lock was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flock {
    Taken,
    Busy,
    /// There is no flock here.
    Unsupported,
}

/// Asks for the exclusive lock, without waiting.
pub(super) fn try_lock(file: &File) -> io::Result<Flock> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Flock::Taken),
        // CIFS says EACCES where others say EWOULDBLOCK.
        Err(Errno::WOULDBLOCK | Errno::ACCESS) => Ok(Flock::Busy),
        Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::BADF) => {
            Ok(Flock::Unsupported)
        }
        Err(error) => Err(error.into()),
    }
}

/// Tries it between two descriptors of this process.
pub(super) fn try_out(dir: &Held) -> Finding {
    judge(tried(dir, try_lock))
}

/// The answers to: the first asks, the second asks, the first is closed and the second asks again.
fn tried(dir: &Held, ask: impl Fn(&File) -> io::Result<Flock>) -> io::Result<[Flock; 3]> {
    let first = dir.create("lock")?;
    let second = dir.open_write("lock")?;
    let answers = [ask(&first)?, ask(&second)?];
    drop(first);
    Ok([answers[0], answers[1], ask(&second)?])
}

fn judge(answers: io::Result<[Flock; 3]>) -> Finding {
    const CHECK: &str = "flock";
    let lease = "a dead worker is noticed after the lease only";
    match answers {
        Ok([Flock::Taken, Flock::Busy, Flock::Taken]) => Finding::ok(
            CHECK,
            "flock: a second descriptor is refused until the first is closed",
        ),
        Ok([_, Flock::Taken, _]) => Finding::fail(
            CHECK,
            format!("flock: two descriptors hold the same lock; {lease}"),
        ),
        Ok([Flock::Taken, Flock::Busy, _]) => Finding::warn(
            CHECK,
            format!("flock: it is not let go when its holder is closed; {lease}"),
        ),
        Ok([Flock::Unsupported, ..]) => Finding::warn(CHECK, format!("flock: there is none here; {lease}")),
        Ok(answers) => Finding::warn(CHECK, format!("flock: it answers {answers:?}; {lease}")),
        Err(error) => Finding::warn(CHECK, format!("flock: {error}; {lease}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_lock_that_two_hold_is_a_failure() {
        let place = tempfile::tempdir().unwrap();
        let dir = Held::open(place.path()).unwrap();
        assert_eq!(judge(tried(&dir, |_| Ok(Flock::Taken))).verdict, Verdict::Fail);
        dir.unlink("lock").unwrap();
        assert_eq!(
            judge(tried(&dir, |_| Ok(Flock::Unsupported))).verdict,
            Verdict::Warn
        );
        dir.unlink("lock").unwrap();
        assert_eq!(try_out(&dir).verdict, Verdict::Ok);
    }

    #[test]
    fn a_lock_that_is_not_let_go_is_told() {
        let finding = judge(Ok([Flock::Taken, Flock::Busy, Flock::Busy]));
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.text.contains("not let go"), "{finding:?}");
    }
}
