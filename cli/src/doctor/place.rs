//! The directory itself: where it lies, who may write, how much room there is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::Finding;
use crate::output::{bytes, count};

/// Below this a store soon has trouble.
const LITTLE_SPACE: u64 = 1 << 30;
const FEW_FILES: u64 = 100_000;

/// Says what is known of a directory without touching it.
pub(super) fn look_at(dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(private(dir));
    findings.push(permissions(dir));
    findings.extend(room(dir));
    findings
}

/// Batch systems give each of their jobs a /tmp of its own.
fn private(dir: &Path) -> Option<Finding> {
    let path = dir.canonicalize().ok()?;
    let roots = ["/tmp", "/var/tmp", "/dev/shm"];
    let root = roots.into_iter().find(|root| path.starts_with(root))?;
    let text = format!("it is below {root}: batch systems and services often have one of their own there");
    Some(Finding::warn("place", text))
}

fn permissions(dir: &Path) -> Finding {
    const CHECK: &str = "permissions";
    let meta = match std::fs::metadata(dir) {
        Ok(meta) => meta,
        Err(error) => return Finding::fail(CHECK, format!("permissions: {error}")),
    };
    let (mode, user, group) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
    let writers = match mode {
        mode if mode & 0o002 != 0 => "everybody",
        mode if mode & 0o020 != 0 => "the group",
        _ => "the owner",
    };
    let mut text = format!("permissions: mode {mode:04o}, user {user}, group {group}: {writers} may write");
    if mode & 0o2000 != 0 {
        text.push_str("; new files get its group");
    }
    let finding = match mode & 0o1000 != 0 && writers != "the owner" {
        true => {
            let means = "sticky: nobody can clean up what others have left here";
            Finding::warn(CHECK, format!("{text}; {means}"))
        }
        false => Finding::ok(CHECK, text),
    };
    finding
        .with("mode", format!("{mode:04o}"))
        .with("user", user)
        .with("group", group)
}

fn room(dir: &Path) -> Vec<Finding> {
    let stat = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat,
        Err(error) => return vec![Finding::warn("space", format!("space: {error}"))],
    };
    vec![
        space(stat.f_bavail.saturating_mul(stat.f_frsize)),
        inodes(stat.f_favail, stat.f_files),
    ]
}

fn space(free: u64) -> Finding {
    let text = format!("space: {} free (a quota may allow less)", bytes(free));
    let finding = match free {
        0 => Finding::fail("space", "space: none is free"),
        free if free < LITTLE_SPACE => Finding::warn("space", text),
        _ => Finding::ok("space", text),
    };
    finding.with("free_bytes", free)
}

fn inodes(free: u64, of: u64) -> Finding {
    let text = format!("files: {} more can be made", count(free));
    let finding = match (free, of) {
        // Some file systems have no limit, and say so with noughts.
        (_, 0) => Finding::ok("inodes", "files: no limit is known"),
        (0, _) => Finding::fail("inodes", "files: no more can be made (no inodes are free)"),
        (free, _) if free < FEW_FILES => Finding::warn("inodes", text),
        _ => Finding::ok("inodes", text),
    };
    finding.with("free", free)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn little_room_is_told_and_none_is_a_failure() {
        let verdicts = [0, 1 << 20, 1 << 40].map(|free| space(free).verdict);
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Warn, Verdict::Ok]);
        let verdicts =
            [(0, 9), (5, 9), (1 << 30, 1 << 30), (0, 0)].map(|(free, of)| inodes(free, of).verdict);
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Warn, Verdict::Ok, Verdict::Ok]);
    }

    #[test]
    fn a_sticky_directory_for_all_is_told() {
        let place = tempfile::tempdir().unwrap();
        let verdict = |mode| {
            std::fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
            permissions(place.path()).verdict
        };
        assert_eq!(verdict(0o1777), Verdict::Warn);
        assert_eq!(verdict(0o2770), Verdict::Ok);
        assert_eq!(verdict(0o1700), Verdict::Ok);
    }
}
