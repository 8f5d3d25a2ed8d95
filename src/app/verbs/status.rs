//! `status`: what is in the store, for people or for programs.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::app::args::{Format, ReadArgs};
use crate::app::exit::{Ended, OK};
use crate::app::{place, screen, times};
use crate::store::{RoundStatus, Status, Store, WorkerStatus};

/// Rounds and workers that the table shows.
const MOST_ROWS: usize = 20;

/// Runs the verb.
pub(in crate::app) fn status(args: &ReadArgs) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let store = Store::open(&path)?;
    let status = store.status()?;
    screen::result(&match args.format {
        Format::Table => table(&path, &status),
        Format::Json => json(&path, store.id(), &status).to_string(),
    });
    Ok(OK)
}

fn table(path: &Path, status: &Status) -> String {
    let mut text = format!("{}\n", path.display());
    if let Some(why) = &status.stopped {
        text.push_str(&format!("  stopped: {}\n", crate::app::lines::one_line(why)));
    }
    let row = |name: &str, counts: [u64; 5], end: &str| {
        let [tasks, ok, running, waiting, failed] = counts;
        let row = format!("  {name:>9} {tasks:>11} {ok:>11} {running:>9} {waiting:>11} {failed:>9}{end}");
        format!("{}\n", row.trim_end())
    };
    text.push_str("      round       tasks          ok   running     waiting    failed\n");
    let skipped = status.rounds.len().saturating_sub(MOST_ROWS);
    if skipped > 0 {
        text.push_str(&format!(
            "  the latest {MOST_ROWS} of {} rounds\n",
            status.rounds.len()
        ));
    }
    for round in status.rounds.iter().skip(skipped) {
        let RoundStatus {
            ok,
            running,
            waiting,
            failed,
            ..
        } = *round;
        let end = if round.complete { "" } else { "  more to come" };
        text.push_str(&row(
            &round.round.to_string(),
            [round.tasks(), ok, running, waiting, failed],
            end,
        ));
    }
    if status.rounds.len() != 1 {
        let (running, waiting) = (status.running(), status.waiting());
        let counts = [status.tasks(), status.ok(), running, waiting, status.failed()];
        text.push_str(&row("all", counts, ""));
    }
    let lost = status.workers.iter().filter(|worker| worker.lost).count();
    let alive = status.workers.len() - lost;
    text.push_str(&format!("  workers: {alive} alive, {lost} lost\n"));
    // Those that need a look come first.
    let mut workers: Vec<&WorkerStatus> = status.workers.iter().collect();
    workers.sort_by_key(|worker| (!worker.lost, std::cmp::Reverse(worker.silent_for)));
    for worker in workers.iter().take(MOST_ROWS) {
        let (state, s) = (
            if worker.lost { "lost" } else { "alive" },
            if worker.slots == 1 { "" } else { "s" },
        );
        let sign = times::short(Duration::from_secs(worker.silent_for));
        text.push_str(&format!(
            "    {}  {} slot{s}  {state}, last sign {sign} ago",
            worker.worker, worker.slots
        ));
        if let Some(job) = &worker.job {
            text.push_str(&format!("  {job}"));
        }
        for (task, share) in &worker.progress {
            text.push_str(&format!("  {task} {:.0}%", share * 100.0));
        }
        text.push('\n');
    }
    if workers.len() > MOST_ROWS {
        text.push_str(&format!("    {MOST_ROWS} of {} shown\n", workers.len()));
    }
    text.trim_end().to_owned()
}

fn json(path: &Path, id: &str, status: &Status) -> serde_json::Value {
    let rounds: Vec<_> = status
        .rounds
        .iter()
        .map(|round| {
            json!({
                "round": round.round.get(),
                "complete": round.complete,
                "tasks": round.tasks(),
                "ok": round.ok,
                "running": round.running,
                "waiting": round.waiting,
                "failed": round.failed,
            })
        })
        .collect();
    let workers: Vec<_> = status
        .workers
        .iter()
        .map(|worker| {
            let progress: Vec<_> = worker
                .progress
                .iter()
                .map(|(task, share)| json!({"task": task.to_string(), "share": share}))
                .collect();
            json!({
                "worker": worker.worker,
                "slots": worker.slots,
                "job": worker.job,
                "started_ms": worker.started,
                "silent_for_s": worker.silent_for,
                "lost": worker.lost,
                "progress": progress,
            })
        })
        .collect();
    json!({
        "schema": "flockwork.status/1",
        "store": path.to_string_lossy(),
        "id": id,
        "stopped": status.stopped,
        "tasks": status.tasks(),
        "ok": status.ok(),
        "running": status.running(),
        "waiting": status.waiting(),
        "failed": status.failed(),
        "rounds": rounds,
        "workers": workers,
    })
}
