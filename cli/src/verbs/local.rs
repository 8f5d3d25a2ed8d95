//! `local`: worker services on this machine, for trying things out.

use flockwork::Store;
use flockwork::app::exit::{Ended, Failed, NO_WORKER, NOT_OK, OK};
use flockwork::app::{Screen, absolute, times};

use crate::args::{EndArgs, Format, LocalVerb, PingArgs, ServiceVerbs, ServicesFlags, StartArgs};
use crate::local::state::{Service, States};
use crate::local::{call, ports, start};
use crate::output::{self, Cell, Column, Kind, Table};

/// Runs the verb.
pub(crate) fn local(args: &ServiceVerbs) -> Ended {
    match &args.verb {
        LocalVerb::Start(args) => begin(args),
        LocalVerb::Ping(args) => ping(args),
        LocalVerb::Stop(args) => end(args),
    }
}

fn begin(args: &StartArgs) -> Ended {
    let ports = ports::read(&args.ports)?;
    let store = args.store.as_deref().map(Store::open).transpose()?;
    let store = store.map(|store| absolute(store.path()));
    let states = States::open()?;
    let screen = Screen::plain();
    let mut started = Vec::new();
    for port in &ports {
        let log = store
            .as_ref()
            .map(|store| store.join(format!("logs/local-{port}.log")));
        match start::start(&states, *port, store.as_deref(), log.as_deref(), &args.flags) {
            Ok(service) => started.push(service),
            Err(error) => screen.line(&error.text()),
        }
    }
    let named: Vec<_> = started.iter().map(|service| service.port.to_string()).collect();
    screen.line(&format!(
        "{} of {} services listen on 127.0.0.1, ports {}",
        started.len(),
        ports.len(),
        if named.is_empty() {
            "-".to_owned()
        } else {
            named.join(" ")
        }
    ));
    Ok(match ports.len() - started.len() {
        0 => OK,
        _ if started.is_empty() => NO_WORKER,
        _ => NOT_OK,
    })
}

/// Returns the services that are meant; ports of the file that have none come as their number.
fn meant(states: &States, flags: &ServicesFlags) -> Result<Vec<Result<Service, u16>>, Failed> {
    let all = states.all()?;
    match &flags.ports {
        None => Ok(all.into_iter().map(Ok).collect()),
        Some(file) => {
            let find = |port: u16| {
                all.iter()
                    .find(|service| service.port == port)
                    .cloned()
                    .ok_or(port)
            };
            Ok(ports::read(file)?.into_iter().map(find).collect())
        }
    }
}

fn ping(args: &PingArgs) -> Ended {
    let states = States::open()?;
    let mut table = Table::new(
        "local.ping",
        "services",
        vec![
            Column::right("port"),
            Column::left("state"),
            Column::right("seconds"),
            Column::left("worker"),
            Column::left("reason"),
        ],
    );
    let mut is_ok = true;
    for service in meant(&states, &args.services)? {
        let (port, answer) = match service {
            Ok(service) => (service.port, call::ping(&service, args.timeout)),
            Err(port) => (port, Err("no service was started there".to_owned())),
        };
        is_ok &= answer.is_ok();
        let mut cells = vec![Cell::from(port)];
        match answer {
            Ok(pong) => cells.extend([
                Cell::from("up").of_kind(Kind::Ok),
                Cell::from(pong.round_trip.as_secs_f64()).shown(times::short(pong.round_trip)),
                Cell::from(pong.worker),
                Cell::default(),
            ]),
            Err(why) => cells.extend([
                Cell::from("down").of_kind(Kind::Failed),
                Cell::default(),
                Cell::default(),
                Cell::from(why),
            ]),
        }
        table.row(cells);
    }
    tell(&table, args.services.format)?;
    states.tidy();
    Ok(if is_ok { OK } else { NOT_OK })
}

fn end(args: &EndArgs) -> Ended {
    let states = States::open()?;
    let columns = vec![
        Column::right("port"),
        Column::left("state"),
        Column::left("reason"),
    ];
    let mut table = Table::new("local.stop", "services", columns);
    let mut is_ok = true;
    let services = meant(&states, &args.services)?;
    // All at once: each may wait for its worker.
    let answers = crate::hosts::fan::each(
        &services,
        64,
        |service| match service {
            Ok(service) => Some(call::stop(service, args.timeout)),
            Err(_) => None,
        },
        |_, _| (),
    );
    for (service, answer) in services.iter().zip(answers) {
        let port = service.as_ref().map_or_else(|port| *port, |service| service.port);
        let (state, kind, why) = match answer {
            Some(Ok(())) => ("stopped", Kind::Ok, None),
            // One that was killed left its note behind.
            Some(Err(why)) if why == call::NOBODY => ("gone", Kind::Waiting, None),
            Some(Err(why)) => ("stays", Kind::Failed, Some(why)),
            None => (
                "none",
                Kind::Waiting,
                Some("no service was started there".to_owned()),
            ),
        };
        if state == "stays" {
            is_ok = false;
        } else {
            states.remove(port);
        }
        table.row(vec![
            Cell::from(port),
            Cell::from(state).of_kind(kind),
            why.map_or_else(Cell::default, Cell::from),
        ]);
    }
    tell(&table, args.services.format)?;
    states.tidy();
    Ok(if is_ok { OK } else { NOT_OK })
}

fn tell(table: &Table, format: Format) -> Result<(), Failed> {
    output::write_all(&table.text(format, output::terminal_width())?)
}
