//! `logs`: what a task has written, also while it writes.

use std::time::Duration;

use flockwork::app::Screen;
use flockwork::app::exit::{Ended, Failed, NOT_OK, OK, USAGE};
use flockwork::{TaskId, TaskState};

use crate::args::LogsArgs;
use crate::output::{self, count};
use crate::task::{Captured, Report};
use crate::view::attempts::Tried;
use crate::view::live::{Live, Stream, rest};
use crate::view::opened::Opened;
use crate::view::output::Outlet;

/// Between two looks at what a task writes.
const EVERY: Duration = Duration::from_secs(1);

/// Runs the verb.
pub(crate) fn logs(args: &LogsArgs) -> Ended {
    let (opened, task) = Opened::with_task(&args.one.what)?;
    if opened.sweep.is_none() {
        let hint = format!(
            "what is known of the task: {}",
            opened.command("explain", &task.to_string())
        );
        let text = "the output of tasks is not kept in this store: it is a program's own";
        return Err(Failed::new(NOT_OK, text, Some(hint)));
    }
    let streams: &[Stream] = match (args.stdout, args.stderr) {
        (true, _) => &[Stream::Stdout],
        (_, true) => &[Stream::Stderr],
        _ => &[Stream::Stdout, Stream::Stderr],
    };
    let mut told_to_wait = false;
    let mut attempt = args.attempt;
    let mut printing: Option<Printing<'_>> = None;
    loop {
        // Before the attempts, so that what is accepted in between is not taken for what it was.
        let tries = Tried::all(&opened, task, None)?;
        let wanted = |tried: &&Tried| attempt.is_none_or(|attempt| tried.status.attempt == attempt);
        let Some(tried) = tries.iter().rev().find(wanted) else {
            check_may_come(&opened, task, attempt, &tries)?;
            if !args.follow {
                let hint = opened.command("logs -f", &task.to_string());
                let text = format!("{task} has not begun, so it has written nothing");
                return Err(Failed::new(NOT_OK, text, Some(format!("wait for it: {hint}"))));
            }
            if !std::mem::replace(&mut told_to_wait, true) {
                Screen::plain().line(&format!("{task} has not begun; waiting"));
            }
            if !output::is_read() {
                return Ok(OK);
            }
            std::thread::sleep(EVERY);
            continue;
        };
        // What is followed stays the same, whatever begins beside it.
        let number = *attempt.insert(tried.status.attempt);
        let printing = printing.get_or_insert_with(|| Printing::new(&opened, task, number, streams));
        let is_over = !tried.runs() || tried.status.alive == Some(false);
        if !is_over && args.follow {
            printing.read_on()?;
            if !output::is_read() {
                return Ok(OK);
            }
            std::thread::sleep(EVERY);
            continue;
        }
        printing.read_on()?;
        let found = report(&opened, task, tried)?;
        printing.end(found.as_ref(), tried)?;
        if args.follow {
            Screen::plain().line(&format!("{task} attempt {number}: {}", ending(tried)));
        }
        return Ok(OK);
    }
}

fn ending(tried: &Tried) -> String {
    match tried.runs() {
        true => "its process is gone".to_owned(),
        false => tried.how_it_ended(),
    }
}

/// Says so if there will be no such attempt.
fn check_may_come(
    opened: &Opened,
    task: TaskId,
    attempt: Option<u32>,
    tries: &[Tried],
) -> Result<(), Failed> {
    let Some(attempt) = attempt else { return Ok(()) };
    let ended = opened.task(task)?.is_some_and(|view| view.state.has_ended());
    let last = tries.last().map_or(0, |tried| tried.status.attempt);
    if attempt > last && !ended {
        return Ok(());
    }
    let known: Vec<String> = tries
        .iter()
        .map(|tried| tried.status.attempt.to_string())
        .collect();
    let text = match known.as_slice() {
        [] => format!("{task} has no attempt {attempt}"),
        known => format!("{task} has no attempt {attempt}; known are {}", known.join(", ")),
    };
    let hint = "the attempts before an accepted one are kept only until its shard is cleaned";
    Err(Failed::new(USAGE, text, Some(hint.to_owned())))
}

/// Returns what the command came to, as it is kept.
fn report(opened: &Opened, task: TaskId, tried: &Tried) -> Result<Option<Report>, Failed> {
    if tried.report.is_some() {
        return Ok(tried.report.clone());
    }
    let view = opened.task(task)?;
    let ended = view
        .filter(|view| matches!(view.state, TaskState::Ok))
        .and_then(|view| view.ended);
    let ended = ended.filter(|ended| ended.attempt == tried.status.attempt);
    Ok(ended.and_then(|ended| ended.report))
}

/// An attempt whose output is printed.
struct Printing<'a> {
    task: TaskId,
    opened: &'a Opened,
    streams: Vec<(Stream, Live, Outlet)>,
}

impl Printing<'_> {
    fn new<'a>(opened: &'a Opened, task: TaskId, attempt: u32, streams: &[Stream]) -> Printing<'a> {
        let store = opened.store.path();
        Printing {
            task,
            opened,
            streams: streams
                .iter()
                .map(|stream| {
                    let live = Live::new(store, task.number, attempt, *stream);
                    (*stream, live, Outlet::new(*stream))
                })
                .collect(),
        }
    }

    /// Prints what the command has written since.
    fn read_on(&mut self) -> Result<(), Failed> {
        for (stream, live, outlet) in &mut self.streams {
            let read = live.read_on(&mut |bytes| outlet.write(bytes).map_err(std::io::Error::other));
            read.map_err(|error: std::io::Error| {
                let text = format!(
                    "cannot read what {} has written to {}: {error}",
                    self.task,
                    stream.as_str()
                );
                let hint = self.opened.command("show", &self.task.to_string());
                Failed::new(NOT_OK, text, Some(format!("what is known: {hint}")))
            })?;
        }
        Ok(())
    }

    /// Prints what is kept, and was not read while it ran.
    fn end(&mut self, report: Option<&Report>, tried: &Tried) -> Result<(), Failed> {
        for (stream, live, outlet) in &mut self.streams {
            if let Some(report) = report {
                let captured = match stream {
                    Stream::Stdout => &report.stdout,
                    Stream::Stderr => &report.stderr,
                };
                print_rest(*stream, captured, live.read, outlet)?;
            }
            outlet.end()?;
        }
        let nothing = report.is_none() && self.streams.iter().all(|(_, live, _)| live.read == 0);
        if nothing {
            let why = match tried.runs() {
                true => "it has written nothing yet that can be seen".to_owned(),
                false => format!("nothing is kept of it: {}", tried.how_it_ended()),
            };
            Screen::plain().line(&format!("{} attempt {}: {why}", self.task, tried.status.attempt));
        }
        Ok(())
    }
}

fn print_rest(stream: Stream, captured: &Captured, read: u64, outlet: &mut Outlet) -> Result<(), Failed> {
    if read == 0 && captured.omitted() > 0 {
        outlet.write(&captured.head.0)?;
        tell_omitted(stream, captured.omitted());
        return outlet.write(&captured.tail.0);
    }
    let (missing, bytes) = rest(captured, read);
    if missing > 0 {
        tell_omitted(stream, missing);
    }
    outlet.write(bytes)
}

fn tell_omitted(stream: Stream, bytes: u64) {
    let text = format!(
        "({} bytes of {} were left out here)",
        count(bytes),
        stream.as_str()
    );
    Screen::plain().line(&text);
}

#[cfg(test)]
mod tests;
