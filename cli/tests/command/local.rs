use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::Value;

use crate::place::{Place, Running, STORE, Said, kill, names, wait_until, wait_until_gone};

/// Services that end with their test.
struct Local(Place);

impl Local {
    fn new() -> Local {
        Local(Place::new())
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.0.command(&[&["local"], arguments].concat());
        command.env("XDG_RUNTIME_DIR", self.0.path("run"));
        Running::start(command).end()
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.run(&[arguments, &["--format", "json"]].concat());
        let table: Value =
            serde_json::from_slice(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err));
        table["services"].as_array().unwrap().clone()
    }

    /// The processes of the services, by their notes.
    fn pids(&self) -> Vec<u32> {
        let dir = self.0.path("run/flockwork-local");
        let note = |name: String| std::fs::read_to_string(dir.join(name)).unwrap();
        let notes = names(&dir).into_iter().map(note);
        notes
            .map(|note| {
                serde_json::from_str::<Value>(&note).unwrap()["pid"]
                    .as_u64()
                    .unwrap() as u32
            })
            .collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

/// Ports that are free now.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect()
}

fn file_of(ports: &[u16]) -> String {
    ports.iter().map(|port| format!("{port} # a service\n")).collect()
}

#[test]
fn services_start_answer_work_and_leave_nothing() {
    let local = Local::new();
    let ports = free_ports(3);
    local.0.write("ports.txt", file_of(&ports));
    local.0.ok(&[
        "submit",
        STORE,
        "--sweep",
        "n=1..30",
        "--",
        "sh",
        "-c",
        "echo x=$1",
        "sh",
        "{n}",
    ]);
    let said = local.run(&["start", STORE, "--ports", "ports.txt", "--", "--idle-exit", "5m"]);
    assert_eq!(said.code, 0, "{}", said.err);
    local.0.ok(&["wait", STORE]);
    assert_eq!(local.0.check_complete()["ok"], 30);
    let answers = local.json(&["ping", "--ports", "ports.txt"]);
    for (answer, port) in answers.iter().zip(&ports) {
        assert_eq!(
            (&answer["port"], &answer["state"]),
            (&Value::from(*port), &Value::from("up"))
        );
        assert!(answer["seconds"].as_f64().unwrap() > 0.0, "{answer}");
    }
    assert_eq!(answers.len(), 3);
    let pids = local.pids();
    assert_eq!(pids.len(), 3);
    let said = local.run(&["stop"]);
    assert_eq!(said.code, 0, "{}{}", said.text(), said.err);
    pids.into_iter().for_each(wait_until_gone);
    assert_eq!(names(&local.0.path("run")), [""; 0]);
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
}

#[test]
fn taken_ports_are_named_and_the_others_start() {
    let local = Local::new();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().port();
    let free = free_ports(1)[0];
    local.0.write("ports.txt", file_of(&[taken, free]));
    let said = local.run(&["start", "--ports", "ports.txt"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains(&format!("port {taken}: it is taken")),
        "{}",
        said.err
    );
    let states: Vec<_> = local
        .json(&["ping", "--ports", "ports.txt"])
        .iter()
        .map(|it| it["state"].clone())
        .collect();
    assert_eq!(states, ["down", "up"]);
    local.0.write("low.txt", "80\n");
    let said = local.run(&["start", "--ports", "low.txt"]);
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains("low.txt, line 1") && said.err.contains("above 1023"),
        "{}",
        said.err
    );
}

#[test]
fn a_service_that_was_killed_is_down_and_another_takes_its_port() {
    let local = Local::new();
    local.0.write("ports.txt", file_of(&free_ports(1)));
    assert_eq!(local.run(&["start", "--ports", "ports.txt"]).code, 0);
    let pid = local.pids()[0];
    kill(pid, Signal::KILL);
    wait_until(
        "the service to be down",
        || match local.json(&["ping"])[0]["state"].as_str() {
            Some("down") => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(local.run(&["start", "--ports", "ports.txt"]).code, 0);
    assert_eq!(local.json(&["ping"])[0]["state"], "up");
    assert_ne!(local.pids()[0], pid);
}

#[test]
fn who_does_not_know_the_token_can_do_nothing() {
    use std::io::{Read, Write};
    let local = Local::new();
    let port = free_ports(1)[0];
    local.0.write("ports.txt", file_of(&[port]));
    assert_eq!(local.run(&["start", "--ports", "ports.txt"]).code, 0);
    for request in [
        "stop\n",
        "x stop\n",
        "0123456789abcdef0123456789abcdef stop\n",
        "ping me\n",
    ] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"", "{request:?}");
    }
    assert_eq!(local.json(&["ping"])[0]["state"], "up");
    let note = local.0.path("run/flockwork-local").join(format!("{port}.json"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(note).unwrap().permissions().mode() & 0o077, 0);
}
