//! The sweep in the store: `sweep/sweep.json`, written once. Only its limits may change later.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Failed};
use serde::{Deserialize, Serialize};

use super::command::CommandLine;
use super::pattern::Pattern;
use super::rows::spool::{aside, sync_folder};
use super::rows::{failed, folder};
use super::shown::{self, plain};
use super::spec::{Limits, Sweep};

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
        let damaged = |what: String| {
            let text = format!("{} is damaged: {}", shown::path(&path), plain(&what));
            Failed::new(
                BAD_STORE,
                text,
                Some("submit the same again to a new store".to_owned()),
            )
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if head.schema != SCHEMA {
            let text = format!(
                "{} is {}; this program reads {SCHEMA}",
                shown::path(&path),
                plain(&head.schema)
            );
            return Err(Failed::new(
                BAD_STORE,
                text,
                Some("use the newer flockwork that wrote it".to_owned()),
            ));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
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
        Ok(changes
            .map(|((what, old), (_, new))| format!("{what} was {old} and is now {new}"))
            .collect())
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
    fn difference(&self, old: &Sweep) -> Option<(&'static str, String, String)> {
        let json = |part: &dyn Fn(&Sweep) -> serde_json::Result<String>| {
            let text = |sweep| part(sweep).unwrap_or_default();
            (text(old), text(self))
        };
        let here = |sweep: &Sweep| match sweep.names_here() {
            true => sweep.here.to_string_lossy().into_owned(),
            false => String::new(),
        };
        let words = |words: &Option<Vec<String>>| {
            words
                .as_ref()
                .map(|words| shown::words(words))
                .unwrap_or_default()
        };
        let cwd = |sweep: &Sweep| match &sweep.cwd {
            Some(cwd) => cwd.to_string_lossy().into_owned(),
            None => "a directory of its own for each attempt".to_owned(),
        };
        let shell = |sweep: &Sweep| {
            if sweep.shell {
                "with --shell"
            } else {
                "without --shell"
            }
            .to_owned()
        };
        let all = [
            (
                "the table's headline",
                (old.columns.join("|"), self.columns.join("|")),
            ),
            (
                "the command",
                (shown::words(&old.command), shown::words(&self.command)),
            ),
            ("the command", (shell(old), shell(self))),
            ("the working directory", (cwd(old), cwd(self))),
            ("the directory of {here}", (here(old), here(self))),
            ("--env", json(&|sweep| to_json(&sweep.env))),
            ("--input", json(&|sweep| to_json(&sweep.inputs))),
            ("--stdin", json(&|sweep| to_json(&sweep.stdin))),
            ("--result", json(&|sweep| to_json(&sweep.results))),
            ("--ok-if", (words(&old.ok_if), words(&self.ok_if))),
        ];
        all.into_iter()
            .find(|(_, (old, new))| old != new)
            .map(|(what, (old, new))| (what, old, new))
    }

    /// Returns whether `{here}` is used, so that it matters where the sweep was submitted.
    fn names_here(&self) -> bool {
        let named = |line: &CommandLine| line.words().iter().any(Pattern::names_here);
        CommandLine::of(self).is_ok_and(|line| named(&line))
            || CommandLine::ok_if(self).is_ok_and(|line| line.is_some_and(|line| named(&line)))
    }
}

fn to_json(part: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(part)
}

fn path(store: &Path) -> PathBuf {
    folder(store).join("sweep.json")
}

/// Returns the limits, each with its text.
fn limits(limits: &Limits) -> [(&'static str, String); 7] {
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
        ("--grace", flockwork::app::times::exact(limits.grace)),
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
    ]
}
