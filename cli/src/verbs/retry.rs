//! `retry`: new attempts for tasks that have failed.

use flockwork::app::exit::{Ended, Failed, NOT_OK, OK};
use flockwork::app::{self, Screen};
use flockwork::{Retry, Store, TaskState};
use serde_json::{Map, Value, json};

use super::select;
use crate::args::{Format, RetryArgs};
use crate::output;
use crate::sweep::spec::Timeout;
use crate::sweep::units::parse_size;
use crate::words;

/// Tasks that are named on the line.
const NAMED: usize = 10;

/// Runs the verb.
pub(crate) fn retry(args: &RetryArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let note = note(&args.set)?;
    let store = Store::open(&path)?;
    let failed = |state| matches!(state, TaskState::Failed { .. });
    let which = match select::named(&store, &args.select, failed)? {
        None => Retry::Failed,
        Some(tasks) => Retry::Tasks(tasks),
    };
    let retried = store.retry(&which, Some(&note))?;
    if retried.tasks > 0 {
        // The last run may have left it: there is work again.
        store.withdraw_stop()?;
    }
    let screen = Screen::plain();
    let shown = path.display();
    if args.format != Format::Table {
        let inputs: Vec<_> = retried.inputs.iter().map(ToString::to_string).collect();
        let document = json!({
            "schema": "flockwork.retry/1",
            "tasks": retried.tasks,
            "inputs": inputs,
            "not_failed": retried.not_failed,
            "absent": retried.absent,
        });
        output::write_all(&format!("{document}\n"))?;
    } else {
        let mut names: Vec<_> = retried
            .inputs
            .iter()
            .take(NAMED)
            .map(ToString::to_string)
            .collect();
        if retried.inputs.len() > NAMED {
            names.push("...".into());
        }
        screen.line(&format!(
            "{}: {} again   {}",
            super::name(&path),
            words::tasks(retried.tasks),
            names.join(" ")
        ));
    }
    if retried.not_failed + retried.absent > 0 {
        screen.line(&format!(
            "note: {} had not failed, {} are not there",
            words::tasks(retried.not_failed),
            words::count(retried.absent)
        ));
    }
    if retried.tasks == 0 {
        return Ok(if matches!(which, Retry::Tasks(_)) {
            NOT_OK
        } else {
            OK
        });
    }
    if !store.status()?.workers.iter().any(|worker| !worker.lost) {
        screen.line(&format!(
            "next: flockwork run {shown}     or start workers: flockwork worker {shown}"
        ));
    }
    Ok(OK)
}

/// Returns the settings for the new attempts, as the workers read them.
fn note(settings: &[String]) -> Result<String, Failed> {
    let mut note = Map::new();
    for text in settings {
        let wrong = |why: &str| {
            Failed::usage(
                format!("--set {text:?}: {why}"),
                "write it as timeout=10m, timeout=none or mem=8G",
            )
        };
        let (name, value) = text.split_once('=').ok_or_else(|| wrong("it is no NAME=VALUE"))?;
        match name {
            "timeout" if value == "none" => {}
            "timeout" => drop(Timeout::parse(value).map_err(|why| wrong(&why))?),
            "mem" => drop(parse_size(value).map_err(|error| wrong(&error))?),
            _ => return Err(wrong("no such setting can be changed for single tasks")),
        }
        note.insert(name.to_owned(), Value::from(value));
    }
    // Also without any setting: a task that was cancelled before it began is meant to run now.
    Ok(Value::Object(note).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_before_anything_is_granted() {
        assert_eq!(
            note(&["timeout=10m".into(), "mem=8G".into()]).unwrap(),
            r#"{"timeout":"10m","mem":"8G"}"#
        );
        assert_eq!(note(&["timeout=none".into()]).unwrap(), r#"{"timeout":"none"}"#);
        assert_eq!(note(&[]).unwrap(), "{}");
        for text in ["timeout", "timeout=soon", "mem=lots", "retries=3"] {
            assert!(note(&[text.into()]).is_err(), "{text}");
        }
    }
}
