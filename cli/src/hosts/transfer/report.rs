//! What came of a transfer: failures by reason, the summary, and each host for programs.

use std::collections::BTreeMap;
use std::io::Write;

use flockwork::app::exit::{Ended, NOT_OK, OK};
use serde_json::{Map, Value, json};

use super::board::Outcome;
use super::relays::Failure;
use super::{End, name};
use crate::args::Format;
use crate::hosts::trouble::Why;
use crate::hosts::{Host, Trouble, fold};
use crate::output::{self, Cell, Column, Table, bytes, count, document};
use crate::signals::Caught;

/// As many files of one host and reason are named.
const NAMED: usize = 5;

/// All hosts, and what came of each.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) hosts: Vec<(&'a Host, Outcome)>,
    pub(crate) did: Did,
    /// Hosts that could not send on to others, which then had their files from here.
    pub(crate) not_sent_on: Vec<Failure>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    /// Each file to or from every host.
    Copy,
    /// Each file to one host.
    Distribute,
}

impl Report<'_> {
    /// Tells it, and returns the exit code: that of the signal that has cut it short, if one has.
    ///
    /// # Errors
    ///
    /// If stdout cannot be written.
    pub(crate) fn tell(&self, format: Format, caught: &Caught) -> Ended {
        let is_ok = self.hosts.iter().all(|(_, outcome)| outcome.is_ok());
        let mut stderr = std::io::stderr().lock();
        for line in self.failures().into_iter().chain(self.detours()) {
            let _ = writeln!(stderr, "{line}");
        }
        let _ = writeln!(stderr, "{}", self.summary());
        if caught.code().is_some() && !is_ok {
            let _ = writeln!(stderr, "hint: interrupted; give the same command again to go on");
        }
        match format {
            Format::Table => {}
            Format::Json => output::write_all(&self.json())?,
            other => self.table().print(other)?,
        }
        let code = if is_ok { OK } else { NOT_OK };
        Ok(caught.code().unwrap_or(code))
    }

    /// Returns `20 hosts: 18,597/22,280 files · 1.2 GiB · 0 failed checksum`, or
    /// `Transferred 18,597/22,280 files to 20 hosts · ...`.
    pub(crate) fn summary(&self) -> String {
        let sum = |figure: fn(&Outcome) -> u64| -> u64 {
            self.hosts.iter().map(|(_, outcome)| figure(outcome)).sum()
        };
        let (done, same) = (sum(|outcome| outcome.done), sum(|outcome| outcome.same));
        let hosts = match self.hosts.len() {
            1 => "1 host".to_owned(),
            more => format!("{} hosts", count(more as u64)),
        };
        let files = sum(|outcome| outcome.files);
        let files = format!("{}/{} files", count(done + same), count(files));
        let mut line = match self.did {
            Did::Copy => format!("{hosts}: {files}"),
            Did::Distribute => format!("Transferred {files} to {hosts}"),
        };
        line.push_str(&format!(
            " · {} · {} failed checksum",
            bytes(sum(|outcome| outcome.bytes)),
            count(sum(differ)),
        ));
        let served = sum(|outcome| u64::from(outcome.from.is_some()));
        if served > 0 {
            line.push_str(&format!(" · {} served by other hosts", count(served)));
        }
        if same > 0 {
            line.push_str(&format!(" · {} same", count(same)));
        }
        let cut = sum(|outcome| u64::from(is_cut(outcome)));
        if cut > 0 {
            line.push_str(&format!(" · {cut} of the hosts interrupted"));
        }
        let failed = sum(|outcome| u64::from(outcome.trouble.is_some() && !is_cut(outcome)));
        if failed > 0 {
            line.push_str(&format!(" · {failed} of the hosts failed"));
        }
        line
    }

    /// Returns a line for each reason of hosts, and for each file up to a limit.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut troubles: BTreeMap<(String, Option<&str>), Vec<&str>> = BTreeMap::new();
        for (host, outcome) in &self.hosts {
            // Whoever has sent the signal knows of it.
            if let Some(trouble) = outcome.trouble.as_ref().filter(|_| !is_cut(outcome)) {
                // ssh names the host in what it says, and hosts that failed alike are told together.
                let text = trouble.text_of_any(&host.address);
                let key = (text, trouble.why.hint());
                troubles.entry(key).or_default().push(&host.name);
            }
        }
        let mut lines = Vec::new();
        for ((text, hint), hosts) in troubles {
            lines.push(format!("failed: {}: {text}", fold(hosts)));
            lines.extend(hint.map(|hint| format!("hint: {hint}")));
        }
        for (host, outcome) in &self.hosts {
            let mut reasons: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
            for (path, end) in &outcome.ends {
                if let Some(reason) = end.as_ref().and_then(End::reason) {
                    reasons.entry(reason).or_default().push(path);
                }
            }
            for (reason, paths) in reasons {
                for path in paths.iter().take(NAMED) {
                    lines.push(format!("failed: {}: {}: {reason}", host.name, name::shown(path)));
                }
                if paths.len() > NAMED {
                    let more = count((paths.len() - NAMED) as u64);
                    lines.push(format!("failed: {}: and {more} more: {reason}", host.name));
                }
            }
        }
        lines
    }

    /// Returns a line for each reason for which hosts did not send on.
    fn detours(&self) -> Vec<String> {
        let mut reasons: BTreeMap<String, Vec<&Failure>> = BTreeMap::new();
        for failure in &self.not_sent_on {
            let text = failure.trouble.text_of_any(&failure.to.address);
            reasons.entry(text).or_default().push(failure);
        }
        let line = |(text, failures): (String, Vec<&Failure>)| {
            let from = fold(failures.iter().map(|failure| failure.from.name.as_str()));
            let to = fold(failures.iter().map(|failure| failure.to.name.as_str()));
            format!("note: {from} could not send to {to}, served from here: {text}")
        };
        reasons.into_iter().map(line).collect()
    }

    fn json(&self) -> String {
        let hosts = self.hosts.iter().map(|(host, outcome)| {
            let failed = outcome.ends.iter().filter_map(|(path, end)| {
                let reason = match end {
                    Some(end) => end.reason()?,
                    None => "unknown",
                };
                Some(json!({ "name": String::from_utf8_lossy(path), "reason": reason }))
            });
            let failed: Vec<Value> = failed.collect();
            json!({
                "host": host.name,
                "ok": outcome.is_ok(),
                "error": outcome.trouble.as_ref().map(|trouble| trouble.why.code()),
                "error_text": outcome.trouble.as_ref().map(Trouble::text),
                "files": outcome.files,
                "done": outcome.done,
                "same": outcome.same,
                "failed_checksum": differ(outcome),
                "bytes": outcome.bytes,
                "from": outcome.from,
                "failed": failed,
            })
        });
        let mut members = Map::new();
        members.insert("hosts".to_owned(), hosts.collect());
        document("transfer", members)
    }

    fn table(&self) -> Table {
        let columns = vec![
            Column::left("host"),
            Column::right("files"),
            Column::right("done"),
            Column::right("same"),
            Column::right("failed_checksum"),
            Column::right("bytes"),
            Column::left("error"),
        ];
        let mut table = Table::new("transfer", "hosts", columns);
        for (host, outcome) in &self.hosts {
            let error = outcome.trouble.as_ref().map(|trouble| trouble.why.code());
            table.row(vec![
                Cell::from(host.name.clone()),
                Cell::from(outcome.files),
                Cell::from(outcome.done),
                Cell::from(outcome.same),
                Cell::from(differ(outcome)),
                Cell::from(outcome.bytes),
                Cell::from(error),
            ]);
        }
        table
    }
}

/// Says whether a signal here has cut it short.
fn is_cut(outcome: &Outcome) -> bool {
    let trouble = outcome.trouble.as_ref();
    trouble.is_some_and(|trouble| trouble.why == Why::Interrupted)
}

fn differ(outcome: &Outcome) -> u64 {
    let ends = outcome.ends.iter();
    ends.filter(|(_, end)| *end == Some(End::Differs)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_failed_alike_are_told_in_one_line() {
        let hosts: Vec<Host> = ["n1", "n2", "n3"].map(|name| Host::read(name).unwrap()).into();
        let good = Outcome {
            ends: vec![
                (b"a\n".to_vec(), Some(End::Differs)),
                (b"b".to_vec(), Some(End::Done)),
            ],
            files: 2,
            done: 1,
            bytes: 2048,
            ..Outcome::default()
        };
        let bad = || Outcome {
            files: 2,
            trouble: Some(Trouble::new(Why::Refused, "")),
            ..Outcome::default()
        };
        let outcomes = [good, bad(), bad()];
        let report = Report {
            hosts: hosts.iter().zip(outcomes).collect(),
            did: Did::Copy,
            not_sent_on: Vec::new(),
        };
        let lines = report.failures();
        assert_eq!(
            lines,
            [
                "failed: n[2-3]: the connection is refused: no sshd there",
                "failed: n1: a\\n: checksum differs",
            ]
        );
        assert_eq!(
            report.summary(),
            "3 hosts: 1/6 files · 2.0 KiB · 1 failed checksum · 2 of the hosts failed"
        );
    }

    #[test]
    fn hosts_that_were_interrupted_have_not_failed() {
        let host = Host::read("n1").unwrap();
        let cut = Outcome {
            files: 2,
            trouble: Some(Trouble::new(Why::Interrupted, "")),
            ..Outcome::default()
        };
        let report = Report {
            hosts: vec![(&host, cut)],
            did: Did::Distribute,
            not_sent_on: Vec::new(),
        };
        assert_eq!(report.failures(), [""; 0]);
        assert_eq!(
            report.summary(),
            "Transferred 0/2 files to 1 host · 0 B · 0 failed checksum · 1 of the hosts interrupted"
        );
        let caught = Caught::default();
        assert_eq!(report.tell(Format::Table, &caught).unwrap(), NOT_OK);
        caught.catch(15);
        assert_eq!(report.tell(Format::Table, &caught).unwrap(), 143);
    }
}
