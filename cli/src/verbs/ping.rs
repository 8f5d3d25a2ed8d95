//! `ping`: every worker of a store answers through the file system, and how long that takes is told.

use std::time::Duration;

use flockwork::app::exit::{Ended, NO_WORKER, NOT_OK, OK};
use flockwork::app::{self, Screen, times};
use flockwork::{Pong, Stop, Store};

use crate::args::PingStoreArgs;
use crate::output::{self, Cell, Column, Kind, Table};
use crate::view::workers::place;
use crate::words;

/// Runs the verb.
pub(crate) fn ping(args: &PingStoreArgs) -> Ended {
    let path = app::named(args.read.place.store.as_deref())?;
    let store = Store::open(&path)?;
    let screen = Screen::plain();
    screen.line(&format!(
        "waiting for answers, up to {}: idle workers answer at their next look, busy ones with their next heartbeat",
        times::short(args.timeout)
    ));
    let pongs = store.ping(args.timeout, &Stop::new(), |pong| screen.line(&told(pong)))?;
    let mut table = Table::new("ping", "workers", columns());
    for pong in &pongs {
        table.row(row(pong));
    }
    output::write_all(&table.text(args.read.format, output::terminal_width())?)?;
    let living: Vec<_> = pongs.iter().filter(|pong| !pong.lost).collect();
    Ok(match living.iter().all(|pong| pong.seen_after.is_some()) {
        _ if living.is_empty() => NO_WORKER,
        true => OK,
        false => NOT_OK,
    })
}

fn told(pong: &Pong) -> String {
    let name = words::tame(&pong.worker, 100);
    match (pong.seen_after, pong.written_after) {
        (Some(seen), Some(written)) => format!(
            "{name}  answered after {}, seen {} later",
            times::short(written),
            times::short(seen.saturating_sub(written))
        ),
        _ if pong.lost => format!("{name}  is lost"),
        _ => format!("{name}  has not answered"),
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::left("worker"),
        Column::left("host"),
        Column::left("job"),
        Column::left("state"),
        Column::right("answered_after"),
        Column::right("seen_after"),
    ]
}

fn row(pong: &Pong) -> Vec<Cell> {
    let (state, kind) = match pong.seen_after {
        Some(_) => ("answers", Kind::Ok),
        None if pong.lost => ("lost", Kind::Warning),
        None => ("silent", Kind::Failed),
    };
    let time = |time: Option<Duration>| match time {
        Some(time) => Cell::from(time.as_secs_f64()).shown(times::short(time)),
        None => Cell::default(),
    };
    vec![
        Cell::from(pong.worker.as_str()),
        Cell::from(place(&pong.worker).0),
        pong.job.as_deref().map_or_else(Cell::default, Cell::from),
        Cell::from(state).of_kind(kind),
        time(pong.written_after),
        time(pong.seen_after),
    ]
}
