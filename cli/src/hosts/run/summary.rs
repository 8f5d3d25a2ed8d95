//! What has come of all hosts: those with the same output and the same end in one line; pure.

use std::collections::BTreeMap;

use flockwork::app::times;

use super::state::{Cause, End};
use crate::hosts::fold;
use crate::hosts::sum::Sum;
use crate::hosts::trouble::Why;
use crate::output::{Kind, count};
use crate::words;

/// The longest text of a line.
const LONGEST: usize = 100;

/// What a summary needs to know of a host.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) host: String,
    pub(crate) end: End,
    /// Whether the command has begun there.
    pub(crate) began: bool,
    /// What tells the outputs of two hosts apart.
    pub(crate) output: (Sum, Sum),
    /// How many lines it wrote, and the one that says most.
    pub(crate) lines: u64,
    pub(crate) last: String,
}

impl Row {
    /// Returns the word for how it ended.
    pub(crate) fn word(&self) -> &'static str {
        match &self.end {
            End::Exit(0) => "ok",
            End::Exit(_) => "failed",
            End::Stopped(Cause::Signal, _) | End::Unstopped(Cause::Signal) | End::Unbegun => "stopped",
            End::Stopped(..) | End::Unstopped(_) => "timeout",
            End::Trouble(_) if self.began => "lost",
            End::Trouble(trouble) if matches!(trouble.why, Why::There | Why::Here) => "failed",
            End::Trouble(_) => "unreached",
            End::Dead(_) => "dead",
        }
    }

    /// Returns the exit status of the command, if there is one.
    pub(crate) fn exit(&self) -> Option<i32> {
        match self.end {
            End::Exit(status) | End::Stopped(_, status) => Some(status),
            _ => None,
        }
    }

    /// Returns the rest of how it ended: `exit 3`, `no sign for 30s`.
    pub(crate) fn detail(&self) -> String {
        match &self.end {
            End::Exit(status) => format!("exit {status}{}", signal(*status)),
            End::Stopped(why, status) => format!("{}, exit {status}{}", because(*why), signal(*status)),
            End::Unstopped(why) => format!("{}, and did not say that it has stopped", because(*why)),
            End::Unbegun => format!("{}, before it began", because(Cause::Signal)),
            End::Trouble(trouble) => trouble.text(),
            End::Dead(silence) => format!("no sign for {}", times::short(*silence)),
        }
    }

    /// Returns the line that is kept in the file `status`.
    pub(crate) fn status(&self) -> String {
        format!("{} {}", self.word(), self.detail())
    }

    /// What is equal for two hosts of one group.
    fn key(&self) -> (u8, &'static str, String, Option<(Sum, Sum)>) {
        let word = self.word();
        let order = u8::from(word != "ok");
        match &self.end {
            // The words of ssh name the host.
            End::Trouble(trouble) if trouble.why != Why::There => {
                (order, word, trouble.why.text().to_owned(), None)
            }
            End::Dead(_) => (order, word, String::new(), None),
            End::Trouble(_) | End::Unstopped(_) | End::Unbegun => (order, word, self.detail(), None),
            _ => (order, word, self.detail(), Some(self.output)),
        }
    }
}

fn because(why: Cause) -> &'static str {
    match why {
        Cause::HostTimeout => "over --host-timeout",
        Cause::Timeout => "over --timeout",
        Cause::Signal => "by a signal here",
    }
}

/// A shell tells the signal that has ended a command as 128 and its number.
fn signal(status: i32) -> &'static str {
    match status {
        129 => " (HUP)",
        130 => " (INT)",
        134 => " (ABRT)",
        137 => " (KILL)",
        139 => " (SEGV)",
        143 => " (TERM)",
        126 => " (cannot be run there)",
        127 => " (not found there)",
        _ => "",
    }
}

/// Hosts that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) hosts: String,
    pub(crate) size: usize,
    pub(crate) word: &'static str,
    pub(crate) detail: String,
    pub(crate) text: String,
}

/// Returns the colour of a word.
pub(crate) fn kind(word: &str) -> Kind {
    match word {
        "ok" => Kind::Ok,
        "dead" | "stopped" | "timeout" => Kind::Warning,
        _ => Kind::Failed,
    }
}

/// Puts hosts together; those that are well first, then the larger groups.
pub(crate) fn groups(rows: &[Row]) -> Vec<Group> {
    let mut alike: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        alike.entry(row.key()).or_default().push(row);
    }
    let mut groups: Vec<_> = alike.into_iter().collect();
    groups.sort_by_key(|((order, ..), rows)| {
        (
            *order,
            usize::MAX - rows.len(),
            rows.first().map(|row| row.host.clone()),
        )
    });
    groups
        .into_iter()
        .filter_map(|((_, word, ..), rows)| group(word, &rows))
        .collect()
}

fn group(word: &'static str, rows: &[&Row]) -> Option<Group> {
    let first = rows.first()?;
    let detail = match (&first.end, rows.len()) {
        (End::Trouble(trouble), 2..) if trouble.why != Why::There => trouble.why.text().to_owned(),
        _ => first.detail(),
    };
    Some(Group {
        hosts: fold(rows.iter().map(|row| row.host.as_str())),
        size: rows.len(),
        word,
        detail,
        text: text(first),
    })
}

/// Returns the line that says most, in quotes, and how many there are.
fn text(row: &Row) -> String {
    if row.last.is_empty() || matches!(row.end, End::Trouble(_) | End::Dead(_)) {
        return String::new();
    }
    let line = format!("\"{}\"", words::tame(&row.last, LONGEST));
    match row.lines {
        0 | 1 => line,
        lines => format!("{} lines, last {line}", count(lines)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hosts::Trouble;

    fn row(host: &str, end: End, output: &str) -> Row {
        Row {
            host: host.to_owned(),
            end,
            began: true,
            output: (Sum::of(output.as_bytes()), Sum::of(b"")),
            lines: 1,
            last: output.to_owned(),
        }
    }

    #[test]
    fn those_that_ended_alike_are_one_line() {
        let mut rows: Vec<Row> = (1..=6)
            .map(|number| row(&format!("n{number:02}"), End::Exit(0), "Linux"))
            .collect();
        rows[3].output.0 = Sum::of(b"other");
        rows.push(row("n07", End::Exit(255), "no"));
        rows.push(row("n08", End::Dead(Duration::from_secs(30)), "half"));
        rows.push(row("n09", End::Dead(Duration::from_secs(41)), ""));
        let mut refused = row("n10", End::Trouble(Trouble::new(Why::Refused, "host n10")), "");
        refused.began = false;
        rows.push(refused.clone());
        refused.host = "n11".into();
        refused.end = End::Trouble(Trouble::new(Why::Refused, "host n11"));
        rows.push(refused);
        let lines: Vec<String> = groups(&rows)
            .iter()
            .map(|group| format!("{}|{}|{}|{}", group.hosts, group.word, group.detail, group.text))
            .collect();
        assert_eq!(
            lines,
            [
                "n[01-03,05-06]|ok|exit 0|\"Linux\"",
                "n04|ok|exit 0|\"Linux\"",
                "n[08-09]|dead|no sign for 30.0s|",
                "n[10-11]|unreached|the connection is refused: no sshd there|",
                "n07|failed|exit 255|\"no\"",
            ]
        );
    }
}
