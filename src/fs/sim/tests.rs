//! Faults of the simulated disk. That its plain answers are the real ones: `conformance`; network and users: `modes`.

mod conformance;
mod modes;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use super::{Fault, FlockMode, SimDisk, SimProcess};
use crate::fs::{Dir, Flock, FsKind};

fn names(dir: &dyn Dir) -> Vec<String> {
    let mut names = Vec::new();
    dir.list(&mut |name| names.push(name.to_owned())).unwrap();
    names.sort();
    names
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

/// A short piece of work with steps of all sorts; ends at the first error.
fn publish(process: &SimProcess) -> io::Result<()> {
    let root = process.root();
    root.make_dir("shard")?;
    let shard = root.open_dir("shard")?;
    let file = shard.create("1.lock")?;
    file.try_lock()?;
    file.write_at(0, b"hello")?;
    file.sync_data()?;
    file.link("out")?;
    shard.replace("note", b"done", true)?;
    root.sync()
}

fn full_log() -> Vec<String> {
    let process = SimDisk::new().process("a");
    publish(&process).unwrap();
    process.log()
}

#[test]
fn every_call_is_a_step_with_a_text() {
    let disk = SimDisk::new();
    let process = disk.process("a");
    publish(&process).unwrap();
    let expected = "make_dir shard, open_dir shard, create 1.lock, try_lock 1.lock, write_at 1.lock, \
                    sync_data 1.lock, link 1.lock -> out, replace note, sync sim";
    assert_eq!(process.log().join(", "), expected);
    assert_eq!(process.steps(), 9);
    let shard = process.root().open_dir("shard").unwrap();
    assert_eq!(shard.path().to_str(), Some("/sim/shard"));
    assert_eq!((shard.kind().unwrap(), names(&*shard).len()), (FsKind::Local, 3));
    assert_eq!(process.steps(), 12);
    assert_eq!(disk.process("b").steps(), 0);
    assert_eq!(disk.bytes("shard/out").as_deref(), Some(&b"hello"[..]));
    assert_eq!(disk.bytes("shard"), None);
    let paths = disk.paths();
    let paths: Vec<(&str, u64)> = paths
        .iter()
        .map(|(path, length)| (path.as_str(), *length))
        .collect();
    assert_eq!(
        paths,
        [
            ("shard/", 0),
            ("shard/1.lock", 5),
            ("shard/note", 4),
            ("shard/out", 5)
        ]
    );
}

#[test]
fn each_step_can_fail_before_and_after_it_was_done() {
    for step in 0..full_log().len() {
        let (undone, failed, done) = (SimDisk::new(), SimDisk::new(), SimDisk::new());
        let stopped = undone.process("a");
        stopped.fail_at(step, Fault::Crash);
        let before = failed.process("a");
        before.fail_at(step, Fault::Before(Errno::DQUOT));
        let after = done.process("a");
        after.fail_at(step, Fault::After(Errno::IO));
        assert_eq!(kind(publish(&stopped)), ErrorKind::Other);
        assert_eq!(kind(publish(&before)), ErrorKind::QuotaExceeded);
        assert_eq!(
            publish(&after).unwrap_err().raw_os_error(),
            Some(5),
            "{:?}",
            after.log()
        );
        assert_eq!(before.log(), full_log()[..=step]);
        // What a sync could not bring to the disk is dropped.
        let drops = full_log()[step].starts_with("sync_data");
        assert_eq!(undone.paths() != failed.paths(), drops, "{:?}", before.log());
        let changes = ["make_dir", "create", "write_at", "sync_data", "link", "replace"];
        let is_change = changes.iter().any(|verb| full_log()[step].starts_with(verb));
        assert_eq!(failed.paths() != done.paths(), is_change, "{:?}", after.log());
        // The fault is used up.
        assert!(before.root().sync().is_ok() && !before.is_crashed());
    }
}

#[test]
fn a_crash_closes_files_frees_locks_and_ends_all_calls() {
    for fault in [Fault::Crash, Fault::CrashMidway, Fault::CrashAfter] {
        let disk = SimDisk::new();
        let (process, other) = (disk.process("a"), disk.process("b"));
        let root = process.root();
        let file = root.create("1.lock").unwrap();
        assert_eq!(file.try_lock().unwrap(), Flock::Held);
        file.write_at(0, b"abcd").unwrap();
        let probe = other.root().open_write("1.lock").unwrap();
        assert_eq!(probe.try_lock().unwrap(), Flock::Busy);
        process.fail_at(process.steps(), fault);
        assert!(file.write_at(4, b"efgh").is_err());
        let length = match fault {
            Fault::CrashAfter => 8,
            Fault::CrashMidway => 6,
            _ => 4,
        };
        assert_eq!(disk.paths(), [("1.lock".to_owned(), length)]);
        assert!(process.is_crashed());
        assert_eq!(probe.try_lock().unwrap(), Flock::Held);
        let steps = process.steps();
        assert!(file.touch().is_err() && file.try_lock().is_err() && file.fresh().is_err());
        assert!(root.exists("1.lock").is_err() && process.root().create("x").is_err());
        assert_eq!(process.steps(), steps);
        // Closing it once more is harmless.
        drop(file);
        assert_eq!(probe.try_lock().unwrap(), Flock::Held);
        assert!(!other.is_crashed());
        other.crash();
        assert!(other.is_crashed() && probe.fresh().is_err());
    }
}

#[test]
fn a_crash_midway_leaves_a_temporary_file_and_what_was_there() {
    let disk = SimDisk::new();
    disk.plant("note", b"old").unwrap();
    let process = disk.process("a");
    process.fail_at(0, Fault::CrashMidway);
    assert!(process.root().replace("note", b"newnew", true).is_err());
    assert_eq!(disk.bytes("note").unwrap(), b"old");
    let paths = disk.paths();
    assert!(
        paths[0].0.starts_with('.') && paths[0].0.ends_with(".tmp") && paths[0].1 == 3,
        "{paths:?}"
    );
    // The next one has another name, also after a power cut.
    disk.commit_names();
    let after = disk.power_cut();
    after.process("a").root().replace("note", b"new", true).unwrap();
    assert_eq!(after.paths().len(), 2);
}

#[test]
fn error_numbers_mean_what_they_mean_on_the_real_disk() {
    let process = SimDisk::new().process("a");
    let root = process.root();
    let file = root.create("a").unwrap();
    let next = |fault| process.fail_at(process.steps(), fault);
    next(Fault::Before(Errno::STALE));
    assert_eq!(file.fresh().unwrap().links, 0);
    next(Fault::Before(Errno::NOENT));
    assert!(!root.exists("a").unwrap());
    next(Fault::Before(Errno::ACCESS));
    assert_eq!(file.try_lock().unwrap(), Flock::Busy);
    next(Fault::Before(Errno::NOSYS));
    assert_eq!(file.try_lock().unwrap(), Flock::Unsupported);
    next(Fault::After(Errno::IO));
    assert!(file.try_lock().is_err());
    assert_eq!(root.open_write("a").unwrap().try_lock().unwrap(), Flock::Busy);
    // The real one opens again after a signal, and does not rename again.
    next(Fault::Before(Errno::INTR));
    assert!(root.create("b").is_ok());
    next(Fault::Before(Errno::INTR));
    assert_eq!(kind(root.rename("b", "c")), ErrorKind::Interrupted);
    // A file that was made but not handed over is closed.
    next(Fault::After(Errno::STALE));
    assert_eq!(kind(root.create("d")), ErrorKind::StaleNetworkFileHandle);
    // A listing that breaks off has shown names before.
    next(Fault::After(Errno::IO));
    let mut seen = 0;
    assert!(root.list(&mut |_| seen += 1).is_err());
    assert_eq!(seen, 3);
}

#[test]
fn hooks_run_right_before_a_step_and_may_use_the_disk() {
    let disk = SimDisk::new();
    let (process, other) = (disk.process("a"), disk.process("b"));
    process.before(6, move || {
        other.root().open_dir("shard").unwrap().unlink("1.lock").unwrap();
    });
    assert_eq!(kind(publish(&process)), ErrorKind::NotFound);
    let killed = disk.process("a");
    let killer = killed.clone();
    killed.before(0, move || killer.crash());
    assert!(killed.root().make_dir("d").is_err());
    assert_eq!((killed.steps(), killed.is_crashed()), (0, true));
}

#[test]
fn locks_reach_as_far_as_the_mode_says() {
    let disk = SimDisk::new();
    disk.plant("f", b"").unwrap();
    let open = |host: &str| disk.process(host).root().open_write("f").unwrap();
    let (one, two, far) = (open("a"), open("a"), open("b"));
    let ask = || {
        (
            one.try_lock().unwrap(),
            two.try_lock().unwrap(),
            far.try_lock().unwrap(),
        )
    };
    disk.set_flock(FlockMode::Unsupported);
    assert_eq!(
        ask(),
        (Flock::Unsupported, Flock::Unsupported, Flock::Unsupported)
    );
    disk.set_flock(FlockMode::Works);
    assert_eq!(ask(), (Flock::Held, Flock::Busy, Flock::Busy));
    disk.set_flock(FlockMode::NodeLocal);
    assert_eq!(ask(), (Flock::Held, Flock::Busy, Flock::Held));
    // On NFS a lock needs a file that is open for writing.
    disk.set_kind(FsKind::Network);
    let reader = disk.process("c").root().open_read("f").unwrap();
    assert_eq!(reader.try_lock().unwrap(), Flock::Unsupported);
}

#[test]
fn a_lock_that_was_lost_can_be_taken_by_others() {
    let disk = SimDisk::new();
    let (loser, other) = (disk.process("a"), disk.process("b"));
    let file = loser.root().create("f").unwrap();
    let kept = other.root().create("g").unwrap();
    let probe = other.root().open_write("f").unwrap();
    assert_eq!(
        (file.try_lock().unwrap(), kept.try_lock().unwrap()),
        (Flock::Held, Flock::Held)
    );
    disk.lose_locks(&loser);
    // Nobody took it: the loser has it again, as if nothing had happened.
    assert_eq!(
        (file.try_lock().unwrap(), probe.try_lock().unwrap()),
        (Flock::Held, Flock::Busy)
    );
    disk.lose_locks(&loser);
    assert_eq!(
        (probe.try_lock().unwrap(), file.try_lock().unwrap()),
        (Flock::Held, Flock::Busy)
    );
    assert!(file.touch().is_ok() && file.fresh().unwrap().links == 1);
    assert_eq!(
        loser.root().open_write("g").unwrap().try_lock().unwrap(),
        Flock::Busy
    );
}

#[test]
fn without_links_or_rename_new_they_answer_as_the_kernel_does() {
    let disk = SimDisk::new();
    let root = disk.process("a").root();
    let file = root.create("a").unwrap();
    disk.set_links(false);
    assert_eq!(
        file.link("b").unwrap_err().raw_os_error(),
        Some(Errno::PERM.raw_os_error())
    );
    assert_eq!(kind(file.link("a")), ErrorKind::AlreadyExists);
    root.rename_new("a", "b").unwrap();
    disk.set_rename_new(false);
    assert_eq!(kind(root.rename_new("b", "c")), ErrorKind::InvalidInput);
    disk.set_links(true);
    file.link("c").unwrap();
    assert_eq!(names(&*root), ["b", "c"]);
}

#[test]
fn writes_stop_where_the_space_ends_and_go_on_when_there_is_some() {
    let disk = SimDisk::new();
    disk.set_space(Some(10));
    let root = disk.process("a").root();
    let file = root.create("a").unwrap();
    assert_eq!(kind(file.write_at(0, b"twelve bytes")), ErrorKind::StorageFull);
    assert_eq!((file.fresh().unwrap().len, root.free_space().unwrap()), (10, 0));
    // Bytes that are there can be written over, names can be linked, but nothing can be made.
    file.write_at(2, b"xx").unwrap();
    file.link("b").unwrap();
    assert_eq!(kind(root.create("c")), ErrorKind::StorageFull);
    assert_eq!(kind(root.make_dir("c")), ErrorKind::StorageFull);
    disk.set_space(Some(12));
    assert_eq!(kind(root.replace("a", b"xxx", false)), ErrorKind::StorageFull);
    assert_eq!(
        (names(&*root), root.free_space().unwrap()),
        (vec!["a".into(), "b".into()], 2)
    );
    // Space is free when the last name is gone and the file is closed.
    root.unlink("a").unwrap();
    root.unlink("b").unwrap();
    assert_eq!(root.free_space().unwrap(), 2);
    drop(file);
    assert_eq!(root.free_space().unwrap(), 12);
    root.replace("a", b"xxx", false).unwrap();
    assert_eq!(root.free_space().unwrap(), 9);
    disk.set_space(None);
    assert!(root.free_space().unwrap() > 1 << 40);
}

#[test]
fn an_old_listing_shows_what_was_there_and_only_its_process_sees_it() {
    let disk = SimDisk::new();
    disk.plant("d/gone", b"").unwrap();
    let (process, other) = (disk.process("a"), disk.process("b"));
    let dir = process.root().open_dir("d").unwrap();
    disk.stale_listing(&process, 2);
    let theirs = other.root().open_dir("d").unwrap();
    theirs.unlink("gone").unwrap();
    theirs.create("new").unwrap();
    assert_eq!(names(&*theirs), ["new"]);
    assert_eq!(names(&*dir), ["gone"]);
    assert_eq!(kind(dir.open_read("gone")), ErrorKind::NotFound);
    theirs.unlink("new").unwrap();
    other.root().remove_dir("d").unwrap();
    assert_eq!(names(&*dir), ["gone"]);
    assert_eq!(kind(dir.list(&mut |_| {})), ErrorKind::NotFound);
}

#[test]
fn a_torn_listing_lacks_names_and_a_seed_tells_which() {
    let torn = |seed| {
        let disk = SimDisk::new();
        let process = disk.process("a");
        (0..10).for_each(|n| disk.plant(&n.to_string(), b"").unwrap());
        disk.torn_listing(&process, 2, seed);
        let listings = [(); 3].map(|()| names(&*process.root()));
        assert!((1..10).contains(&listings[0].len()), "{listings:?}");
        assert_eq!(listings[2].len(), 10);
        listings
    };
    assert_eq!(torn(1), torn(1));
    assert_ne!(torn(0), torn(1));
    assert_ne!(torn(1)[0], torn(1)[1]);
}

#[test]
fn the_servers_clock_goes_on_with_each_change_and_by_hand() {
    let disk = SimDisk::new();
    let process = disk.process("a");
    let file = process.root().create("a").unwrap();
    let made = file.fresh().unwrap().mtime;
    assert_eq!(file.fresh().unwrap().mtime, made);
    file.write_at(0, b"x").unwrap();
    let written = file.fresh().unwrap().mtime;
    disk.advance(Duration::from_secs(300));
    assert_eq!(file.fresh().unwrap().mtime, written);
    file.touch().unwrap();
    let touched = file.fresh().unwrap().mtime;
    assert!(made < written && touched >= written + Duration::from_secs(300));
    file.link("b").unwrap();
    assert_eq!(file.fresh().unwrap().mtime, touched);
}

#[test]
fn a_power_cut_leaves_what_was_synced() {
    let disk = SimDisk::new();
    let root = disk.process("a").root();
    root.make_dir("d").unwrap();
    let dir = root.open_dir("d").unwrap();
    let make = |name: &str| {
        let file = dir.create(name).unwrap();
        file.write_at(0, b"hello").unwrap();
        file
    };
    let after = || {
        let paths = disk.power_cut().paths();
        paths
            .iter()
            .map(|(path, length)| format!("{path} {length}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (_bare, synced) = (make("bare"), make("synced"));
    synced.sync_data().unwrap();
    // Each directory's names are of its own: this one is not yet in the root.
    dir.sync().unwrap();
    assert_eq!(after(), "");
    root.sync().unwrap();
    assert_eq!(after(), "d/ 0, d/bare 0, d/synced 5");
    synced.write_at(5, b" you").unwrap();
    synced.link("out").unwrap();
    dir.unlink("synced").unwrap();
    assert_eq!(after(), "d/ 0, d/bare 0, d/synced 5");
    dir.sync().unwrap();
    assert_eq!(after(), "d/ 0, d/bare 0, d/out 5");
    dir.replace("note", b"1", false).unwrap();
    assert_eq!(after(), "d/ 0, d/bare 0, d/out 5");
    dir.replace("note", b"22", true).unwrap();
    dir.replace("note", b"333", false).unwrap();
    assert_eq!(after(), "d/ 0, d/bare 0, d/note 2, d/out 5");
    dir.sync_all().unwrap();
    assert_eq!(after(), "d/ 0, d/bare 5, d/note 3, d/out 9");
    root.rename("d", "e").unwrap();
    dir.unlink("out").unwrap();
    assert_eq!(after(), "d/ 0, d/bare 5, d/note 3, d/out 9");
    root.sync().unwrap();
    assert_eq!(after(), "e/ 0, e/bare 5, e/note 3, e/out 9");
}

#[test]
fn names_that_the_journal_brought_to_the_disk_come_back_without_bytes() {
    let disk = SimDisk::new();
    let process = disk.process("a");
    publish(&process).unwrap();
    let shard = process.root().open_dir("shard").unwrap();
    let file = shard.create("2.lock").unwrap();
    file.write_at(0, b"hello").unwrap();
    file.link("2.out").unwrap();
    assert_eq!(disk.power_cut().bytes("shard/2.out"), None);
    disk.commit_names();
    let after = disk.power_cut();
    assert_eq!(after.bytes("shard/2.out").as_deref(), Some(&b""[..]));
    assert_eq!(after.bytes("shard/out").as_deref(), Some(&b"hello"[..]));
    // The new disk works: links are counted anew, nobody has a lock, and the old one goes on.
    let root = after.process("a").root();
    let found = root.open_dir("shard").unwrap().open_write("1.lock").unwrap();
    assert_eq!(
        (found.fresh().unwrap().links, found.try_lock().unwrap()),
        (2, Flock::Held)
    );
    assert_eq!(disk.bytes("shard/2.out").as_deref(), Some(&b"hello"[..]));
}

#[test]
fn what_is_planted_is_a_new_file_and_safe() {
    let disk = SimDisk::new();
    disk.plant("x/y/z", b"one").unwrap();
    let process = disk.process("a");
    let file = process
        .root()
        .open_dir("x")
        .unwrap()
        .open_dir("y")
        .unwrap()
        .open_read("z")
        .unwrap();
    disk.plant("x/y/z", b"two").unwrap();
    assert_eq!(file.fresh().unwrap().links, 0);
    assert_eq!(disk.power_cut().bytes("x/y/z").as_deref(), Some(&b"two"[..]));
    assert_eq!(kind(disk.plant("x/y/z/w", b"")), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.plant("x/y", b"")), ErrorKind::IsADirectory);
}

#[test]
fn threads_of_many_processes_make_one_file_once() {
    let disk = SimDisk::new();
    let wins = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (root, wins) = (disk.process(&format!("host{n}")).root(), Arc::clone(&wins));
            scope.spawn(move || {
                for name in 0..100 {
                    if root.create(&name.to_string()).is_ok() {
                        wins.fetch_add(1, Ordering::SeqCst);
                    }
                    root.list(&mut |name| assert!(root.exists(name).unwrap()))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!((wins.load(Ordering::SeqCst), disk.paths().len()), (100, 100));
}
