//! `submit`: puts the tasks of a sweep into a store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flockwork::app::exit::{Ended, Failed, OK};
use flockwork::app::{self, Screen, StoreFlags};
use flockwork::{Store, StoreConfig};

use crate::args::{LimitFlags, SubmitArgs, SweepFlags};
use crate::output;
use crate::sweep::shown::plain;
use crate::sweep::spec::{Limits, Sweep, Timeout};
use crate::sweep::submit::{Submission, Submitted};
use crate::sweep::table::TableSpec;
use crate::sweep::units::parse_size;
use crate::words;

/// Between TERM and KILL, unless something else is asked for.
const GRACE: Duration = Duration::from_secs(10);
/// The most that is kept of an output stream, unless something else is asked for.
const OUTPUT: u64 = 1 << 20;
/// Both streams and the results go into one outcome, which may have 64 MiB.
const MOST_OUTPUT: u64 = 16 << 20;
/// Columns that are named on one line.
const NAMED: usize = 8;

/// Runs the verb.
pub(crate) fn submit(args: SubmitArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let screen = Screen::plain();
    if args.sweep.dry_run {
        return dry_run(&path, &args.sweep);
    }
    let (store, _) = into_store(&path, &args.sweep, &args.store, &screen)?;
    let shown = plain(&store.path().to_string_lossy());
    screen.line(&format!(
        "next: flockwork worker {shown}     anywhere, as many as you like; then flockwork wait {shown}"
    ));
    Ok(OK)
}

/// Shows what would be run, and makes nothing.
pub(super) fn dry_run(path: &Path, flags: &SweepFlags) -> Ended {
    let submitted = submission(flags)?.prepare()?.submit(None)?;
    let mut text = format!(
        "{}: {} from {} ({}); nothing was made\n",
        super::name(path),
        words::tasks(submitted.added),
        plain(&submitted.source),
        columns(&submitted.sweep)
    );
    for command in &submitted.first {
        text.push_str(&format!("  {command}\n"));
    }
    if submitted.added > submitted.first.len() as u64 {
        text.push_str("  ...\n");
    }
    output::write_all(&text)?;
    for note in notes(&submitted) {
        Screen::plain().line(&note);
    }
    Ok(OK)
}

/// Puts what was typed into the store, and makes the store if need be; tells what was done.
pub(super) fn into_store(
    path: &Path,
    flags: &SweepFlags,
    settings: &StoreFlags,
    screen: &Screen,
) -> Result<(Store, Sweep), Failed> {
    // Whatever makes no sense is told before anything is made.
    let prepared = submission(flags)?.prepare()?;
    if !path.exists() && reads_a_file(flags) {
        // Also in the last row: a store without tasks is of no use. What is no file cannot be read twice.
        submission(flags)?.prepare()?.submit(None)?;
    }
    let store = Store::open_or_create(path, &settings.over(StoreConfig::default()))?;
    if settings.over(store.config().clone()) != *store.config() {
        screen.line(&format!(
            "note: {} was made with other settings, and keeps them",
            path.display()
        ));
    }
    let submitted = prepared.submit(Some(store.path()))?;
    if submitted.added > 0 {
        // An earlier run may have left it: there is work again.
        store.withdraw_stop()?;
    }
    screen.line(&told(path, &submitted));
    for note in notes(&submitted) {
        screen.line(&note);
    }
    Ok((store, submitted.sweep))
}

fn reads_a_file(flags: &SweepFlags) -> bool {
    let table = flags.params.as_deref().or(flags.each_line.as_deref());
    table.is_some_and(Path::is_file)
}

fn told(path: &Path, submitted: &Submitted) -> String {
    let (name, source) = (super::name(path), plain(&submitted.source));
    let columns = columns(&submitted.sweep);
    let what = match (submitted.added, submitted.known) {
        (0, _) => format!("{} are there already, none is new", words::tasks(submitted.known)),
        (added, 0) => format!("{} from {source} ({columns})", words::tasks(added)),
        (added, _) => format!(
            "{} from {source} ({columns}), now {} in all",
            words::tasks(added),
            words::count(submitted.total)
        ),
    };
    match submitted.first.first() {
        Some(first) if submitted.added > 0 => format!("{name}: {what}   first: {first}"),
        _ => format!("{name}: {what}"),
    }
}

fn notes(submitted: &Submitted) -> Vec<String> {
    let mut notes: Vec<_> = submitted
        .notes
        .iter()
        .map(|note| format!("note: {note}"))
        .collect();
    if !submitted.unused.is_empty() {
        let names: Vec<_> = submitted.unused.iter().map(|name| plain(name)).collect();
        notes.push(format!(
            "note: nothing in the command uses the column{} {}",
            if names.len() == 1 { "" } else { "s" },
            names.join(", ")
        ));
    }
    notes
}

fn columns(sweep: &Sweep) -> String {
    let mut names: Vec<_> = sweep.columns.iter().take(NAMED).map(|name| plain(name)).collect();
    if sweep.columns.len() > NAMED {
        names.push("...".into());
    }
    names.join(", ")
}

/// Returns what was typed, as far as it can be understood without looking at files.
fn submission(flags: &SweepFlags) -> Result<Submission, Failed> {
    let here = std::env::current_dir().map_err(|error| {
        Failed::usage(
            format!("cannot tell the current directory: {error}"),
            "change to a directory that is there",
        )
    })?;
    Ok(Submission {
        table: TableSpec {
            params: flags.params.clone(),
            format: flags.params_format,
            each_line: flags.each_line.clone(),
            sweeps: flags.sweep.iter().map(Into::into).collect(),
            zip: flags.zip,
        },
        command: flags.command.clone(),
        shell: flags.shell,
        here,
        cwd: flags.cwd.clone(),
        env: flags.env.clone(),
        inputs: flags.input.clone(),
        stdin: flags.stdin.clone(),
        results: flags.result.clone(),
        ok_if: flags.ok_if.clone(),
        limits: limits(&flags.limits)?,
    })
}

fn limits(flags: &LimitFlags) -> Result<Limits, Failed> {
    let size = |flag: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => parse_size(text).map(Some).map_err(|error| {
            Failed::usage(format!("{flag} {text:?}: {error}"), "write it as 512K, 64M or 4G")
        }),
    };
    let output = size("--output-limit", &flags.output_limit)?.unwrap_or(OUTPUT);
    if output > MOST_OUTPUT {
        return Err(Failed::usage(
            format!("--output-limit {output}: at most 16M of each stream can be kept"),
            "let the command write into a file of its own, and print what it comes to",
        ));
    }
    Ok(Limits {
        timeout: flags.timeout.as_deref().map(timeout).transpose()?,
        grace: flags.kill_after.unwrap_or(GRACE),
        output,
        cpus: flags.cpus.unwrap_or(1),
        memory: size("--mem", &flags.mem)?,
        retry_on: flags.retry_on.clone(),
        no_retry_on: flags.no_retry_on.clone(),
        max_failures: match flags.fail_fast {
            true => Some(1),
            false => flags.max_failures,
        },
        batch: flags.batch.unwrap_or(1),
    })
}

/// Reads `4m` or `20x`.
fn timeout(text: &str) -> Result<Timeout, Failed> {
    Timeout::parse(text).map_err(|why| {
        Failed::usage(
            format!("--timeout {text:?}: {why}"),
            "write it as 90s, 4m or 1h30m, or as 20x for twenty times the median",
        )
    })
}

/// Says whether anything was typed that says what is run.
pub(super) fn is_given(flags: &SweepFlags) -> bool {
    !flags.command.is_empty()
        || flags.params.is_some()
        || flags.each_line.is_some()
        || !flags.sweep.is_empty()
}

/// Where the results go, absolute, and how they are written.
pub(super) type Output = (PathBuf, Option<crate::args::As>);

/// Returns where the results go; refuses a place in which they cannot be written.
pub(super) fn output_of(flags: &crate::args::OutputFlags) -> Result<Option<Output>, Failed> {
    let Some(file) = flags.output.as_deref() else {
        return Ok(None);
    };
    super::collect::check_place(file)?;
    Ok(Some((app::absolute(file), flags.how)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_times_or_multiples_of_the_median() {
        assert_eq!(timeout("4m").unwrap(), Timeout::After(Duration::from_secs(240)));
        assert_eq!(timeout("20x").unwrap(), Timeout::TimesMedian(20.0));
        for text in ["", "x", "0.5x", "infx", "NaNx", "-4m", "0s", "4"] {
            assert!(timeout(text).is_err(), "{text:?}");
        }
    }
}
