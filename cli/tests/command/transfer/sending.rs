use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::site::{Site, bytes, parts, tree};

/// Names that something on the way could take amiss.
pub(super) fn hostile(site: &Site, top: &str) {
    let top = site.here(top);
    std::fs::create_dir_all(top.join("a dir/-rf")).unwrap();
    std::fs::create_dir_all(top.join("empty")).unwrap();
    let long = vec![b'n'; 255];
    let names: [&[u8]; 14] = [
        b"plain",
        b"with blank",
        b"new\nline\n",
        b"'quote' \"double\"",
        b"$(touch owned)",
        b"`touch owned`",
        b"-n",
        b"--",
        b"\\0101\\n",
        b"*?[a-z]",
        b"\xff\xfe",
        b"~",
        b"a dir/-rf/\x1b[2J",
        &long,
    ];
    for (number, name) in names.iter().enumerate() {
        std::fs::write(top.join(OsStr::from_bytes(name)), bytes(number * 1000)).unwrap();
    }
    std::fs::write(top.join("large"), bytes((3 << 20) + 17)).unwrap();
    std::fs::set_permissions(top.join("plain"), std::fs::Permissions::from_mode(0o751)).unwrap();
    std::fs::set_permissions(top.join("empty"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let touched = std::process::Command::new("touch")
        .args(["-d", "@951782399"])
        .arg(top.join("plain"))
        .status();
    assert!(touched.unwrap().success());
    symlink("plain", top.join("link")).unwrap();
    symlink("-x\n", top.join("a dir/dangling")).unwrap();
}

#[test]
fn a_hostile_tree_arrives_as_it_is_and_comes_back_so() {
    let site = Site::new(3);
    hostile(&site, "data");
    // Another shell, and a dd that cannot read full blocks.
    site.fault(2, "shell", "bash --posix");
    let bin = site.here("hosts/n3.bin");
    std::fs::create_dir(&bin).unwrap();
    let dd = "#!/bin/sh\ncase \"$*\" in *iflag*) echo 'dd: unknown operand' >&2; exit 1;; esac\nPATH=${PATH#*:}\nexec dd \"$@\"\n";
    std::fs::write(bin.join("dd"), dd).unwrap();
    std::fs::set_permissions(bin.join("dd"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = site.ok("cp", &["data", ":in/to here"]);
    assert!(said.err.contains("3 hosts: 51/51 files"), "{}", said.err);
    let source = tree(&site.here("data"));
    for host in 1..=3 {
        assert_eq!(tree(&site.there(host, "in/to here/data")), source, "n{host}");
        assert_eq!(site.connections(host), 1);
        assert!(!site.there(host, "in/to here/owned").exists() && !site.there(host, "owned").exists());
    }
    let before = site.there(1, "in/to here/data/large").metadata().unwrap().ino();
    let said = site.ok("cp", &["data", ":in/to here"]);
    assert!(
        said.err.contains("0 B · 0 failed checksum · 51 same"),
        "{}",
        said.err
    );
    assert_eq!(
        site.there(1, "in/to here/data/large").metadata().unwrap().ino(),
        before
    );
    site.ok("cp", &[":in/to here/data", "back", "--divide"]);
    for host in 1..=3 {
        assert_eq!(tree(&site.here(&format!("back/n{host}/data"))), source, "n{host}");
    }
    let said = site.ok("cp", &[":in/to here/data", "back", "--divide"]);
    assert!(said.err.contains("51 same"), "{}", said.err);
}

#[test]
fn what_was_cut_goes_on_where_it_was() {
    let site = Site::new(2);
    let content = bytes(5 << 20);
    site.place.write("f", &content);
    site.fault(2, "cut", "2500000");
    let err = site.fails("cp", &["f", ":", "--retries", "0"]);
    assert!(err.contains("failed: n2: the connection broke"), "{err}");
    assert!(err.contains("2 hosts: 1/2 files"), "{err}");
    assert!(!site.there(2, "f").exists());
    let left = parts(&site.there(2, ""));
    let length = left[0].metadata().unwrap().len();
    assert!((1 << 20..5 << 20).contains(&length), "{length}");
    // The second run sends the rest, and nothing of what is there.
    site.fault(2, "count", "");
    site.ok("cp", &["f", ":"]);
    let sent = site.here("hosts/n2.count").metadata().unwrap().len();
    let rest = (5 << 20) - length;
    assert!((rest..rest + 10_000).contains(&sent), "{sent} of {rest}");
    assert_eq!(std::fs::read(site.there(2, "f")).unwrap(), content);
    assert!(parts(&site.there(2, "")).is_empty());
    // A part that is not what the source begins with is not gone on with.
    std::fs::remove_file(site.there(2, "f")).unwrap();
    site.fault(2, "cut", "2500000");
    site.fails("cp", &["f", ":", "--retries", "0"]);
    let left = parts(&site.there(2, ""));
    std::fs::write(&left[0], "something else").unwrap();
    site.ok("cp", &["f", ":"]);
    assert_eq!(std::fs::read(site.there(2, "f")).unwrap(), content);
    // One run can do both.
    std::fs::remove_file(site.there(2, "f")).unwrap();
    site.fault(2, "cut", "2500000");
    site.ok("cp", &["f", ":", "--retries", "1"]);
    assert_eq!(std::fs::read(site.there(2, "f")).unwrap(), content);
}

#[test]
fn a_byte_that_changed_on_the_way_is_noticed() {
    let site = Site::new(2);
    site.place.write("f", bytes(100_000));
    site.place.write("g", b"good");
    site.fault(1, "spoil", "");
    let err = site.fails("cp", &["f", "g", ":", "--retries", "1"]);
    assert!(err.contains("failed: n1: f: checksum differs"), "{err}");
    assert!(err.contains("2 hosts: 3/4 files"), "{err}");
    assert!(err.contains("1 failed checksum"), "{err}");
    assert!(!site.there(1, "f").exists() && site.there(1, "g").exists());
    assert!(parts(&site.there(1, "")).is_empty());
    site.mend(1, "spoil");
    site.fault(1, "spoil-once", "");
    site.ok("cp", &["f", "g", ":", "--retries", "1"]);
    assert_eq!(std::fs::read(site.there(1, "f")).unwrap(), bytes(100_000));
}

#[test]
fn a_disk_that_is_full_is_named_and_the_others_go_on() {
    let site = Site::new(3);
    let content = bytes(4 << 20);
    site.place.write("f", &content);
    site.place.write("small", b"x");
    site.fault(3, "full", "3000");
    // One connection is enough: what was on its way is not taken for requests.
    let said = site.run("cp", &["f", "small", ":", "--format", "json", "--retries", "0"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("failed: n3: f: dd: "), "{}", said.err);
    let told: serde_json::Value = serde_json::from_slice(&said.out).unwrap();
    assert_eq!(told["schema"], "flockwork.transfer/1");
    let third = &told["hosts"][2];
    assert_eq!(
        (&third["host"], &third["ok"]),
        (&"n3".into(), &false.into()),
        "{third}"
    );
    assert_eq!(
        (&third["files"], &third["done"]),
        (&2.into(), &1.into()),
        "{third}"
    );
    assert_eq!(third["failed"][0]["name"], "f");
    assert_eq!(told["hosts"][0]["ok"], true);
    assert!(!site.there(3, "f").exists() && site.there(3, "small").exists());
    // What fitted is gone on with when there is room.
    let length = parts(&site.there(3, ""))[0].metadata().unwrap().len();
    assert!(length >= 1 << 20, "{length}");
    site.mend(3, "full");
    site.ok("cp", &["f", "small", ":"]);
    assert_eq!(std::fs::read(site.there(3, "f")).unwrap(), content);
}

#[test]
fn why_no_file_can_be_made_is_told() {
    // Nobody may make a file there, not even root.
    let dir = "/sys/kernel";
    let own = std::fs::File::create_new(format!("{dir}/flockwork-test"));
    let own = own.expect_err("it can be made").to_string();
    let Some((reason, _)) = own.split_once(" (os error") else {
        panic!("{own}")
    };
    if !std::path::Path::new(dir).is_dir() {
        println!("skipped: there is no {dir}");
        return;
    }
    let site = Site::new(2);
    site.place.write("f: g", "x");
    site.fault(2, "shell", "bash --posix");
    let err = site.fails("cp", &["f: g", &format!(":{dir}")]);
    for host in ["n1", "n2"] {
        let told = format!("failed: {host}: f: g: no file can be made in its directory: {reason}\n");
        assert!(err.contains(&told), "{err}");
    }
}

#[test]
fn nothing_is_written_through_a_link_there() {
    let site = Site::new(1);
    std::fs::create_dir_all(site.here("data/dir")).unwrap();
    site.place.write("data/dir/x", "theirs");
    site.place.write("data/f", "theirs");
    site.place.write("data/g", "theirs");
    std::fs::create_dir_all(site.here("outside")).unwrap();
    site.place.write("outside/f", "mine");
    std::fs::create_dir_all(site.there(1, "data/g")).unwrap();
    symlink(site.here("outside"), site.there(1, "data/dir")).unwrap();
    symlink(site.here("outside/f"), site.there(1, "data/f")).unwrap();
    let err = site.fails("cp", &["data", ":"]);
    for told in [
        "data/dir: a link is in its place",
        "data/dir/x: its directory is a link",
        "data/f: a link is in its place",
        "data/g: a directory is in its place",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
    assert_eq!(site.place.read("outside/f"), "mine");
    assert_eq!(crate::place::names(&site.here("outside")), ["f"]);
}

#[test]
fn who_is_not_there_is_named_and_asked_once() {
    let site = Site::new(2);
    site.place.write("f", "x");
    std::fs::remove_dir(site.there(2, "")).unwrap();
    let err = site.fails("cp", &["f", ":"]);
    assert!(err.contains("failed: n2: the name is not known"), "{err}");
    assert!(err.contains("2 hosts: 1/2 files"), "{err}");
    for (words, told) in [
        (&["f", "d"][..], "neither side"),
        (&[":f", ":d"], "both sides"),
        (&[":f", "f", "d"], "some sources"),
        (&["f", ":d", "--divide"], "--divide"),
        (&[":..", "d"], "does not end with a name"),
    ] {
        let said = site.run("cp", words);
        assert_eq!(said.code, 2, "{words:?} {}", said.err);
        assert!(
            said.err.contains(told) && said.err.contains("hint: "),
            "{}",
            said.err
        );
    }
}

/// 4 GiB and a bit, most of it a hole: sizes must not be cut to 32 bits anywhere.
#[test]
fn a_file_of_more_than_4_gib() {
    if std::env::var_os("FLOCKWORK_TEST_LARGE").is_none() {
        eprintln!("skipped: it writes 8 GiB; FLOCKWORK_TEST_LARGE=1 runs it");
        return;
    }
    let site = Site::new(1);
    let length = (4 << 30) + 5;
    let file = std::fs::File::create(site.here("f")).unwrap();
    file.set_len(length).unwrap();
    site.ok("cp", &["f", ":"]);
    assert_eq!(site.there(1, "f").metadata().unwrap().len(), length);
    site.ok("cp", &[":f", "back"]);
    assert_eq!(site.here("back/f").metadata().unwrap().len(), length);
}
