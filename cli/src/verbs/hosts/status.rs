//! `hosts status`: which hosts can be worked with, and why the others cannot.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flockwork::app::exit::{Ended, NOT_OK, OK};
use flockwork::app::times;

use crate::args::{Format, HostsStatusArgs};
use crate::hosts::process::Heard;
use crate::hosts::trouble::{Trouble, Why};
use crate::hosts::{Host, Ssh, fan, fold, list, ping};
use crate::output::{Cell, Column, Kind, Table};

/// Sends back what it is sent.
const ECHO: &str = "read -r line && printf '%s\\n' \"$line\"";

/// What was found out of a host that is ON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct On {
    /// How long it took to get in; not known of a ping.
    login: Option<Duration>,
    round_trip: Duration,
    by: &'static str,
}

type Found = Result<On, Trouble>;

/// Runs the verb.
///
/// # Errors
///
/// If no hosts are named, or stdout cannot be written.
pub(crate) fn status(mut args: HostsStatusArgs) -> Ended {
    let hosts = list::read(&args.hosts)?;
    args.ssh.connect_timeout = args.ssh.connect_timeout.min(args.timeout);
    let ssh = Ssh::new(&args.ssh, false)?;
    let until = Instant::now() + args.timeout;
    let found = fan::each(
        &hosts,
        args.ssh.fanout as usize,
        |host| look(&ssh, host, args.ping, until),
        |_, _| (),
    );
    let on = found.iter().filter(|found| found.is_ok()).count();
    let table = match args.group && args.format == Format::Table {
        true => grouped(&hosts, &found),
        false => rows(&hosts, &found, args.format),
    };
    table.print(args.format)?;
    Ok(if on == hosts.len() { OK } else { NOT_OK })
}

fn look(ssh: &Ssh, host: &Host, is_ping: bool, until: Instant) -> Found {
    let begun = Instant::now();
    if begun >= until {
        return Err(Trouble::new(
            Why::Timeout,
            "not asked in time: raise --timeout or --fanout",
        ));
    }
    if is_ping {
        return ping::ping(ssh, host, until).map(|pong| On {
            login: None,
            round_trip: pong.took,
            by: pong.by,
        });
    }
    let mut talk = ssh.talk_until(host, ECHO, &[], until)?;
    let login = begun.elapsed();
    let asked = Instant::now();
    let said = talk.say("?\n".as_bytes());
    let round_trip = match (said, talk.hear(until)) {
        (Ok(_), Heard::Line(line)) if line == "?" => asked.elapsed(),
        (_, Heard::Silence) => return Err(Trouble::new(Why::Timeout, "logged in, and then no answer")),
        _ => return Err(Trouble::new(Why::Lost, "")),
    };
    Ok(On {
        login: Some(login),
        round_trip,
        by: "ssh",
    })
}

fn rows(hosts: &[Host], found: &[Found], format: Format) -> Table {
    let mut columns = vec![
        Column::left("host"),
        Column::left("state"),
        Column::right("login"),
        Column::right("rtt"),
        Column::left("reason"),
    ];
    let is_data = format != Format::Table;
    if is_data {
        columns.extend([Column::left("code"), Column::left("by")]);
    }
    let mut table = Table::new("hosts-status", "hosts", columns);
    for (host, found) in hosts.iter().zip(found) {
        let mut cells = vec![Cell::from(host.name.clone()), state(found)];
        match found {
            Ok(on) => cells.extend([
                on.login.map_or_else(Cell::default, seconds),
                seconds(on.round_trip),
                Cell::default(),
            ]),
            Err(trouble) => cells.extend([Cell::default(), Cell::default(), trouble.text().into()]),
        }
        if is_data {
            cells.extend(match found {
                Ok(on) => [Cell::default(), on.by.into()],
                Err(trouble) => [trouble.why.code().into(), Cell::default()],
            });
        }
        table.row(cells);
    }
    let on = found.iter().filter(|found| found.is_ok()).count();
    table.about("on", on as u64);
    table.about("off", (hosts.len() - on) as u64);
    table.note(Some(note(found, on)));
    table
}

fn seconds(duration: Duration) -> Cell {
    // Microseconds are as fine as it gets.
    let seconds = (duration.as_secs_f64() * 1e6).round() / 1e6;
    Cell::from(seconds).shown(times::short(duration))
}

fn state(found: &Found) -> Cell {
    match found {
        Ok(_) => Cell::from("ON").of_kind(Kind::Ok),
        Err(_) => Cell::from("OFF").of_kind(Kind::Failed),
    }
}

/// Returns what hosts have in common that are told in one row, with `HOST` for their names: why, and the words of those
/// for whom they say more than that.
fn alike(trouble: &Trouble, host: &Host) -> (&'static str, String) {
    let words = match trouble.why {
        Why::There | Why::Here | Why::Lost => trouble.text_of_any(&host.address),
        _ => String::new(),
    };
    (trouble.why.code(), words)
}

/// One row for all hosts that are alike: those that are ON first, and then the most.
fn grouped(hosts: &[Host], found: &[Found]) -> Table {
    let columns = ["hosts", "state", "reason"].map(Column::left);
    let mut columns = columns.to_vec();
    columns.insert(1, Column::right("count"));
    let mut table = Table::new("hosts-status", "hosts", columns);
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, (host, found)) in hosts.iter().zip(found).enumerate() {
        let why = found.as_ref().err().map(|trouble| alike(trouble, host));
        groups.entry(why).or_default().push(at);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(why, places)| (why.is_some(), Reverse(places.len())));
    for (_, places) in groups {
        let names = places
            .iter()
            .filter_map(|at| hosts.get(*at))
            .map(|host| host.name.as_str());
        // What all of them say; and if they say it in different words, what that comes to.
        let mut reasons = places.iter().filter_map(|at| {
            let trouble = found[*at].as_ref().err()?;
            Some(match places.len() {
                1 => trouble.text(),
                _ => trouble.text_of_any(&hosts[*at].address),
            })
        });
        let first = reasons.next();
        let reason = match reasons.all(|reason| Some(&reason) == first.as_ref()) {
            true => first,
            false => found[places[0]]
                .as_ref()
                .err()
                .map(|trouble| trouble.why.text().to_owned()),
        };
        table.row(vec![
            fold(names).into(),
            (places.len() as u64).into(),
            state(&found[places[0]]),
            reason.unwrap_or_default().into(),
        ]);
    }
    let on = found.iter().filter(|found| found.is_ok()).count();
    table.note(Some(note(found, on)));
    table
}

/// Returns `18 of 20 hosts are ON`, and what can be done about one that is not.
fn note(found: &[Found], on: usize) -> String {
    let mut note = format!("{on} of {} ON", found.len());
    let hint = found
        .iter()
        .filter_map(|found| found.as_ref().err()?.why.hint())
        .next();
    if let Some(hint) = hint {
        note.push_str(&format!("; hint: {hint}"));
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_alike_are_one_row() {
        let names = ["n1", "n2", "n3", "n4", "n5"];
        let hosts: Vec<Host> = names.iter().map(|name| Host::read(name).unwrap()).collect();
        let on = On {
            login: Some(Duration::from_millis(310)),
            round_trip: Duration::from_micros(420),
            by: "ssh",
        };
        let refused = |text: &str| Err(Trouble::new(Why::Refused, text));
        let key = || Err(Trouble::new(Why::NotAuthorised, "ana@n5: no"));
        let found = vec![Ok(on), Ok(on), refused("n3: no"), refused("n4: no"), key()];
        let text = grouped(&hosts, &found).text(Format::Table, None).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "n[1-2]      2  ON");
        assert_eq!(
            lines[2],
            "n[3-4]      2  OFF    the connection is refused: no sshd there (HOST: no)"
        );
        assert_eq!(lines[3], "n5          1  OFF    not authorised (ana@n5: no)");
        assert!(lines[4].starts_with("2 of 5 ON; hint: `ssh HOST true`"), "{text}");
        // Some that are refused under another name; some whose words are all there is.
        let there = |text: &str| Err(Trouble::there(text));
        let other = vec![
            refused("n1: no"),
            refused("login-2: no"),
            there("x n3"),
            there("y n4"),
            key(),
        ];
        let text = grouped(&hosts, &other).text(Format::Table, None).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "n[1-2]      2  OFF    the connection is refused: no sshd there"
        );
        assert!(text.contains("n3          1  OFF    x n3\n"), "{text}");
        assert!(text.contains("n4          1  OFF    y n4\n"), "{text}");
        let text = rows(&hosts, &found, Format::Csv).text(Format::Csv, None).unwrap();
        assert!(text.contains("\nn1,ON,0.31,0.00042,,,ssh\n"), "{text}");
        assert!(
            text.contains("\nn5,OFF,,,not authorised (ana@n5: no),not-authorised,\n"),
            "{text}"
        );
    }
}
