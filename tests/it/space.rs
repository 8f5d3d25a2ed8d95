//! A store on a file system that is full for a while. Needs root, for a small tmpfs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::errands::{Act, Plan};
use crate::processes::{Site, quick};
use crate::wait::{LONG, wait_until};

/// A tmpfs of 4 MiB, unmounted at the end.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts it; `None`, with the reason printed, where that is not allowed.
    fn mount(root: &tempfile::TempDir) -> Option<Disk> {
        let path = root.path().join("disk");
        fs::create_dir(&path).unwrap();
        let answer = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=700", "flockwork-test"])
            .arg(&path)
            .output();
        match answer {
            Ok(output) if output.status.success() => Some(Disk { path }),
            answer => {
                println!("skipped: a small tmpfs cannot be mounted here: {answer:?}");
                None
            }
        }
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut chunk = vec![1; 1 << 16];
        while !chunk.is_empty() {
            let mut ballast = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.path.join("ballast"))
                .unwrap();
            if std::io::Write::write_all(&mut ballast, &chunk).is_err() {
                chunk.truncate(chunk.len() / 2);
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Processes of the test may still have files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

fn ends_well(site: &Site, plan: &Plan, mut master: crate::processes::Process) {
    // Workers look for space again after half a minute.
    wait_until("the end of the master", LONG * 2, || match master.has_ended() {
        Some(_) => Ok(()),
        None => Err((site.events(""), format!("{:?}", site.store().status()))),
    });
    let report = master.good_report();
    assert_eq!(report.all_answers(), plan.answers(1));
    assert_eq!(site.events("Failed"), Vec::<String>::new());
    let audit = site.store().audit().unwrap();
    assert!(audit.is_complete() && audit.leftovers.is_empty(), "{audit:?}");
}

#[test]
fn workers_wait_for_space_and_nothing_is_failed() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&root) else { return };
    // The idle worker is not to double the task of one that waits.
    let config = quick().tail(0.0);
    let site = Site::with_store_at(root, disk.path.join("x.flock"), &config);
    let plan = Plan::new(
        3,
        Act::WaitAndFill {
            gates: site.gates(),
            bytes: 100_000,
        },
    );
    let master = site.start_master(site.master(&plan));
    let mut workers: Vec<_> = (0..2).map(|_| site.start_worker(site.worker())).collect();
    for worker in &workers {
        site.wait_begun(worker, 1);
    }
    disk.fill();
    site.open_gate(1);
    site.wait_event("Parked");
    disk.empty();
    ends_well(&site, &plan, master);
    let ok: u64 = workers.iter_mut().map(|worker| worker.good_report().ok).sum();
    assert_eq!(ok, 3);
    assert!(site.executions().values().all(|runs| runs.len() == 1));
}

#[test]
fn a_master_waits_for_space_to_publish() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&root) else { return };
    let site = Site::with_store_at(root, disk.path.join("x.flock"), &quick().tail(0.0));
    let plan = Plan::new(300, Act::Nothing);
    let mut order = site.master(&plan);
    (order.shard, order.window) = (100, 1);
    let master = site.start_master(order);
    let before = site.store_path().join("rounds/000000/0000000");
    wait_until("the first shard", LONG, || before.exists());
    disk.fill();
    // The window is full until a worker comes: so the next shard has to be written to the full disk.
    let mut worker = site.start_worker(site.worker());
    site.wait_event("Trouble");
    disk.empty();
    ends_well(&site, &plan, master);
    assert_eq!(worker.good_report().ok, 300);
}
