//! What `launch --status` and `launch --stop` write.

use flockwork::app::Screen;
use flockwork::app::exit::{Ended, Failed, NOT_OK, OK};
use flockwork::{Store, WorkerStatus};

use crate::args::Format;
use crate::launch::Engine;
use crate::launch::ask::{Jobs, Queue, ask};
use crate::launch::local::lives;
use crate::launch::records::{Launch, Launches, last_words};
use crate::launch::seen::seen;
use crate::launch::stop::Done;
use crate::output::{Cell, Column, Kind, Table, ago};

/// Tells what has become of the launches of an engine.
pub(super) fn status(launches: &Launches, engine: Engine, store: &Store, format: Format) -> Ended {
    let all: Vec<Launch> = launches.all()?;
    let all: Vec<Launch> = all
        .into_iter()
        .filter(|launch| launch.record.engine == engine)
        .collect();
    let workers = store.status()?.workers;
    let jobs: Vec<String> = all.iter().filter_map(|launch| launch.came.job.clone()).collect();
    let (queue, trouble) = match ask(engine, &jobs) {
        Ok(queue) => (Some(queue), None),
        Err(trouble) => (None, Some(trouble)),
    };
    table(&all, &workers, queue.as_ref(), ago::now()).print(format)?;
    let screen = Screen::plain();
    if all.is_empty() {
        screen.line(&format!("nothing was launched by {}", engine.title()));
    }
    Ok(match trouble {
        Some(trouble) => {
            screen.line(&format!("note: {} does not answer: {trouble}", engine.title()));
            NOT_OK
        }
        None => OK,
    })
}

fn table(all: &[Launch], workers: &[WorkerStatus], queue: Option<&Queue>, now: u64) -> Table {
    let columns = vec![
        Column::right("launch"),
        Column::left("job"),
        Column::left("state"),
        Column::right("workers"),
        Column::right("waiting"),
        Column::right("running"),
        Column::right("other"),
        Column::right("seen"),
        Column::right("replaces"),
        Column::right("at"),
        Column::left("note"),
    ];
    let mut table = Table::new("launches", "launches", columns);
    for launch in all {
        table.row(row(launch, workers, queue, now));
    }
    table
}

fn row(launch: &Launch, workers: &[WorkerStatus], queue: Option<&Queue>, now: u64) -> Vec<Cell> {
    let (record, came) = (&launch.record, &launch.came);
    let jobs = jobs(launch, queue);
    let (state, kind) = state(launch, jobs.as_ref());
    let number = |of: fn(&Jobs) -> u64| jobs.as_ref().map_or_else(Cell::default, |jobs| of(jobs).into());
    let note = came.failed.clone().or_else(|| jobs.as_ref()?.why.clone());
    vec![
        record.number.into(),
        came.job.clone().map_or_else(Cell::default, Cell::from),
        Cell::from(state).of_kind(kind),
        record.asked.workers.into(),
        number(|jobs| jobs.waiting),
        number(|jobs| jobs.running),
        number(|jobs| jobs.other),
        seen(launch, workers).into(),
        record.parent.map_or_else(Cell::default, Cell::from),
        Cell::from(record.at).shown(ago::ago(ago::age(record.at, now))),
        note.map_or_else(Cell::default, |note| {
            Cell::from(note.as_str()).shown(last_words(&note))
        }),
    ]
}

/// Returns what is known of the workers of a launch; `None` if nobody knows.
fn jobs(launch: &Launch, queue: Option<&Queue>) -> Option<Jobs> {
    match (launch.record.engine, &launch.came.job) {
        (Engine::Local, _) => {
            let lives = lives(&launch.came);
            let jobs = Jobs {
                running: lives.alive,
                other: lives.elsewhere,
                ..Jobs::default()
            };
            let why = (lives.elsewhere > 0).then(|| "on another host".to_owned());
            Some(Jobs { why, ..jobs })
        }
        (_, Some(job)) => Some(queue?.get(job).cloned().unwrap_or_default()),
        // What was not submitted is in no queue.
        (_, None) => launch.came.failed.is_some().then(Jobs::default),
    }
}

fn state(launch: &Launch, jobs: Option<&Jobs>) -> (&'static str, Kind) {
    let is_started = launch.came.job.is_some() || !launch.came.started.is_empty();
    match jobs {
        _ if !is_started && launch.came.failed.is_some() => ("failed", Kind::Failed),
        _ if !is_started => ("submitting", Kind::Warning),
        None => ("unknown", Kind::Warning),
        Some(jobs) if jobs.running > 0 => ("running", Kind::Running),
        Some(jobs) if jobs.other > 0 => ("held", Kind::Warning),
        Some(jobs) if jobs.total() > 0 => ("waiting", Kind::Waiting),
        Some(_) if launch.stopped => ("stopped", Kind::Waiting),
        Some(_) => ("ended", Kind::Waiting),
    }
}

/// Tells what was done to end launches.
pub(super) fn stopped(all: &[Done], format: Format) -> Result<u8, Failed> {
    let columns = vec![
        Column::right("launch"),
        Column::left("job"),
        Column::left("ok"),
        Column::left("what"),
    ];
    let mut table = Table::new("stopped", "launches", columns);
    for done in all {
        let (word, kind) = if done.failed {
            ("no", Kind::Failed)
        } else {
            ("yes", Kind::Ok)
        };
        table.row(vec![
            done.number.into(),
            done.job.clone().map_or_else(Cell::default, Cell::from),
            Cell::from(!done.failed).shown(word).of_kind(kind),
            done.what.as_str().into(),
        ]);
    }
    table.print(format)?;
    if all.is_empty() {
        Screen::plain().line("nothing was launched in this way");
    }
    Ok(if all.iter().any(|done| done.failed) {
        NOT_OK
    } else {
        OK
    })
}
