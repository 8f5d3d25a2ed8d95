//! Which store is meant, and opening it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::exit::{BAD_STORE, Failed};
use super::flags::ProgramStoreFlags;
use super::screen::Screen;
use crate::clock::{Backoff, Random};
use crate::config::StoreConfig;
use crate::error::{Error, ErrorKind};
use crate::store::Store;
use crate::wait::Stop;

/// Returns the store that was named, or the only `*.flock` in the current directory.
///
/// # Errors
///
/// If none is named and there is not exactly one here.
pub fn named(store: Option<&Path>) -> Result<PathBuf, Failed> {
    if let Some(path) = store {
        return Ok(path.to_owned());
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(".")
        .map(|entries| {
            let paths = entries.flatten().map(|entry| PathBuf::from(entry.file_name()));
            paths
                .filter(|path| is_store_name(path) && path.is_dir())
                .collect()
        })
        .unwrap_or_default();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failed::usage(
            "no store is named, and there is no *.flock in this directory",
            "name the store: a directory, by habit NAME.flock",
        )),
        several => {
            let names: Vec<_> = several
                .iter()
                .take(5)
                .map(|path| path.display().to_string())
                .collect();
            let more = if several.len() > names.len() { ", ..." } else { "" };
            Err(Failed::usage(
                format!(
                    "no store is named, and there are {} here: {}{more}",
                    several.len(),
                    names.join(", ")
                ),
                "name one of them, or set FLOCKWORK_STORE",
            ))
        }
    }
}

fn is_store_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "flock")
}

/// Opens a store, or makes it; says which flags came too late.
pub(super) fn open_or_create(
    path: &Path,
    flags: &ProgramStoreFlags,
    screen: &Screen,
) -> Result<Store, Failed> {
    let store = Store::open_or_create(path, &flags.over(StoreConfig::default()))?;
    if flags.over(store.config().clone()) != *store.config() {
        screen.line(&format!(
            "note: {} was made with other settings, and keeps them",
            path.display()
        ));
    }
    Ok(store)
}

/// Opens a store, and waits for it: in a batch system a worker may begin before its master.
///
/// `None`: told to stop meanwhile.
pub(super) fn wait_for(
    path: &Path,
    limit: Duration,
    stop: &Stop,
    mut on_wait: impl FnMut(),
) -> Result<Option<Store>, Failed> {
    let begun = Instant::now();
    let mut random = Random::new();
    let mut rest = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut told = false;
    loop {
        let seen = stop.waker().seen();
        let error = match Store::open(path) {
            Ok(store) => return Ok(Some(store)),
            Err(error) => error,
        };
        if !may_appear(path, &error) {
            return Err(error.into());
        }
        if stop.requested().is_some() {
            return Ok(None);
        }
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(Failed::Ours(
                BAD_STORE,
                format!("{error}; waited {} for it", super::times::short(limit)),
                Some("check the path, and start a master there; --idle-exit sets how long to wait".into()),
            ));
        }
        if !std::mem::replace(&mut told, true) {
            on_wait();
        }
        stop.waker().wait(seen, random.jitter(rest.step()).min(left));
        // A network file system may answer "no such name" from memory for a minute; a fresh listing tells it anew.
        list_afresh(path);
    }
}

fn may_appear(path: &Path, error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Missing => true,
        // A store that is just being made has no `store.json` yet.
        ErrorKind::NotAStore => path.is_dir(),
        _ => false,
    }
}

fn list_afresh(path: &Path) {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    for dir in [parent, path] {
        if let Ok(entries) = std::fs::read_dir(dir) {
            entries.for_each(drop);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_never_comes_is_waited_for_and_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.flock");
        let mut waits = 0;
        let failed = wait_for(&path, Duration::from_millis(1), &Stop::new(), || waits += 1).unwrap_err();
        assert_eq!((failed.code(), waits), (BAD_STORE, 1));
        assert!(failed.text().contains("x.flock"), "{}", failed.text());
        // What is no directory will never be a store.
        std::fs::write(&path, "").unwrap();
        let failed = wait_for(&path, Duration::from_secs(60), &Stop::new(), || waits += 1).unwrap_err();
        assert_eq!((failed.code(), waits), (BAD_STORE, 1));
    }
}
