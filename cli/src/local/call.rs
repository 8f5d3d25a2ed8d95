//! Talking to a service over its port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::state::Service;

/// Why a service does not answer that is no more.
pub(crate) const NOBODY: &str = "nothing listens there";

/// What a service that lives has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pong {
    pub(crate) round_trip: Duration,
    /// `works`, `left`, or `none`.
    pub(crate) worker: String,
}

/// Sends a word, which the service must send back.
///
/// # Errors
///
/// A text: nothing listens there, no answer in time, or something else answers.
pub(crate) fn ping(service: &Service, limit: Duration) -> Result<Pong, String> {
    let begun = Instant::now();
    let word = format!("{}-{}", std::process::id(), service.port);
    let answer = ask(service, &format!("ping {word}"), limit)?;
    let rest = answer.strip_prefix(&format!("pong {word} "));
    let worker = rest.ok_or("something else answers there")?;
    Ok(Pong {
        round_trip: begun.elapsed(),
        worker: worker.to_owned(),
    })
}

/// Tells a service to send its worker away and end.
///
/// # Errors
///
/// As of [`ping`].
pub(crate) fn stop(service: &Service, limit: Duration) -> Result<(), String> {
    match ask(service, "stop", limit)?.as_str() {
        "bye" => wait_until_gone(service, Instant::now() + limit),
        _ => Err("something else answers there".to_owned()),
    }
}

/// It has said goodbye; soon its port is free.
fn wait_until_gone(service: &Service, until: Instant) -> Result<(), String> {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, service.port)).is_ok() {
        if Instant::now() >= until {
            return Err("it said goodbye and did not go".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn ask(service: &Service, request: &str, limit: Duration) -> Result<String, String> {
    let said = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => NOBODY.to_owned(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    };
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, service.port));
    let mut stream = TcpStream::connect_timeout(&place, limit).map_err(said)?;
    stream.set_read_timeout(Some(limit)).map_err(said)?;
    stream.set_write_timeout(Some(limit)).map_err(said)?;
    let line = format!("{} {request}\n", service.token);
    stream.write_all(line.as_bytes()).map_err(said)?;
    let mut answer = String::new();
    BufReader::new(stream.take(256))
        .read_line(&mut answer)
        .map_err(said)?;
    match answer.is_empty() {
        true => Err("it closes the connection".to_owned()),
        false => Ok(answer.trim_end().to_owned()),
    }
}
