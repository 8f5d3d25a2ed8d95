//! `status`: how far it is, who works, and what needs attention.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use flockwork::WorkerStatus;
use flockwork::app::exit::{Ended, Failed, OK};
use flockwork::app::times;
use serde_json::{Map, Value, json};

use crate::args::{Format, StatusArgs};
use crate::output::{self, Cell, Column, Kind, Table, bytes, count, document};
use crate::view::block::{self, Line};
use crate::view::opened::Opened;
use crate::view::summary::{Phase, Summary};
use crate::view::workers::place;

/// Between two looks, on a terminal and elsewhere.
const EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// A look that took long is followed by so many times its length without one: at most 5 % of the time are looks.
const REST: u32 = 19;

/// Workers whose jobs are named in the table; `workers` names all.
const NAMED_JOBS: usize = 4;

/// Runs the verb.
pub(crate) fn status(args: &StatusArgs) -> Ended {
    let opened = Opened::open(args.read.place.store.as_deref())?;
    if args.watch {
        return watch(opened, args.read.format);
    }
    output::write_all(&text(
        &Summary::look(&opened)?,
        args.read.format,
        output::terminal_width(),
    )?)?;
    Ok(OK)
}

fn watch(opened: Opened, format: Format) -> Ended {
    let on_terminal = std::io::stdout().is_terminal() && format == Format::Table;
    let every = if on_terminal { EVERY.0 } else { EVERY.1 };
    let mut opened = opened;
    let mut first = true;
    loop {
        let begun = Instant::now();
        let summary = Summary::look(&opened)?;
        let took = begun.elapsed();
        let text = text(&summary, format, output::terminal_width())?;
        match on_terminal {
            // Nothing is hidden or switched, so nothing is left behind when it is interrupted.
            true => output::write_all(&redrawn(&text, std::mem::take(&mut first)))?,
            false => output::write_all(&text)?,
        }
        let rests = summary.phase == Phase::Stopped && summary.alive == 0;
        if summary.phase == Phase::Done || rests || !output::is_read() {
            return Ok(OK);
        }
        std::thread::sleep(every.max(took.saturating_mul(REST)));
        // A command may have been submitted since.
        opened = Opened::open(Some(&opened.path))?;
    }
}

/// Returns the text with what draws it over the one before.
fn redrawn(text: &str, first: bool) -> String {
    const CLEAR: &str = "\x1b[2J";
    const HOME: &str = "\x1b[H";
    const CLEAR_LINE: &str = "\x1b[K";
    const CLEAR_BELOW: &str = "\x1b[J";
    let clear = if first { CLEAR } else { "" };
    format!(
        "{clear}{HOME}{}{CLEAR_BELOW}",
        text.replace('\n', &format!("{CLEAR_LINE}\n"))
    )
}

fn text(summary: &Summary, format: Format, most: Option<usize>) -> Result<String, Failed> {
    let members = figures(summary);
    match format {
        Format::Table => Ok(block::text(&lines(summary), most)),
        Format::Json => Ok(document("status", members)),
        Format::Jsonl => Ok(format!("{}\n", Value::Object(members))),
        Format::Csv | Format::Plain => {
            let mut table = Table::new(
                "status",
                "figures",
                vec![Column::left("figure"), Column::left("value")],
            );
            for (name, value) in members.into_iter().filter(|(_, value)| !value.is_array()) {
                table.row(vec![name.into(), Cell::from(value)]);
            }
            table.text(format, None)
        }
    }
}

fn figures(summary: &Summary) -> Map<String, Value> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let attention: Vec<Value> = summary
        .attention
        .iter()
        .map(|one| json!({"what": one.what, "text": one.text, "command": one.command}))
        .collect();
    let workers: Vec<Value> = summary.workers.iter().map(worker).collect();
    let counts = summary.counts;
    let (kind, source) = summary.file_system.clone().unzip();
    let all = json!({
        "store": summary.path,
        "id": summary.id,
        "state": summary.phase.as_str(),
        "why": summary.why,
        "seconds": seconds(summary.since),
        "rounds": summary.rounds,
        "tasks": counts.total(),
        "ok": counts.ok,
        "running": counts.running,
        "waiting": counts.waiting,
        "failed": counts.failed,
        "stale": counts.stale,
        "rate": summary.pace.map(|pace| pace.rate),
        "left_seconds": seconds(summary.left),
        "left_give_or_take_seconds": seconds(summary.give_or_take),
        "median_seconds": seconds(summary.median),
        "p95_seconds": seconds(summary.p95),
        "busy": summary.busy,
        "workers_alive": summary.alive,
        "workers_lost": summary.lost,
        "slots": summary.slots,
        "workers": workers,
        "file_system": kind,
        "file_system_source": source,
        "free_bytes": summary.free_space,
        "attention": attention,
        "notes": summary.notes,
    });
    match all {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn worker(worker: &WorkerStatus) -> Value {
    let (host, pid) = place(&worker.worker);
    json!({
        "worker": worker.worker,
        "host": host,
        "pid": pid,
        "job": worker.job,
        "slots": worker.slots,
        "started_ms": worker.started,
        "silent_for_s": worker.silent_for,
        "lost": worker.lost,
    })
}

fn lines(summary: &Summary) -> Vec<Line> {
    let mut lines = vec![headline(summary)];
    if summary.counts.total() > 0 {
        lines.push(counts(summary));
    }
    lines.extend(pace(summary));
    lines.push(workers(summary));
    lines.extend(jobs(&summary.workers));
    if !summary.attention.is_empty() {
        lines.push(Line::of("  attention"));
        let width = summary
            .attention
            .iter()
            .map(|one| output::width(&one.text))
            .max()
            .unwrap_or(0);
        for one in &summary.attention {
            let kind = match one.what {
                "failed" => Kind::Failed,
                _ => Kind::Warning,
            };
            let line = Line::of("   ")
                .with(kind, format!("! {:<8}", one.what))
                .and(&one.text);
            lines.push(match one.command.as_str() {
                "" => line,
                command => line.to(13 + width.min(70) + 2).and(command),
            });
        }
    }
    lines.extend(summary.notes.iter().map(|note| Line::of("  note: ").and(note)));
    lines
}

fn headline(summary: &Summary) -> Line {
    let kind = match summary.phase {
        Phase::Done if summary.counts.failed > 0 => Kind::Failed,
        Phase::Done => Kind::Ok,
        Phase::Running => Kind::Running,
        Phase::Empty => Kind::Waiting,
        Phase::Paused | Phase::Stopped | Phase::Waiting => Kind::Warning,
    };
    let mut line = Line::default()
        .with(Kind::Head, &summary.name)
        .and("   ")
        .with(kind, summary.phase.as_str());
    if let Some(since) = summary.since {
        let took = if summary.phase == Phase::Done { " in " } else { " " };
        line = line.and(took).and(times::short(since));
    }
    if summary.rounds > 1 {
        line = line.and(format!("   round {}", summary.rounds - 1));
    }
    line
}

fn counts(summary: &Summary) -> Line {
    let counts = summary.counts;
    let mut line = Line::of("  ").with(Kind::Ok, format!("ok {}", count(counts.ok)));
    for (kind, name, number, always) in [
        (Kind::Running, "running", counts.running, true),
        (Kind::Waiting, "waiting", counts.waiting, true),
        (Kind::Failed, "failed", counts.failed, true),
        (Kind::Warning, "stale", counts.stale, false),
    ] {
        let kind = if number == 0 { Kind::Waiting } else { kind };
        if always || number > 0 {
            line = line.and("   ").with(kind, format!("{name} {}", count(number)));
        }
    }
    line.and(format!("   of {}", count(counts.total())))
}

fn pace(summary: &Summary) -> Option<Line> {
    let mut parts = Vec::new();
    if let Some(pace) = summary.pace {
        parts.push(format!("{} tasks/s", rate(pace.rate)));
    }
    if summary.phase == Phase::Running {
        let about = summary
            .give_or_take
            .map(|by| format!(" ±{}", times::short(by)))
            .unwrap_or_default();
        parts.push(match summary.left {
            Some(left) => format!("ETA {} ({}{about})", times::time_after(left), times::short(left)),
            None => "ETA -".to_owned(),
        });
    }
    if let (Some(median), Some(p95)) = (summary.median, summary.p95) {
        parts.push(format!(
            "median {}  p95 {}",
            times::short(median),
            times::short(p95)
        ));
    }
    if let Some(busy) = summary.busy {
        parts.push(format!("busy {:.0}%", busy * 100.0));
    }
    (!parts.is_empty()).then(|| Line::of("  ").and(parts.join("   ")))
}

fn workers(summary: &Summary) -> Line {
    let mut line = Line::of(format!("  workers {} alive", count(summary.alive)));
    if summary.lost > 0 {
        line = line
            .and(", ")
            .with(Kind::Warning, format!("{} lost", count(summary.lost)));
    }
    if summary.alive > 0 {
        line = line.and(format!("   slots {}", count(summary.slots)));
    }
    if let Some((kind, source)) = &summary.file_system {
        line = line.and(format!("   {kind} {source}"));
    }
    match summary.free_space {
        Some(free) => line.and(format!(", {} free", bytes(free))),
        None => line,
    }
}

/// The workers that a batch engine runs: by their jobs a person finds them there.
fn jobs(workers: &[WorkerStatus]) -> Vec<Line> {
    let of: Vec<(&WorkerStatus, &String)> = workers
        .iter()
        .filter_map(|worker| Some((worker, worker.job.as_ref()?)))
        .collect();
    let mut lines: Vec<Line> = of
        .iter()
        .take(NAMED_JOBS)
        .map(|(worker, job)| {
            let (host, pid) = place(&worker.worker);
            let pid = pid.map(|pid| format!(" pid {pid}")).unwrap_or_default();
            let line = Line::of(format!("    {host}{pid} {job}"));
            match worker.lost {
                true => line.and(" ").with(Kind::Warning, "lost"),
                false => line,
            }
        })
        .collect();
    if of.len() > NAMED_JOBS {
        let more = count((of.len() - NAMED_JOBS) as u64);
        lines.push(Line::of(format!("    and {more} more jobs")));
    }
    lines
}

fn rate(rate: f64) -> String {
    match rate {
        10.0.. => format!("{rate:.0}"),
        0.1.. => format!("{rate:.1}"),
        _ => format!("{rate:.4}"),
    }
}

#[cfg(test)]
mod tests;
