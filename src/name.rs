//! The names of things: newtypes that are checked once, when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a round, from 0.
///
/// A master may make round 1 from what round 0 gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RoundNumber(pub(crate) u32);

impl RoundNumber {
    /// The first round.
    pub const FIRST: RoundNumber = RoundNumber(0);

    /// Makes the number of a round, from 0.
    pub fn new(number: u32) -> RoundNumber {
        RoundNumber(number)
    }

    /// Returns the number, from 0.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Says whether this is round 0.
    pub fn is_first(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn next(self) -> RoundNumber {
        RoundNumber(self.0 + 1)
    }
}

impl fmt::Display for RoundNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A task: its round, and its number within the round.
///
/// It is shown as `0000123`, as in the names of its files; a task of a later round as `2/0000123`. It is read in the same
/// form, with or without the zeros; a number alone is a task of round 0.
///
/// ```
/// use flockwork::TaskId;
///
/// let task: TaskId = "1/123".parse()?;
/// assert_eq!(task.to_string(), "1/0000123");
/// assert_eq!("7".parse::<TaskId>()?.to_string(), "0000007");
/// assert!("x/7".parse::<TaskId>().is_err());
/// # Ok::<(), flockwork::ParseTaskIdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The round that the task belongs to.
    pub round: RoundNumber,
    /// The number of the task within its round, from 0, in the order of `create_inputs`.
    pub number: u64,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.round.is_first() {
            write!(f, "{}/", self.round)?;
        }
        write!(f, "{:07}", self.number)
    }
}

/// A text that names no task: see [`TaskId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseTaskIdError {
    text: String,
}

impl fmt::Display for ParseTaskIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With escapes: it was typed or read, and may hold anything.
        write!(
            f,
            "{:?} is no task: write ROUND/NUMBER, such as 0/0000012, or the number alone",
            self.text
        )
    }
}

impl std::error::Error for ParseTaskIdError {}

impl FromStr for TaskId {
    type Err = ParseTaskIdError;

    /// Reads `ROUND/NUMBER`, or `NUMBER` for a task of round 0: decimal digits only.
    ///
    /// # Errors
    ///
    /// [`ParseTaskIdError`] for every other text, and for numbers that are too large.
    fn from_str(text: &str) -> Result<TaskId, ParseTaskIdError> {
        let (round, number) = text.split_once('/').unwrap_or(("0", text));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let read = || Some((round.parse().ok()?, number.parse().ok()?));
        match read().filter(|_| digits(round) && digits(number)) {
            Some((round, number)) => Ok(TaskId {
                round: RoundNumber(round),
                number,
            }),
            None => Err(ParseTaskIdError {
                text: text.to_owned(),
            }),
        }
    }
}

/// The number that an input file is named by: that of its first task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stem(pub(crate) u64);

/// The number that a shard is named by: that of its first task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShardNumber(pub(crate) u64);

/// The number of an attempt, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "std::num::NonZeroU32")]
pub(crate) struct Attempt(pub(crate) u32);

impl From<std::num::NonZeroU32> for Attempt {
    fn from(number: std::num::NonZeroU32) -> Attempt {
        Attempt(number.get())
    }
}

impl Attempt {
    pub(crate) const FIRST: Attempt = Attempt(1);

    pub(crate) fn next(self) -> Attempt {
        Attempt(self.0.saturating_add(1))
    }
}

macro_rules! display_padded {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:07}", self.0)
            }
        }
    )*};
}
display_padded!(Stem, ShardNumber);

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of a worker or a master process: `HOST-PID-RANDOM`.
///
/// It is also the name of its file in the store, so it holds only letters, digits, `.`, `_` and `-`,
/// and does not begin with a dot or a dash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct WorkerId(String);

impl WorkerId {
    const LONGEST: usize = 120;

    /// Makes a name from a host name (any text), a process id and a random number.
    pub(crate) fn new(host: &str, pid: u32, random: u32) -> WorkerId {
        let host: String = host
            .chars()
            .take(64)
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let host = host.trim_start_matches(['.', '-']);
        let host = if host.is_empty() { "host" } else { host };
        WorkerId(format!("{host}-{pid}-{random:06x}"))
    }

    /// Takes a name that was read from a file, which may be hostile.
    pub(crate) fn parse(text: &str) -> Option<WorkerId> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fits = !text.is_empty() && text.len() <= Self::LONGEST && text.chars().all(good);
        (fits && !text.starts_with(['.', '-'])).then(|| WorkerId(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WorkerId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        WorkerId::parse(&text).ok_or_else(|| serde::de::Error::custom("not the name of a worker"))
    }
}

/// The longest text that names the job of a worker.
const LONGEST_JOB: usize = 64;

/// Returns the text that names a worker's job as plain characters on one line, and not too many; `None` if there are none.
///
/// It comes from the environment, or from a file that others can write: it must be harmless on a terminal.
pub(crate) fn plain_job(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let cut: String = text.trim().chars().take(LONGEST_JOB).map(plain).collect();
    (!cut.is_empty()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_name_survives_any_host_name() {
        for host in ["node01.cluster", "..", "-rf", "a/b\0c", "", "größe"] {
            let id = WorkerId::new(host, 7, 0xabc);
            assert_eq!(
                WorkerId::parse(id.as_str()),
                Some(id.clone()),
                "{host:?} gave {id}"
            );
        }
    }

    #[test]
    fn hostile_worker_names_are_refused() {
        for text in [
            "",
            ".hidden",
            "-rf",
            "a/b",
            "a b",
            "../../x",
            "a\n",
            &"x".repeat(121),
        ] {
            assert_eq!(WorkerId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_task_is_shown_with_its_round() {
        let id = TaskId {
            round: RoundNumber(2),
            number: 123,
        };
        assert_eq!(id.to_string(), "2/0000123");
    }

    #[test]
    fn a_task_is_read_as_it_is_shown_and_nothing_else_is() {
        let id: TaskId = "2/0000123".parse().unwrap();
        assert_eq!(id.to_string(), "2/0000123");
        assert_eq!("7".parse::<TaskId>().unwrap().to_string(), "0000007");
        let long = "9".repeat(30);
        for text in [
            "",
            "x",
            "1/",
            "/1",
            "-1",
            "+1",
            "1/+2",
            "1/2/3",
            " 1",
            "1.5",
            &long,
            "4294967296/1",
        ] {
            let error = text.parse::<TaskId>().unwrap_err();
            assert!(error.to_string().contains("ROUND/NUMBER"), "{text:?}: {error}");
        }
    }
}
