//! `show`: one task, with its parameters, its command, its attempts and its results.

use std::path::Path;
use std::time::Duration;

use flockwork::app::exit::{Ended, Failed, OK};
use flockwork::app::times;
use flockwork::{TaskId, TaskState};
use serde_json::{Map, Value, json};

use crate::args::{Format, ShowArgs};
use crate::output::{self, Cell, Column, Kind, Table, ago, bytes, document};
use crate::sweep::command::CommandLine;
use crate::sweep::pattern::Fill;
use crate::sweep::shown;
use crate::sweep::spec::{Limits, Timeout};
use crate::task::{Bytes, Report};
use crate::view::attempts::{self, Tried};
use crate::view::block::{self, Line};
use crate::view::opened::Opened;
use crate::view::task::TaskView;

/// Runs the verb.
pub(crate) fn show(args: &ShowArgs) -> Ended {
    let (opened, task) = Opened::with_task(&args.one.what)?;
    let shown = Shown::read(&opened, task)?;
    output::write_all(&shown.text(args.format, output::terminal_width())?)?;
    Ok(OK)
}

/// All that is shown of a task.
struct Shown<'a> {
    opened: &'a Opened,
    task: TaskId,
    view: Option<TaskView>,
    values: Vec<Bytes>,
    command: Option<String>,
    attempts: Vec<Tried>,
    now: u64,
}

impl Shown<'_> {
    fn read(opened: &Opened, task: TaskId) -> Result<Shown<'_>, Failed> {
        let view = opened.task(task)?;
        let known = view.as_ref().and_then(|view| view.values.clone());
        let values = match known {
            Some(values) => values,
            None => opened.values(task)?.unwrap_or_default(),
        };
        Ok(Shown {
            command: command(opened, task, &values)?,
            attempts: Tried::all(opened, task, view.as_ref())?,
            opened,
            task,
            view,
            values,
            now: ago::now(),
        })
    }

    fn state(&self) -> &'static str {
        match self.view.as_ref().map(|view| view.state) {
            None => "not in the store yet",
            Some(TaskState::Waiting { .. }) => "waiting",
            Some(TaskState::Running { .. }) => "running",
            Some(TaskState::Ok) => "ok",
            Some(TaskState::Failed { .. }) => "failed",
            Some(_) => "unknown",
        }
    }

    fn report(&self) -> Option<&Report> {
        self.view.as_ref()?.ended.as_ref()?.report.as_ref()
    }

    fn text(&self, format: Format, most: Option<usize>) -> Result<String, Failed> {
        match format {
            Format::Table => Ok(block::text(&self.lines(), most)),
            Format::Json => Ok(document("task", self.members())),
            Format::Jsonl => Ok(format!("{}\n", Value::Object(self.members()))),
            Format::Csv | Format::Plain => self.pairs().text(format, None),
        }
    }

    fn lines(&self) -> Vec<Line> {
        let kind = match self.state() {
            "ok" => Kind::Ok,
            "failed" => Kind::Failed,
            "running" => Kind::Running,
            _ => Kind::Waiting,
        };
        let mut lines = vec![
            Line::default()
                .with(Kind::Head, self.task.to_string())
                .and("   ")
                .with(kind, self.state()),
        ];
        let mut add = |name: &str, texts: Vec<String>| {
            for (number, text) in texts.into_iter().enumerate() {
                let name = if number == 0 { name } else { "" };
                lines.push(Line::of(format!("  {name:<12}")).and(text));
            }
        };
        let pair = |name: &str, value: &Bytes| format!("{name}={}", attempts::value(&value.text()));
        let columns = self.opened.columns().iter().zip(&self.values);
        add(
            "parameters",
            columns.map(|(name, value)| pair(name, value)).collect(),
        );
        add("command", self.command.iter().cloned().collect());
        add(
            "attempts",
            self.attempts.iter().map(|tried| self.attempt(tried)).collect(),
        );
        if let Some(report) = self.report() {
            let results = report.results.iter();
            add(
                "results",
                results.map(|(name, value)| pair(name, value)).collect(),
            );
            let size = |name: &str, total: u64| format!("{name} {}", bytes(total));
            let sizes = [
                size("stdout", report.stdout.total),
                size("stderr", report.stderr.total),
            ];
            add(
                "output",
                vec![format!(
                    "{}   {}",
                    sizes.join(", "),
                    self.opened.command("logs", &self.task.to_string())
                )],
            );
        }
        let settings = self.opened.sweep.as_ref().map(|sweep| settings(&sweep.limits));
        add("settings", settings.into_iter().collect());
        lines
    }

    fn attempt(&self, tried: &Tried) -> String {
        let mut text = format!("{}  {}", tried.status.attempt, tried.holder());
        if let Some(began) = tried.status.began_ms {
            text.push_str(&format!("  began {}", ago::ago(ago::age(began, self.now))));
        }
        if let Some(took) = tried.took() {
            text.push_str(&format!("  took {}", times::short(took)));
        }
        text.push_str(&format!("  {}", tried.how_it_ended()));
        if let Some(used) = tried.used() {
            text.push_str(&format!("  {used}"));
        }
        text
    }

    fn members(&self) -> Map<String, Value> {
        let named = |pairs: &mut dyn Iterator<Item = (&String, &Bytes)>| {
            pairs
                .map(|(name, value)| (name.clone(), value.text().into_owned().into()))
                .collect::<Map<_, _>>()
        };
        let results = self
            .report()
            .map(|report| named(&mut report.results.iter().map(|(name, value)| (name, value))));
        let limits = self.opened.sweep.as_ref().map(|sweep| &sweep.limits);
        let all = json!({
            "task": self.task.to_string(),
            "state": self.state(),
            "parameters": named(&mut self.opened.columns().iter().zip(&self.values)),
            "command": self.command,
            "attempts": self.attempts.iter().map(Tried::json).collect::<Vec<_>>(),
            "results": results,
            "settings": limits.map(|limits| json!({
                "timeout_seconds": match limits.timeout {
                    Some(Timeout::After(timeout)) => Some(timeout.as_secs_f64()),
                    _ => None,
                },
                "timeout_times_median": match limits.timeout {
                    Some(Timeout::TimesMedian(times)) => Some(times),
                    _ => None,
                },
                "output_bytes": limits.output,
                "cpus": limits.cpus,
                "memory_bytes": limits.memory,
            })),
        });
        match all {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// A row for each figure; what is nested is left to json.
    fn pairs(&self) -> Table {
        let mut table = Table::new(
            "task",
            "figures",
            vec![Column::left("name"), Column::left("value")],
        );
        let mut row = |name: String, value: String| table.row(vec![Cell::from(name), Cell::from(value)]);
        row("task".to_owned(), self.task.to_string());
        row("state".to_owned(), self.state().to_owned());
        for (name, value) in self.opened.columns().iter().zip(&self.values) {
            row(format!("parameter.{name}"), value.text().into_owned());
        }
        row("command".to_owned(), self.command.clone().unwrap_or_default());
        for tried in &self.attempts {
            row(format!("attempt.{}", tried.status.attempt), tried.how_it_ended());
        }
        for (name, value) in self.report().map_or(&[][..], |report| &report.results) {
            row(format!("result.{name}"), value.text().into_owned());
        }
        table
    }
}

fn command(opened: &Opened, task: TaskId, values: &[Bytes]) -> Result<Option<String>, Failed> {
    let Some(sweep) = &opened.sweep else {
        return Ok(None);
    };
    // Values are looked up by column.
    if values.len() != sweep.columns.len() {
        return Ok(None);
    }
    let fill = Fill {
        columns: &sweep.columns,
        values,
        task: task.number,
        dir: Path::new("{dir}"),
        here: &sweep.here,
        output: None,
    };
    Ok(Some(CommandLine::of(sweep)?.shown(&fill)))
}

fn settings(limits: &Limits) -> String {
    let timeout = match limits.timeout {
        None => "no timeout".to_owned(),
        Some(Timeout::After(timeout)) => format!("timeout {}", short(timeout)),
        Some(Timeout::TimesMedian(times)) => format!("timeout {times}x the median"),
    };
    let mut text = format!("{timeout}, output up to {}", bytes(limits.output));
    if limits.cpus != 1 {
        text.push_str(&format!(", {} processors", limits.cpus));
    }
    if let Some(memory) = limits.memory {
        text.push_str(&format!(", {} of memory", bytes(memory)));
    }
    shown::plain(&text)
}

/// Whole seconds need no decimals.
fn short(time: Duration) -> String {
    times::short(time).replace(".0s", "s")
}

#[cfg(test)]
mod tests;
