//! Submitting: from what somebody asked for to the sweep and its rows in a store.
//!
//! [`Submission::prepare`] checks everything that can be checked without a store. [`Prepared::submit`] reads the table
//! and adds the rows that the store does not have yet, or, without a store, only counts.

mod options;
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Failed};

use self::program::Placed;
use super::command::CommandLine;
use super::pattern::Fill;
use super::rows::spool::{Known, Spool};
use super::rows::{Rows, failed, folder};
use super::shown::{self, plain};
use super::spec::{Limits, Sweep};
use super::stored;
use super::table::{Table, TableRow, TableSpec};
use super::template::Template;
use crate::task::Bytes;

/// How many commands are shown.
const SHOWN: usize = 3;

/// What somebody asked for, as it was typed.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) table: TableSpec,
    /// The words after `--`.
    pub(crate) command: Vec<String>,
    pub(crate) shell: bool,
    /// Where we are; absolute. Relative names are meant from here.
    pub(crate) here: PathBuf,
    /// `--cwd`; relative to `here`.
    pub(crate) cwd: Option<PathBuf>,
    /// `--env NAME` takes the value from our environment, `NAME=VALUE` has it. Nothing in it is a placeholder.
    pub(crate) env: Vec<String>,
    /// `--input NAME=FILE`.
    pub(crate) inputs: Vec<String>,
    /// `--stdin TEXT`, which gets a line break if it ends without, or `@FILE`.
    pub(crate) stdin: Option<String>,
    /// `--result NAME=SOURCE`.
    pub(crate) results: Vec<String>,
    /// `--ok-if`: a command in one text; split as a shell does, but run without one.
    pub(crate) ok_if: Option<String>,
    pub(crate) limits: Limits,
}

/// A submission that is checked: its table is open and its first row is read.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) sweep: Sweep,
    /// Where the rows come from, for people: `sweep.txt`, `stdin`, `--sweep`.
    pub(crate) source: String,
    /// What was changed or looks odd; for people, a line each.
    pub(crate) notes: Vec<String>,
    /// Columns that nothing uses: a likely mistake.
    pub(crate) unused: Vec<String>,
    line: CommandLine,
    table: Table,
    first: TableRow,
}

/// What came of a submission.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// As it is stored.
    pub(crate) sweep: Sweep,
    pub(crate) source: String,
    /// Rows that were added, and rows of the table that the store had already.
    pub(crate) added: u64,
    pub(crate) known: u64,
    /// Tasks in the store now.
    pub(crate) total: u64,
    pub(crate) notes: Vec<String>,
    pub(crate) unused: Vec<String>,
    /// The first commands: of the rows that were added, or else of the table. Shown on one line each.
    pub(crate) first: Vec<String>,
}

impl Submission {
    /// Checks what was asked for and builds the sweep. Nothing is written.
    ///
    /// # Errors
    ///
    /// Usage errors, each with what is wrong and what to do.
    pub(crate) fn prepare(self) -> Result<Prepared, Failed> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(Failed::usage(
                "no command",
                "write it after --, such as: -- ./simulate --alpha {alpha}",
            ));
        }
        let mut table = self.table.open(&self.here)?;
        let first = table.next().transpose()?.ok_or_else(|| {
            Failed::usage(
                format!("{}: no rows", table.name),
                "write a row for each task below the headline",
            )
        })?;
        let (cwd, own_dirs) = (self.cwd()?, self.cwd.is_none());
        let mut sweep = Sweep {
            schema: stored::SCHEMA.to_owned(),
            columns: table.columns.clone(),
            command: self.command.clone(),
            shell: self.shell,
            here: self.here.clone(),
            cwd,
            env: self.env()?,
            inputs: self.inputs()?,
            stdin: self.stdin()?,
            results: self.results(&table.columns)?,
            ok_if: self.ok_if()?,
            limits: self.limits.clone(),
        };
        if sweep.here.to_str().is_none() || sweep.cwd.as_ref().is_some_and(|cwd| cwd.to_str().is_none()) {
            let text = format!(
                "the name of the directory {} is no UTF-8",
                shown::path(&self.here)
            );
            return Err(Failed::usage(text, "submit from another directory"));
        }
        let mut notes = Vec::new();
        let line = CommandLine::of(&sweep)?;
        let ok_if = CommandLine::ok_if(&sweep)?;
        let fill = fill(&sweep, &first.values, 0);
        let place = Placed {
            here: &self.here,
            cwd: sweep.cwd.as_deref().unwrap_or(&self.here),
            own_dirs,
        };
        let command = match self.shell {
            true => {
                place.look_at_shell(&line, &fill, &mut notes);
                sweep.command.clone()
            }
            false => place.place("", &line, &sweep.command, &fill, &mut notes)?,
        };
        let ok_words = match (&ok_if, &sweep.ok_if) {
            (Some(ok_if), Some(words)) => Some(place.place("--ok-if: ", ok_if, words, &fill, &mut notes)?),
            _ => None,
        };
        let used = used(
            &sweep,
            &line,
            ok_if.as_ref(),
            &self.names_of_templates(),
            &fill,
            &mut notes,
        )?;
        (sweep.command, sweep.ok_if) = (command, ok_words);
        let unused = (0..sweep.columns.len()).filter(|column| !used.contains(column));
        let unused = unused.map(|column| sweep.columns[column].clone()).collect();
        let (line, source) = (CommandLine::of(&sweep)?, table.name.clone());
        Ok(Prepared {
            sweep,
            source,
            notes,
            unused,
            line,
            table,
            first,
        })
    }
}

/// Returns what the placeholders stand for as far as it is known before a task runs; `{dir}` stands for itself.
fn fill<'a>(sweep: &'a Sweep, values: &'a [Bytes], task: u64) -> Fill<'a> {
    let output = Some((Path::new("{stdout}"), Path::new("{stderr}")));
    Fill {
        columns: &sweep.columns,
        values,
        task,
        dir: Path::new("{dir}"),
        here: &sweep.here,
        output,
    }
}

/// Returns the columns that are used. The templates are tried on the first row.
fn used(
    sweep: &Sweep,
    line: &CommandLine,
    ok_if: Option<&CommandLine>,
    templates: &[String],
    fill: &Fill<'_>,
    notes: &mut Vec<String>,
) -> Result<BTreeSet<usize>, Failed> {
    let patterns = line
        .words()
        .iter()
        .chain(ok_if.into_iter().flat_map(CommandLine::words));
    let mut used: BTreeSet<usize> = patterns.flat_map(|pattern| pattern.columns()).collect();
    let sources = sweep
        .inputs
        .iter()
        .map(|input| &input.template)
        .chain(&sweep.stdin);
    for (name, source) in templates.iter().zip(sources) {
        let template = Template::parse(source, name, &sweep.columns)?;
        template.render(fill)?;
        used.extend(template.columns());
        let single = sweep.columns.iter().find(|column| {
            let at = source.find(&format!("{{{column}}}"));
            at.is_some_and(|at| !source[..at].ends_with('{'))
        });
        if let Some(column) = single {
            let column = plain(column);
            notes.push(format!(
                "{name} has {{{column}}}; templates are filled where {{{{ {column} }}}} stands"
            ));
        }
    }
    Ok(used)
}

impl Prepared {
    /// Reads the table to its end and adds what the store does not have; `None`: only counts, writes nothing.
    ///
    /// The store must be there. The sweep is stored before its rows are, and both only after the whole table was read.
    ///
    /// # Errors
    ///
    /// Usage errors in the table, or if the store was made for another sweep; and whatever fails in the store.
    pub(crate) fn submit(self, store: Option<&Path>) -> Result<Submitted, Failed> {
        let Prepared {
            mut sweep,
            source,
            mut notes,
            unused,
            line,
            table,
            first,
        } = self;
        let rows = std::iter::once(Ok(first)).chain(table);
        let mut shown = Commands {
            line,
            rows: Vec::new(),
            added: false,
        };
        let Some(store) = store else {
            let mut total = 0;
            for row in rows {
                shown.see(&row?.values, total, true);
                total += 1;
            }
            let first = shown.texts(&sweep);
            return Ok(Submitted {
                sweep,
                source,
                added: total,
                known: 0,
                total,
                notes,
                unused,
                first,
            });
        };
        make_folder(store)?;
        if let Some(stored) = Sweep::load(store)? {
            sweep.check_against(&stored)?;
        }
        let stored = Rows::open(store);
        let mut known = Known::new(&stored)?;
        let mut spool = None;
        let (mut count, mut new) = (0_u64, 0_u64);
        for row in rows {
            let values = row?.values;
            let is_new = !known.take(&values)?;
            if is_new {
                let spool = match &mut spool {
                    Some(spool) => spool,
                    None => spool.insert(Spool::new(&stored, known.end(), &sweep.columns)?),
                };
                spool.push(&values)?;
            }
            let number = if is_new { known.end() + new } else { count };
            shown.see(&values, number, is_new);
            count += 1;
            new += u64::from(is_new);
        }
        let ready = spool.map(Spool::ready).transpose()?;
        notes.extend(sweep.store(store)?);
        let added = ready.map_or(Ok(0), |ready| ready.publish())?;
        if let Some(stored) = Sweep::load(store)? {
            sweep = stored;
        }
        let first = shown.texts(&sweep);
        Ok(Submitted {
            sweep,
            source,
            added,
            known: count - added,
            total: stored.total()?,
            notes,
            unused,
            first,
        })
    }
}

/// The first rows, for showing their commands.
struct Commands {
    line: CommandLine,
    rows: Vec<(u64, Vec<Bytes>)>,
    /// Those that are kept are new ones.
    added: bool,
}

impl Commands {
    fn see(&mut self, values: &[Bytes], task: u64, added: bool) {
        if added && !self.added {
            self.added = true;
            self.rows.clear();
        }
        if self.rows.len() < SHOWN && added == self.added {
            self.rows.push((task, values.to_vec()));
        }
    }

    fn texts(&self, sweep: &Sweep) -> Vec<String> {
        self.rows
            .iter()
            .map(|(task, values)| self.line.shown(&fill(sweep, values, *task)))
            .collect()
    }
}

/// Makes the sweep's directory in a store that is there.
fn make_folder(store: &Path) -> Result<(), Failed> {
    let folder = folder(store);
    match fs::create_dir(&folder) {
        Ok(()) => super::rows::spool::sync_folder(store),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("there is no store at {}", shown::path(store));
            Err(Failed::new(BAD_STORE, text, Some("check the path".to_owned())))
        }
        Err(error) => Err(failed("make", &folder, &error)),
    }
}

#[cfg(test)]
mod tests;
