//! The sweep in the store: `sweep/sweep.json`, written once. Only its limits may change later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Failed};
use serde::Deserialize;

use super::command::CommandLine;
use super::pattern::Pattern;
use super::rows::spool::{aside, sync_folder};
use super::rows::{failed, folder};
use super::shown::{self, plain};
use super::spec::{InputFile, Limits, Sweep};

/// The name and number of what this program writes.
pub(crate) const SCHEMA: &str = "flockwork.sweep/1";

/// Only what tells whether we can read the rest.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

impl Sweep {
    /// Reads the sweep of a store; `None`: nothing was submitted to it yet.
    ///
    /// # Errors
    ///
    /// For one that is damaged, or that a newer program wrote, with the code of a bad store.
    pub(crate) fn load(store: &Path) -> Result<Option<Sweep>, Failed> {
        let path = path(store);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        Sweep::parse(&bytes, &path).map(Some)
    }

    /// Reads the sweep in the file at this path.
    ///
    /// # Errors
    ///
    /// As of [`load`](Sweep::load).
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Sweep, Failed> {
        let damaged = |what: String| {
            let text = format!("{} is damaged: {}", shown::path(path), plain(&what));
            Failed::new(
                BAD_STORE,
                text,
                Some("submit the same again to a new store".to_owned()),
            )
        };
        let head: Head = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if head.schema != SCHEMA {
            let text = format!(
                "{} is {}; this program reads {SCHEMA}",
                shown::path(path),
                plain(&head.schema)
            );
            return Err(Failed::new(
                BAD_STORE,
                text,
                Some("use the newer flockwork that wrote it".to_owned()),
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))
    }

    /// Puts the sweep into a store, or compares it with the one that is there. Returns what was changed, for people.
    ///
    /// # Errors
    ///
    /// A usage error if the one that is there is another; only limits may differ, and the new ones replace the old.
    pub(super) fn store(&self, store: &Path) -> Result<Vec<String>, Failed> {
        loop {
            if let Some(stored) = Sweep::load(store)? {
                return self.replace(&stored, store);
            }
            if self.write(store, false)? {
                return Ok(Vec::new());
            }
        }
    }

    /// Checks that the sweep of a store, if it has one, is the same but for its limits.
    ///
    /// # Errors
    ///
    /// A usage error that names the first difference.
    pub(super) fn check_against(&self, stored: &Sweep) -> Result<(), Failed> {
        let Some((what, old, new)) = self.difference(stored) else {
            return Ok(());
        };
        let (old, new) = (shown::cut(&plain(&old), 200), shown::cut(&plain(&new), 200));
        Err(Failed::usage(
            format!("the store was made for another sweep: {what} was `{old}` and is now `{new}`"),
            "name another store, such as other.flock, or submit with what the store was made for",
        ))
    }

    fn replace(&self, stored: &Sweep, store: &Path) -> Result<Vec<String>, Failed> {
        self.check_against(stored)?;
        if self.limits == stored.limits {
            return Ok(Vec::new());
        }
        // All but the limits stays as it was stored, also where it was submitted first.
        let sweep = Sweep {
            limits: self.limits.clone(),
            ..stored.clone()
        };
        sweep.write(store, true)?;
        let changes = limits(&stored.limits).into_iter().zip(limits(&self.limits));
        let changes = changes.filter(|((_, old), (_, new))| old != new);
        let mut notes: Vec<String> = changes
            .map(|((what, old), (_, new))| format!("{what} was {old} and is now {new}"))
            .collect();
        notes.push("workers that are running keep the old limits".into());
        Ok(notes)
    }

    /// Writes the file; false: there is one already, and it is not to be replaced.
    fn write(&self, store: &Path, replace: bool) -> Result<bool, Failed> {
        let (folder, path) = (folder(store), path(store));
        let failed = |error: io::Error| failed("write", &path, &error);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let write = || {
            let mut file = aside(&folder, "sweep")?;
            file.write_all(&text)?;
            file.as_file().sync_data()?;
            if replace {
                file.persist(&path)?;
                return Ok(true);
            }
            match file.persist_noclobber(&path) {
                Ok(_) => Ok(true),
                Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(refused) => Err(refused.error),
            }
        };
        let written = write().map_err(failed)?;
        sync_folder(&folder)?;
        Ok(written)
    }

    /// Returns the first difference from a stored sweep that matters: what, and its old and new text.
    fn difference(&self, old: &Sweep) -> Option<(String, String, String)> {
        // What matters, and how it reads.
        type Part = (&'static str, fn(&Sweep) -> String);
        let parts: [Part; 8] = [
            ("the table's headline", |sweep| sweep.columns.join("|")),
            ("the command", |sweep| shown::words(&sweep.command)),
            ("--shell", |sweep| {
                if sweep.shell { "given" } else { "not given" }.to_owned()
            }),
            ("the working directory", |sweep| match &sweep.cwd {
                Some(cwd) => shown::path(cwd),
                None => "a directory of its own for each attempt".to_owned(),
            }),
            ("the directory of {here}", |sweep| match sweep.names_here() {
                true => shown::path(&sweep.here),
                false => String::new(),
            }),
            ("--stdin", |sweep| {
                sweep.stdin.clone().unwrap_or_else(|| "not given".to_owned())
            }),
            ("--result", |sweep| match sweep.results.as_slice() {
                [] => "not given".to_owned(),
                results => results
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            }),
            ("--ok-if", |sweep| match &sweep.ok_if {
                Some(words) => shown::words(words),
                None => "not given".to_owned(),
            }),
        ];
        let texts = parts
            .iter()
            .map(|(what, text)| ((*what).to_owned(), text(old), text(self)));
        let named = |option: &str, old: BTreeMap<String, String>, new: BTreeMap<String, String>| {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let name = names.into_iter().find(|name| old.get(*name) != new.get(*name))?;
            let text = |values: &BTreeMap<String, String>| {
                values.get(name).map_or("not given", |text| text).to_owned()
            };
            Some((format!("{option} {}", plain(name)), text(&old), text(&new)))
        };
        let inputs = |sweep: &Sweep| {
            let pair = |input: &InputFile| (input.name.clone(), input.template.clone());
            sweep.inputs.iter().map(pair).collect()
        };
        texts
            .chain(named("--env", old.env.clone(), self.env.clone()))
            .chain(named("--input", inputs(old), inputs(self)))
            .find(|(_, old, new)| old != new)
    }

    /// Returns whether `{here}` is used, so that it matters where the sweep was submitted.
    fn names_here(&self) -> bool {
        let named = |line: &CommandLine| line.words().iter().any(Pattern::names_here);
        CommandLine::of(self).is_ok_and(|line| named(&line))
            || CommandLine::ok_if(self).is_ok_and(|line| line.is_some_and(|line| named(&line)))
    }
}

fn path(store: &Path) -> PathBuf {
    folder(store).join("sweep.json")
}

/// Returns the limits, each with its text.
fn limits(limits: &Limits) -> [(&'static str, String); 9] {
    let none = || "none".to_owned();
    let codes = |codes: &[i32], none: &str| match codes {
        [] => none.to_owned(),
        codes => codes.iter().map(i32::to_string).collect::<Vec<_>>().join(","),
    };
    [
        (
            "--timeout",
            limits.timeout.map_or_else(none, |timeout| timeout.to_string()),
        ),
        ("--kill-after", flockwork::app::times::exact(limits.grace)),
        ("the limit of output", format!("{} bytes", limits.output)),
        ("--cpus", limits.cpus.to_string()),
        (
            "--mem",
            limits
                .memory
                .map_or_else(none, |memory| format!("{memory} bytes")),
        ),
        ("--retry-on", codes(&limits.retry_on, "all")),
        ("--no-retry-on", codes(&limits.no_retry_on, "none")),
        (
            "--max-failures",
            limits
                .max_failures
                .map_or_else(none, |failures| failures.to_string()),
        ),
        ("--batch", limits.batch.to_string()),
    ]
}
