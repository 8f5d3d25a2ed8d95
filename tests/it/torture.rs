//! Masters and workers that are killed, stopped and robbed of their locks, at random, for a minute.
//!
//! `FLOCKWORK_TORTURE_KILLS` says how many kills there are in all (300), `FLOCKWORK_TORTURE_SEED` makes the same
//! choices again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::errands::{Act, Plan};
use crate::outs::OutWatch;
use crate::processes::{Process, Report, Site, quick};
use crate::random::Random;

const LEASE: Duration = Duration::from_secs(2);

fn kills_in_all() -> u64 {
    let kills = std::env::var("FLOCKWORK_TORTURE_KILLS").ok();
    kills.map_or(300, |kills| {
        kills.parse().expect("FLOCKWORK_TORTURE_KILLS is a number")
    })
}

#[test]
fn torture_of_single_tasks() {
    torture(7, 1, kills_in_all() * 2 / 3);
}

#[test]
fn torture_of_batches() {
    torture(6, 5, kills_in_all() / 3);
}

/// What was done to the processes.
#[derive(Debug, Default)]
struct Done {
    kills: u64,
    master_kills: u64,
    stops: u64,
    removals: Vec<PathBuf>,
    /// Workers that were killed or stopped, by pid: what they ran may be run again.
    disturbed: HashSet<u32>,
}

struct Bench<'a> {
    site: &'a Site,
    plan: &'a Plan,
    batch: u32,
    random: Random,
    master: Process,
    workers: Vec<Process>,
    /// Workers that are stopped, and when they may go on.
    asleep: BTreeMap<usize, Instant>,
    done: Done,
}

fn torture(workers: usize, batch: u32, kills: u64) {
    let (random, seed) = Random::seeded("FLOCKWORK_TORTURE_SEED");
    println!("torture with batches of {batch}: seed {seed}");
    // No task is ever to fail for good, and none to be doubled for being slow.
    let site = Site::new(&quick().lease(LEASE).retries(100_000).tail(0.0));
    let act = Act::Work {
        millis: 20,
        fails_one_in: 40,
    };
    let plan = Plan {
        tasks: 400,
        act,
        rounds: u32::MAX,
        enough: Some((site.path("enough"), site.store_path().to_owned())),
    };
    let watch = OutWatch::begin(site.store_path());
    let mut bench = Bench {
        site: &site,
        plan: &plan,
        batch,
        random,
        master: start_master(&site, &plan, batch),
        workers: (0..workers).map(|_| site.start_worker(site.worker())).collect(),
        asleep: BTreeMap::new(),
        done: Done::default(),
    };
    while bench.done.kills < kills {
        bench.disturb();
        bench.revive();
        let pause = bench.random.below(200);
        std::thread::sleep(Duration::from_millis(pause));
    }
    let (done, report) = bench.finish();
    let seen = watch.end();
    prove(&site, &plan, batch, &done, &report);
    println!("  outcomes seen by a third party while they were there: {seen}");
}

fn start_master(site: &Site, plan: &Plan, batch: u32) -> Process {
    let mut order = site.master(plan);
    (order.batch, order.shard, order.window) = (batch, 48 / batch, 4);
    site.start_master(order)
}

impl Bench<'_> {
    fn disturb(&mut self) {
        match self.random.below(20) {
            0 => {
                self.master.kill();
                self.done.kills += 1;
                self.done.master_kills += 1;
                self.master = start_master(self.site, self.plan, self.batch);
            }
            1..=3 => self.fall_asleep(),
            4..=6 => self.remove_a_lock(),
            _ => self.kill_a_worker(),
        }
    }

    fn any_worker(&mut self) -> usize {
        usize::try_from(self.random.below(self.workers.len() as u64)).unwrap()
    }

    fn kill_a_worker(&mut self) {
        let victim = self.any_worker();
        self.done.disturbed.insert(self.workers[victim].pid());
        self.workers[victim].kill();
        self.asleep.remove(&victim);
        self.done.kills += 1;
        self.workers[victim] = self.site.start_worker(self.site.worker());
    }

    fn fall_asleep(&mut self) {
        let victim = self.any_worker();
        // Some are always awake.
        if self.asleep.len() < 3 && !self.asleep.contains_key(&victim) {
            self.done.disturbed.insert(self.workers[victim].pid());
            self.workers[victim].signal(Signal::STOP);
            let until = LEASE.mul_f64(0.5) + Duration::from_millis(self.random.below(5000));
            self.asleep.insert(victim, Instant::now() + until);
            self.done.stops += 1;
        }
    }

    fn revive(&mut self) {
        let now = Instant::now();
        let workers = &self.workers;
        self.asleep.retain(|sleeper, until| {
            let goes_on = *until <= now;
            if goes_on {
                workers[*sleeper].signal(Signal::CONT);
            }
            !goes_on
        });
    }

    fn remove_a_lock(&mut self) {
        let locks = files_of_shards(self.site.store_path(), "lock");
        // Shards are cleaned meanwhile.
        if let Some(lock) = self.random.pick(&locks)
            && fs::remove_file(lock).is_ok()
        {
            self.done.removals.push(lock.clone());
        }
    }

    fn finish(mut self) -> (Done, Report) {
        fs::write(self.site.path("enough"), "").unwrap();
        for sleeper in self.asleep.keys() {
            self.workers[*sleeper].signal(Signal::CONT);
        }
        let report = self.master.good_report();
        for worker in &mut self.workers {
            worker.good_report();
        }
        (self.done, report)
    }
}

/// All files of shards with this last part of their names.
pub(crate) fn files_of_shards(store: &Path, suffix: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(store.join("rounds")).min_depth(3);
    let files = files.into_iter().filter_map(Result::ok);
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|it| it == suffix))
        .collect()
}

fn prove(site: &Site, plan: &Plan, batch: u32, done: &Done, report: &Report) {
    let store = site.store();
    let rounds = u32::try_from(store.status().unwrap().rounds.len()).unwrap();
    // The last master has seen every outcome once, those of its forerunners too (the planner refuses a second
    // one), and each is the answer to its own input.
    assert_eq!(report.all_answers(), plan.answers(rounds));
    let audit = store.audit().unwrap();
    assert!(audit.is_complete(), "{audit:?}");
    assert_eq!((audit.tasks, audit.failed), (u64::from(rounds) * plan.tasks, 0));
    assert_eq!(audit.ok, audit.tasks);
    let (redone, executions) = check_executions(site, batch, done);
    let leftovers = leftovers(site.store_path());
    assert!(leftovers.is_empty(), "{leftovers:?}");
    println!(
        "  {} rounds, {} tasks, {executions} executions of which {redone} again\n  {} kills ({} of the master), \
         {} stops, {} locks removed\n  {} attempts lost, {} outcomes dropped, {} locks missed, {} failures",
        rounds,
        audit.tasks,
        done.kills,
        done.master_kills,
        done.stops,
        done.removals.len(),
        site.events("Lost").len(),
        site.events("Discarded").len(),
        site.events("LockLost").len(),
        site.events("Failed").len(),
    );
}

/// No task is run more often than once and once more for each fault that its input file suffered.
fn check_executions(site: &Site, batch: u32, done: &Done) -> (u64, u64) {
    let input_of = |task: &str| -> (String, u64) {
        // A task of the first round is its number alone.
        let (round, number) = task.split_once('/').unwrap_or(("0", task));
        let number: u64 = number.parse().unwrap();
        (round.to_owned(), number - number % u64::from(batch))
    };
    let mut faults: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for removed in &done.removals {
        let name = removed.file_name().unwrap().to_str().unwrap();
        let stem = name.split('.').next().unwrap().parse().unwrap();
        let round = removed.ancestors().nth(2).unwrap().file_name().unwrap();
        let round: u32 = round.to_str().unwrap().parse().unwrap();
        *faults.entry((round.to_string(), stem)).or_default() += 1;
    }
    // A worker that got no time from a loaded machine counts as silent too.
    for lost in site.events("Lost") {
        let number = |field: &str| {
            let (_, rest) = lost.split_once(field).unwrap();
            rest.chars().take_while(char::is_ascii_digit).collect::<String>()
        };
        let stem = number("number: ").parse().unwrap();
        *faults.entry((number("RoundNumber("), stem)).or_default() += 1;
    }
    let all = site.executions();
    for (task, executions) in &all {
        // In a batch, one fault has every task of it run again.
        let mut attempts = BTreeSet::new();
        for execution in executions {
            let fault =
                done.disturbed.contains(&execution.pid()) || execution.ended.as_deref() != Some("end");
            if fault {
                attempts.insert((execution.attempt, execution.worker.clone()));
            }
        }
        *faults.entry(input_of(task)).or_default() += attempts.len() as u64;
    }
    let (mut redone, mut total) = (0, 0);
    for (task, executions) in &all {
        let most = 1 + faults.get(&input_of(task)).copied().unwrap_or(0);
        assert!(
            executions.len() as u64 <= most,
            "{task}: {most} at most, but {executions:?}"
        );
        total += executions.len() as u64;
        redone += executions.len() as u64 - 1;
    }
    (redone, total)
}

/// What is in the store at the end of a run beyond what belongs there.
fn leftovers(store: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(store).min_depth(1);
    let entries = entries.into_iter().map(Result::unwrap);
    let foreign = entries.filter(|entry| {
        let path = entry.path().strip_prefix(store).unwrap();
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
        let belongs = match parts[..] {
            ["store.json" | "stop" | "rounds" | "workers" | "journal" | "scratch" | "logs"] => true,
            [name] => name.starts_with("master."),
            // Killed workers leave their files there; `status` shows them as lost.
            ["workers" | "journal", _] | ["rounds", _] => true,
            ["rounds", _, name] => name == "round.json" || name.ends_with(".done"),
            _ => false,
        };
        !belongs
    });
    foreign.map(walkdir::DirEntry::into_path).collect()
}
