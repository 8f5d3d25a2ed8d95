//! Names on disk and what they mean; pure.
//!
//! Everything in a listing that does not follow the grammar (`.nfs*`, editors' files, names from outside)
//! is ignored: [`Entry::parse`] answers `None`.

use crate::name::{Attempt, RoundNumber, ShardNumber, Stem};

/// The file that makes a directory a store.
pub(crate) const STORE_FILE: &str = "store.json";
/// The stop file.
pub(crate) const STOP_FILE: &str = "stop";
/// The pause file.
pub(crate) const PAUSE_FILE: &str = "pause";
/// What the names of pings begin with.
const PING: &str = "ping.";
/// The directory of rounds.
pub(crate) const ROUNDS: &str = "rounds";
/// The directory with a file for each living worker.
pub(crate) const WORKERS: &str = "workers";
/// The directory with a journal for each worker.
pub(crate) const JOURNAL: &str = "journal";
/// The directory for engines' logs.
pub(crate) const LOGS: &str = "logs";
/// Scratch directories of attempts, unless a local directory is configured.
pub(crate) const SCRATCH: &str = "scratch";
/// The file that says that all inputs of a round are there.
pub(crate) const ROUND_FILE: &str = "round.json";
/// What attempts at being the one master are named by.
pub(crate) const MASTER: &str = "master";

/// What a file in a shard (or a master's lock) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A task or a batch.
    In,
    /// The accepted outcome.
    Out,
    /// Ends the shard: its number is that of the first task that is no longer in it.
    End,
    /// An attempt: header, later the outcome.
    Lock,
    /// The last checkpoint of an attempt.
    Checkpoint,
    /// Marker: the task failed.
    Fail,
    /// Marker: the task failed, and there will be no further attempt.
    Final,
    /// Marker: the worker died or fell silent.
    Lost,
    /// Marker: given back.
    Back,
    /// Marker: still running, but a second worker may try.
    Slow,
    /// Marker: a person granted new attempts.
    Again,
    /// The attempt's outcome, found damaged and put aside; counts like a failure.
    Damaged,
}

impl Kind {
    const ALL: [Kind; 12] = [
        Kind::In,
        Kind::Out,
        Kind::End,
        Kind::Lock,
        Kind::Checkpoint,
        Kind::Fail,
        Kind::Final,
        Kind::Lost,
        Kind::Back,
        Kind::Slow,
        Kind::Again,
        Kind::Damaged,
    ];

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Kind::In => "in",
            Kind::Out => "out",
            Kind::End => "end",
            Kind::Lock => "lock",
            Kind::Checkpoint => "checkpoint",
            Kind::Fail => "fail",
            Kind::Final => "final",
            Kind::Lost => "lost",
            Kind::Back => "back",
            Kind::Slow => "slow",
            Kind::Again => "again",
            Kind::Damaged => "damaged",
        }
    }

    fn of(suffix: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.suffix() == suffix)
    }

    /// Says whether names of this kind bear an attempt's number.
    fn of_attempt(self) -> bool {
        !matches!(self, Kind::In | Kind::Out | Kind::End)
    }
}

/// A name in a shard, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry {
    pub(crate) stem: Stem,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) kind: Kind,
}

impl Entry {
    /// Takes a name of a shard's listing apart, or answers `None` where it is foreign.
    pub(crate) fn parse(name: &str) -> Option<Entry> {
        let (stem, rest) = name.split_once('.')?;
        let stem = Stem(padded(stem)?);
        let (attempt, suffix) = attempt_and_suffix(rest)?;
        let kind = Kind::of(suffix)?;
        (kind.of_attempt() == attempt.is_some()).then_some(Entry { stem, attempt, kind })
    }
}

fn attempt_and_suffix(rest: &str) -> Option<(Option<Attempt>, &str)> {
    match rest.split_once('.') {
        None => Some((None, rest)),
        Some((number, suffix)) => {
            // As we write it, or one attempt would have several names.
            let number = number_of(number).filter(|_| !number.starts_with('0'))?;
            let number = u32::try_from(number).ok().filter(|n| *n > 0 && *n < u32::MAX)?;
            Some((Some(Attempt(number)), suffix))
        }
    }
}

/// Reads a name such as `master.3.lock`.
pub(crate) fn parse_master(name: &str) -> Option<(Attempt, Kind)> {
    let rest = name.strip_prefix(MASTER)?.strip_prefix('.')?;
    let (attempt, suffix) = attempt_and_suffix(rest)?;
    let kind = Kind::of(suffix)?;
    kind.of_attempt()
        .then_some(attempt.map(|attempt| (attempt, kind)))?
}

/// `0000123.in`, `0000123.out`, `0001024.end`.
pub(crate) fn plain_name(stem: Stem, kind: Kind) -> String {
    debug_assert!(!kind.of_attempt(), "{kind:?} belongs to an attempt");
    format!("{stem}.{}", kind.suffix())
}

/// `0000123.1.lock`, `master.1.lock`, ...
pub(crate) fn attempt_name(base: &str, attempt: Attempt, kind: Kind) -> String {
    debug_assert!(kind.of_attempt(), "{kind:?} does not belong to an attempt");
    format!("{base}.{attempt}.{}", kind.suffix())
}

/// Returns the name of a ping: when it was made, in milliseconds since 1970, and by which process.
pub(crate) fn ping_name(millis: u64, pid: u32) -> String {
    format!("{PING}{millis}.{pid}")
}

/// Returns when a ping was made, if it is the name of one.
pub(crate) fn ping_time(name: &str) -> Option<u64> {
    let (millis, pid) = name.strip_prefix(PING)?.split_once('.')?;
    pid.parse::<u32>().ok()?;
    millis.parse().ok()
}

/// A private temporary name; the token keeps processes apart.
pub(crate) fn temporary_name(base: &str, token: &str) -> String {
    format!(".{base}.{token}.tmp")
}

/// Says whether a name is one of [`temporary_name`]'s.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// `000000`
pub(crate) fn round_name(round: RoundNumber) -> String {
    format!("{:06}", round.0)
}

/// Reads the name of a round's directory.
pub(crate) fn parse_round(name: &str) -> Option<RoundNumber> {
    let number = u32::try_from(number_of(name)?).ok()?;
    (name.len() >= 6 && round_name(RoundNumber(number)) == name).then_some(RoundNumber(number))
}

/// `0000000`
pub(crate) fn shard_name(shard: ShardNumber) -> String {
    shard.to_string()
}

/// `0000000.done`
pub(crate) fn done_name(shard: ShardNumber) -> String {
    format!("{shard}.done")
}

/// What a name in a round's directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoundEntry {
    Shard(ShardNumber),
    Done(ShardNumber),
    Complete,
}

impl RoundEntry {
    /// Takes a name of a round's listing apart, or answers `None` where it is foreign.
    pub(crate) fn parse(name: &str) -> Option<RoundEntry> {
        if name == ROUND_FILE {
            return Some(RoundEntry::Complete);
        }
        match name.strip_suffix(".done") {
            Some(stem) => padded(stem).map(|n| RoundEntry::Done(ShardNumber(n))),
            None => padded(name).map(|n| RoundEntry::Shard(ShardNumber(n))),
        }
    }
}

/// A number as we write it: at least seven digits, no more zeros than that takes.
fn padded(text: &str) -> Option<u64> {
    let canonical = text.len() == 7 || (text.len() > 7 && !text.starts_with('0'));
    if canonical { number_of(text) } else { None }
}

fn number_of(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_told_from_other_names() {
        assert_eq!(
            ping_time(&ping_name(1_764_100_000_123, 42)),
            Some(1_764_100_000_123)
        );
        for other in [
            "ping",
            "ping.",
            "ping.1",
            "ping.x.1",
            "ping.1.x",
            "ping.1.1.1",
            "stop",
            "xping.1.1",
        ] {
            assert_eq!(ping_time(other), None, "{other}");
        }
    }

    #[test]
    fn names_come_back_as_they_were_made() {
        for number in [0, 123, 9_999_999, 10_000_000, u64::MAX] {
            let stem = Stem(number);
            for kind in Kind::ALL {
                let (name, attempt) = if kind.of_attempt() {
                    (
                        attempt_name(&stem.to_string(), Attempt(12), kind),
                        Some(Attempt(12)),
                    )
                } else {
                    (plain_name(stem, kind), None)
                };
                assert_eq!(Entry::parse(&name), Some(Entry { stem, attempt, kind }), "{name}");
            }
            let shard = ShardNumber(number);
            assert_eq!(
                RoundEntry::parse(&shard_name(shard)),
                Some(RoundEntry::Shard(shard))
            );
            assert_eq!(
                RoundEntry::parse(&done_name(shard)),
                Some(RoundEntry::Done(shard))
            );
        }
        assert_eq!(parse_round("000012"), Some(RoundNumber(12)));
        assert_eq!(parse_master("master.3.lost"), Some((Attempt(3), Kind::Lost)));
    }

    #[test]
    fn foreign_names_are_ignored() {
        let names = [
            "",
            ".",
            "..",
            ".nfs000000123",
            "0000123",
            "123.in",
            "00000123.in",
            "0000123.in~",
            "0000123.IN",
            "0000123..in",
            "0000123.1.in",
            "0000123.out.1",
            "0000123.lock",
            "0000123.0.lock",
            "0000123.01.lock",
            "0000123.00001.final",
            "0000123.4294967295.lock",
            "0000123.99999999999999999999.lock",
            "0000123.1.lock.tmp",
            "+000123.in",
            "0000123.1.",
            "99999999999999999999999.in",
            "../0000123.in",
            "0000123.\u{661}.lock",
        ];
        for name in names {
            assert_eq!(Entry::parse(name), None, "{name:?}");
        }
        for name in ["0", "00000", "0000000000", "x", "-00001", "000000/"] {
            assert_eq!(parse_round(name), None, "{name:?}");
        }
        for name in ["000000", "0000000.DONE", ".0000000.ab.tmp", "0000000.done.tmp"] {
            assert_eq!(RoundEntry::parse(name), None, "{name:?}");
        }
        assert_eq!(parse_master("master.lock"), None);
        assert!(is_temporary(&temporary_name("0000000", "abc")));
    }
}
