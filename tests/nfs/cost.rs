//! What calls a task costs on the wire, counted by the clients' kernels.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use flockwork_rig::Guest;

use crate::program::{Act, Role};
use crate::site::{LONG, Site, tasks};

/// Calls of a mount, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// All calls of a client since it has mounted.
    pub(crate) fn of(client: &mut Guest) -> Calls {
        let text = client.run("cat /proc/self/mountstats").unwrap();
        let mount = text
            .split("device ")
            .find(|part| part.contains(" mounted on /mnt/nfs "));
        let (_, counts) = mount.unwrap().split_once("per-op statistics").unwrap();
        let calls = counts.lines().filter_map(|line| {
            let (name, numbers) = line.trim().split_once(':')?;
            let count = numbers.split_whitespace().next()?.parse().ok()?;
            Some((name.to_owned(), count))
        });
        Calls(calls.filter(|(_, count)| *count > 0).collect())
    }

    fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn named(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn since(&self, before: &Calls) -> Calls {
        let more = self
            .0
            .iter()
            .map(|(name, count)| (name.clone(), count - before.named(name)));
        Calls(more.filter(|(_, count)| *count > 0).collect())
    }

    fn and(mut self, other: &Calls) -> Calls {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
        self
    }

    fn per(&self, tasks: u64) -> f64 {
        self.total() as f64 / tasks as f64
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_count: Vec<_> = self.0.iter().collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (name, count) in by_count {
            write!(f, "{name} {count}  ")?;
        }
        Ok(())
    }
}

/// Runs so many tasks with so many workers on clients without the master; returns the calls of workers and master.
fn run(version: &str, number: u64, workers: usize) -> Option<(Calls, Calls)> {
    let mut site = Site::take(&format!("cost-{number}-{workers}"), version, "")?;
    let before: Vec<Calls> = site.rig().clients().iter_mut().map(Calls::of).collect();
    let master = site.start_master(0, tasks(number, Act::Work(0)));
    // All inputs are there before the workers begin, so that they wait for nothing.
    site.wait_for_inputs(0);
    let role = || Role::Worker {
        slots: 1,
        idle_exit: 600,
    };
    let all: Vec<_> = (0..workers)
        .map(|n| site.start(1 + n % 2, role(), Some((1000, 15_000))))
        .collect();
    master.good_end();
    for worker in &all {
        worker.good_end();
    }
    let after: Vec<Calls> = site.rig().clients().iter_mut().map(Calls::of).collect();
    site.audit(0, number);
    let spent: Vec<Calls> = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after.since(before))
        .collect();
    let (of_master, of_workers) = (spent[0].clone(), spent[1].clone().and(&spent[2]));
    println!(
        "  NFS {version}, {number} tasks, {workers} workers: {:.2} calls a task by workers, {:.2} by the master\n    \
         workers: {of_workers}\n    master: {of_master}",
        of_workers.per(number),
        of_master.per(number)
    );
    Some((of_workers, of_master))
}

#[test]
fn a_task_costs_at_most_fifteen_calls_however_many_tasks_and_workers_there_are_v42() {
    let mut seen = Vec::new();
    for (number, workers) in [(250, 1), (1000, 1), (1000, 8)] {
        let Some((of_workers, _)) = run("4.2", number, workers) else {
            return;
        };
        assert!(
            of_workers.per(number) <= 15.0,
            "{} calls a task",
            of_workers.per(number)
        );
        // A file that is removed while it is open would be renamed first, and stay for a while.
        assert_eq!(of_workers.named("RENAME"), 0, "{of_workers}");
        seen.push(of_workers.per(number));
    }
    let [few, many, crowded] = seen[..] else {
        unreachable!("three runs")
    };
    assert!(many <= 1.1 * few, "it grows with the number of tasks: {seen:?}");
    // Workers that share a shard cost each other what their clients know of it.
    assert!(
        crowded <= 1.6 * many,
        "it grows with the number of workers: {seen:?}"
    );
}

/// What it looks at does not change, so that its client's cache answers most of what it asks.
#[test]
fn an_idle_worker_makes_at_most_three_calls_a_look_v42() {
    let Some(mut site) = Site::take("idle", "4.2", "") else {
        return;
    };
    let master = site.start_master(0, tasks(1, Act::Wait));
    let holder = site.start_worker(1);
    site.wait_noted(&holder, "begin", LONG);
    let every = Duration::from_secs(1);
    let role = Role::Worker {
        slots: 1,
        idle_exit: 600,
    };
    let interval = u64::try_from(every.as_millis()).unwrap();
    let idle = site.start(2, role, Some((interval, interval)));
    site.wait_noted(&idle, "event Idle", LONG);
    let begun = Instant::now();
    let before = Calls::of(site.client(2));
    std::thread::sleep(every * 20);
    let calls = Calls::of(site.client(2)).since(&before);
    // Waits have jitter, of a quarter at most.
    let looks = begun.elapsed().as_secs_f64() / every.as_secs_f64() / 0.75;
    println!("  {} calls in at most {looks:.0} looks: {calls}", calls.total());
    assert!(calls.total() as f64 <= 3.0 * looks, "{calls}");
    site.open_gate();
    for process in [&master, &holder, &idle] {
        process.good_end();
    }
}
