//! The launches of a store as `status` shows them: without asking any engine.

use flockwork::WorkerStatus;
use serde_json::{Value, json};

use super::block::Line;
use crate::launch::Engine;
use crate::launch::records::{Launch, last_words};
use crate::launch::seen::seen;
use crate::output::{Kind, count};

/// Families that are shown to people: the latest.
const SHOWN: usize = 5;

/// A launch with how many of its workers are seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    launch: Launch,
    alive: u64,
}

/// Looks for the workers of each launch.
pub(crate) fn look(launches: Vec<Launch>, workers: &[WorkerStatus]) -> Vec<Seen> {
    let look = |launch: Launch| Seen {
        alive: seen(&launch, workers),
        launch,
    };
    launches.into_iter().map(look).collect()
}

/// Returns them for programs.
pub(crate) fn values(all: &[Seen]) -> Vec<Value> {
    let value = |seen: &Seen| {
        let (record, came) = (&seen.launch.record, &seen.launch.came);
        json!({
            "launch": record.number,
            "engine": record.engine.name(),
            "job": came.job,
            "workers": record.asked.workers,
            "seen": seen.alive,
            "at": record.at,
            "by": record.by,
            "replaces": record.parent,
            "failed": came.failed,
            "stopped": seen.launch.stopped,
        })
    };
    all.iter().map(value).collect()
}

/// Returns them for people: a line for each launch, with its replacements.
pub(crate) fn lines(all: &[Seen]) -> Vec<Line> {
    let first: Vec<&Seen> = all
        .iter()
        .filter(|seen| seen.launch.record.first.is_none())
        .collect();
    let hidden = first.len().saturating_sub(SHOWN);
    let mut lines = Vec::new();
    if !first.is_empty() {
        lines.push(Line::of("  launches"));
    }
    if hidden > 0 {
        lines.push(Line::of(format!("    {} earlier ones", count(hidden as u64))));
    }
    for seen in &first[hidden..] {
        let number = seen.launch.record.number;
        let replacements: Vec<&Seen> = all
            .iter()
            .filter(|other| other.launch.record.first == Some(number))
            .collect();
        lines.push(line(seen, &replacements));
    }
    lines
}

fn line(seen: &Seen, replacements: &[&Seen]) -> Line {
    let (record, came) = (&seen.launch.record, &seen.launch.came);
    let (engine, number) = (record.engine.name(), record.number);
    let job = match (&came.job, record.engine) {
        (Some(job), _) => format!(" job {job}"),
        (None, Engine::Local | Engine::Ssh) => String::new(),
        (None, _) => " not submitted".to_owned(),
    };
    let alive = seen.alive + replacements.iter().map(|other| other.alive).sum::<u64>();
    let mut line = Line::of(format!("    {number} {engine}{job}"))
        .to(30)
        .and(format!(
            "{} workers asked for, {} seen",
            count(record.asked.workers.into()),
            count(alive)
        ));
    let replaced = replacements
        .iter()
        .filter(|other| other.launch.came.job.is_some())
        .count();
    if replaced > 0 {
        line = line.and(format!(", {} replaced", count(replaced as u64)));
    }
    if seen.launch.stopped && came.failed.is_none() {
        line = line.and(", stopped");
    }
    let troubles = replacements
        .iter()
        .filter_map(|other| other.launch.came.failed.as_ref());
    match came.failed.iter().chain(troubles).next_back() {
        Some(said) => line
            .and("   ")
            .with(Kind::Failed, format!("failed: {}", last_words(said))),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::records::Came;
    use crate::launch::records::tests::record;
    use crate::view::block;

    fn seen(number: u64, first: Option<u64>, job: Option<&str>, failed: Option<&str>) -> Seen {
        let came = Came {
            job: job.map(str::to_owned),
            failed: failed.map(str::to_owned),
            started: Vec::new(),
            reached: Vec::new(),
        };
        Seen {
            launch: Launch {
                record: record(number, 50, first),
                came,
                stopped: number == 2,
            },
            alive: number,
        }
    }

    #[test]
    fn replacements_stand_with_their_launch_and_failures_are_not_hidden() {
        let all = [
            seen(1, None, Some("48213"), None),
            seen(2, None, Some("48214"), None),
            seen(3, Some(1), Some("48215"), None),
            seen(4, Some(1), None, Some("no such partition\x1b[2J")),
        ];
        insta::assert_snapshot!(block::text(&lines(&all), None), @r"
        launches
          1 slurm job 48213         50 workers asked for, 8 seen, 1 replaced   failed: no such partition\x1b[2J
          2 slurm job 48214         50 workers asked for, 2 seen, stopped
        ");
        let many: Vec<Seen> = (1..=9).map(|number| seen(number, None, None, None)).collect();
        let text = block::text(&lines(&many), None);
        assert!(
            text.contains("    4 earlier ones\n") && text.lines().count() == 7,
            "{text}"
        );
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn programs_get_all_of_them() {
        let values = values(&[seen(4, Some(1), None, Some("no"))]);
        assert_eq!(values[0]["replaces"], 1);
        assert_eq!(
            (&values[0]["failed"], &values[0]["seen"]),
            (&json!("no"), &json!(4))
        );
    }
}
