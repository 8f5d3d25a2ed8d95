//! The host where a torture begins: it makes the store, has the master, and proves in the end.

use std::path::Path;
use std::time::{Duration, Instant};

use flockwork::app::exit::{Ended, Failed, NOT_OK, OK, USAGE};
use flockwork::app::{Format, Screen, absolute, times::short};
use flockwork::{Durability, How, Store, StoreConfig};

use super::host::{Host, trouble};
use super::prove;
use super::random::{mix, new_seed};
use super::setup::{ENDED, ENOUGH, FAILED, HOST, Setup, Site};
use super::verdict::Verdict;
use crate::args::TortureArgs;
use crate::doctor::{kinds, mount};
use crate::output::{document, write_all};
use crate::signals;

/// How long it takes if nothing else is said.
const LONG: Duration = Duration::from_secs(120);
/// Failures are tried again this often: no task is ever to fail for good.
const RETRIES: u32 = 100_000;

/// Runs the whole of it; returns the exit code.
pub(super) fn run(args: &TortureArgs) -> Ended {
    let screen = Screen::plain();
    let caught = signals::listen().map_err(|error| trouble("cannot listen to signals", &error))?;
    let path = absolute(&args.store);
    let (setup, kind) = prepare(&path, args, &screen)?;
    let seed = setup.seed;
    let store = furnish(&path, &setup)?;
    let limit = match (args.duration, args.kills) {
        (None, None) => Some(LONG),
        (duration, _) => duration,
    };
    screen.line(&begins(&path, args, &setup, limit));
    let mut host = Host::begin(&path, setup, mix(seed), args.workers, true, caught)?;
    let is_enough = |host: &Host| {
        let kills = args.kills.is_some_and(|kills| host.done().kills >= kills);
        kills || limit.is_some_and(|limit| host.begun.elapsed() >= limit)
    };
    while !is_enough(&host) && !host.is_alarmed() && !host.is_stuck() && host.caught.code().is_none() {
        host.step(&screen, true)?;
    }
    host.calm();
    host.site
        .say(ENOUGH)
        .map_err(|error| trouble("cannot end the run", &error))?;
    let took = host.begun.elapsed();
    while !host.has_left() && !host.is_stuck() && host.caught.code().is_none() {
        host.step(&screen, false)?;
    }
    if let Some(code) = host.caught.code() {
        return interrupted(host, &store, code, args, &screen);
    }
    if host.is_stuck() && !host.has_left() {
        host.give_up(&screen);
        // Workers of other hosts wait for the end, too.
        store.stop(How::Now, "the torture has failed")?;
    }
    let (site, setup, caught) = (host.site.clone(), host.setup.clone(), host.caught.clone());
    // NFS keeps files that are still open under another name, and so the directory too, until they are closed.
    if setup.network && host.has_left() && prove::is_untidy(&path)? {
        host.tidy(&screen)?;
    }
    host.leave(&screen)?;
    let silent = wait_for_others(&site, &setup, || caught.code().is_some())?;
    let mut verdict = prove::prove(&store, &site, &setup, &silent)?;
    (verdict.file_system, verdict.took) = (kind, took);
    conclude(&verdict, &path, args, &site, &screen)
}

/// Looks at the place, and decides what is not said.
fn prepare(path: &Path, args: &TortureArgs, screen: &Screen) -> Result<(Setup, String), Failed> {
    make_room(path, screen)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let mount = mount::of(parent).map_err(|error| {
        Failed::usage(
            format!("cannot look at {}: {error}", parent.display()),
            "name a path in a directory that is there",
        )
    })?;
    let local = kinds::is_local(&mount);
    let lease = args
        .lease
        .unwrap_or(Duration::from_secs(if local { 2 } else { 20 }));
    if lease < Duration::from_millis(100) {
        return Err(Failed::usage(
            "--lease is too short",
            "living workers would be given up again and again; at least 100ms",
        ));
    }
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let patience = args.patience.unwrap_or(10 * lease + Duration::from_secs(20));
    let batch = args.batch.max(1);
    let setup = Setup {
        seed: args.seed.unwrap_or_else(new_seed),
        tasks: args.tasks.max(1),
        batch,
        lease: millis(lease),
        pace: millis(args.pace),
        patience: millis(patience),
        network: !local,
    };
    let kind = format!("{} ({}) at {}", mount.fs_type, mount.source, mount.point);
    Ok((setup, kind))
}

/// Refuses what is not ours, and removes what an earlier torture has left.
fn make_room(path: &Path, screen: &Screen) -> Result<(), Failed> {
    let io = |error: std::io::Error| trouble("cannot look at the path", &error);
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let refuse = |why: &str, hint: String| {
        let text = format!("{} {why}", path.display());
        Err(Failed::new(USAGE, text, Some(hint)))
    };
    let site = Site::of(path);
    if !path.is_dir() || site.setup().map_err(io)?.is_none() {
        let hint = "name a path where nothing is; the store is made there, and removed if all is well";
        return refuse("is there, and is no store of a torture", hint.to_owned());
    }
    if site.has(FAILED).map_err(io)? {
        let hint = format!("look at it, then remove it: rm -r {}", path.display());
        return refuse("is what a torture that failed has left", hint);
    }
    let before = super::signs(&site, "").map_err(io)?;
    let begun = Instant::now();
    while begun.elapsed() < super::SIGN_OF_LIFE {
        if super::signs(&site, "").map_err(io)? != before {
            let hint = "wait for its end, or take part in it from another host with --join";
            return refuse("is a torture that goes on", hint.to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    screen.line(&format!(
        "note: {} of an earlier torture is replaced",
        path.display()
    ));
    std::fs::remove_dir_all(path).map_err(|error| trouble("cannot remove the earlier store", &error))
}

fn furnish(path: &Path, setup: &Setup) -> Result<Store, Failed> {
    // None is to be doubled for being slow: then each attempt beyond the first has a fault that is known.
    let config = StoreConfig::default()
        .durability(Durability::Process)
        .retries(RETRIES)
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .lease(setup.lease())
        .tail(0.0);
    let store = Store::create(path, &config)?;
    let site = Site::of(path);
    let made = site.make().and_then(|()| site.put(setup));
    made.map_err(|error| trouble("cannot make the store", &error))?;
    Ok(store)
}

fn begins(path: &Path, args: &TortureArgs, setup: &Setup, limit: Option<Duration>) -> String {
    let until = match (limit, args.kills) {
        (Some(limit), None) => format!("for {}", short(limit)),
        (None, Some(kills)) => format!("until {kills} kills"),
        (Some(limit), Some(kills)) => format!("for {}, or until {kills} kills", short(limit)),
        (None, None) => String::new(),
    };
    format!(
        "{}: a master and {} workers, killed, stopped and robbed {until}; lease {}, seed {}",
        path.display(),
        args.workers,
        short(setup.lease()),
        setup.seed
    )
}

/// Waits until each other host has said all; returns those that did not.
fn wait_for_others(site: &Site, setup: &Setup, stopped: impl Fn() -> bool) -> Result<Vec<String>, Failed> {
    let begun = Instant::now();
    loop {
        let names = site
            .names()
            .map_err(|error| trouble("cannot list the store", &error))?;
        let hosts = names.iter().filter_map(|name| name.strip_suffix(HOST));
        let silent = hosts.filter(|host| !names.contains(&format!("{host}{ENDED}")));
        let silent: Vec<String> = silent.map(str::to_owned).collect();
        if silent.is_empty() || begun.elapsed() > setup.patience() || stopped() {
            return Ok(silent);
        }
        std::thread::sleep(Duration::from_millis(if setup.network { 500 } else { 50 }));
    }
}

fn interrupted(host: Host, store: &Store, code: u8, args: &TortureArgs, screen: &Screen) -> Ended {
    let (path, site) = (host.store.clone(), host.site.clone());
    let alone = others(&site, &host.name);
    store.stop(How::Now, "the torture was interrupted")?;
    host.leave(screen)?;
    let kept = args.keep || !alone || std::fs::remove_dir_all(&path).is_err();
    let what = if kept { "kept" } else { "removed" };
    screen.line(&format!("stopped: no verdict; {} is {what}", path.display()));
    Ok(code)
}

/// Whether no other host takes part.
fn others(site: &Site, own: &str) -> bool {
    let names = site.names().unwrap_or_default();
    let mut hosts = names.iter().filter_map(|name| name.strip_suffix(HOST));
    hosts.all(|host| host == own)
}

fn conclude(verdict: &Verdict, path: &Path, args: &TortureArgs, site: &Site, screen: &Screen) -> Ended {
    let passed = verdict.passed();
    let mut kept = args.keep || !passed;
    if !passed {
        // It is a remark for the next torture; the verdict itself is told now.
        let _ = site.say(FAILED);
    }
    if !kept && let Err(error) = std::fs::remove_dir_all(path) {
        screen.line(&format!("note: {} could not be removed: {error}", path.display()));
        kept = true;
    }
    write_all(&match args.format {
        Format::Table => verdict.table(path, kept),
        Format::Json => document("torture", verdict.json(path, kept)),
    })?;
    Ok(if passed { OK } else { NOT_OK })
}
