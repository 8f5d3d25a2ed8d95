//! Is a host there at all: two pings that must both come back, by ICMP, or by TCP where that is not allowed.

use std::net::{TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::process::{Heard, Talk};
use super::trouble::{Trouble, Why, last_line};
use super::{Host, Ssh};

/// What a ping told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pong {
    /// The time of the round trip.
    pub(crate) took: Duration,
    /// By which means: `icmp` or `tcp`.
    pub(crate) by: &'static str,
}

/// Pings a host twice, until then.
///
/// # Errors
///
/// Why it did not answer.
pub(crate) fn ping(ssh: &Ssh, host: &Host, until: Instant) -> Result<Pong, Trouble> {
    // The name may be one of ssh's configuration.
    let place = ssh.resolved(host, until);
    match icmp(&place.name, until) {
        Some(answer) => answer,
        None => tcp(&place.name, place.port, until),
    }
}

/// By the system's `ping`; `None` if there is none, or if it may not.
fn icmp(name: &str, until: Instant) -> Option<Result<Pong, Trouble>> {
    let left = until.saturating_duration_since(Instant::now());
    let mut command = Command::new("ping");
    command
        .args(["-n", "-c", "2", "-i", "0.2", "-W"])
        .arg(left.as_secs().max(1).to_string());
    command.args(["--", name]).env("LC_ALL", "C").stdin(Stdio::null());
    let talk = Talk::start(command).ok()?;
    let mut said = String::new();
    while let Heard::Line(line) = talk.hear(until) {
        said.push_str(&line);
        said.push('\n');
    }
    let ended = talk.end(until);
    match ended.status {
        None => Some(Err(Trouble::new(Why::Timeout, ""))),
        Some(_) => understood(&said, &ended.stderr),
    }
}

/// Reads what a ping of Linux, of BSD or of busybox says.
fn understood(said: &str, stderr: &str) -> Option<Result<Pong, Trouble>> {
    if let Some(received) = received(said) {
        return Some(match received {
            2.. => Ok(Pong {
                took: average(said).unwrap_or_default(),
                by: "icmp",
            }),
            1 => Err(Trouble::new(Why::Timeout, "one of two pings came back")),
            _ if said.contains("Unreachable") || said.contains("unreachable") => {
                Err(Trouble::new(Why::NoRoute, ""))
            }
            _ => Err(Trouble::new(Why::Timeout, "no ping came back")),
        });
    }
    let last = last_line(stderr);
    if [
        "Name or service not known",
        "Temporary failure in name",
        "bad address",
        "cannot resolve",
        "nknown host",
    ]
    .iter()
    .any(|words| stderr.contains(words))
    {
        return Some(Err(Trouble::new(Why::Unknown, last)));
    }
    if stderr.contains("nreachable") {
        return Some(Err(Trouble::new(Why::NoRoute, last)));
    }
    // It may not, or it does not know these flags.
    None
}

fn received(said: &str) -> Option<u32> {
    let line = said.lines().find(|line| line.contains("packets transmitted"))?;
    let part = line.split(", ").find(|part| part.contains("received"))?;
    part.split(' ').next()?.parse().ok()
}

/// Returns the mean of `min/avg/max`.
fn average(said: &str) -> Option<Duration> {
    let line = said.lines().find(|line| line.contains("min/avg/max"))?;
    let millis: f64 = line.split_once(" = ")?.1.split('/').nth(1)?.parse().ok()?;
    Duration::try_from_secs_f64(millis / 1e3).ok()
}

/// By connecting twice to the port of sshd.
fn tcp(name: &str, port: u16, until: Instant) -> Result<Pong, Trouble> {
    let (sender, answers) = channel();
    let name = name.to_owned();
    // Asking for a name has no limit of time, so the thread is left alone if it takes too long.
    std::thread::spawn(move || drop(sender.send(connect_twice(&name, port, until))));
    let left = until.saturating_duration_since(Instant::now());
    answers
        .recv_timeout(left)
        .unwrap_or_else(|_| Err(Trouble::new(Why::Timeout, "")))
}

fn connect_twice(name: &str, port: u16, until: Instant) -> Result<Pong, Trouble> {
    let addresses: Vec<_> = (name, port)
        .to_socket_addrs()
        .map_err(|error| Trouble::new(Why::Unknown, error.to_string()))?
        .collect();
    let mut took = Duration::ZERO;
    for _ in 0..2 {
        let mut answer = Err(Trouble::new(Why::Unknown, "it has no address"));
        for address in &addresses {
            let begun = Instant::now();
            let left = until
                .saturating_duration_since(begun)
                .max(Duration::from_millis(1));
            answer = TcpStream::connect_timeout(address, left)
                .map(|_| begun.elapsed())
                .map_err(|error| of_tcp(&error));
            if answer.is_ok() {
                break;
            }
        }
        took = answer?;
    }
    Ok(Pong { took, by: "tcp" })
}

fn of_tcp(error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind;

    let why = match error.kind() {
        ErrorKind::ConnectionRefused => Why::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Why::NoRoute,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Why::Timeout,
        _ => return Trouble::new(Why::Lost, error.to_string()),
    };
    Trouble::new(why, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pings_must_come_back() {
        let said = |received: u32| {
            format!(
                "PING n1\n2 packets transmitted, {received} received, 0% packet loss, time 200ms\nrtt min/avg/max/mdev = 0.029/0.033/0.038/0.004 ms\n"
            )
        };
        let pong = understood(&said(2), "").unwrap().unwrap();
        assert_eq!((pong.took, pong.by), (Duration::from_micros(33), "icmp"));
        assert_eq!(understood(&said(1), "").unwrap().unwrap_err().why, Why::Timeout);
        assert_eq!(understood(&said(0), "").unwrap().unwrap_err().why, Why::Timeout);
        let away = format!(
            "From 10.0.0.9 icmp_seq=1 Destination Host Unreachable\n{}",
            said(0)
        );
        assert_eq!(understood(&away, "").unwrap().unwrap_err().why, Why::NoRoute);
        let busybox = "2 packets transmitted, 2 packets received, 0% packet loss\nround-trip min/avg/max = 0.1/0.2/0.3 ms\n";
        assert_eq!(
            understood(busybox, "").unwrap().unwrap().took,
            Duration::from_micros(200)
        );
        let unknown = understood("", "ping: nix: Name or service not known\n").unwrap();
        assert_eq!(unknown.unwrap_err().why, Why::Unknown);
        assert!(understood("", "ping: socket: Operation not permitted\n").is_none());
    }

    #[test]
    fn a_port_that_answers_and_one_that_does_not() {
        let soon = Instant::now() + Duration::from_secs(30);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(tcp("127.0.0.1", port, soon).unwrap().by, "tcp");
        drop(listener);
        assert_eq!(tcp("127.0.0.1", port, soon).unwrap_err().why, Why::Refused);
    }
}
