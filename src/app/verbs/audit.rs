//! `audit`: is every promise held?

use std::path::Path;

use serde_json::json;

use crate::app::args::{Format, ReadArgs};
use crate::app::exit::{Ended, NOT_OK, OK};
use crate::app::{place, screen};
use crate::store::{Audit, Store};

/// Runs the verb `audit`; returns the exit code.
///
/// # Errors
///
/// What the store says, and what makes no sense in the arguments.
pub fn audit(args: &ReadArgs) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let audit = Store::open(&path)?.audit()?;
    screen::result(&match args.format {
        Format::Table => table(&path, &audit),
        Format::Json => json(&path, &audit).to_string(),
    });
    Ok(if audit.is_sound() { OK } else { NOT_OK })
}

fn verdict(audit: &Audit) -> &'static str {
    match (audit.is_sound(), audit.is_complete()) {
        (false, _) => "broken",
        (true, true) => "complete",
        (true, false) => "sound",
    }
}

fn table(path: &Path, audit: &Audit) -> String {
    let says = match verdict(audit) {
        "broken" => "a promise is broken",
        "complete" => "every promise is held, and every task has ended",
        _ => "every promise is held; there is work left",
    };
    let mut text = format!("{}: {says}\n", path.display());
    for (name, count) in [
        ("tasks", audit.tasks),
        ("ok", audit.ok),
        ("failed", audit.failed),
        ("open", audit.open),
        ("attempts still there", audit.attempts),
        ("of these marked", audit.marked),
        ("violations", audit.violations.len() as u64),
        ("leftovers", audit.leftovers.len() as u64),
    ] {
        text.push_str(&format!("  {name:<20} {count:>12}\n"));
    }
    for violation in &audit.violations {
        text.push_str(&format!("  VIOLATION {violation}\n"));
    }
    for leftover in &audit.leftovers {
        text.push_str(&format!("  leftover  {}\n", leftover.display()));
    }
    text.trim_end().to_owned()
}

fn json(path: &Path, audit: &Audit) -> serde_json::Value {
    let violations: Vec<_> = audit
        .violations
        .iter()
        .map(|violation| json!({"path": violation.path.to_string_lossy(), "what": violation.what}))
        .collect();
    let leftovers: Vec<_> = audit
        .leftovers
        .iter()
        .map(|path| path.to_string_lossy())
        .collect();
    json!({
        "schema": "flockwork.audit/1",
        "store": path.to_string_lossy(),
        "verdict": verdict(audit),
        "tasks": audit.tasks,
        "ok": audit.ok,
        "failed": audit.failed,
        "open": audit.open,
        "attempts": audit.attempts,
        "marked": audit.marked,
        "violations": violations,
        "leftovers": leftovers,
    })
}
