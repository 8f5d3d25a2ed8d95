//! `flockwork hosts` over real sshd: hosts that are cut off, frozen, full, unknown, and what stays on them.

use std::fs::{File, read_to_string, write};
use std::process::Command;

use serde_json::Value;

use crate::site::{Knob, Running, Site};
use crate::wait::{LONG, wait_until};

/// `flockwork hosts ...` on the head; what it says goes to the files `said` and `log`, what is kept to `out`.
fn hosts(site: &Site, words: &[&str]) -> Command {
    let mut command = site.command("flockwork");
    command.arg("hosts").args(words);
    let file = |name: &str| File::create(site.shared().join(name)).unwrap();
    command.stdout(file("said")).stderr(file("log"));
    command
}

fn read(site: &Site, name: &str) -> String {
    read_to_string(site.shared().join(name)).unwrap_or_default()
}

/// Waits until the log has the words.
#[track_caller]
fn wait_for(site: &Site, words: &str) {
    wait_until(words, LONG, || read(site, "log").contains(words));
}

/// Waits until each of these hosts has told that the command runs there.
fn wait_for_beginning(site: &Site, numbers: impl Iterator<Item = usize> + Clone) {
    wait_until("the command on all hosts", LONG, || {
        numbers
            .clone()
            .all(|number| site.shared().join(format!("began-h{number}")).exists())
    });
}

/// The processes of a host whose command line has the word.
fn processes(site: &Site, host: &str, word: &str) -> String {
    // The first letter in brackets, so that the search does not find itself.
    let (first, rest) = word.split_at(1);
    site.sh(
        host,
        &format!("ps ax -o pid,args | grep '[{first}]{rest}' || true"),
    )
}

fn code(running: Running) -> Option<i32> {
    running.finish().status.code()
}

#[test]
fn twenty_hosts_of_which_some_are_in_trouble() {
    let knobs = [("h3", Knob::OtherKey), ("h7", Knob::FullHome)];
    let Some(site) = Site::with(20, &knobs) else {
        return;
    };
    write(site.shared().join("data"), vec![b'x'; 200_000]).unwrap();
    let script = "cd \"$1\"; touch began-$FLOCKWORK_HOST; until [ -e go ]; do sleep 0.05; done; \
                  test $FLOCKWORK_HOST != h13 || exit 255; cksum <\"$2\"";
    let shared = site.shared().display().to_string();
    let line = [
        "run",
        "-n",
        "h[1-20]",
        "-r",
        "work",
        "-f",
        "data",
        "--heartbeat",
        "1s",
        "--dead-after",
        "3s",
        "--",
        "sh",
        "-c",
        script,
        "-",
        &shared,
        "{file}",
    ];
    let running = site.start_command(&mut hosts(&site, &line));
    wait_for_beginning(&site, (1..=20).filter(|number| ![3, 7].contains(number)));

    site.freeze("h9");
    site.cut("h5");
    site.cut("h11");
    for host in ["h9", "h5", "h11"] {
        wait_for(&site, &format!("DEAD  {host}  no sign for 3.0s"));
    }
    site.thaw("h9");
    site.heal("h5");
    for host in ["h9", "h5"] {
        wait_for(&site, &format!("BACK  {host}  reports again"));
    }
    write(site.shared().join("go"), "").unwrap();
    assert_eq!(code(running), Some(1));

    let log = read(&site, "log");
    assert!(
        log.contains("20 hosts: 16 ok, 2 failed, 1 dead, 1 unreached"),
        "{log}"
    );
    assert!(
        log.contains("FAIL  h7  cannot copy data") && log.contains("No space left"),
        "{log}"
    );
    assert!(log.contains("FAIL  h3  the host's key has changed"), "{log}");
    assert!(log.contains("FAIL  h13  exit 255"), "{log}");
    assert!(log.contains("h[1-2,4-6,8-10,12,14-20]  ok"), "{log}");
    assert!(read(&site, "out/h11/status").starts_with("dead no sign for "));
    assert_eq!(read(&site, "out/h9/status"), "ok exit 0\n");
    assert!(read(&site, "out/h9/stdout").ends_with(" 200000\n"));
}

#[test]
fn an_interrupt_leaves_nothing_on_the_hosts_and_neither_does_a_broken_connection() {
    let Some(site) = Site::new(4) else { return };
    std::fs::write(site.shared().join("data"), "data").unwrap();
    let shared = site.shared().display().to_string();
    // The command of h2 takes no notice of TERM, and what it has started neither.
    let script = "test $FLOCKWORK_HOST != h2 || trap '' TERM; sleep 4242 & touch \"$1\"/began-$FLOCKWORK_HOST; \
                  wait; sleep 4242";
    let line = [
        "run", "-n", "h[1-3]", "-f", "data", "--grace", "1s", "--", "sh", "-c", script, "-", &shared,
    ];
    let running = site.start_command(&mut hosts(&site, &line));
    wait_for_beginning(&site, 1..=3);
    assert!(processes(&site, "h2", "sleep 4242").contains("sleep"));
    running.signal("INT");
    assert_eq!(code(running), Some(130), "{}", read(&site, "log"));
    for host in ["h1", "h2", "h3"] {
        assert_eq!(processes(&site, host, "sleep 4242"), "", "{host}");
        wait_until("the executor to end", LONG, || {
            processes(&site, host, "FLOCKWORK_HOST").is_empty()
        });
        assert_eq!(site.sh(host, "ls -A /tmp"), "", "{host}");
    }
    assert_eq!(
        read(&site, "out/h1/status"),
        "stopped by a signal here, exit 143 (TERM)\n"
    );
    assert_eq!(
        read(&site, "out/h2/status"),
        "stopped by a signal here, exit 137 (KILL)\n"
    );

    // All connections break at once, with their controller.
    for number in 1..=3 {
        std::fs::remove_file(site.shared().join(format!("began-h{number}"))).unwrap();
    }
    let running = site.start_command(&mut hosts(&site, &line));
    wait_for_beginning(&site, 1..=3);
    running.signal("KILL");
    running.finish();
    for host in ["h1", "h2", "h3"] {
        wait_until("the command to end", LONG, || {
            processes(&site, host, "sleep 4242").is_empty()
        });
        wait_until("the directory to go", LONG, || {
            site.sh(host, "ls -A /tmp").is_empty()
        });
    }
}

#[test]
fn names_that_try_to_be_options_are_refused() {
    let Some(site) = Site::new(1) else { return };
    let mark = site.shared().join("pwned");
    let word = format!("-oProxyCommand=touch {}", mark.display());
    write(site.shared().join("list"), format!("h1\n{word}\n")).unwrap();
    for verb in [
        ["status"].as_slice(),
        &["mkdir", "/tmp", "x"],
        &["run", "--", "true"],
    ] {
        for named in [
            format!("-n={word}"),
            "-n=@list".to_owned(),
            "--hosts=list".to_owned(),
        ] {
            let (first, rest) = verb.split_first().unwrap();
            let words = [&[first, named.as_str()], rest].concat();
            let running = site.start_command(&mut hosts(&site, &words));
            assert_eq!(code(running), Some(2), "{words:?}: {}", read(&site, "log"));
            let log = read(&site, "log");
            assert!(
                log.contains("names no host") || log.contains("cannot stand in the name"),
                "{words:?}: {log}"
            );
        }
    }
    assert!(!mark.exists());
}

#[test]
fn the_status_says_why_a_host_is_off() {
    let knobs = [
        ("h2", Knob::OtherKey),
        ("h3", Knob::NoLogin),
        ("h4", Knob::NoSshd),
    ];
    let Some(site) = Site::with(5, &knobs) else { return };
    site.cut("h5");
    let status = |more: &[&str]| -> (Option<i32>, Vec<(String, String)>) {
        let words = [
            &[
                "status",
                "-n",
                "h[1-5],nix",
                "--timeout",
                "4s",
                "--format",
                "json",
            ],
            more,
        ]
        .concat();
        let code = code(site.start_command(&mut hosts(&site, &words)));
        let said: Value = serde_json::from_str(&read(&site, "said"))
            .unwrap_or_else(|error| panic!("{error}: {}", read(&site, "log")));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = said["hosts"].as_array().unwrap().iter();
        (
            code,
            rows.map(|row| (text(&row["state"]), text(&row["code"])))
                .collect(),
        )
    };
    let (code, rows) = status(&[]);
    assert_eq!(code, Some(1));
    let codes: Vec<&str> = rows.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(codes[..4], ["", "host-key-changed", "not-authorised", "refused"]);
    assert!(["timeout", "no-route"].contains(&codes[4]), "{codes:?}");
    assert_eq!(codes[5], "unknown-host");
    assert_eq!(rows[0].0, "ON");

    let (_, rows) = status(&["--ping"]);
    let states: Vec<&str> = rows.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(states[..3], ["ON", "ON", "ON"]);
    assert_eq!(states[4..], ["OFF", "OFF"]);
}

#[test]
fn a_directory_is_made_on_real_hosts() {
    let Some(site) = Site::with(3, &[("h2", Knob::NoSshd)]) else {
        return;
    };
    site.sh("h3", "mkdir ~/new");
    let running = site.start_command(&mut hosts(
        &site,
        &["mkdir", "-n", "h[1-3]", ".", "new", "--format", "plain"],
    ));
    assert_eq!(code(running), Some(1), "{}", read(&site, "log"));
    let said = read(&site, "said");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "h1\tmade\t/home/fw/new\t");
    assert!(
        lines[1].starts_with("h2\tunreached\t\tthe connection is refused"),
        "{said}"
    );
    assert_eq!(
        lines[2],
        "h3\texists\t/home/fw/new\tthe directory is there already"
    );
    assert_eq!(site.sh("h1", "ls ~"), "new\n");
}
