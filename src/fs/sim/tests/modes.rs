//! The modes in which the simulated disk is a network file system, or has other users' files on it.

use std::io::{self, ErrorKind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;

use super::{kind, names};
use crate::clock::sim::{self, SimTime};
use crate::fs::sim::SimDisk;
use crate::fs::{Dir, Flock};

const TICK: Duration = Duration::from_millis(100);

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().as_ref().and_then(Errno::from_io_error)
}

/// Two hosts, a directory that both hold open, and a server whose change times are coarse.
fn coarse() -> (SimTime, SimDisk, Arc<dyn Dir>, Arc<dyn Dir>) {
    let time = SimTime::begin();
    let disk = SimDisk::new();
    disk.plant("d/first", b"").unwrap();
    let open = |host: &str| disk.process(host).root().open_dir("d").unwrap();
    let (here, there) = (open("a"), open("b"));
    disk.set_coarse(Some(TICK));
    // The simulated server begins at a whole second; this is the beginning of a tick.
    disk.advance(TICK);
    (time, disk, here, there)
}

#[test]
fn what_changes_in_the_tick_of_a_listing_stays_invisible() {
    let (_time, disk, here, there) = coarse();
    assert_eq!(names(&*here), ["first"]);
    there.create("second").unwrap();
    there.unlink("first").unwrap();
    // For as long as one likes, and by a fresh opendir too.
    for _ in 0..100 {
        sim::advance(Duration::from_secs(60));
        assert_eq!(names(&*here), ["first"]);
    }
    let again = disk.process("a").root().open_dir("d").unwrap();
    assert_eq!(
        names(&*again),
        ["first"],
        "the processes of a host are one client"
    );
    // Those who have not listed it, and whoever asks for the name, see what is there.
    assert_eq!(
        names(&*disk.process("c").root().open_dir("d").unwrap()),
        ["second"]
    );
    assert_eq!(names(&*there), ["second"]);
    assert!(here.exists("second").unwrap());
}

#[test]
fn what_changes_in_a_later_tick_than_the_listing_is_seen() {
    let (_time, _disk, here, there) = coarse();
    assert_eq!(names(&*here), ["first"]);
    sim::advance(2 * TICK);
    // This one is from memory, and changes nothing about that.
    assert_eq!(names(&*here), ["first"]);
    there.create("second").unwrap();
    assert_eq!(names(&*here), ["first", "second"]);
}

#[test]
fn any_later_change_of_the_directory_ends_the_blindness() {
    type Change = fn(&dyn Dir);
    let changes: [(&str, Change); 4] = [
        ("a name", |dir| drop(dir.create("third").unwrap())),
        ("a name that comes and goes", |dir| {
            dir.create("third").unwrap();
            dir.unlink("third").unwrap();
        }),
        ("a rename", |dir| dir.rename("second", "2").unwrap()),
        ("a touch", |_| {}),
    ];
    for (what, change) in changes {
        for by_itself in [false, true] {
            let (_time, disk, here, there) = coarse();
            assert_eq!(names(&*here), ["first"]);
            there.create("second").unwrap();
            assert_eq!(names(&*here), ["first"]);
            sim::advance(2 * TICK);
            change(if by_itself { &*here } else { &*there });
            if what == "a touch" {
                let host = if by_itself { "a" } else { "b" };
                let root = disk.process(host).root();
                root.open_read("d").unwrap().touch().unwrap();
            }
            assert_eq!(names(&*here), names(&*there), "{what}");
        }
    }
}

#[test]
fn a_touch_or_a_change_in_the_same_tick_does_not_help_others() {
    let (_time, disk, here, there) = coarse();
    assert_eq!(names(&*here), ["first"]);
    there.create("second").unwrap();
    let root = disk.process("b").root();
    root.open_read("d").unwrap().touch().unwrap();
    there.create("third").unwrap();
    assert_eq!(names(&*here), ["first"]);
    // One's own change does: the client knows that its listing is old.
    here.create("fourth").unwrap();
    assert_eq!(names(&*here).len(), 4);
    disk.set_coarse(None);
    there.create("fifth").unwrap();
    assert_eq!(names(&*here).len(), 5);
}

#[test]
fn a_name_that_was_missing_stays_so_until_the_directory_is_listed() {
    let disk = SimDisk::new();
    let (here, there) = (disk.process("a").root(), disk.process("b").root());
    disk.remember_missing(true);
    assert!(!here.exists("f").unwrap());
    there.create("f").unwrap();
    assert!(there.exists("f").unwrap());
    let blind = |root: &dyn Dir| {
        let answers = [
            errno(root.open_read("f")),
            errno(root.open_write("f")),
            errno(root.read("f", 9, &mut Vec::new())),
            errno(root.unlink("f")),
            errno(root.rename("f", "g")),
            errno(root.rename_new("f", "g")),
            errno(root.open_dir("f")),
        ];
        assert_eq!(answers, [Some(Errno::NOENT); 7]);
        assert!(!root.exists("f").unwrap());
    };
    blind(&*here);
    // Another process of the host asks the same cache; what is made exclusively, or linked, is asked of the server.
    let neighbour = disk.process("a").root();
    blind(&*neighbour);
    assert_eq!(kind(here.create("f")), ErrorKind::AlreadyExists);
    assert_eq!(
        kind(here.create("g").unwrap().link("f")),
        ErrorKind::AlreadyExists
    );
    blind(&*here);
    assert_eq!(names(&*here), ["f", "g"]);
    assert!(here.exists("f").unwrap() && neighbour.open_read("f").is_ok());
    // What a host makes itself it sees.
    assert!(!here.exists("h").unwrap());
    neighbour.create("h").unwrap();
    assert!(here.exists("h").unwrap());
}

#[test]
fn a_file_that_is_removed_while_it_is_open_is_hidden_here_and_stale_elsewhere() {
    let disk = SimDisk::new();
    disk.set_remote_removal(true);
    let (here, there) = (disk.process("a"), disk.process("b"));
    let file = here.root().create("f").unwrap();
    file.write_at(0, b"mine").unwrap();
    let reader = there.root().open_read("f").unwrap();
    here.root().unlink("f").unwrap();
    let hidden = names(&*there.root());
    assert!(hidden.len() == 1 && hidden[0].starts_with(".nfs00"), "{hidden:?}");
    file.write_at(4, b" too").unwrap();
    file.link("g").unwrap();
    assert_eq!(reader.fresh().unwrap().links, 2);
    drop(file);
    assert_eq!(names(&*there.root()), ["g"]);
    assert_eq!(disk.bytes("g").as_deref(), Some(&b"mine too"[..]));

    let file = here.root().create("h").unwrap();
    there.root().unlink("h").unwrap();
    let mut bytes = Vec::new();
    let answers = [
        errno(file.write_at(0, b"x")),
        errno(file.read(9, &mut bytes)),
        errno(file.read_at(0, &mut [0])),
        errno(file.sync_data()),
        errno(file.touch()),
        errno(file.try_lock()),
    ];
    assert_eq!(answers, [Some(Errno::STALE); 6]);
    assert_eq!(errno(file.link("i")), Some(Errno::NOENT));
    assert_eq!(file.fresh().unwrap().links, 0);
    // A process that is killed closes its files.
    let file = here.root().create("j").unwrap();
    here.root().unlink("j").unwrap();
    assert_eq!(names(&*there.root()).len(), 2);
    here.crash();
    assert_eq!(names(&*there.root()), ["g"]);
    drop(file);
}

#[test]
fn a_broken_lock_stops_the_bytes_of_its_file_and_nothing_else() {
    let disk = SimDisk::new();
    let (loser, other) = (disk.process("a"), disk.process("b"));
    let root = loser.root();
    let (locked, free) = (root.create("f").unwrap(), root.create("g").unwrap());
    assert_eq!(locked.try_lock().unwrap(), Flock::Held);
    disk.break_locks(&loser);
    let answers = [
        errno(locked.write_at(0, b"x")),
        errno(locked.read(9, &mut Vec::new())),
        errno(locked.read_at(0, &mut [0])),
        errno(locked.sync_data()),
    ];
    assert_eq!(answers, [Some(Errno::IO); 4]);
    assert!(locked.touch().is_ok() && locked.fresh().unwrap().links == 1);
    locked.link("h").unwrap();
    free.write_at(0, b"x").unwrap();
    free.sync_data().unwrap();
    root.rename("h", "i").unwrap();
    let probe = other.root().open_write("f").unwrap();
    assert_eq!(probe.try_lock().unwrap(), Flock::Held);
    assert_eq!(locked.try_lock().unwrap(), Flock::Busy);
    probe.write_at(0, b"theirs").unwrap();
}

#[test]
fn other_users_cannot_open_remove_or_link() {
    let disk = SimDisk::new();
    let process = |host: &str, user, makes_private| {
        let process = disk.process(host);
        process.belongs_to(user, makes_private);
        process.root()
    };
    let (one, two) = (process("a", 1, true), process("a", 2, false));
    let (private, open) = (one.create("private").unwrap(), two.create("open").unwrap());
    assert_eq!(errno(two.open_read("private")), Some(Errno::ACCESS));
    assert_eq!(errno(two.open_write("private")), Some(Errno::ACCESS));
    let read = two.read("private", 9, &mut Vec::new());
    assert_eq!(errno(read), Some(Errno::ACCESS));
    assert!(two.exists("private").unwrap() && one.open_write("private").is_ok());
    let theirs = one.open_read("open").unwrap();
    assert_eq!(errno(theirs.link("x")), Some(Errno::PERM));
    open.link("y").unwrap();
    drop(private);
    disk.set_sticky(true);
    assert_eq!(errno(one.unlink("open")), Some(Errno::PERM));
    assert_eq!(errno(one.rename("open", "z")), Some(Errno::PERM));
    assert_eq!(errno(one.rename_new("open", "z")), Some(Errno::PERM));
    one.unlink("private").unwrap();
    // The owner of the directory may.
    two.make_dir("d").unwrap();
    let dir = one.open_dir("d").unwrap();
    dir.create("f").unwrap();
    two.open_dir("d").unwrap().unlink("f").unwrap();
    assert_eq!(errno(one.remove_dir("d")), Some(Errno::PERM));
    disk.set_sticky(false);
    one.unlink("open").unwrap();
    one.remove_dir("d").unwrap();
}

#[test]
fn a_call_that_is_held_blocks_its_process_alone() {
    let disk = SimDisk::new();
    disk.plant("f", b"").unwrap();
    let (held, other) = (disk.process("a"), disk.process("b"));
    let file = held.root().open_write("f").unwrap();
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    held.hold_each(
        "try_lock",
        Arc::new(move |name| {
            reached.send(name.to_owned()).unwrap();
            let _ = may_go_on.lock().unwrap().recv();
        }),
    );
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| file.try_lock().unwrap());
        assert_eq!(is_reached.recv().unwrap(), "f");
        // The others go on, and another call of the same process does.
        let probe = other.root().open_write("f").unwrap();
        assert_eq!(probe.try_lock().unwrap(), Flock::Held);
        assert_eq!(names(&*held.root()), ["f"]);
        assert!(!asked.is_finished());
        drop(go_on);
        assert_eq!(asked.join().unwrap(), Flock::Busy);
    });
}

#[test]
fn clocks_go_wrong_one_by_one() {
    let _time = SimTime::begin();
    let disk = SimDisk::new();
    let file = disk.process("a").root().create("f").unwrap();
    let before = (file.fresh().unwrap().mtime, crate::clock::wall_millis());
    disk.turn_back(Duration::from_secs(3600));
    file.touch().unwrap();
    assert!(file.fresh().unwrap().mtime + Duration::from_secs(3599) < before.0);
    assert_eq!(crate::clock::wall_millis(), before.1);
    sim::set_wall_wrong_by(-3600);
    assert_eq!(crate::clock::wall_millis(), before.1 - 3_600_000);
    sim::set_wall_wrong_by(3600);
    assert_eq!(crate::clock::wall_millis(), before.1 + 3_600_000);
}
