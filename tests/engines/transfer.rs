use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::site::{Knob, Site};
use crate::wait::{LONG, wait_until};

const LARGE: usize = 32 << 20;

/// Names and contents below a directory; links by their targets.
fn tree(top: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().as_os_str().as_bytes().to_vec();
            let seen = path.symlink_metadata().unwrap();
            let what = if seen.is_symlink() {
                std::fs::read_link(&path).unwrap().into_os_string().into_vec()
            } else if seen.is_dir() {
                open.push(path);
                b"directory".to_vec()
            } else {
                std::fs::read(&path).unwrap()
            };
            found.insert(name, what);
        }
    }
    found
}

fn hostile(top: &Path) {
    std::fs::create_dir_all(top.join("a dir/-rf")).unwrap();
    let names: [&[u8]; 8] = [
        b"plain",
        b"new\nline\n",
        b"'quote' \"double\"",
        b"$(touch owned)",
        b"-n",
        b"\\0101",
        b"\xff\xfe",
        b"a dir/-rf/*",
    ];
    for (number, name) in names.iter().enumerate() {
        std::fs::write(top.join(OsStr::from_bytes(name)), vec![7; number * 1000]).unwrap();
    }
    std::os::unix::fs::symlink("plain", top.join("link")).unwrap();
}

fn part(home: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(home).ok()?.flatten();
    entries
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with(".part"))
}

fn cp(site: &Site, arguments: &[&str]) -> Output {
    site.command("flockwork")
        .args(["hosts", "cp", "-q"])
        .args(arguments)
        .output()
        .unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn twenty_hosts_get_their_files_but_those_that_cannot() {
    let knobs = [("h3", Knob::FullHome), ("h4", Knob::OtherKey)];
    let Some(site) = Site::with(20, &knobs) else {
        return;
    };
    let home = |host: usize| site.dir().join(format!("h{host}/home"));
    let data = site.shared().join("data");
    hostile(&data);
    let large: Vec<u8> = (0..LARGE).map(|at| ((at * at) >> 7) as u8).collect();
    std::fs::write(site.shared().join("large"), &large).unwrap();

    // The cable of one is pulled while its file grows.
    let mut command = site.command("flockwork");
    let arguments = ["hosts", "cp", "-q", "-n", "h[1-20]", "data", "large", ":"];
    command.args(arguments).args(["--retries", "0"]);
    let copy = site.start_command(command.stderr(std::process::Stdio::piped()));
    let grown = || part(&home(5)).and_then(|part| part.metadata().ok());
    wait_until("a part to grow", LONG, || {
        grown().is_some_and(|seen| (1..LARGE as u64).contains(&seen.len()))
    });
    site.cut("h5");
    let output = copy.finish();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for told in [
        "failed: h3: large: ",
        "No space left on device",
        "failed: h4: the host's key has changed",
        "failed: h5: ",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(said.contains("2 of the hosts failed"), "{said}");
    let source = tree(&data);
    for host in (1..=20).filter(|host| ![3, 4, 5].contains(host)) {
        assert_eq!(tree(&home(host).join("data")), source, "h{host}");
        assert!(
            std::fs::read(home(host).join("large")).unwrap() == large,
            "h{host}"
        );
    }
    let length = grown().expect("the part of h5 stays").len();
    assert!(!home(5).join("large").exists());

    // It goes on where it was.
    site.heal("h5");
    let output = cp(&site, &["-n", "h5", "data", "large", ":", "--retries", "3"]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(std::fs::read(home(5).join("large")).unwrap() == large);
    assert!(length > 0 && part(&home(5)).is_none());

    // And back.
    let output = cp(&site, &["-n", "h[1-2],h[5-20]", ":data", "back", "--divide"]);
    assert!(output.status.success(), "{}", err(&output));
    for host in [1, 2, 5, 20] {
        assert_eq!(
            tree(&site.shared().join(format!("back/h{host}/data"))),
            source,
            "h{host}"
        );
    }
    let output = cp(&site, &["-n", "h[1-2]", ":data", "mixed"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("is on h1 and on h2"), "{}", err(&output));
    assert!(!site.shared().join("mixed").exists());
}

#[test]
fn hosts_send_on_what_they_have_and_one_that_goes_is_no_loss() {
    let names: Vec<String> = (1..=12).map(|host| format!("h{host}")).collect();
    // One knows nobody, and cannot send on.
    let peers = names.iter().filter(|name| *name != "h2");
    let mut knobs: Vec<_> = peers.map(|name| (name.as_str(), Knob::Peers)).collect();
    knobs.push(("h12", Knob::OtherKey));
    let Some(site) = Site::with(12, &knobs) else {
        return;
    };
    let home = |host: usize| site.dir().join(format!("h{host}/home"));
    let data = site.shared().join("data");
    hostile(&data);
    let large: Vec<u8> = (0..LARGE).map(|at| ((at * at) >> 7) as u8).collect();
    std::fs::write(site.shared().join("large"), &large).unwrap();

    let mut command = site.command("flockwork");
    let arguments = [
        "hosts", "cp", "-q", "--tree", "-n", "h[1-12]", "data", "large", ":in",
    ];
    command
        .args(arguments)
        .args(["--format", "json", "--stall", "20s"]);
    command.stdout(std::process::Stdio::piped());
    let copy = site.start_command(command.stderr(std::process::Stdio::piped()));
    // The first that has everything may be sending: its cable is pulled.
    let gone = wait_until("a host to have everything", LONG, || {
        (1..=11)
            .find(|host| home(*host).join("in/large").exists())
            .ok_or(())
    });
    site.cut(&format!("h{gone}"));
    let output = copy.finish();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("failed: h12: the host's key has changed"), "{said}");
    let source = tree(&data);
    for host in (1..=11).filter(|host| *host != gone) {
        assert_eq!(tree(&home(host).join("in/data")), source, "h{host}\n{said}");
        assert!(
            std::fs::read(home(host).join("in/large")).unwrap() == large,
            "h{host}\n{said}"
        );
        assert_eq!(part(&home(host).join("in")), None, "h{host}");
    }
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let hosts = told["hosts"].as_array().unwrap();
    let from: Vec<_> = hosts.iter().filter_map(|host| host["from"].as_str()).collect();
    assert!(!from.is_empty() && !from.contains(&"h2"), "{from:?}\n{said}");
}

#[test]
fn a_directory_is_moved_to_five_hosts_over_one_connection_each() {
    let Some(site) = Site::new(5) else {
        return;
    };
    let images = site.shared().join("images");
    std::fs::create_dir(&images).unwrap();
    for number in 0..2_000 {
        std::fs::write(
            images.join(format!("img_{number}.fits")),
            format!("image {number}"),
        )
        .unwrap();
    }
    site.sh("head", "true");
    let owner = std::os::unix::fs::MetadataExt::uid(&site.shared().metadata().unwrap());
    std::os::unix::fs::chown(&images, Some(owner), Some(owner)).unwrap();
    let output = site
        .command("flockwork")
        .args([
            "hosts",
            "distribute",
            "-n",
            "h[1-5]",
            "images",
            "images",
            "--by",
            "index",
            "--move",
        ])
        .output()
        .unwrap();
    let said = err(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Transferred 2,000/2,000 files to 5 hosts"),
        "{said}"
    );
    assert!(said.contains("0 failed checksum"), "{said}");
    for number in 0..2_000 {
        let host = number % 5 + 1;
        let path = site.dir().join(format!("h{host}/home/images/img_{number}.fits"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("image {number}"));
    }
    let left: Vec<_> = std::fs::read_dir(&images).unwrap().collect();
    assert_eq!(left.len(), 1, "only the journal is left: {left:?}");
}
