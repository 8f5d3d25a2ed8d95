//! `launch ssh`: a worker on each of many hosts.

mod after;

use std::path::Path;

use flockwork::Store;
use flockwork::app::Screen;
use flockwork::app::exit::{Ended, Failed, NO_WORKER, NOT_OK, OK};

use super::{check_flags, open_for};
use crate::args::{Format, LaunchSshArgs};
use crate::hosts::{self, Host, Ssh, Trouble, fan, fold};
use crate::launch::records::{Cap, Draft, Launches, Note, Notes, Reached, Record};
use crate::launch::request::Request;
use crate::launch::ssh::platform::Programs;
use crate::launch::ssh::{Plan, Started};
use crate::launch::submit::make_logs;
use crate::launch::{Engine, place};
use crate::output::{self, Cell, Column, Kind, Table, ago};
use crate::sweep::shown;

/// Runs the verb.
pub(super) fn launch(args: &LaunchSshArgs) -> Ended {
    let store = open_for(&args.place, args.status || args.stop)?;
    let path = place::text("the store's path", store.path())?;
    if args.status || args.stop {
        return after::after(args, &store, &path);
    }
    check_flags(&args.flags)?;
    let hosts = hosts::list::read(&args.hosts)?;
    let programs = Programs::read(args.program.as_deref(), &args.platform)?;
    if args.print {
        return print(args, &hosts, &programs, &path);
    }
    start(args, &store, &hosts, &programs, &path)
}

/// What was asked for is in the store before the first worker runs.
fn record(
    args: &LaunchSshArgs,
    store: &Store,
    hosts: &[Host],
    programs: &Programs,
) -> Result<Record, Failed> {
    let names: String = hosts.iter().map(|host| format!("{}\n", host.name)).collect();
    let text = |_: &Request, _| Ok(Some(names.clone()));
    let draft = Draft {
        engine: Engine::Ssh,
        asked: Request {
            program: place::text("the program's path", &programs.main().path)?,
            store: place::text("the store's path", store.path())?,
            workers: u32::try_from(hosts.len()).unwrap_or(u32::MAX),
            seconds: None,
            memory: None,
            cpus: None,
            slots: args.slots,
            until_done: false,
            flags: args.flags.clone(),
        },
        parent: None,
        cap: args.max_submissions.map_or(Cap::None, |most| Cap::Store { most }),
        text: &text,
    };
    make_logs(store.path())?;
    Launches::of(store.path()).publish(&draft)
}

fn start(args: &LaunchSshArgs, store: &Store, hosts: &[Host], programs: &Programs, path: &str) -> Ended {
    let screen = Screen::plain();
    let record = record(args, store, hosts, programs)?;
    let mut notes = Launches::of(store.path()).notes(record.number)?;
    let plan = Plan {
        store: path,
        id: store.id(),
        programs,
        remote_dir: &args.remote_dir,
        slots: args.slots,
        remove: args.remove_program,
        launch: record.number,
        flags: &args.flags,
    };
    let ssh = Ssh::new(&args.ssh, true)?;
    let mut unwritten = None;
    let work = |host: &Host| plan.start(&ssh, host);
    let ended = |host: &Host, result: &Result<Started, Trouble>| match result {
        Ok(started) => {
            if let Err(error) = note(&mut notes, host, started) {
                unwritten.get_or_insert(error);
            }
        }
        Err(trouble) => tell_failed(&screen, host, trouble),
    };
    let results = fan::each(hosts, args.ssh.fanout as usize, work, ended);
    ssh.close(hosts);
    let both: Vec<_> = hosts.iter().zip(&results).collect();
    let failed = results.iter().filter(|result| result.is_err()).count();
    if failed == results.len() {
        // It is told in any case.
        let said = "no worker was started".to_owned();
        let _ = notes.add(&Note::Failed { at: ago::now(), said });
    }
    tell(&screen, record.number, &both, &plan);
    if args.format != Format::Table {
        let mut table = Table::new("launch.ssh", "hosts", columns());
        for (host, result) in &both {
            let (state, pid, why) = match result {
                Ok(started) => (state_of(started), Some(started.pid), None),
                Err(trouble) => ("failed", None, Some(trouble)),
            };
            table.row(row(&host.name, state, pid, why));
        }
        table.print(args.format)?;
    }
    if let Some(error) = unwritten {
        let text = format!("workers were started, but that cannot be written into the store: {error}");
        return Err(Failed::new(
            NOT_OK,
            text,
            Some("--status and --stop do not know of them".to_owned()),
        ));
    }
    Ok(match failed {
        0 => OK,
        failed if failed == results.len() => NO_WORKER,
        _ => NOT_OK,
    })
}

fn note(notes: &mut Notes, host: &Host, started: &Started) -> std::io::Result<()> {
    notes.add(&Note::Reached {
        at: ago::now(),
        worker: Reached {
            host: host.name.clone(),
            pid: started.pid,
            slots: started.slots,
            program: started.program.clone(),
            copied: started.copied,
        },
    })
}

fn state_of(started: &Started) -> &'static str {
    match started.ended {
        Some(_) => "ended",
        None => "up",
    }
}

fn tell_failed(screen: &Screen, host: &Host, trouble: &Trouble) {
    screen.line(&format!("FAILED  {}  {}", host.name, trouble.text()));
}

fn tell(screen: &Screen, launch: u64, both: &[(&Host, &Result<Started, Trouble>)], plan: &Plan<'_>) {
    let started: Vec<_> = both
        .iter()
        .filter_map(|(host, result)| Some((*host, result.as_ref().ok()?)))
        .collect();
    let failed = both.len() - started.len();
    let mut hints: Vec<_> = both
        .iter()
        .filter_map(|(_, result)| result.as_ref().err()?.why.hint())
        .collect();
    hints.dedup();
    for hint in hints.iter().take(3) {
        screen.line(&format!("hint: {hint}"));
    }
    let slots: u32 = started.iter().map(|(_, started)| started.slots).sum();
    let copied = started.iter().filter(|(_, started)| started.copied).count();
    let mut text = format!(
        "launch {launch}: {} up with {}",
        shown::count(started.len() as u64, "worker"),
        shown::count(slots.into(), "slot")
    );
    if !started.is_empty() {
        text.push_str(&format!(
            " on {}",
            fold(started.iter().map(|(host, _)| host.name.as_str()))
        ));
    }
    if copied > 0 {
        text.push_str(&format!(
            "; the program was copied to {}",
            shown::count(copied as u64, "host")
        ));
    }
    if failed > 0 {
        text.push_str(&format!("; {failed} failed"));
        if !started.is_empty() {
            text.push_str(", going on with the others");
        }
    }
    screen.line(&text);
    let ended = started.iter().filter(|(_, started)| started.ended.is_some());
    let ended: Vec<_> = ended.map(|(host, _)| host.name.as_str()).collect();
    if !ended.is_empty() {
        let log = shown::path(Path::new(plan.store));
        screen.line(&format!(
            "note: nothing to do on {}: these workers have left; what they said is in {log}/logs",
            fold(ended)
        ));
    }
}

/// `--print`: what one could type by hand.
fn print(args: &LaunchSshArgs, hosts: &[Host], programs: &Programs, store: &str) -> Ended {
    let program = programs.main().path.to_string_lossy();
    let mut text = String::new();
    for host in hosts {
        let slots = host.slots.or(args.slots).map(|slots| slots.to_string());
        let slots = slots.unwrap_or_else(|| "$(nproc)".to_owned());
        let flags = args.flags.iter().map(String::as_str);
        let words = shown::words([program.as_ref(), "worker", store].into_iter().chain(flags));
        let there = format!("nohup {words} --slots {slots} </dev/null >/dev/null 2>&1 &");
        let mut line: Vec<String> = vec!["ssh".into()];
        if let Some(port) = host.port {
            line.extend(["-p".into(), port.to_string()]);
        }
        let user = host
            .user
            .as_ref()
            .map(|user| format!("{user}@"))
            .unwrap_or_default();
        line.extend([format!("{user}{}", host.address), there]);
        text.push_str(&shown::words(line));
        text.push('\n');
    }
    output::write_all(&text)?;
    Ok(OK)
}

fn columns() -> Vec<Column> {
    vec![
        Column::left("host"),
        Column::left("state"),
        Column::right("pid"),
        Column::left("code"),
        Column::left("reason"),
    ]
}

fn row(host: &str, state: &str, pid: Option<u32>, trouble: Option<&Trouble>) -> Vec<Cell> {
    let kind = match state {
        "up" => Kind::Running,
        "failed" | "unknown" | "stays" => Kind::Failed,
        _ => Kind::Waiting,
    };
    vec![
        Cell::from(host),
        Cell::from(state).of_kind(kind),
        pid.map_or_else(Cell::default, Cell::from),
        trouble.map_or_else(Cell::default, |trouble| Cell::from(trouble.why.code())),
        trouble.map_or_else(Cell::default, |trouble| Cell::from(trouble.text())),
    ]
}
