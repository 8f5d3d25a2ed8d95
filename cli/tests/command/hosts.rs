//! The same on many hosts, over a pretended ssh that runs all of it here, in a directory of its own for each host.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::place::{Place, Running, Said, kill, lives, wait_until, wait_until_gone};

/// A host's directory may hold: `fails`, what ssh says before it ends with 255; `spoils`, which changes what is copied;
/// `cut`, at which the connection ends.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
host=$2; shift 2
mkdir -p "$HOSTS/$host/home"; cd "$HOSTS/$host" || exit 255
[ ! -e fails ] || { cat fails >&2; exit 255; }
export HOME="$PWD/home" TMPDIR="$PWD"
echo $$ >pid
echo 'Welcome, this is no output of the command.'
cd home
[ ! -e ../spoils ] || exec sh -c "tr a b | $*"
[ -e ../cuts ] || exec sh -c "$*"
exec 3<&0
sh -c "$*" <&3 3<&- &
until [ -e ../cut ]; do sleep 0.02; done
echo 'Connection to host closed by remote host.' >&2
exit 255
"#;

struct Hosts(Place);

impl Hosts {
    fn new() -> Hosts {
        let place = Place::new();
        place.write("ssh", SSH);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path("ssh"), executable).unwrap();
        Hosts(place)
    }

    /// Puts a file beside the home of a host.
    fn has(&self, host: &str, name: &str, text: &str) {
        std::fs::create_dir_all(self.0.path(&format!("hosts/{host}/home"))).unwrap();
        self.0.write(&format!("hosts/{host}/{name}"), text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(&[&["hosts"], arguments].concat());
        command
            .env("HOSTS", self.0.path("hosts"))
            .env("FLOCKWORK_SSH", self.0.path("ssh"));
        command
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Said {
        self.start(arguments).end()
    }

    fn read(&self, name: &str) -> String {
        self.0.read(name)
    }

    fn pid(&self, name: &str) -> u32 {
        self.0.wait_for_file(name).trim().parse().unwrap()
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_slice(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.text(), said.err))
}

/// The lines in order, for hosts end in any.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn hosts_that_are_alike_are_one_line_and_programs_have_each() {
    let hosts = Hosts::new();
    for host in ["n03", "n05"] {
        let said = format!("ssh: connect to host {host} port 22: Connection refused\n");
        hosts.has(host, "fails", &said);
    }
    hosts.has("n11", "fails", "Connection timed out during banner exchange\n");
    let said = hosts.run(&["status", "-n", "n[01-12]", "--group"]);
    assert_eq!(said.code, 1, "{}", said.err);
    insta::assert_snapshot!(said.text(), @r"
    HOSTS                 COUNT  STATE  REASON
    n[01-02,04,06-10,12]      9  ON
    n[03,05]                  2  OFF    the connection is refused: no sshd there (ssh: connect to host HOST port 22: Connection refused)
    n11                       1  OFF    no answer in time (Connection timed out during banner exchange)
    9 of 12 ON
    ");
    let said = hosts.run(&["status", "-n", "n[01-12]", "--group", "--format", "json"]);
    let told = json(&said);
    assert_eq!(told["hosts"].as_array().unwrap().len(), 12);
    assert_eq!(
        (&told["hosts"][2]["host"], &told["hosts"][2]["code"]),
        (&"n03".into(), &"refused".into())
    );
}

/// Takes what the `ping` of Linux takes, and nothing else; `-W` is in seconds.
const PING: &str = r#"#!/bin/sh
echo "$*" >>"$HOSTS.pings"
while [ "$1" != -- ]; do case $1 in
-n) shift;;
-c) [ "$2" = 2 ] || exit 2; shift 2;;
-i) [ "$2" = 0.2 ] || exit 2; shift 2;;
-W) case $2 in 0|''|*[!0-9]*) echo "ping: bad linger time: $2" >&2; exit 2;; esac; shift 2;;
*) echo "ping: invalid option -- '$1'" >&2; exit 2;;
esac; done
away() { echo "From 10.0.0.9 icmp_seq=1 Destination Host Unreachable"; }
told() { echo "2 packets transmitted, $1 received, 0% packet loss, time 200ms"; }
case $2 in
n1) told 2; echo "rtt min/avg/max/mdev = 0.029/0.033/0.038/0.004 ms";;
n2) told 1; exit 1;;
n3) away; told 0; exit 1;;
n4) echo "ping: $2: Name or service not known" >&2; exit 2;;
n5) away; exec sleep 1000;;
esac
"#;

#[test]
fn a_ping_is_given_what_it_takes_here() {
    let hosts = Hosts::new();
    std::fs::create_dir_all(hosts.0.path("bin")).unwrap();
    hosts.0.write("bin/ping", PING);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(hosts.0.path("bin/ping"), executable).unwrap();
    let ping = |arguments: &[&str]| {
        let mut command = hosts.command(&[&["status", "--ping", "--format", "json"], arguments].concat());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", hosts.0.path("bin").display()));
        json(&Running::start(command).end())
    };
    let told = ping(&["-n", "n[1-4]", "--timeout", "100s"]);
    let codes: Vec<_> = told["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| &host["code"])
        .collect();
    assert_eq!(
        codes,
        [
            &Value::Null,
            &"timeout".into(),
            &"no-route".into(),
            &"unknown-host".into()
        ],
        "{told}"
    );
    assert_eq!(
        (&told["hosts"][0]["by"], &told["hosts"][0]["rtt"]),
        (&"icmp".into(), &0.000_033.into()),
        "{told}"
    );
    // One that has not ended in time has said enough.
    let told = ping(&["-n", "n5", "--timeout", "1s"]);
    assert_eq!(told["hosts"][0]["code"], "no-route", "{told}");
    let pings = hosts.read("hosts.pings");
    assert_eq!(pings.lines().count(), 5, "{pings}");
    for line in pings.lines() {
        let seconds = line.split(' ').nth(6).and_then(|word| word.parse::<u64>().ok());
        // In milliseconds it would be more.
        assert!(
            seconds.is_some_and(|seconds| (1..100).contains(&seconds)),
            "{line}"
        );
    }
}

#[test]
fn a_command_runs_on_each_host_and_255_is_not_ssh_that_failed() {
    let hosts = Hosts::new();
    hosts.has(
        "n4",
        "fails",
        "ssh: connect to host n4 port 22: Connection refused\n",
    );
    let script =
        "echo \"$1 $FLOCKWORK_HOST\"; printf 'half\\377' ; echo bad >&2; [ $1 = n2 ] && exit 255; exit 0";
    let said = hosts.run(&["run", "-n", "n[1-4]", "--", "sh", "-c", script, "$(id)", "{host}"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let out = said.text();
    let seen = sorted(&out);
    assert_eq!(
        seen,
        [
            "n1: half\u{fffd}",
            "n1: n1 n1",
            "n2: half\u{fffd}",
            "n2: n2 n2",
            "n3: half\u{fffd}",
            "n3: n3 n3"
        ]
    );
    assert!(
        said.err.contains("n1: bad\n") && !out.contains("Welcome"),
        "{}",
        said.err
    );
    assert!(said.err.contains("FAIL  n2  exit 255\n"), "{}", said.err);
    assert!(
        said.err.contains("FAIL  n4  the connection is refused"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("4 hosts: 2 ok, 1 failed, 1 unreached"),
        "{}",
        said.err
    );
    let bytes = std::fs::read(hosts.0.path("out/n1/stdout")).unwrap();
    assert_eq!(bytes, b"n1 n1\nhalf\xff");
    assert_eq!(hosts.read("out/n1/stderr"), "bad\n");
    assert_eq!(hosts.read("out/n1/status"), "ok exit 0\n");
    assert_eq!(hosts.read("out/n2/status"), "failed exit 255\n");
    assert!(
        hosts
            .read("out/n4/status")
            .starts_with("unreached the connection is refused")
    );
}

#[test]
fn hosts_that_said_the_same_are_one_line_and_programs_get_all_of_it() {
    let hosts = Hosts::new();
    let line = ["run", "-n", "n[01-12]", "--no-out", "--shell", "--"];
    let script = "echo same | cat; test $FLOCKWORK_HOST != n07 || exit 3";
    let said = hosts.run(&[&line, [script].as_slice()].concat());
    assert_eq!(said.code, 1, "{}", said.err);
    let err = said.err.split("Summary").nth(1).unwrap();
    let words: Vec<Vec<&str>> = err
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words[0], ["n[01-06,08-12]", "ok", "exit", "0", "\"same\""]);
    assert_eq!(words[1], ["n07", "failed", "exit", "3", "\"same\""]);
    assert!(!hosts.0.has("out"));

    let said = hosts.run(&["run", "-n", "n[1-3]", "--format", "json", "--", "echo", "{host}"]);
    let answer = json(&said);
    assert_eq!(
        (said.code, &answer["schema"]),
        (0, &Value::from("flockwork.hosts-run/1"))
    );
    let first = &answer["hosts"][0];
    assert_eq!(
        (&first["host"], &first["exit"], &first["last_line"]),
        (&"n1".into(), &0.into(), &"n1".into())
    );
    assert_eq!(answer["groups"].as_array().unwrap().len(), 3);
}

#[test]
fn files_are_copied_and_checked_and_a_directory_of_ours_goes() {
    let hosts = Hosts::new();
    hosts.0.write("data.txt", "banana\n");
    hosts
        .0
        .write("script", "#!/bin/sh\necho \"$0|$1|$2|$PWD|$(cat data.txt)\"\n");
    hosts.has("n2", "spoils", "");
    let said = hosts.run(&[
        "run", "-n", "n[1-2]", "--script", "script", "-f", "data.txt", "--", "a b", "{host}",
    ]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err
            .contains("FAIL  n2  cannot copy script: the checksum differs"),
        "{}",
        said.err
    );
    let out = hosts.read("out/n1/stdout");
    let parts: Vec<&str> = out.trim_end().split('|').collect();
    let dir = parts[3];
    assert_eq!(parts, [&format!("{dir}/script"), "a b", "n1", dir, "banana"]);
    assert!(dir.contains("/hosts/n1/flockwork."), "{dir}");
    for host in ["n1", "n2"] {
        let names = crate::place::names(&hosts.0.path(&format!("hosts/{host}")));
        assert!(!names.iter().any(|name| name.contains("flockwork")), "{names:?}");
    }

    let said = hosts.run(&[
        "run", "-n", "n1", "-r", "deep/er", "-f", "data.txt", "--", "cat", "{file}",
    ]);
    assert_eq!(
        (said.code, said.text()),
        (0, "n1: banana\n".to_owned()),
        "{}",
        said.err
    );
    assert_eq!(hosts.read("hosts/n1/home/deep/er/data.txt"), "banana\n");
    let said = hosts.run(&["run", "-n", "n1", "--", "cat", "{file}"]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn the_silent_are_dead_until_they_report_and_are_not_waited_for() {
    let hosts = Hosts::new();
    let script = "echo $$ >../cmd; until [ -e ../../go ]; do sleep 0.02; done; echo done";
    let line = [
        "run",
        "-n",
        "n[1-2]",
        "--heartbeat",
        "1s",
        "--dead-after",
        "2s",
        "--",
        "sh",
        "-c",
        script,
    ];
    let mut command = hosts.command(&line);
    let log = std::fs::File::create(hosts.0.path("log")).unwrap();
    let mut running = command.stderr(log).spawn().unwrap();
    let (ssh, cmd) = (hosts.pid("hosts/n2/pid"), hosts.pid("hosts/n2/cmd"));
    hosts.pid("hosts/n1/cmd");
    let group = Pid::from_raw(i32::try_from(ssh).unwrap()).unwrap();
    let told = |word: &str| {
        wait_until(word, || {
            let log = hosts.read("log");
            if log.contains(word) { Ok(()) } else { Err(log) }
        });
    };
    kill_process_group(group, Signal::STOP).unwrap();
    told("DEAD  n2  no sign for 2.0s");
    kill_process_group(group, Signal::CONT).unwrap();
    told("BACK  n2  reports again after");
    kill_process_group(group, Signal::STOP).unwrap();
    // The second time.
    wait_until("dead again", || {
        match hosts.read("log").matches("DEAD  n2").count() {
            2 => Ok(()),
            count => Err(count.to_string()),
        }
    });
    hosts.0.write("hosts/go", "");
    let status = running.wait().unwrap();
    kill_process_group(group, Signal::CONT).unwrap();
    assert_eq!(status.code(), Some(1));
    let log = hosts.read("log");
    assert!(
        log.contains("2 hosts: 1 ok, 1 dead") && !log.contains("DEAD  n1"),
        "{log}"
    );
    assert!(hosts.read("out/n2/status").starts_with("dead no sign for "));
    // Whoever wakes up later finds the connection closed.
    wait_until_gone(cmd);
}

#[test]
fn an_interrupt_stops_all_of_it_and_so_does_a_broken_connection() {
    let hosts = Hosts::new();
    // n2 takes no notice of TERM, and neither does what it has started.
    let script =
        "test $1 = n1 || trap '' TERM; sleep 1000 & echo $! >../child; echo $$ >../cmd; wait; sleep 1000";
    let line = [
        "run", "-n", "n[1-2]", "--grace", "1s", "--", "sh", "-c", script, "-", "{host}",
    ];
    let running = hosts.start(&line);
    let names = ["n1/cmd", "n1/child", "n2/cmd", "n2/child"];
    let pids = names.map(|name| hosts.pid(&format!("hosts/{name}")));
    assert!(pids.iter().all(|pid| lives(*pid)));
    kill(running.pid(), Signal::INT);
    let said = running.end();
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(pids.iter().all(|pid| !lives(*pid)), "{}", said.err);
    assert_eq!(
        hosts.read("out/n1/status"),
        "stopped by a signal here, exit 143 (TERM)\n"
    );
    assert_eq!(
        hosts.read("out/n2/status"),
        "stopped by a signal here, exit 137 (KILL)\n"
    );

    // A controller that is killed can stop nobody: the executors do it.
    let hosts = Hosts::new();
    let running = hosts.start(&line);
    let pids = names.map(|name| hosts.pid(&format!("hosts/{name}")));
    kill(running.pid(), Signal::KILL);
    assert_eq!(running.end().code, 137);
    for pid in pids {
        wait_until_gone(pid);
    }

    // One connection breaks; the other host goes on.
    let hosts = Hosts::new();
    hosts.has("n2", "cuts", "");
    let script = "echo $$ >../cmd; test $1 = n1 && exit 0; exec sleep 1000";
    let running = hosts.start(&["run", "-n", "n[1-2]", "--", "sh", "-c", script, "-", "{host}"]);
    let cmd = hosts.pid("hosts/n2/cmd");
    hosts.has("n2", "cut", "");
    let said = running.end();
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err
            .contains("LOST  n2  the connection broke (Connection to host closed by remote host.)"),
        "{}",
        said.err
    );
    wait_until_gone(cmd);
}

#[test]
fn limits_of_time_stop_the_command_there() {
    let hosts = Hosts::new();
    let script = "echo $$ >../cmd; test $1 = n1 && exit 0; exec sleep 1000";
    for limit in ["--host-timeout", "--timeout"] {
        let said = hosts.run(&[
            "run", "-n", "n[1-2]", limit, "1s", "--", "sh", "-c", script, "-", "{host}",
        ]);
        assert_eq!(said.code, 1, "{}", said.err);
        let told = format!("TIMEOUT  n2  over {limit}, exit 143 (TERM)");
        assert!(said.err.contains(&told), "{}", said.err);
        assert!(!lives(hosts.pid("hosts/n2/cmd")));
    }
}

#[test]
fn much_output_arrives_whole_beside_the_signs_of_life() {
    let hosts = Hosts::new();
    // Both streams at once, without an end of line, while signs of life come in between.
    let script = "for n in 1 2 3 4 5 6 7 8; do head -c 4000000 /dev/zero | tr '\\0' x >&2; \
                  head -c 4000000 /dev/zero | tr '\\0' y; sleep 0.2; done";
    let line = [
        "run",
        "-n",
        "n1",
        "--heartbeat",
        "1s",
        "--format",
        "json",
        "--",
        "sh",
        "-c",
        script,
    ];
    let said = hosts.run(&line);
    assert_eq!(said.code, 0, "{}", said.err);
    for (name, byte) in [("stdout", b'y'), ("stderr", b'x')] {
        let kept = std::fs::read(hosts.0.path(&format!("out/n1/{name}"))).unwrap();
        assert_eq!(kept.len(), 32_000_000, "{name}");
        assert!(kept.iter().all(|kept| *kept == byte), "{name}");
    }
}

#[test]
fn names_that_try_to_be_options_reach_nobody() {
    let hosts = Hosts::new();
    for verb in [
        ["run", "--", "true"].as_slice(),
        &["status"],
        &["mkdir", "/tmp", "x"],
    ] {
        let (first, rest) = verb.split_first().unwrap();
        let said = hosts.run(&[&[first, "-n=-oProxyCommand=touch pwned"], rest].concat());
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains("-oProxyCommand"), "{}", said.err);
    }
    hosts.0.write("list", "n1\n-oProxyCommand\n");
    let said = hosts.run(&["run", "-n", "@list", "--", "true"]);
    assert!(
        said.code == 2 && said.err.contains("list, line 2") && said.err.contains("would be an option"),
        "{}",
        said.err
    );
    assert!(!hosts.0.has("hosts") && !hosts.0.has("pwned"));
}

#[test]
fn nobody_is_reached() {
    let hosts = Hosts::new();
    hosts.has("n1", "fails", "ana@n1: Permission denied (publickey).\n");
    hosts.has(
        "n2",
        "fails",
        "ssh: connect to host n2 port 22: No route to host\n",
    );
    assert_eq!(hosts.run(&["run", "-n", "n[1-2]", "--", "true"]).code, 7);
    let said = hosts.run(&["status", "-n", "n[1-3]", "--format", "json"]);
    let answer = json(&said);
    assert_eq!(
        (said.code, &answer["on"], &answer["off"]),
        (1, &1.into(), &2.into())
    );
    let codes: Vec<&Value> = answer["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| &host["code"])
        .collect();
    assert_eq!(
        codes,
        [
            &Value::from("not-authorised"),
            &Value::from("no-route"),
            &Value::Null
        ]
    );
    assert_eq!(hosts.run(&["status", "-n", "n3"]).code, 0);
}

#[test]
fn a_directory_is_made_or_it_is_told_why_not() {
    let hosts = Hosts::new();
    for (host, name) in [("n1", "sub"), ("n2", "sub/new"), ("n3", "sub"), ("n4", "")] {
        std::fs::create_dir_all(hosts.0.path(&format!("hosts/{host}/home/{name}"))).unwrap();
    }
    hosts.has("n3", "home/sub/new", "a file");
    let said = hosts.run(&["mkdir", "-n", "n[1-4]", "sub", "new", "--format", "plain"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let base = hosts
        .0
        .path("hosts")
        .canonicalize()
        .unwrap()
        .display()
        .to_string();
    let told = [
        format!("n1\tmade\t{base}/n1/home/sub/new\t"),
        format!("n2\texists\t{base}/n2/home/sub/new\tthe directory is there already"),
        format!("n3\texists\t{base}/n3/home/sub/new\tsomething is there that is no directory"),
        "n4\tfailed\t\tthe parent sub is missing".to_owned(),
    ];
    assert_eq!(said.text().lines().collect::<Vec<_>>(), told);
    assert!(hosts.0.path("hosts/n1/home/sub/new").is_dir());
    assert_eq!(hosts.run(&["mkdir", "-n", "n1", "sub", "a/b"]).code, 2);
    assert_eq!(hosts.run(&["mkdir", "-n", "n1", "--", "sub", "-p"]).code, 0);
    assert!(hosts.0.path("hosts/n1/home/sub/-p").is_dir());
}
