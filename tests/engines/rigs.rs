//! The rigs themselves: what a cut, a kill and a freeze do, and that nothing stays behind.

use std::process::{Command, Stdio};

use crate::site::{Knob, Site, missing, ok};
use crate::wait::{LONG, wait_until};

/// What a command on the head says when it cannot reach a host, with ssh's own status.
fn refused(site: &Site, host: &str) -> String {
    let output = site.command("ssh").args([host, "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(255), "{host}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn hosts_share_one_directory_and_nothing_else() {
    let Some(site) = Site::new(3) else { return };
    let shared = site.shared();
    let name = |host: &str| site.sh("head", &format!("ssh {host} 'hostname; id -un'"));
    assert_eq!(name("h1"), "h1\nfw\n");
    assert_eq!(name("h3"), "h3\nfw\n");
    // What a user with a configuration of their own would do.
    let config = site.ssh_config();
    let config = ["-F", config.to_str().unwrap(), "h2", "hostname"];
    assert_eq!(ok(site.command("ssh").args(config)), "h2\n");
    assert_eq!(ok(site.as_root("h2", "id").arg("-un")), "root\n");
    site.sh(
        "h1",
        "echo one >seen; echo one >/tmp/own; echo one >/var/tmp/own; echo one >~/own",
    );
    assert_eq!(std::fs::read_to_string(shared.join("seen")).unwrap(), "one\n");
    assert_eq!(
        site.sh("h2", "cat seen; ls /tmp ~; flockwork --version >&2"),
        "one\n/home/fw:\n\n/tmp:\n"
    );
}

#[test]
fn special_hosts() {
    let knobs = [
        ("h1", Knob::OtherKey),
        ("h2", Knob::NoLogin),
        ("h3", Knob::NoSshd),
        ("h4", Knob::NoBinary),
        ("h5", Knob::FullHome),
        ("h6", Knob::SharedHome),
        ("h7", Knob::SharedHome),
    ];
    let Some(site) = Site::with(7, &knobs) else { return };
    assert!(refused(&site, "h1").contains("Host key verification failed"));
    assert!(refused(&site, "h2").contains("Permission denied"));
    assert!(refused(&site, "h3").contains("Connection refused"));
    assert_eq!(
        site.sh("head", "ssh h4 'command -v flockwork || echo none'"),
        "none\n"
    );
    assert_eq!(
        site.sh("head", "ssh h5 'echo more >~/file' 2>&1 || echo full")
            .lines()
            .last(),
        Some("full")
    );
    site.sh("h6", "echo six >~/file");
    assert_eq!(site.sh("h7", "cat ~/file"), "six\n");
}

#[test]
fn a_host_is_cut_off_freezes_and_loses_its_power() {
    let Some(site) = Site::new(2) else { return };
    let is_alive = || {
        site.sh("h1", "ps ax -o args | grep -c '^sleep 777' || true")
            .trim()
            == "1"
    };
    site.sh("head", "ssh h1 'setsid sleep 777 </dev/null >/dev/null 2>&1 &'");
    site.cut("h1");
    refused(&site, "h1");
    site.heal("h1");
    site.sh("head", "ssh h1 true");
    assert!(is_alive());

    site.freeze("h1");
    let words = ["2", "ssh", "h1", "true"];
    let output = site.command("timeout").args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(124), "it hangs: {output:?}");
    site.thaw("h1");
    site.sh("head", "ssh h1 true");
    assert!(is_alive());

    site.kill("h1");
    refused(&site, "h1");
    site.sh("head", "ssh h2 true");
    site.start("h1");
    site.sh("head", "ssh h1 true");
    assert!(!is_alive());
}

#[test]
fn signals_reach_what_was_started() {
    let Some(site) = Site::new(1) else { return };
    let script = "trap 'echo got TERM; exit 3' TERM; echo ready >ready; while :; do sleep 0.05; done";
    let mut command = site.on("h1", "bash");
    let running = site.start_command(command.args(["-c", script]).stdout(Stdio::piped()));
    wait_until("the script", LONG, || site.shared().join("ready").exists());
    running.signal("TERM");
    let output = running.finish();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"got TERM\n");
}

/// Twenty hosts, whose test is killed: the processes end by themselves, and the files go.
#[test]
fn nothing_stays_when_the_test_is_killed() {
    const ROLE: &str = "FLOCKWORK_ENGINES_VICTIM";
    if let Some(place) = std::env::var_os(ROLE) {
        let site = Site::new(20).unwrap();
        std::fs::write(place, site.dir().to_str().unwrap()).unwrap();
        std::thread::park();
        return;
    }
    if let Some(why) = missing() {
        println!("skipped: {why}");
        return;
    }
    let place = tempfile::NamedTempFile::new().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["rigs::nothing_stays_when_the_test_is_killed", "--exact"])
        .env(ROLE, place.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let dir = wait_until("twenty hosts", LONG, || {
        std::fs::read_to_string(place.path())
            .ok()
            .filter(|dir| !dir.is_empty())
    });
    assert!(
        processes(&dir) > 40,
        "the hosts' own scripts bear the name of the site"
    );
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the end of all processes", LONG, || processes(&dir) == 0);
    wait_until("the end of the files", LONG, || {
        !std::path::Path::new(&dir).exists()
    });
    assert!(!ok(Command::new("cat").arg("/proc/mounts")).contains(&dir));
}

/// How many processes name this directory on their command line.
fn processes(dir: &str) -> usize {
    let names = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    names
        .filter(|name| {
            std::fs::read(name.path().join("cmdline"))
                .is_ok_and(|words| String::from_utf8_lossy(&words).contains(dir))
        })
        .count()
}
