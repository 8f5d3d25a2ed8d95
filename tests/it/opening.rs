//! Making and opening stores: what is in the way is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use flockwork::{Error, ErrorKind, Sharing, Store, StoreConfig};

use crate::errands::{Act, Plan};
use crate::processes::{Site, quick};

fn open_or_create(path: &Path) -> Result<Store, Error> {
    Store::open_or_create(path, &StoreConfig::default())
}

/// What every error of these has: its kind, the path, and a hint.
#[track_caller]
fn refused(answer: Result<Store, Error>, kind: ErrorKind, path: &Path) -> Error {
    let error = answer.expect_err("it was opened");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.hint().is_some(), "no hint: {error}");
    error
}

#[test]
fn what_is_no_store_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    refused(Store::open(path("none")), ErrorKind::Missing, &path("none"));
    refused(open_or_create(&path("none/x")), ErrorKind::Io, &path("none/x"));
    fs::write(path("file"), "text").unwrap();
    refused(Store::open(path("file")), ErrorKind::NotAStore, &path("file"));
    refused(open_or_create(&path("file")), ErrorKind::NotAStore, &path("file"));
    refused(open_or_create(&path("file/x")), ErrorKind::Io, &path("file/x"));
    fs::create_dir(path("other")).unwrap();
    fs::write(path("other/thesis.tex"), "text").unwrap();
    refused(Store::open(path("other")), ErrorKind::NotAStore, &path("other"));
    refused(
        open_or_create(&path("other")),
        ErrorKind::NotAStore,
        &path("other"),
    );
    let made = Store::create(path("other"), &StoreConfig::default());
    refused(made, ErrorKind::AlreadyThere, &path("other"));
    assert_eq!(fs::read_dir(path("other")).unwrap().count(), 1);
}

#[test]
fn an_empty_directory_and_an_unfinished_store_become_one() {
    let place = tempfile::tempdir().unwrap();
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let id = open_or_create(&empty).unwrap().id().to_owned();
    assert_eq!(open_or_create(&empty).unwrap().id(), id);
    let again = Store::create(&empty, &StoreConfig::default());
    refused(again, ErrorKind::AlreadyThere, &empty);
    let unfinished = place.path().join("unfinished");
    fs::create_dir_all(unfinished.join("rounds")).unwrap();
    fs::write(unfinished.join(".store.0123.tmp"), "{").unwrap();
    open_or_create(&unfinished).unwrap();
}

#[test]
fn a_newer_format_and_a_damaged_description_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.flock");
    open_or_create(&path).unwrap();
    let file = path.join("store.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"format\": 1", "\"format\": 99", 1)).unwrap();
    for answer in [Store::open(&path), open_or_create(&path)] {
        let error = refused(answer, ErrorKind::NewerFormat, &path);
        assert!(error.to_string().contains("format 99"), "{error}");
    }
    // What a newer format holds beside its number need not make sense to us.
    fs::write(&file, "{\"format\": 2, \"settings\": [7]}").unwrap();
    refused(Store::open(&path), ErrorKind::NewerFormat, &path);
    for damaged in [
        "",
        "{",
        "[]",
        "{\"format\":1}",
        &text[..text.len() / 2],
        "\u{0}\u{0}\u{0}",
    ] {
        fs::write(&file, damaged).unwrap();
        refused(Store::open(&path), ErrorKind::Damaged, &file);
        refused(open_or_create(&path), ErrorKind::Damaged, &file);
    }
    fs::write(&file, text).unwrap();
    Store::open(&path).unwrap();
}

#[test]
fn a_read_only_place_is_named() {
    let place = tempfile::tempdir().unwrap();
    let locked = place.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let target = locked.join("x.flock");
    if rustix::process::geteuid().is_root() {
        // Modes do not stop root, a read-only mount does.
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "ro", "flockwork-test"])
            .arg(&locked)
            .output();
        if !mount.as_ref().is_ok_and(|output| output.status.success()) {
            println!("skipped: nothing can be mounted read-only here: {mount:?}");
            return;
        }
    } else {
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    }
    let answer = open_or_create(&target);
    if rustix::process::geteuid().is_root() {
        Command::new("umount").arg(&locked).status().unwrap();
    }
    let error = refused(answer, ErrorKind::Io, &target);
    let kind = error.io_error().unwrap().kind();
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    assert!(matches!(kind, PermissionDenied | ReadOnlyFilesystem), "{error}");
}

#[test]
fn a_group_store_is_open_to_the_group_whatever_the_umask() {
    let mut site = Site::new(&quick().sharing(Sharing::Group));
    site.umask = Some(0o077);
    let plan = Plan::new(
        30,
        Act::Work {
            millis: 1,
            fails_one_in: 3,
        },
    );
    let mut order = site.master(&plan);
    order.shard = 10;
    let mut master = site.start_master(order);
    let mut worker = site.start_worker(site.worker());
    // Modes are looked at while all sorts of files are there.
    let mut seen = std::collections::BTreeSet::new();
    while master.has_ended().is_none() {
        look_at_modes(site.store_path(), &mut seen);
    }
    master.ended();
    worker.good_report();
    look_at_modes(site.store_path(), &mut seen);
    for kind in ["in", "lock", "out", "done", "json"] {
        assert!(seen.contains(kind), "never seen: {kind} ({seen:?})");
    }
}

fn look_at_modes(store: &Path, seen: &mut std::collections::BTreeSet<String>) {
    for entry in walkdir::WalkDir::new(store).into_iter().filter_map(Result::ok) {
        let Ok(before) = entry.path().symlink_metadata() else {
            continue;
        };
        let name = entry.file_name().to_string_lossy();
        // Made, but not yet given its mode: a name that only its maker uses.
        if name.ends_with(".tmp") {
            continue;
        }
        let expected = if before.is_dir() { 0o2770 } else { 0o660 };
        let mode = || {
            entry
                .path()
                .symlink_metadata()
                .map(|file| file.permissions().mode() & 0o7777)
        };
        if before.permissions().mode() & 0o7777 != expected {
            // A file is made first, and gets its mode at once after that.
            let look = || match mode() {
                Ok(mode) if mode != expected => Err(format!("{} has mode {mode:o}", entry.path().display())),
                _ => Ok(()),
            };
            crate::wait::wait_until("the mode of a file", std::time::Duration::from_secs(10), look);
        }
        seen.extend(name.rsplit_once('.').map(|(_, kind)| kind.to_owned()));
    }
}
