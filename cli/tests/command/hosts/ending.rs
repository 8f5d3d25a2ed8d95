//! How a command ends on hosts when it does not end by itself: silence, signals, broken connections, limits of time.

use rustix::process::{Pid, Signal, kill_process_group};

use super::Hosts;
use crate::place::{kill, lives, wait_until, wait_until_gone};

/// A process group that is stopped and goes on, at the latest when the test ends.
struct Asleep(Pid);

impl Asleep {
    fn signal(&self, signal: Signal) {
        kill_process_group(self.0, signal).unwrap();
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        // It may be gone.
        let _ = kill_process_group(self.0, Signal::CONT);
    }
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
        "3s",
        "--",
        "sh",
        "-c",
        script,
    ];
    let running = hosts.start(&line);
    let (ssh, cmd) = (hosts.pid("hosts/n2/pid"), hosts.pid("hosts/n2/cmd"));
    hosts.pid("hosts/n1/cmd");
    let group = Asleep(Pid::from_raw(i32::try_from(ssh).unwrap()).unwrap());
    let told = |word: &str, times: usize| {
        wait_until(word, || {
            let said = running.err_so_far();
            match said.matches(word).count() == times {
                true => Ok(()),
                false => Err(said),
            }
        });
    };
    group.signal(Signal::STOP);
    told("DEAD  n2  no sign for 3.0s", 1);
    group.signal(Signal::CONT);
    told("BACK  n2  reports again after", 1);
    group.signal(Signal::STOP);
    told("DEAD  n2  no sign for 3.0s", 2);
    hosts.0.write("hosts/go", "");
    let said = running.end();
    assert_eq!(said.code, 1, "{}", said.err);
    drop(group);
    assert!(
        said.err.contains("2 hosts: 1 ok, 1 dead") && !said.err.contains("DEAD  n1"),
        "{}",
        said.err
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

    // A controller that is killed can stop nobody: the executors do it, also where no sign of life would fail.
    let hosts = Hosts::new();
    let running = hosts.start(&[&line[..3], &["--no-heartbeat"], &line[3..]].concat());
    let pids = names.map(|name| hosts.pid(&format!("hosts/{name}")));
    kill(running.pid(), Signal::KILL);
    assert_eq!(running.end().code, 137);
    for pid in pids {
        wait_until_gone(pid);
    }

    // One connection breaks; the other host goes on. What the command has said is none of ssh's words.
    let hosts = Hosts::new();
    hosts.has("n2", "cuts", "");
    let script =
        "echo 'cp: Permission denied (x)' >&2; echo $$ >../cmd; test $1 = n1 && exit 0; exec sleep 1000";
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
fn hosts_that_had_not_begun_at_an_interrupt_say_so() {
    let hosts = Hosts::new();
    hosts.has("n1", "hangs", "");
    let running = hosts.start(&[
        "run", "-n", "n[1-2]", "--fanout", "1", "--grace", "1s", "--", "true",
    ]);
    hosts.pid("hosts/n1/pid");
    kill(running.pid(), Signal::INT);
    let said = running.end();
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(said.err.contains("2 hosts: 2 stopped"), "{}", said.err);
    assert_eq!(
        hosts.read("out/n2/status"),
        "stopped by a signal here, before it began\n"
    );
    assert!(!hosts.0.has("hosts/n2"), "nobody has connected to it");
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
