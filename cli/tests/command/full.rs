//! A disk that is full while results are collected.

use std::process::Command;

use crate::place::{Place, STORE, names};

/// A small file system, unmounted when it is no longer looked at.
struct Small(std::path::PathBuf);

impl Small {
    /// Mounts it; `None` if that cannot be done here.
    fn mount(place: &Place) -> Option<Small> {
        let path = place.path("small");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Small(path)),
            Ok(output) => {
                eprintln!("not tried: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("not tried: no mount: {error}");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn results_that_do_not_fit_are_told_leave_nothing_and_can_be_collected_elsewhere() {
    let place = Place::new();
    let Some(small) = Small::mount(&place) else { return };
    let script = "head -c 100000 /dev/zero | tr '\\0' x; [ $FLOCKWORK_a != 9 ]";
    let line = [
        "run",
        STORE,
        "--sweep",
        "a=1..9",
        "-w",
        "1",
        "--retries",
        "0",
        "--result",
        "all=stdout",
    ];
    let said = place.run(&[&line[..], &["-o", "small/r.csv", "--", "sh", "-c", script]].concat());
    // The run is over, and says how it went; then it says what could not be written.
    assert_eq!(
        (said.code, said.counts().as_str()),
        (1, "9 tasks: 8 ok, 1 failed"),
        "{}",
        said.err
    );
    let told: Vec<&str> = said
        .err
        .lines()
        .skip_while(|line| !line.starts_with("error:"))
        .collect();
    insta::assert_snapshot!(place.masked(&told.join("\n")));
    assert!(names(&small.0).is_empty(), "{:?}", names(&small.0));

    // What was there before stays until the new file is whole.
    std::fs::write(small.0.join("r.jsonl"), "old\n").unwrap();
    let said = place.run(&["collect", STORE, "-o", "small/r.jsonl"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("No space left on device"), "{}", said.err);
    assert_eq!(names(&small.0), ["r.jsonl"]);
    assert_eq!(place.read("small/r.jsonl"), "old\n");

    let said = place.run(&["collect", STORE, "-o", "r.csv"]);
    assert_eq!(said.code, 1, "one has failed: {}", said.err);
    assert_eq!(place.read("r.csv").lines().count(), 9);
    assert_eq!(place.read("r.failed.csv").lines().count(), 2);
    drop(small);
}

#[test]
fn a_stdout_that_takes_no_more_is_told_and_one_that_nobody_reads_is_not() {
    let place = Place::new();
    place.ok(&["run", STORE, "--sweep", "a=1..3", "-w", "1", "--", "echo", "x"]);
    for line in [
        &["collect", STORE][..],
        &["ls", STORE],
        &["status", STORE],
        &["logs", STORE, "0"],
        &["man"],
    ] {
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
            eprintln!("not tried: no /dev/full");
            return;
        };
        let output = place.command(line).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line:?}: {err}");
        assert!(err.contains("No space left on device"), "{line:?}: {err}");
        // As in `flockwork ls | head`.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(line).stdout(writer).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*err), (Some(0), ""), "{line:?}");
    }
}
