//! If the directory is a store: is it whole, and what was left behind in it?

use std::path::{Path, PathBuf};
use std::time::Duration;

use flockwork::{ErrorKind, Store};

use super::finding::Finding;
use crate::output::count;

/// An audit reads everything, which takes long beyond this.
const MOST_TASKS: u64 = 20_000;
/// What is younger may be in use.
const OLD: Duration = Duration::from_secs(3_600);

/// Looks at a store; nothing if the directory is none.
pub(super) fn look_at(dir: &Path) -> Vec<Finding> {
    const CHECK: &str = "store";
    let store = match Store::open(dir) {
        Ok(store) => store,
        Err(error) if matches!(error.kind(), ErrorKind::NotAStore | ErrorKind::Missing) => return Vec::new(),
        Err(error) => return vec![Finding::fail(CHECK, error.to_string())],
    };
    let status = match store.status() {
        Ok(status) => status,
        Err(error) => return vec![Finding::fail(CHECK, error.to_string())],
    };
    let tasks = status.tasks();
    let format = format_of(dir).map_or_else(|| "?".to_owned(), |format| format.to_string());
    let text = format!(
        "store: format {format}, {} tasks: {} ok, {} running, {} waiting, {} failed",
        count(tasks),
        count(status.ok()),
        count(status.running()),
        count(status.waiting()),
        count(status.failed())
    );
    let mut findings = vec![
        Finding::ok(CHECK, text)
            .with("format", format_of(dir))
            .with("tasks", tasks),
    ];
    findings.extend(status.stopped.map(|why| {
        let text = format!("store: it was asked to stop ({why}); `run` withdraws that");
        Finding::warn("stop", text)
    }));
    let lost = status.workers.iter().filter(|worker| worker.lost).count();
    if !status.workers.is_empty() {
        let alive = status.workers.len() - lost;
        let text = format!("workers: {alive} alive, {lost} lost");
        let finding = match lost {
            0 => Finding::ok("workers", text),
            _ => Finding::warn(
                "workers",
                format!("{text}; `flockwork reclaim` gives their tasks back at once"),
            ),
        };
        findings.push(finding.with("alive", alive).with("lost", lost));
    }
    findings.extend(audit(&store, tasks));
    findings
}

fn format_of(dir: &Path) -> Option<u64> {
    let bytes = std::fs::read(dir.join("store.json")).ok()?;
    let file: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    file.get("format")?.as_u64()
}

fn audit(store: &Store, tasks: u64) -> Vec<Finding> {
    const CHECK: &str = "audit";
    if tasks >= MOST_TASKS {
        let text = format!(
            "audit: not done, for there are over {} tasks; run `flockwork audit`",
            count(MOST_TASKS)
        );
        return vec![Finding::ok(CHECK, text)];
    }
    let audit = match store.audit() {
        Ok(audit) => audit,
        Err(error) => return vec![Finding::fail(CHECK, error.to_string())],
    };
    let promises = match audit.violations.as_slice() {
        [] => Finding::ok(
            CHECK,
            "audit: nothing was lost, nothing was accepted twice, every file is whole",
        ),
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" (and {more} more; run `flockwork audit`)"),
            };
            Finding::fail(CHECK, format!("audit: {first}{more}"))
        }
    };
    let mut left = audit.leftovers;
    left.extend(in_the_root(store.path()));
    left.retain(|path| is_old(path));
    let count = left.len();
    let leftovers = match left.first() {
        None => Finding::ok("left-over", "left over: nothing"),
        Some(first) => {
            let text = format!(
                "left over: {count} files over an hour old, such as {}",
                first.display()
            );
            Finding::warn(
                "left-over",
                format!("{text}; `flockwork clean` removes what is ours"),
            )
        }
    };
    vec![
        promises.with("violations", audit.violations.len()),
        leftovers.with("files", count),
    ]
}

/// Temporary files beside `store.json`, and what was left by a test of two hosts that was killed.
fn in_the_root(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with('.') && name.ends_with(".tmp") || name.starts_with(super::OURS)
    });
    ours.map(|entry| entry.path()).collect()
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::symlink_metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > OLD))
}

#[cfg(test)]
mod tests {
    use flockwork::StoreConfig;

    use super::super::finding::{Verdict, worst};
    use super::*;

    #[test]
    fn a_store_is_opened_counted_and_audited() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(look_at(place.path()), []);
        let path = place.path().join("x.flock");
        Store::create(&path, &StoreConfig::default()).unwrap();
        let findings = look_at(&path);
        assert_eq!(worst(&findings), Verdict::Ok, "{findings:?}");
        assert!(
            findings[0].text.starts_with("store: format 1, 0 tasks"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_damaged_store_is_a_failure() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.flock");
        Store::create(&path, &StoreConfig::default()).unwrap();
        std::fs::write(path.join("store.json"), "{").unwrap();
        assert_eq!(worst(&look_at(&path)), Verdict::Fail);
    }

    #[test]
    fn old_temporary_files_are_told() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.flock");
        Store::create(&path, &StoreConfig::default()).unwrap();
        let old = path.join(".stop.abc.tmp");
        std::fs::write(&old, "").unwrap();
        assert!(!is_old(&old));
        // The clock of files is not ours to set, so `touch` does it.
        let done = std::process::Command::new("touch")
            .args(["-d", "2 hours ago"])
            .arg(&old)
            .status();
        assert!(done.unwrap().success());
        let findings = look_at(&path);
        let left = findings
            .iter()
            .find(|finding| finding.check == "left-over")
            .unwrap();
        assert_eq!(
            (left.verdict, &left.figures["files"]),
            (Verdict::Warn, &1.into()),
            "{left:?}"
        );
    }
}
