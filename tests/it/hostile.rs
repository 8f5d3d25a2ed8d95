//! Damaged outcomes, and things that somebody planted in a shard.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::errands::{Act, Plan};
use crate::processes::{Process, Site, files_of_shards, quick};
use crate::wait::{LONG, wait_until};

const TASKS: u64 = 24;

/// A run whose master died before it collected anything, and whose workers have done everything.
fn finished_but_not_collected() -> (Site, Plan) {
    let site = Site::new(&quick());
    let plan = Plan::new(TASKS, Act::Nothing);
    publish_only(&site, &plan);
    let mut worker = site.start_worker(site.worker());
    wait_until("all outcomes", LONG, || {
        files_of_shards(site.store_path(), "out").len() as u64 == TASKS
    });
    worker.kill();
    (site, plan)
}

fn publish_only(site: &Site, plan: &Plan) {
    let mut order = site.master(plan);
    // The first event says that nothing is published yet, the second that all is.
    order.dies_at_event = Some(2);
    site.start_master(order).ended();
}

fn shard(site: &Site) -> PathBuf {
    site.store_path().join("rounds/000000/0000000")
}

fn out(site: &Site, number: u64) -> PathBuf {
    shard(site).join(format!("{number:07}.out"))
}

fn ends_well(site: &Site, plan: &Plan, master: &mut Process) {
    assert_eq!(master.good_report().all_answers(), plan.answers(1));
    let audit = site.store().audit().unwrap();
    assert!(audit.is_complete(), "{audit:?}");
    assert_eq!(audit.ok, TASKS);
}

fn flip(path: &Path, at: u64, bit: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ bit], at).unwrap();
}

#[test]
fn damaged_outcomes_are_put_aside_and_done_again() {
    let (site, plan) = finished_but_not_collected();
    let length = fs::metadata(out(&site, 0)).unwrap().len();
    flip(&out(&site, 0), 0, 1);
    flip(&out(&site, 1), length / 2, 0x80);
    flip(&out(&site, 2), length - 1, 4);
    let resize = |number, length| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(out(&site, number))
            .unwrap();
        file.set_len(length).unwrap();
    };
    resize(3, 0);
    resize(4, length - 5);
    // Longer than any outcome, and almost without blocks.
    resize(5, 1 << 40);
    fs::remove_file(out(&site, 6)).unwrap();
    fs::copy(out(&site, 7), out(&site, 6)).unwrap();
    // Harmless: what follows the end mark is not read.
    resize(8, length + 100);
    // No files at all.
    for number in 9..12 {
        fs::remove_file(out(&site, number)).unwrap();
    }
    make_fifo(&out(&site, 9));
    std::os::unix::fs::symlink("/etc/passwd", out(&site, 10)).unwrap();
    fs::create_dir(out(&site, 11)).unwrap();
    let damaged = 10;
    let audit = site.store().audit().unwrap();
    assert_eq!(audit.violations.len(), damaged, "{:#?}", audit.violations);
    let mut master = site.start_master(site.master(&plan));
    let mut worker = site.start_worker(site.worker());
    ends_well(&site, &plan, &mut master);
    assert_eq!(worker.good_report().ok, damaged as u64);
    assert_eq!(site.events("Damaged").len(), damaged);
    // Where the output's record is whole in the lock file, it is taken over and not made again: all but those whose
    // lock file is damaged before or in that record (flipped, cut to nothing, made huge).
    let executions = site.executions();
    assert_eq!(executions.values().flatten().count() as u64, TASKS + 4);
}

fn make_fifo(path: &Path) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn foreign_names_are_ignored() {
    let site = Site::new(&quick());
    let plan = Plan::new(TASKS, Act::Nothing);
    publish_only(&site, &plan);
    let (shard, round) = (shard(&site), site.store_path().join("rounds/000000"));
    for name in [
        ".nfs000000000001",
        "0000001.in~",
        ".0000001.in.swp",
        "0000001.OUT",
        "0000001.0.lock",
        "0000001.x.lock",
        "1.in",
        "0000001.out.bak",
        "-rf",
        "0000001.1.lock.1",
        "new\nline",
        "0000001.",
        "0000001.1.",
        "..in",
    ] {
        fs::write(shard.join(name), "foreign").unwrap();
    }
    let not_text = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe.in");
    fs::write(shard.join::<&std::ffi::OsStr>(not_text), "not text").unwrap();
    make_fifo(&shard.join("pipe"));
    make_fifo(&round.join("pipe"));
    make_fifo(&round.join("0000005.donee"));
    std::os::unix::fs::symlink("/etc/passwd", shard.join("link")).unwrap();
    std::os::unix::fs::symlink("/", round.join("root")).unwrap();
    fs::create_dir(shard.join("directory")).unwrap();
    fs::create_dir(site.store_path().join("rounds/lost+found")).unwrap();
    let mut master = site.start_master(site.master(&plan));
    let mut worker = site.start_worker(site.worker());
    ends_well(&site, &plan, &mut master);
    assert_eq!(worker.good_report().ok, TASKS);
    // Nothing of others is removed, and the audit names it.
    assert!(shard.join("-rf").exists() && shard.join("link").is_symlink());
    let leftovers = site.store().audit().unwrap().leftovers;
    assert!(leftovers.contains(&shard.join("pipe")), "{leftovers:?}");
}

#[test]
fn planted_locks_and_markers_cost_an_attempt_at_most() {
    let site = Site::new(&quick().lease(std::time::Duration::from_secs(1)));
    let plan = Plan::new(TASKS, Act::Nothing);
    publish_only(&site, &plan);
    let shard = shard(&site);
    // Locks of attempts that nobody makes: a pipe, a link to nowhere, a directory, a file of zeros.
    make_fifo(&shard.join("0000001.1.lock"));
    std::os::unix::fs::symlink("/nonexistent", shard.join("0000002.1.lock")).unwrap();
    fs::create_dir(shard.join("0000003.1.lock")).unwrap();
    fs::write(shard.join("0000004.1.lock"), [0; 100]).unwrap();
    fs::File::create(shard.join("0000005.1.lock"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    // Markers without locks, and markers that hold nothing of sense.
    fs::write(shard.join("0000006.1.fail"), "").unwrap();
    fs::write(shard.join("0000007.1.back"), [0xff; 9]).unwrap();
    make_fifo(&shard.join("0000008.1.lost"));
    fs::write(shard.join("0000009.1.checkpoint"), "nonsense").unwrap();
    let mut master = site.start_master(site.master(&plan));
    let _worker = site.start_worker(site.worker());
    ends_well(&site, &plan, &mut master);
}

#[test]
fn a_damaged_input_is_reported_by_its_name() {
    for (number, replace) in [(3, false), (4, true)] {
        let site = Site::new(&quick());
        let plan = Plan::new(TASKS, Act::Nothing);
        publish_only(&site, &plan);
        let input = shard(&site).join(format!("{number:07}.in"));
        if replace {
            fs::remove_file(&input).unwrap();
            make_fifo(&input);
        } else {
            flip(&input, 20, 1);
        }
        let _worker = site.start_worker(site.worker());
        let error = site.start_master(site.master(&plan)).report().error.unwrap();
        assert!(error.contains(input.to_str().unwrap()), "{error}");
        let failed = site.events("Failed");
        assert!(
            failed.iter().all(|event| event.contains("kind: Input")),
            "{failed:?}"
        );
    }
}
