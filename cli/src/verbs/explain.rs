//! `explain`: why a task is not running, or not done.

use flockwork::TaskId;
use flockwork::app::exit::{Ended, Failed, OK};
use serde_json::{Map, Value, json};

use crate::args::{ExplainArgs, Format};
use crate::output::{self, Cell, Column, Kind, Table, ago, document};
use crate::view::attempts::Tried;
use crate::view::block::{self, Line};
use crate::view::explain::{Explanation, Facts};
use crate::view::opened::Opened;

/// Runs the verb.
pub(crate) fn explain(args: &ExplainArgs) -> Ended {
    let (opened, task) = Opened::with_task(&args.one.what)?;
    let text = text(&opened, task, args.format, output::terminal_width())?;
    output::write_all(&text)?;
    Ok(OK)
}

fn text(opened: &Opened, task: TaskId, format: Format, most: Option<usize>) -> Result<String, Failed> {
    let view = opened.task(task)?;
    let attempts = Tried::all(opened, task, view.as_ref())?;
    let status = opened.store.status()?;
    let submitted = opened.submitted()?.unwrap_or(0);
    let said = Facts {
        opened,
        task,
        state: view.as_ref().map(|view| view.state),
        attempts: &attempts,
        status: &status,
        waiting: status.waiting() + submitted.saturating_sub(status.tasks()),
        now: ago::now(),
    }
    .explain();
    let members = members(task, &said, &attempts);
    match format {
        Format::Table => Ok(block::text(&lines(&said), most)),
        Format::Json => Ok(document("explain", members)),
        Format::Jsonl => Ok(format!("{}\n", Value::Object(members))),
        Format::Csv | Format::Plain => {
            let mut table = Table::new(
                "explain",
                "lines",
                vec![Column::left("what"), Column::left("text")],
            );
            let mut row = |what: &str, text: &str| table.row(vec![what.into(), Cell::from(text)]);
            row("summary", &said.headline);
            said.details.iter().for_each(|text| row("detail", text));
            said.attempts.iter().for_each(|text| row("attempt", text));
            said.hints.iter().for_each(|text| row("hint", text));
            said.next
                .iter()
                .for_each(|(text, command)| row("next", format!("{text} {command}").trim_end()));
            table.text(format, None)
        }
    }
}

fn lines(said: &Explanation) -> Vec<Line> {
    let indented = |text: &String| Line::of("  ").and(text);
    let mut lines = vec![Line::default().with(Kind::Head, &said.headline)];
    lines.extend(said.details.iter().map(indented));
    lines.extend(said.attempts.iter().map(indented));
    lines.extend(
        said.hints
            .iter()
            .map(|hint| Line::of("  ").with(Kind::Warning, "hint  ").and(hint)),
    );
    for (text, command) in &said.next {
        let line = Line::of("  next  ").and(text);
        lines.push(match command.as_str() {
            "" => line,
            command => line.and("   now: ").and(command),
        });
    }
    lines
}

fn members(task: TaskId, said: &Explanation, attempts: &[Tried]) -> Map<String, Value> {
    let next: Vec<Value> = said
        .next
        .iter()
        .map(|(text, command)| json!({"text": text, "command": command}))
        .collect();
    let all = json!({
        "task": task.to_string(),
        "summary": said.headline,
        "details": said.details,
        "attempts": attempts.iter().map(Tried::json).collect::<Vec<_>>(),
        "hints": said.hints,
        "next": next,
    });
    match all {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
