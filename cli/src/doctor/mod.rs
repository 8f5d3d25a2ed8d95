//! What a directory's file system can do: tried out, not believed.
//!
//! [`examine`] asks what one host can tell, [`peer::examine`] what only two can. All files of the tests lie in
//! directories whose names begin with [`OURS`], which stores ignore.

mod clock;
mod finding;
mod held;
pub(crate) mod kinds;
mod locks;
pub(crate) mod mount;
mod names;
pub(crate) mod peer;
mod place;
mod store;

use std::path::Path;

pub(crate) use finding::{Finding, Verdict, as_lines, table, worst};

/// What the names of our directories begin with.
const OURS: &str = ".flockwork-doctor";

/// Looks at a directory from this host alone.
pub(crate) fn examine(dir: &Path) -> Vec<Finding> {
    let mut findings = match mount::of(dir) {
        Ok(mount) => kinds::judge(&mount),
        Err(error) => vec![Finding::warn(
            "file-system",
            format!("file system: not known: {error}"),
        )],
    };
    findings.extend(place::look_at(dir));
    // The directory is removed when this function ends, however it ends.
    let private = tempfile::Builder::new().prefix(OURS).tempdir_in(dir);
    match private.and_then(|private| Ok((held::Held::open(private.path())?, private))) {
        Ok((held, private)) => {
            findings.extend(names::try_out(&held));
            findings.push(locks::try_out(&held));
            findings.extend(clock::measure(&held));
            drop(held);
            if let Err(error) = private.close() {
                findings.push(Finding::warn(
                    "left-over",
                    format!("our own files could not be removed: {error}"),
                ));
            }
        }
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" at path").next().unwrap_or(&why);
            findings.push(Finding::fail("write", format!("nothing can be made here: {why}")));
        }
    }
    findings.extend(store::look_at(dir));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_directory_fails_in_nothing_and_is_left_as_it_was() {
        // The first is on a disk here, the second in memory.
        for parent in [
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
            "/dev/shm".into(),
        ] {
            let Ok(place) = tempfile::tempdir_in(&parent) else {
                println!("not tried: no directory can be made in {}", parent.display());
                continue;
            };
            let findings = examine(place.path());
            let lines: String = findings.iter().map(Finding::line).collect();
            assert_ne!(worst(&findings), Verdict::Fail, "{lines}");
            for check in [
                "exclusive-creation",
                "hard-link",
                "rename",
                "flock",
                "fsync",
                "mtime",
                "clock",
                "space",
            ] {
                assert!(
                    findings.iter().any(|finding| finding.check == check),
                    "{check}: {lines}"
                );
            }
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "{lines}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_a_failure() {
        // Nobody, not even root, makes files there.
        let findings = examine(Path::new("/proc/self"));
        let write = findings.iter().find(|finding| finding.check == "write").unwrap();
        assert_eq!(write.verdict, Verdict::Fail);
        assert!(write.text.starts_with("nothing can be made here: "), "{write:?}");
    }
}
