//! What a worker has to offer, and how its slots share it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use flockwork::app::Job;

use crate::sweep::spec::Limits;

/// How long somebody who waits for resources may not look whether to stop.
const LOOK: Duration = Duration::from_millis(200);

/// What a worker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) cpus: u32,
    /// In bytes.
    pub(crate) memory: u64,
}

impl Offer {
    /// Returns the least of what the machine has, what control groups and the scheduler allow, and what was asked for.
    pub(crate) fn of_this_host(cpus: Option<u32>, memory: Option<u64>) -> Offer {
        // This one knows affinity and the quotas of control groups.
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let machine = u32::try_from(machine).unwrap_or(u32::MAX);
        let job = Job::of_this_process();
        let their_cpus = job.as_ref().and_then(Job::cpus);
        let cpus = [Some(machine), their_cpus, cpus].into_iter().flatten().min();
        let installed = std::fs::read_to_string("/proc/meminfo").ok();
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let memory = [
            installed.as_deref().and_then(mem_total),
            group_memory(&groups, Path::new("/sys/fs/cgroup")),
            job.as_ref().and_then(Job::memory),
            memory,
        ];
        Offer {
            cpus: cpus.unwrap_or(machine).max(1),
            memory: memory.into_iter().flatten().min().unwrap_or(u64::MAX),
        }
    }
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Returns the least limit of the control groups that we are in, and of those above them.
fn group_memory(groups: &str, mount: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        // Version 2 has no controllers here; version 1 has a tree for each.
        match controllers {
            "" => least_limit(mount.to_owned(), path, "memory.max"),
            _ if controllers.split(',').any(|it| it == "memory") => {
                least_limit(mount.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

fn least_limit(mount: PathBuf, path: &str, file: &str) -> Option<u64> {
    let group = mount.join(path.trim_start_matches('/'));
    // In a container the path may be the host's, and only the mount itself is there.
    let limits = group.ancestors().take_while(|dir| dir.starts_with(&mount));
    limits
        .filter_map(|dir| std::fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok())
        .min()
}

/// What is left of an offer while tasks run.
#[derive(Debug)]
pub(crate) struct Budget {
    offer: Offer,
    left: Mutex<Offer>,
    changed: Condvar,
}

/// What a task has taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    taken: Offer,
}

impl Budget {
    pub(crate) fn new(offer: Offer) -> Budget {
        Budget {
            offer,
            left: Mutex::new(offer),
            changed: Condvar::new(),
        }
    }

    /// Returns how many tasks with these limits fit at once.
    ///
    /// # Errors
    ///
    /// A text with both figures if not even one fits.
    pub(crate) fn slots_for(&self, limits: &Limits) -> Result<u32, String> {
        let wanted = wanted(limits);
        let mut lacking = String::new();
        if wanted.cpus > self.offer.cpus {
            let _ = write!(
                lacking,
                "a task needs {} processors, and this worker has {}",
                wanted.cpus, self.offer.cpus
            );
        }
        if wanted.memory > self.offer.memory {
            let and = if lacking.is_empty() { "" } else { "; " };
            let (wanted, offered) = (bytes(wanted.memory), bytes(self.offer.memory));
            let _ = write!(
                lacking,
                "{and}a task needs {wanted} of memory, and this worker has {offered}"
            );
        }
        if !lacking.is_empty() {
            return Err(lacking);
        }
        let by_memory = self.offer.memory.checked_div(wanted.memory);
        let by_memory = by_memory.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(by_memory.min(self.offer.cpus / wanted.cpus))
    }

    /// Waits until there is enough for a task with these limits; `None` if `stop` says so first, or if there is never
    /// enough.
    ///
    /// Tasks that need one processor and say nothing of memory take nothing: how many run at once is then the user's
    /// choice of slots, also if those are more than there are processors.
    pub(crate) fn take(&self, limits: &Limits, stop: &dyn Fn() -> bool) -> Option<Share<'_>> {
        let mut taken = wanted(limits);
        if taken.cpus == 1 {
            taken.cpus = 0;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while left.cpus < taken.cpus || left.memory < taken.memory {
            if taken.cpus > self.offer.cpus || taken.memory > self.offer.memory || stop() {
                return None;
            }
            let waited = self.changed.wait_timeout(left, LOOK);
            left = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        left.cpus -= taken.cpus;
        left.memory -= taken.memory;
        Some(Share { budget: self, taken })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.taken.cpus == 0 && self.taken.memory == 0 {
            return;
        }
        let mut left = self.budget.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.cpus += self.taken.cpus;
        left.memory += self.taken.memory;
        drop(left);
        self.budget.changed.notify_all();
    }
}

fn wanted(limits: &Limits) -> Offer {
    Offer {
        cpus: limits.cpus.max(1),
        memory: limits.memory.unwrap_or(0),
    }
}

/// Writes a size for people, such as `1.5 GiB`.
fn bytes(bytes: u64) -> String {
    let units = [
        (1u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match units.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn limits(cpus: u32, memory: Option<u64>) -> Limits {
        Limits {
            timeout: None,
            grace: Duration::ZERO,
            output: 0,
            cpus,
            memory,
            retry_on: Vec::new(),
            no_retry_on: Vec::new(),
            max_failures: None,
            batch: 1,
        }
    }

    fn budget() -> Budget {
        Budget::new(Offer {
            cpus: 8,
            memory: 16 * GIB,
        })
    }

    #[test]
    fn as_many_fit_as_the_scarcer_allows() {
        let budget = budget();
        assert_eq!(budget.slots_for(&limits(1, None)), Ok(8));
        assert_eq!(budget.slots_for(&limits(3, None)), Ok(2));
        assert_eq!(budget.slots_for(&limits(1, Some(5 * GIB))), Ok(3));
        assert_eq!(
            budget.slots_for(&limits(9, Some(20 * GIB))).unwrap_err(),
            "a task needs 9 processors, and this worker has 8; a task needs 20.0 GiB of memory, and this worker has \
             16.0 GiB"
        );
        assert!(budget.take(&limits(9, None), &|| false).is_none());
    }

    #[test]
    fn one_that_does_not_fit_waits_until_another_ends_or_it_is_stopped() {
        let budget = budget();
        let six = limits(6, None);
        let first = budget.take(&six, &|| false).unwrap();
        assert!(budget.take(&six, &|| true).is_none());
        // One processor is the slots' affair.
        let small: Vec<_> = (0..20)
            .map(|_| budget.take(&limits(1, None), &|| true).unwrap())
            .collect();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| budget.take(&six, &|| false).is_some());
            drop(first);
            assert!(second.join().unwrap());
        });
        drop(small);
        assert_eq!(*budget.left.lock().unwrap(), budget.offer);
    }

    #[test]
    fn the_least_limit_up_the_tree_counts() {
        let mount = tempfile::tempdir().unwrap();
        let put = |dir: &str, file: &str, text: &str| {
            std::fs::create_dir_all(mount.path().join(dir)).unwrap();
            std::fs::write(mount.path().join(dir).join(file), text).unwrap();
        };
        put("slurm/job_7/step_0", "memory.max", "max\n");
        put("slurm/job_7", "memory.max", "4294967296\n");
        put("slurm", "memory.max", "8589934592\n");
        assert_eq!(
            group_memory("0::/slurm/job_7/step_0\n", mount.path()),
            Some(4 * GIB)
        );
        assert_eq!(group_memory("0::/elsewhere\n", mount.path()), None);
        assert_eq!(group_memory("", mount.path()), None);
        put("memory", "memory.limit_in_bytes", "1073741824\n");
        let old = "5:cpu,cpuacct:/\n4:memory:/host/path\n0::/\n";
        assert_eq!(group_memory(old, mount.path()), Some(GIB));
    }

    #[test]
    fn this_host_has_something() {
        let all = Offer::of_this_host(None, None);
        assert!(all.cpus >= 1 && all.memory > 1 << 20, "{all:?}");
        let less = Offer::of_this_host(Some(1), Some(1 << 20));
        assert_eq!((less.cpus, less.memory), (1, 1 << 20));
    }

    #[test]
    fn memory_is_read_from_the_kernels_table() {
        assert_eq!(
            mem_total("MemTotal:       16384 kB\nMemFree: 1 kB\n"),
            Some(16 << 20)
        );
        assert_eq!(mem_total("nothing"), None);
    }
}
