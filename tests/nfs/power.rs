//! Power cuts: a guest is killed while it works on a disk of its own, and the disk is looked at after.
//!
//! `FLOCKWORK_POWER_CUTS` says how many cuts there are of each sort (1).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flockwork_rig::{Guest, Job};

use crate::program::{Act, MasterOrder, Order, Role};
use crate::site::{LONG, has_guests, runs_all, tasks};

const TASKS: u64 = 600;
const STORE: &str = "/disk/x.flock";

#[test]
fn what_was_acknowledged_survives_a_power_cut_ext4() {
    power("mke2fs -q -F -t ext4", "ext4");
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_xfs() {
    power("mkfs.xfs -q -f", "xfs");
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_btrfs() {
    power("mkfs.btrfs -q -f", "btrfs");
}

#[test]
fn without_syncs_a_power_cut_costs_work_and_nothing_is_wrong_in_silence_ext4() {
    process("mke2fs -q -F -t ext4", "ext4");
}

#[test]
fn without_syncs_a_power_cut_costs_work_and_nothing_is_wrong_in_silence_xfs() {
    if runs_all() {
        process("mkfs.xfs -q -f", "xfs");
    }
}

#[test]
fn without_syncs_a_power_cut_costs_work_and_nothing_is_wrong_in_silence_btrfs() {
    if runs_all() {
        process("mkfs.btrfs -q -f", "btrfs");
    }
}

fn power(mkfs: &str, kind: &str) {
    for (cut, mut machine) in cuts(mkfs, kind, false) {
        let (acknowledged, kept, missing) = machine.look();
        println!("  {kind} power, cut {cut}: {acknowledged} acknowledged, {kept} there");
        assert_eq!(
            missing,
            Vec::<String>::new(),
            "acknowledged, and not there after the cut"
        );
        assert_eq!(machine.damaged(), 0, "{:?}", machine.notes("look"));
        let again = machine.go_on();
        assert_eq!(again, 0, "tasks with an acknowledged outcome were run again");
    }
}

fn process(mkfs: &str, kind: &str) {
    for (cut, mut machine) in cuts(mkfs, kind, true) {
        let (acknowledged, kept, missing) = machine.look();
        let missing = missing.len();
        // Every answer that is there was checked by `look`, and all will be in the end. What has holes is told as damaged.
        let damaged = machine.damaged();
        let again = machine.go_on();
        println!(
            "  {kind} process, cut {cut}: {acknowledged} acknowledged, {kept} there, {missing} missing, \
             {damaged} damaged, {again} of those acknowledged were run again"
        );
    }
}

/// Machines that lost their power in the middle of a run, and have it back.
fn cuts(mkfs: &str, kind: &str, process_only: bool) -> impl Iterator<Item = (u64, Machine)> {
    let cuts = std::env::var("FLOCKWORK_POWER_CUTS").map_or(1, |cuts| cuts.parse().unwrap());
    let cuts = if has_guests() { cuts } else { 0 };
    let order = MasterOrder {
        process_only,
        ..tasks(TASKS, Act::Work(0))
    };
    (1..=cuts).map(move |cut| (cut, Machine::cut(mkfs, kind, &order)))
}

/// A machine with a disk.
struct Machine {
    guest: Guest,
    shared: tempfile::TempDir,
    order: MasterOrder,
}

impl Machine {
    /// Starts a run, cuts the power at some point of it, and boots again.
    fn cut(mkfs: &str, kind: &str, order: &MasterOrder) -> Machine {
        let shared = tempfile::Builder::new()
            .prefix("flockwork-power-")
            .tempdir()
            .unwrap();
        let programs = [
            (std::env::current_exe().unwrap(), "scenarios".to_owned()),
            (
                PathBuf::from(env!("CARGO_BIN_EXE_flockwork")),
                "flockwork".to_owned(),
            ),
        ];
        let mut guest = Guest::with_disk(shared.path(), 512, &programs).unwrap();
        guest
            .run(&format!("{mkfs} /dev/ubda && mount -t {kind} /dev/ubda /disk"))
            .unwrap();
        let mut machine = Machine {
            guest,
            shared,
            order: order.clone(),
        };
        machine.start("before");
        // At another point each time; the clock is chance enough.
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let until = 20 + u64::from(now.subsec_micros()) % (TASKS - 200);
        let begun = Instant::now();
        while (machine.acknowledged("before").len() as u64) < until {
            assert!(begun.elapsed() < LONG, "{:?}", machine.notes("before"));
            std::thread::sleep(Duration::from_millis(3));
        }
        machine.guest.kill().unwrap();
        machine.guest.start().unwrap();
        machine
            .guest
            .run(&format!("mount -t {kind} /dev/ubda /disk"))
            .unwrap();
        machine
    }

    /// Starts a master and two workers, which note what they do under this name.
    fn start(&mut self, name: &str) -> Vec<Job> {
        let worker = || Role::Worker {
            slots: 1,
            idle_exit: 600,
        };
        let roles = [Role::Master(self.order.clone()), worker(), worker()];
        roles
            .into_iter()
            .enumerate()
            .map(|(number, role)| self.spawn(name, number, role))
            .collect()
    }

    fn spawn(&mut self, name: &str, number: usize, role: Role) -> Job {
        fs::create_dir_all(self.shared.path().join(name)).unwrap();
        let order = Order {
            name: format!("{}{number}", role.name()),
            role,
            store: PathBuf::from(STORE),
            notes: Path::new("/host").join(name),
            poll: Some((5, 100)),
        };
        self.guest.spawn(&order.script()).unwrap()
    }

    /// All that was noted under this name, by file.
    fn notes(&self, name: &str) -> BTreeMap<String, String> {
        let files = fs::read_dir(self.shared.path().join(name))
            .into_iter()
            .flatten()
            .map(Result::unwrap);
        files
            .map(|file| {
                let text = fs::read_to_string(file.path()).unwrap_or_default();
                (file.file_name().to_string_lossy().into_owned(), text)
            })
            .collect()
    }

    /// The tasks of all lines that begin so.
    fn noted(&self, name: &str, words: &[&str]) -> BTreeSet<String> {
        let notes = self.notes(name);
        let lines = notes.values().flat_map(|text| text.lines());
        lines
            .filter_map(|line| line.split_once(' '))
            .filter(|(word, _)| words.contains(word))
            .map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    fn acknowledged(&self, name: &str) -> BTreeSet<String> {
        self.noted(name, &["accepted", "collected"])
    }

    /// Looks at the disk: how many outcomes were acknowledged, how many are there, and which are not. None is wrong.
    fn look(&mut self) -> (usize, usize, Vec<String>) {
        // The store itself may be among what was not on the disk yet.
        let is_there = self
            .guest
            .run(&format!("ls {STORE}/store.json 2>/dev/null; true"))
            .unwrap();
        if !is_there.is_empty() {
            self.spawn("look", 0, Role::Reader).finish(LONG).unwrap();
        }
        let there = self.noted("look", &["has"]);
        assert!(
            there.iter().all(|task| task.parse::<u64>().is_ok()),
            "{:?}",
            self.notes("look")
        );
        let acknowledged = self.acknowledged("before");
        let missing = acknowledged.difference(&there).cloned().collect();
        (acknowledged.len(), there.len(), missing)
    }

    /// How many tasks `look` was told to be damaged.
    fn damaged(&self) -> usize {
        let notes = self.notes("look");
        let lines = notes.values().flat_map(|text| text.lines());
        lines.filter(|line| line.starts_with("damaged: ")).count()
    }

    /// Goes on to the end; returns how many tasks were run again although their outcome had been acknowledged.
    fn go_on(mut self) -> usize {
        let jobs = self.start("after");
        for job in &jobs {
            let said = job.finish(LONG).unwrap();
            assert!(said.contains(" failed=0"), "{said}");
        }
        assert!(
            jobs[0].text().contains(&format!("master ok={TASKS} failed=0")),
            "{}",
            jobs[0].text()
        );
        let audit = self
            .guest
            .run(&format!("flockwork audit {STORE} --format json"))
            .unwrap();
        let audit: serde_json::Value = serde_json::from_str(&audit).unwrap();
        assert_eq!(
            (&audit["ok"], &audit["open"]),
            (&TASKS.into(), &0.into()),
            "{audit}"
        );
        assert_eq!(audit["violations"], serde_json::json!([]), "{audit}");
        let again = self.noted("after", &["begin"]);
        self.acknowledged("before").intersection(&again).count()
    }
}
