//! `collect`: the results, written for other programs.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flockwork::app::exit::{Ended, Failed, NOT_OK, OK};
use flockwork::app::{self, Screen};
use flockwork::{Entry, Outcome, Store};
use tempfile::NamedTempFile;

use crate::args::{As, CollectArgs};
use crate::collect::{Columns, Done, FailedTable, Sink, shape};
use crate::sweep::rows::Rows;
use crate::sweep::spec::Sweep;
use crate::task::{Report, Row};
use crate::words;

/// Between two looks for tasks that have ended.
const LOOK: Duration = Duration::from_secs(2);

/// Looking takes at most such a part of the time.
const SHARE: u32 = 20;

/// Runs the verb.
pub(crate) fn collect(args: &CollectArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let store = Store::open(&path)?;
    let sweep = super::sweep_of(&store)?;
    let screen = Screen::plain();
    let file = args.output.output.as_deref();
    file.map_or(Ok(()), check_place)?;
    if args.follow {
        follow(&store, &sweep, args.output.how, &screen)?;
        if file.is_none() {
            return end(&store, &screen);
        }
    }
    let missing = missing(&store)?;
    if missing > 0 && !args.partial {
        return Err(Failed::new(
            NOT_OK,
            format!("{} of {} have not ended", words::tasks(missing), path.display()),
            Some(format!(
                "wait for them: flockwork wait {0}; or write what is there: flockwork collect {0} --partial",
                path.display()
            )),
        ));
    }
    if let Some(file) = file {
        let written = to_file(&store, &sweep, file, args.output.how)?;
        screen.line(&format!("results  {}", written.told(file)));
        return Ok(written.code());
    }
    let stdout = io::stdout();
    let shape = shape(args.output.how, None);
    let columns = columns(&store, &sweep, shape)?;
    let to = BufWriter::new(stdout.lock());
    let mut written = Written::default();
    match write_ok(&store, shape, columns, to, &mut written) {
        Err(Trouble::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(OK),
        Err(trouble) => return Err(trouble.told(Path::new("stdout"))),
        Ok(mut to) => to
            .flush()
            .map_err(|error| Trouble::Writing(error).told(Path::new("stdout")))?,
    }
    if written.failed > 0 || written.done.cut > 0 {
        screen.line(&format!("note: {}", written.what_is_missing()));
    }
    Ok(written.code())
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    done: Done,
    failed: u64,
    /// The table of those that failed, if there are any.
    failed_file: Option<PathBuf>,
}

impl Written {
    /// Returns what a person is told.
    pub(super) fn told(&self, file: &Path) -> String {
        let rows = |rows: u64| format!("{} row{}", words::count(rows), if rows == 1 { "" } else { "s" });
        let mut text = format!("{} ({})", file.display(), rows(self.done.rows));
        if let Some(failed) = &self.failed_file {
            text.push_str(&format!("   {} ({})", failed.display(), rows(self.failed)));
        }
        if self.done.cut > 0 {
            text.push_str(&format!("   note: {}", self.what_is_missing()));
        }
        text
    }

    fn what_is_missing(&self) -> String {
        let mut parts = Vec::new();
        if self.failed > 0 {
            parts.push(format!(
                "{} failed, and are not in it: flockwork ls -s failed",
                words::tasks(self.failed)
            ));
        }
        if self.done.cut > 0 {
            parts.push(format!(
                "the middle of {} outputs is missing, for they were longer than --output-limit",
                words::count(self.done.cut)
            ));
        }
        parts.join("; ")
    }

    pub(super) fn code(&self) -> u8 {
        if self.failed > 0 || self.done.cut > 0 {
            NOT_OK
        } else {
            OK
        }
    }
}

/// Says so if a file cannot be written because of where it is; asked before hours are spent on what goes into it.
pub(super) fn check_place(file: &Path) -> Result<(), Failed> {
    if file.is_dir() {
        return Err(Failed::usage(
            format!("cannot write {}: it is a directory", file.display()),
            "name a file in it, such as results.csv",
        ));
    }
    let folder = folder_of(file);
    match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(Failed::usage(
            format!(
                "cannot write {}: {} is no directory",
                file.display(),
                folder.display()
            ),
            "name a file in another directory",
        )),
        Err(error) => Err(Failed::usage(
            format!("cannot write {}: {}: {error}", file.display(), folder.display()),
            "make the directory, or name a file in another",
        )),
        Ok(_) => Ok(()),
    }
}

/// Writes the results, and those that failed beside it, each in two stages.
pub(super) fn to_file(store: &Store, sweep: &Sweep, file: &Path, how: Option<As>) -> Result<Written, Failed> {
    let shape = shape(how, Some(file));
    let columns = columns(store, sweep, shape)?;
    let mut written = Written::default();
    let temporary = temporary_beside(file)?;
    let to = write_ok(store, shape, columns.clone(), temporary, &mut written)
        .map_err(|trouble| trouble.told(file))?;
    let headline = FailedTable::headline(&columns);
    let beside = failed_beside(file, &headline);
    if written.failed > 0 {
        let mut table = FailedTable::begin(&columns, temporary_beside(&beside)?)
            .map_err(|error| Trouble::Writing(error).told(&beside))?;
        each(store, |outcome| table.add(&outcome)).map_err(|trouble| trouble.told(&beside))?;
        let rows = table
            .end()
            .map_err(|error| Trouble::Writing(error).told(&beside))?;
        publish(rows, &beside)?;
        written.failed_file = Some(beside);
    } else if is_table_of(&beside, &headline) {
        // The tasks that it speaks of are ok by now.
        let _ = std::fs::remove_file(&beside);
    }
    publish(to, file)?;
    Ok(written)
}

/// Returns where the tasks that failed are written: `failed.csv` beside `results.csv`, `x.failed.csv` beside `x.csv`.
///
/// A file of that name that is no such table is left alone; the next name is taken then.
fn failed_beside(file: &Path, headline: &[u8]) -> PathBuf {
    let stem = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut names = vec![format!("{stem}.failed.csv"), format!("{stem}.failed-tasks.csv")];
    if stem == "results" {
        names.insert(0, "failed.csv".into());
    }
    let mut paths = names.into_iter().map(|name| file.with_file_name(name));
    let is_free = |path: &PathBuf| !path.exists() || is_table_of(path, headline);
    let last = file.with_file_name(format!("{stem}.failed-tasks.csv"));
    paths.find(is_free).unwrap_or(last)
}

/// Says whether a file is a table with this headline.
fn is_table_of(file: &Path, headline: &[u8]) -> bool {
    let head = File::open(file).and_then(|file| {
        let mut head = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, headline.len() as u64), &mut head).map(|_| head)
    });
    head.is_ok_and(|head| head == headline)
}

type Temporary = BufWriter<NamedTempFile>;

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn temporary_beside(file: &Path) -> Result<Temporary, Failed> {
    let folder = folder_of(file);
    let made = tempfile::Builder::new()
        .prefix(".results.")
        .suffix(".tmp")
        .tempfile_in(folder);
    made.map(BufWriter::new)
        .map_err(|error| Trouble::Writing(error).told(file))
}

fn publish(to: Temporary, file: &Path) -> Result<(), Failed> {
    let told = |error| Trouble::Writing(error).told(file);
    let to = to.into_inner().map_err(|error| told(error.into_error()))?;
    // A temporary file is for its owner alone; results are as readable as any file made here.
    let mode = umask_mode();
    let set = std::os::unix::fs::PermissionsExt::from_mode(mode);
    to.as_file().set_permissions(set).map_err(told)?;
    to.as_file().sync_all().map_err(told)?;
    to.persist(file).map(drop).map_err(|error| told(error.error))
}

/// Returns the mode that a file made here would have.
fn umask_mode() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    0o666 & !mask.unwrap_or(0o022)
}

/// What went wrong while collecting.
enum Trouble {
    Reading(flockwork::Error),
    Writing(io::Error),
}

impl Trouble {
    fn told(self, file: &Path) -> Failed {
        match self {
            Trouble::Reading(error) => error.into(),
            Trouble::Writing(error) => Failed::new(
                NOT_OK,
                format!("cannot write {}: {error}", file.display()),
                Some("nothing is lost: the results stay in the store; collect them again".into()),
            ),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Writing(error)
    }
}

/// Hands over every task that has ended, in order.
fn each(store: &Store, mut take: impl FnMut(Outcome<Row, Report>) -> io::Result<()>) -> Result<(), Trouble> {
    for entry in store
        .outcomes::<Row, Report>()
        .map_err(Trouble::Reading)?
        .ended_only()
    {
        if let Entry::Ended(outcome) = entry.map_err(Trouble::Reading)? {
            take(outcome)?;
        }
    }
    Ok(())
}

fn write_ok<W: Write>(
    store: &Store,
    shape: As,
    columns: Columns,
    to: W,
    written: &mut Written,
) -> Result<W, Trouble> {
    let mut sink = Sink::begin(shape, columns, to)?;
    each(store, |outcome| {
        written.failed += u64::from(outcome.result.is_err());
        sink.add(&outcome, &mut written.done)
    })?;
    Ok(sink.end()?)
}

/// Returns the columns; where programs name their results themselves, all outcomes are looked at for a table.
///
/// In the other shapes each task stands for itself: concatenation takes what was asked for, or the output as it is.
fn columns(store: &Store, sweep: &Sweep, shape: As) -> Result<Columns, Failed> {
    let mut columns = Columns::of(sweep);
    if columns.results.is_empty() && shape == As::Csv {
        each(store, |outcome| {
            if let Ok(report) = &outcome.result {
                columns.note(report);
            }
            Ok(())
        })
        .map_err(|trouble| trouble.told(Path::new("the store")))?;
    }
    Ok(columns)
}

/// Returns how many tasks have not ended.
fn missing(store: &Store) -> Result<u64, Failed> {
    let status = store.status()?;
    let all = Rows::open(store.path()).total()?;
    Ok(all.max(status.tasks()) - status.ok() - status.failed())
}

/// Writes results to stdout as tasks end.
fn follow(store: &Store, sweep: &Sweep, how: Option<As>, screen: &Screen) -> Result<(), Failed> {
    let shape = shape(how, None);
    let columns = Columns::of(sweep);
    if shape == As::Csv && columns.results.is_empty() {
        return Err(Failed::usage(
            "a table cannot be followed: what its columns are is known at the end only",
            "use --as jsonl, or name the results at the submission with --result",
        ));
    }
    let told = |error| Trouble::Writing(error).told(Path::new("stdout"));
    let mut sink = Sink::begin(shape, columns, io::stdout().lock()).map_err(told)?;
    let (mut seen, mut done) = (Seen::default(), Done::default());
    if io::stderr().is_terminal() {
        screen.line("following; Ctrl-C ends it, and changes nothing");
    }
    loop {
        let begun = Instant::now();
        // Before the outcomes: none that ends in between is left out.
        let missing = missing(store)?;
        // A task that has failed may be granted new attempts, and be ok later.
        let looked = each(store, |outcome| {
            match outcome.result.is_ok() && seen.is_new(outcome.task.number) {
                true => sink.add(&outcome, &mut done),
                false => Ok(()),
            }
        });
        match looked.and_then(|()| sink.flush().map_err(Trouble::Writing)) {
            Err(Trouble::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(trouble) => return Err(trouble.told(Path::new("stdout"))),
            Ok(()) => {}
        }
        if missing == 0 {
            return sink.end().map(drop).map_err(told);
        }
        // Most of the time belongs to those who work.
        std::thread::sleep(LOOK.max(begun.elapsed() * SHARE));
    }
}

/// Which tasks were written: a bit for each.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn is_new(&mut self, number: u64) -> bool {
        let (word, bit) = (
            usize::try_from(number / 64).unwrap_or(usize::MAX),
            1 << (number % 64),
        );
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

fn end(store: &Store, screen: &Screen) -> Ended {
    let failed = store.status()?.failed();
    if failed > 0 {
        screen.line(&format!(
            "note: {} failed: flockwork ls -s failed",
            words::tasks(failed)
        ));
    }
    Ok(if failed > 0 { NOT_OK } else { OK })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_is_new_once() {
        let mut seen = Seen::default();
        let numbers = [0, 1, 63, 64, 1_000_000];
        assert!(numbers.iter().all(|number| seen.is_new(*number)));
        assert!(!numbers.iter().any(|number| seen.is_new(*number)));
    }
}
