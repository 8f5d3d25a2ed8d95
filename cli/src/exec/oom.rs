//! Whether the kernel has killed processes for want of memory, as our control group counts it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The count when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct OomKills {
    /// `None` where nobody counts.
    file: Option<PathBuf>,
    seen: AtomicU64,
}

impl OomKills {
    /// Begins to count from now on.
    pub(super) fn new() -> OomKills {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        OomKills::with(&groups, Path::new("/sys/fs/cgroup"))
    }

    fn with(groups: &str, mount: &Path) -> OomKills {
        let file = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
            let file = match controllers {
                "" => mount.join(path).join("memory.events"),
                _ if controllers.split(',').any(|it| it == "memory") => {
                    mount.join("memory").join(path).join("memory.oom_control")
                }
                _ => return None,
            };
            count(&file).map(|_| file)
        });
        let seen = file.as_deref().and_then(count).unwrap_or(0);
        OomKills {
            file,
            seen: AtomicU64::new(seen),
        }
    }

    /// Says whether the count has risen since it was last asked.
    pub(super) fn rose(&self) -> bool {
        let now = self.file.as_deref().and_then(count);
        now.is_some_and(|now| self.seen.swap(now, Ordering::Relaxed) < now)
    }
}

fn count(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_that_rose_is_told_and_only_once() {
        let mount = tempfile::tempdir().unwrap();
        let put = |file: &str, kills: u64| {
            let path = mount.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("oom 7\noom_kill_disable 0\noom_kill {kills}\n")).unwrap();
        };
        for (groups, file) in [
            ("0::/a/b\n", "a/b/memory.events"),
            ("5:cpu:/\n4:memory:/j\n0::/\n", "memory/j/memory.oom_control"),
        ] {
            put(file, 3);
            let kills = OomKills::with(groups, mount.path());
            assert!(!kills.rose());
            put(file, 4);
            assert!(kills.rose());
            assert!(!kills.rose());
        }
        assert!(!OomKills::with("0::/nowhere\n", mount.path()).rose());
    }
}
