use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Running, STORE, Said, kill, names, wait_until};

/// Stands for ssh: runs what it is given here, with a home for each host. Hosts do not see the program under the path
/// that it has here. `bad` lets nobody in.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do
    [ "$1" = -O ] && exit 0
    shift
done
host=$2 line=$(printf '%s' "$3" | sed 's#/here/flockwork#/elsewhere/flockwork#g')
case $host in
bad) echo 'fw@bad: Permission denied (publickey).' >&2; exit 255;;
twin*) HOME=PLACE/twin;;
*) HOME=PLACE/$host;;
esac
mkdir -p "$HOME"
export HOME
echo "Welcome to $host!"
exec sh -c "$line"
"#;

struct Site(Place);

impl Site {
    fn new() -> Site {
        let place = Place::new();
        std::fs::create_dir(place.path("here")).unwrap();
        // A link: it is the same file, under a path that hosts do not see.
        std::fs::hard_link(env!("CARGO_BIN_EXE_flockwork"), place.path("here/flockwork"))
            .or_else(|_| {
                std::fs::copy(env!("CARGO_BIN_EXE_flockwork"), place.path("here/flockwork")).map(drop)
            })
            .unwrap();
        let here = place.path("").display().to_string();
        place.write_program("ssh", &SSH.replace("PLACE/", &here));
        Site(place)
    }

    fn submit(&self, store: &str, tasks: u32) {
        let rows = format!("n=1..{tasks}");
        self.0.ok(&[
            "submit",
            store,
            "--sweep",
            &rows,
            "--",
            "sh",
            "-c",
            "sleep 0.05; echo x=$1",
            "sh",
            "{n}",
        ]);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(&[&["launch", "ssh"], arguments].concat());
        command
            .env("FLOCKWORK_SSH", self.0.path("ssh"))
            .env("XDG_RUNTIME_DIR", self.0.path("run"));
        command
    }

    fn launch(&self, arguments: &[&str]) -> Said {
        let program = self.0.path("here/flockwork").display().to_string();
        let flags = ["--program", &program, "--slots", "2"];
        Running::start(self.command(&[&[arguments[0]], &flags[..], &arguments[1..]].concat())).end()
    }

    fn after(&self, arguments: &[&str]) -> Value {
        let said = Running::start(self.command(&[arguments, &["--format", "json"]].concat())).end();
        serde_json::from_slice(&said.out)
            .unwrap_or_else(|error| panic!("{error}: {}{}", said.text(), said.err))
    }

    /// The copies in a host's home.
    fn copies(&self, home: &str) -> Vec<String> {
        names(&self.0.path(home).join(".cache/flockwork"))
    }
}

impl Drop for Site {
    /// No worker outlives its test.
    fn drop(&mut self) {
        let here = self.0.path("").into_os_string().into_encoded_bytes();
        for name in names(Path::new("/proc")) {
            let line = std::fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
            if line.windows(here.len()).any(|part| part == here)
                && let Some(pid) = name.parse().ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// A path that a shell would take amiss.
const HARD: &str = "it's $(touch oops) \"new\".flock";

fn states(table: &Value) -> Vec<(String, String)> {
    let rows = table["hosts"].as_array().unwrap().iter();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut states: Vec<_> = rows.map(|row| (text(row, "host"), text(row, "state"))).collect();
    states.sort();
    states
}

#[test]
fn hosts_that_share_a_home_get_one_copy_and_hosts_that_fail_are_named() {
    let site = Site::new();
    site.submit(STORE, 40);
    let said = site.launch(&[STORE, "-n", "twin[1-4],bad,h1"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err
            .contains("FAILED  bad  not authorised (fw@bad: Permission denied"),
        "{}",
        said.err
    );
    let told =
        "5 workers up with 10 slots on h1,twin[1-4]; the program was copied to 2 hosts; 1 failed, going on";
    assert!(said.err.contains(told), "{}", said.err);
    assert_eq!(site.copies("twin").len(), 1, "{:?}", site.copies("twin"));
    assert_eq!(site.copies("h1"), site.copies("twin"));
    site.0.ok(&["wait", STORE]);
    let audit = site.0.check_complete();
    assert_eq!(audit["ok"], 40, "{audit}");
    let logs = names(&site.0.path(STORE).join("logs"));
    assert!(
        logs.iter()
            .any(|name| name.starts_with("ssh-") && name.ends_with("-twin3.log")),
        "{logs:?}"
    );
}

#[test]
fn where_no_host_can_be_reached_the_code_says_so() {
    let site = Site::new();
    site.submit(STORE, 1);
    let said = site.launch(&[STORE, "-n", "bad"]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(
        said.err.contains("hint: `ssh HOST true` must work"),
        "{}",
        said.err
    );
    let said = site.launch(&["none.flock", "-n", "h1"]);
    assert_eq!(said.code, 4, "{}", said.err);
    let said = site.launch(&[STORE]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("no hosts are named"), "{}", said.err);
    let said = site.launch(&[STORE, "-n", "-oProxyCommand=touch oops"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!site.0.has("oops"));
}

#[test]
fn workers_are_asked_after_and_sent_away_and_their_program_is_removed() {
    let site = Site::new();
    site.submit(STORE, 2000);
    assert_eq!(site.launch(&[STORE, "-n", "h[1-3]"]).code, 0);
    site.0.wait_for("running", 6);
    let up = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    let table = site.after(&[STORE, "--status"]);
    assert_eq!(states(&table), [up("h1", "up"), up("h2", "up"), up("h3", "up")]);
    let rows = table["hosts"].as_array().unwrap();
    let second = rows.iter().find(|row| row["host"] == "h2").unwrap();
    kill(
        second["pid"].as_u64().unwrap() as u32,
        rustix::process::Signal::KILL,
    );
    wait_until("h2 to be seen as gone", || {
        let table = site.after(&[STORE, "--status"]);
        match states(&table)[1].1 == "gone" {
            true => Ok(()),
            false => Err(table.to_string()),
        }
    });
    assert_eq!(site.copies("h2").len(), 1);
    let table = site.after(&[STORE, "--stop", "--remove-program"]);
    assert_eq!(
        states(&table),
        [up("h1", "left"), up("h2", "gone"), up("h3", "left")]
    );
    for home in ["h1", "h2", "h3"] {
        assert_eq!(site.copies(home), [""; 0], "{home}");
    }
    let audit = site.0.json(&["audit", STORE]);
    assert_eq!(audit["verdict"], "sound", "{audit}");
    assert!(audit["open"].as_u64().unwrap() > 0, "{audit}");
}

#[test]
fn the_last_worker_that_leaves_removes_the_program() {
    let site = Site::new();
    site.submit(STORE, 100);
    let said = site.launch(&[STORE, "-n", "twin[1-3]", "--remove-program"]);
    assert_eq!(said.code, 0, "{}", said.err);
    site.0.ok(&["wait", STORE]);
    wait_until("the copy to be removed", || match site.copies("twin") {
        copies if copies.is_empty() => Ok(()),
        copies => Err(format!("{copies:?}")),
    });
    assert_eq!(site.0.check_complete()["ok"], 100);
}

#[test]
fn a_damaged_copy_and_the_lock_of_a_copy_that_died_are_replaced() {
    let site = Site::new();
    site.submit(STORE, 2000);
    assert_eq!(site.launch(&[STORE, "-n", "h1"]).code, 0);
    let name = site.copies("h1").remove(0);
    site.after(&[STORE, "--stop"]);
    let copy = site.0.path("h1/.cache/flockwork").join(&name);
    let whole = std::fs::read(&copy).unwrap();
    std::fs::write(&copy, &whole[..whole.len() - 1]).unwrap();
    let lock = site.0.path("h1/.cache/flockwork").join(format!("{name}.lock"));
    std::fs::create_dir(&lock).unwrap();
    let touched = Command::new("touch")
        .args(["-d", "10 minutes ago"])
        .arg(&lock)
        .status();
    assert!(touched.unwrap().success());
    let said = site.launch(&[STORE, "-n", "h1"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("copied to 1 host"), "{}", said.err);
    assert_eq!(std::fs::read(&copy).unwrap().len(), whole.len());
    assert_eq!(site.copies("h1"), [name]);
}

#[test]
fn words_for_shells_in_the_path_of_the_store_are_only_a_path() {
    let site = Site::new();
    site.submit(HARD, 5);
    let said = site.launch(&[HARD, "-n", "h1", "--", "--idle-exit", "1m"]);
    assert_eq!(said.code, 0, "{}", said.err);
    site.0.ok(&["wait", HARD]);
    let log = site.0.path(HARD).join("logs/ssh-000001-h1.log");
    wait_until("the worker's last words", || {
        match std::fs::read_to_string(&log) {
            Ok(text) if text.contains("5 ok") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(!site.0.has("oops") && !Path::new("/oops").exists());
}

#[test]
fn a_worker_that_ends_at_once_is_told_with_its_last_words() {
    let site = Site::new();
    site.0
        .ok(&["submit", STORE, "--mem", "1G", "--sweep", "n=1", "--", "true"]);
    let said = site.launch(&[STORE, "-n", "h1", "--", "--offer-mem", "1M"]);
    assert_eq!(said.code, 7, "{}", said.err);
    let told = "FAILED  h1  the worker ended at once with status 2: error: a task needs 1.0 GiB of memory";
    assert!(said.err.contains(told), "{}", said.err);
    let said = site.launch(&[STORE, "-n", "h1", "--", "--no-such-flag"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("no worker would understand its flags"),
        "{}",
        said.err
    );
}

#[test]
fn what_would_be_run_can_be_shown() {
    let site = Site::new();
    site.submit(STORE, 1);
    let said = site.launch(&[STORE, "-n", "ana@h1:2222,h2:7", "--print"]);
    let text = site.0.placed(&said.text());
    let line = "ssh -p 2222 ana@h1 'nohup HERE/here/flockwork worker HERE/s.flock --slots 2 </dev/null >/dev/null 2>&1 &'";
    assert_eq!(text.lines().next(), Some(line));
    assert!(text.contains("ssh h2 ") && text.contains("--slots 7"), "{text}");
}

#[test]
fn one_command_submits_launches_waits_and_collects() {
    let site = Site::new();
    let program = site.0.path("here/flockwork").display().to_string();
    let launch = format!("ssh -n h[1-2],bad --slots 2 --program {program}");
    let mut command = site.0.command(&[
        "run", STORE, "--sweep", "n=1..60", "-o", "r.csv", "--launch", &launch,
    ]);
    let task = "until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.05; done; echo x=$1";
    command.args(["--", "sh", "-c", task, "sh", "{n}"]);
    command.env("FLOCKWORK_SSH", site.0.path("ssh"));
    let running = Running::start(command);
    // A worker works before it is noted.
    let pid = wait_until("a worker to be noted", || {
        let said = Running::start(site.command(&[STORE, "--status", "--format", "json"])).end();
        let table: Value = serde_json::from_slice(&said.out).unwrap_or_default();
        table["hosts"][0]["pid"].as_u64().ok_or(said.err)
    });
    site.0.wait_for("running", 4);
    kill(pid as u32, rustix::process::Signal::KILL);
    site.0.write("go", "");
    let said = running.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("FAILED  bad"), "{}", said.err);
    assert!(said.counts().starts_with("60 tasks: 60 ok"), "{}", said.err);
    assert_eq!(site.0.read("r.csv").lines().count(), 61);
    for (words, code) in [
        ("ssh -n bad", 7),
        ("slurm --print", 2),
        ("teleport", 2),
        ("ssh 'n", 2),
    ] {
        let mut command = site.0.command(&[
            "run", "t.flock", "--sweep", "n=1", "--launch", words, "--", "true",
        ]);
        command.env("FLOCKWORK_SSH", site.0.path("ssh"));
        let said = Running::start(command).end();
        assert_eq!(said.code, code, "{words}: {}", said.err);
    }
}
