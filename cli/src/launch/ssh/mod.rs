//! Workers on hosts that are reached by ssh, and share the store's file system.

mod host;
pub(crate) mod notes;
pub(crate) mod platform;
mod scripts;

pub(crate) use host::{Found, Plan, Started, remove, status, stop};

use crate::hosts::Host;
use flockwork::Store;
use flockwork::app::exit::Failed;
use std::path::Path;

pub(crate) fn record(store: &Store, _hosts: &[Host], _flags: &[String]) -> Result<String, Failed> {
    let dir = store.path().join("launch");
    let _ = std::fs::create_dir_all(&dir);
    for number in 1.. {
        let name = format!("{number:06}");
        if std::fs::File::create_new(dir.join(format!("{name}.json"))).is_ok() {
            return Ok(name);
        }
    }
    Err(Failed::new(1, "x", None))
}

pub(crate) fn launches(store: &Path) -> Result<Vec<String>, Failed> {
    let mut names: Vec<String> = crate::listing::names(&store.join("launch"))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}
