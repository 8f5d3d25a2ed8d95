//! `workers`: who works, on what, and how busily.

use std::collections::BTreeMap;
use std::time::Duration;

use flockwork::app::exit::{Ended, Failed, OK};
use flockwork::app::{Screen, times};

use crate::args::WorkersArgs;
use crate::hosts;
use crate::output::{self, Cell, Column, Kind, Table, ago};
use crate::sweep::shown;
use crate::view::journals::Journals;
use crate::view::opened::Opened;
use crate::view::running::RunningNow;
use crate::view::workers::{self, Health, Worker};

/// Tasks of a worker that are named in the table.
const NAMED: usize = 3;

/// Runs the verb.
pub(crate) fn workers(args: &WorkersArgs) -> Ended {
    let asked = args.host.as_deref().map(Asked::read).transpose()?;
    let opened = Opened::open(args.read.place.store.as_deref())?;
    let (table, notes) = table(&opened, asked, ago::now())?;
    output::write_all(&table.text(args.read.format, output::terminal_width())?)?;
    let screen = Screen::plain();
    for note in notes {
        screen.line(&format!("note: {}", shown::plain(&note)));
    }
    Ok(OK)
}

fn table(opened: &Opened, mut asked: Option<Asked>, now: u64) -> Result<(Table, Vec<String>), Failed> {
    let status = opened.store.status()?;
    let running = RunningNow::look(&opened.store, now)?;
    let mut journals = Journals::read(&opened.store, now);
    let mut notes = std::mem::take(&mut journals.troubles);
    let columns = vec![
        Column::left("worker"),
        Column::left("host"),
        Column::right("pid"),
        Column::right("slots"),
        Column::left("state"),
        Column::left("running"),
        Column::right("ok"),
        Column::right("failed"),
        Column::right("busy"),
        Column::right("last_sign"),
        Column::left("job"),
    ];
    let mut table = Table::new("workers", "workers", columns);
    for worker in workers::all(&status, &running, &journals, opened.store.lease(), now) {
        if asked.as_mut().is_none_or(|asked| asked.names(worker.place().0)) {
            table.row(row(&worker));
        }
    }
    notes.extend(asked.and_then(|asked| asked.missing()));
    Ok((table, notes))
}

/// The hosts of `--host`, and whether a worker was found on each.
#[derive(Debug)]
struct Asked(BTreeMap<String, bool>);

impl Asked {
    fn read(text: &str) -> Result<Asked, Failed> {
        let names = hosts::expand(text)?.into_iter();
        Ok(Asked(names.map(|name| (name, false)).collect()))
    }

    /// Says whether a host was asked for; `node01` is `node01.cluster` too.
    fn names(&mut self, host: &str) -> bool {
        let short = host.split_once('.').map_or(host, |(short, _)| short);
        let mut found = false;
        for (name, seen) in &mut self.0 {
            // Workers' names have their host's dashes as underscores.
            let name = name.replace('-', "_");
            if name == host || name == short {
                (found, *seen) = (true, true);
            }
        }
        found
    }

    /// Returns on which hosts there was none.
    fn missing(&self) -> Option<String> {
        let missing = self.0.iter().filter(|(_, seen)| !**seen);
        let folded = hosts::fold(missing.map(|(name, _)| name.as_str()));
        (!folded.is_empty()).then(|| format!("no worker on {}", shown::cut(&folded, 200)))
    }
}

fn row(worker: &Worker) -> Vec<Cell> {
    let (host, pid) = worker.place();
    let (state, kind) = match worker.health {
        Health::Alive => ("alive", Kind::Ok),
        Health::Silent => ("silent", Kind::Warning),
        Health::Lost => ("lost", Kind::Failed),
        Health::Left => ("left", Kind::Waiting),
    };
    let tasks: Vec<String> = worker.running.iter().map(ToString::to_string).collect();
    let more = tasks.len().saturating_sub(NAMED);
    let named = tasks.iter().take(NAMED).cloned().collect::<Vec<_>>().join(" ");
    let named = if more > 0 {
        format!("{named} and {more} more")
    } else {
        named
    };
    let sign = |silent: Duration| Cell::from(silent.as_secs()).shown(format!("{} ago", times::short(silent)));
    vec![
        worker.name.clone().into(),
        host.into(),
        pid.map_or_else(Cell::default, Cell::from),
        worker.slots.map_or_else(Cell::default, Cell::from),
        Cell::from(state).of_kind(kind),
        Cell::from(tasks.join(" ")).shown(named),
        worker.ok.into(),
        worker.failed.into(),
        match worker.busy {
            Some(busy) => Cell::from(busy).shown(format!("{:.0}%", busy * 100.0)),
            None => Cell::default(),
        },
        worker.silent.map_or_else(Cell::default, sign),
        worker.job.clone().map_or_else(Cell::default, Cell::from),
    ]
}

#[cfg(test)]
mod tests;
