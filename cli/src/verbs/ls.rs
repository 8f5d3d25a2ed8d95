//! `ls`: tasks with their parameters.

use flockwork::app::exit::{Ended, Failed, OK};
use flockwork::app::{Screen, times};

use crate::args::{Format, LsArgs, Sort};
use crate::output::{self, Cell, Column, Kind, Table, ago, showing};
use crate::sweep::shown;
use crate::view::listing::{Item, Listing};
use crate::view::opened::Opened;
use crate::view::selection::Selection;

/// What a table for people shows of a parameter.
const LONGEST: usize = 20;
/// Rows that are written together.
const CHUNK: usize = 1024;
/// The columns that are no parameters.
const OURS: [&str; 6] = ["task", "state", "age", "attempt", "holder", "note"];

/// Runs the verb.
pub(crate) fn ls(args: &LsArgs) -> Ended {
    let opened = Opened::open(args.read.place.store.as_deref())?;
    let format = args.read.format;
    let notes = write(&opened, args, format, &mut |text| output::write_all(&text))?;
    let screen = Screen::plain();
    for note in notes {
        screen.line(&format!("note: {}", shown::plain(&note)));
    }
    Ok(OK)
}

/// Writes the list, in pieces where that can be; returns what could not be read.
fn write(
    opened: &Opened,
    args: &LsArgs,
    format: Format,
    to: &mut dyn FnMut(String) -> Result<(), Failed>,
) -> Result<Vec<String>, Failed> {
    let selection = Selection::new(&args.state, &args.matching, opened.columns())?;
    let mut listing = Listing::new(opened, selection, args.sort, args.limit, ago::now());
    let in_pieces = args.sort == Sort::Task && !matches!(format, Format::Table | Format::Json);
    let mut table = empty(opened);
    // Each piece begins with the headline, which is to stand at the beginning only.
    let head = table.text(format, None)?;
    let (mut rows, mut shown, mut begun) = (0, 0, false);
    listing.run(&mut |item| {
        table.row(row(item, opened));
        (rows, shown) = (rows + 1, shown + 1);
        if in_pieces && rows == CHUNK && output::is_read() {
            let piece = std::mem::replace(&mut table, empty(opened)).text(format, None)?;
            rows = 0;
            to(after(&head, piece, std::mem::replace(&mut begun, true)))?;
        }
        Ok(())
    })?;
    if format == Format::Json {
        table.about("shown", shown);
        table.about("of", listing.found);
    }
    table.note(showing(
        shown,
        usize::try_from(listing.found).unwrap_or(usize::MAX),
    ));
    let piece = table.text(format, output::terminal_width())?;
    to(after(&head, piece, begun))?;
    Ok(listing.notes)
}

fn after(head: &str, piece: String, begun: bool) -> String {
    match piece.strip_prefix(head) {
        Some(rest) if begun => rest.to_owned(),
        _ => piece,
    }
}

fn empty(opened: &Opened) -> Table {
    let mut columns = vec![Column::left("task")];
    columns.extend(opened.columns().iter().map(|name| Column::left(parameter(name))));
    columns.extend([
        Column::left("state"),
        Column::right("age"),
        Column::right("attempt"),
        Column::left("holder"),
        Column::left("note"),
    ]);
    Table::new("tasks", "tasks", columns)
}

/// A parameter may be named as one of our own columns.
fn parameter(name: &str) -> String {
    match OURS.contains(&name) {
        true => format!("parameter.{name}"),
        false => name.to_owned(),
    }
}

fn row(item: Item, opened: &Opened) -> Vec<Cell> {
    let kind = match item.state {
        "ok" => Kind::Ok,
        "running" => Kind::Running,
        "stale" => Kind::Warning,
        "failed" => Kind::Failed,
        _ => Kind::Waiting,
    };
    let mut row = vec![Cell::from(item.task.to_string())];
    row.extend(
        (0..opened.columns().len()).map(|column| match item.values.get(column) {
            Some(value) => {
                let text = value.text().into_owned();
                let cut = shown::cut(&text, LONGEST);
                Cell::from(text).shown(cut)
            }
            None => Cell::default(),
        }),
    );
    row.push(Cell::from(item.state).of_kind(kind));
    row.push(match item.age {
        Some(age) => Cell::from(age.as_secs_f64()).shown(times::short(age)),
        None => Cell::default(),
    });
    row.push(match item.attempts {
        0 => Cell::from(0).shown(""),
        attempts => Cell::from(attempts),
    });
    row.push(Cell::from(item.holder));
    row.push(Cell::from(item.note));
    row
}

#[cfg(test)]
mod tests;
