//! Is a host there at all: two pings that must both come back, by ICMP, or by TCP where that is not allowed.

use std::net::{TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::process::{Heard, Talk};
use super::trouble::{Trouble, Why, last_line};
use super::{Host, Ssh};

/// A ping needs so much to say what came of it.
const LAST_WORDS: Duration = Duration::from_millis(300);

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

/// What the systems' pings take as the time to wait for an answer, and whether anybody may send two within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    /// iputils, inetutils, busybox, toybox: seconds.
    Linux,
    /// Milliseconds; a value in seconds would give up before most answers are there.
    Mac,
    /// As macOS, but only root may send two within a second. DragonFly is alike.
    FreeBsd,
    /// OpenBSD and NetBSD have `-w` alone, in seconds; only root may send two within a second.
    OtherBsd,
}

impl System {
    /// Returns the one that this program was built for.
    fn own() -> System {
        match std::env::consts::OS {
            "macos" | "ios" => System::Mac,
            "freebsd" | "dragonfly" => System::FreeBsd,
            "openbsd" | "netbsd" => System::OtherBsd,
            _ => System::Linux,
        }
    }

    /// Returns the arguments of two pings that have ended before so much time has passed.
    fn arguments(self, left: Duration) -> Vec<String> {
        let apart = match self {
            System::Linux | System::Mac => Duration::from_millis(200),
            System::FreeBsd | System::OtherBsd => Duration::from_secs(1),
        };
        let left = left.saturating_sub(apart + LAST_WORDS);
        let (flag, wait) = match self {
            System::Linux => ("-W", left.as_secs().max(1).to_string()),
            System::Mac | System::FreeBsd => ("-W", left.as_millis().max(100).to_string()),
            // It counts from the first one.
            System::OtherBsd => ("-w", (left + apart).as_secs().max(2).to_string()),
        };
        let mut words = vec!["-n".to_owned(), "-c".to_owned(), "2".to_owned()];
        if apart < Duration::from_secs(1) {
            words.extend(["-i".to_owned(), apart.as_secs_f64().to_string()]);
        }
        words.extend([flag.to_owned(), wait]);
        words
    }
}

/// By the system's `ping`; `None` if there is none, or if it may not.
fn icmp(name: &str, until: Instant) -> Option<Result<Pong, Trouble>> {
    let left = until.saturating_duration_since(Instant::now());
    let mut command = Command::new("ping");
    command.args(System::own().arguments(left));
    command.args(["--", name]).env("LC_ALL", "C").stdin(Stdio::null());
    let talk = Talk::start(command).ok()?;
    let mut said = String::new();
    while let Heard::Line(line) = talk.hear(until) {
        said.push_str(&line);
        said.push('\n');
    }
    let ended = talk.end(until);
    match ended.status {
        None if is_unreachable(&said) => Some(Err(Trouble::new(Why::NoRoute, ""))),
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
            _ if is_unreachable(said) => Err(Trouble::new(Why::NoRoute, "")),
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
        "no address associated",
    ]
    .iter()
    .any(|words| stderr.contains(words))
    {
        return Some(Err(Trouble::new(Why::Unknown, last)));
    }
    if is_unreachable(stderr) {
        return Some(Err(Trouble::new(Why::NoRoute, last)));
    }
    // It may not, or it does not know these flags.
    None
}

/// Says whether somebody on the way has answered instead.
fn is_unreachable(said: &str) -> bool {
    said.contains("nreachable")
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
    fn each_system_is_given_the_time_as_it_takes_it() {
        let words = |system: System, left: u64| system.arguments(Duration::from_millis(left)).join(" ");
        for (system, left, expected) in [
            (System::Linux, 10_000, "-n -c 2 -i 0.2 -W 9"),
            (System::Linux, 9_400, "-n -c 2 -i 0.2 -W 8"),
            (System::Linux, 0, "-n -c 2 -i 0.2 -W 1"),
            (System::Mac, 10_000, "-n -c 2 -i 0.2 -W 9500"),
            (System::Mac, 0, "-n -c 2 -i 0.2 -W 100"),
            (System::FreeBsd, 10_000, "-n -c 2 -W 8700"),
            (System::OtherBsd, 10_000, "-n -c 2 -w 9"),
            (System::OtherBsd, 0, "-n -c 2 -w 2"),
        ] {
            assert_eq!(words(system, left), expected, "{system:?} {left}");
        }
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
