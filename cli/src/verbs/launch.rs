//! `launch`: starts workers by a batch engine, or here in the background; tells of them; ends them.

mod ssh;
mod told;

use std::path::Path;

use flockwork::app::exit::{BAD_STORE, Ended, Failed, NOT_OK, OK, USAGE};
use flockwork::app::{self, Place, Screen};
use flockwork::{ErrorKind, Store};

use crate::args::{BatchArgs, CommonArgs, JobFlags, LaunchArgs, LaunchBy, LocalArgs, check_worker_flags};
use crate::launch::records::{Cap, Draft, Launches};
use crate::launch::request::Request;
use crate::launch::submit::{make_logs, submit, submit_text};
use crate::launch::{Engine, local, place, stop, text};
use crate::output;
use crate::sweep::shown;
use crate::sweep::units::parse_size;

/// With --until-done, and no limit given, so many times the workers may be launched.
const TIMES: u64 = 10;

/// Runs the verb.
pub(crate) fn launch(args: LaunchArgs) -> Ended {
    match args.by {
        LaunchBy::Local(args) => by_this_host(&args),
        LaunchBy::Ssh(args) => ssh::launch(&args),
        LaunchBy::Slurm(args) => by_engine(Engine::Slurm, &args),
        LaunchBy::Condor(args) => by_engine(Engine::Condor, &args),
        LaunchBy::Sge(args) => by_engine(Engine::Sge, &args),
    }
}

fn by_this_host(args: &LocalArgs) -> Ended {
    let common = &args.common;
    let store = open(common)?;
    if let Some(looked) = look_after(Engine::Local, common, &store) {
        return looked;
    }
    let asked = request(common, None, false, &store)?;
    let cap = cap(common, false);
    let draft = Draft {
        engine: Engine::Local,
        asked,
        parent: None,
        cap,
        text: &|_, _| Ok(None),
    };
    let started = local::start(&Launches::of(store.path()), &draft)?;
    let screen = Screen::plain();
    for failed in &started.failed {
        screen.line(&format!("note: {}", shown::plain(failed)));
    }
    let pids: Vec<String> = started.pids.iter().map(u32::to_string).collect();
    let store = shown::words([store.path()]);
    screen.line(&format!(
        "launch {}: {} in the background (pid {}), output in {store}/logs/local-{:06}.*.log",
        started.record.number,
        shown::count(pids.len() as u64, "worker"),
        pids.join(" "),
        started.record.number
    ));
    screen.line(&format!(
        "next: flockwork wait {store}     flockwork launch local {store} --stop"
    ));
    Ok(if started.failed.is_empty() { OK } else { NOT_OK })
}

fn by_engine(engine: Engine, args: &BatchArgs) -> Ended {
    let common = &args.common;
    let store = open(common)?;
    if let Some(looked) = look_after(engine, common, &store) {
        return looked;
    }
    let asked = request(common, Some(&args.job), args.until_done, &store)?;
    let screen = Screen::plain();
    // What makes no sense is told before the engine is looked for.
    let printed = text::submit_file(engine, &asked, None)?;
    for warning in place::check(engine, &asked, args.force)? {
        screen.line(&format!("warning: {warning}"));
    }
    if args.print {
        // Some engines hold a job whose output cannot be written.
        make_logs(store.path())?;
        output::write_all(&printed)?;
        return Ok(OK);
    }
    place::find_command(engine)?;
    let draft = Draft {
        engine,
        asked,
        parent: None,
        cap: cap(common, args.until_done),
        text: &submit_text(engine),
    };
    let submitted = submit(&Launches::of(store.path()), &draft, || Ok(None))?;
    let (record, shown_store) = (&submitted.record, shown::words([store.path()]));
    screen.line(&format!(
        "launch {}: {} submitted to {}, job {}",
        record.number,
        shown::count(record.asked.workers.into(), "worker"),
        engine.title(),
        submitted.job
    ));
    screen.line(&format!(
        "next: flockwork status {shown_store}     flockwork launch {} {shown_store} --stop",
        engine.name()
    ));
    Ok(OK)
}

/// Does what only looks at launches, or ends them, if that was asked for.
fn look_after(engine: Engine, common: &CommonArgs, store: &Store) -> Option<Ended> {
    let launches = Launches::of(store.path());
    if common.status {
        return Some(told::status(&launches, engine, store, common.format));
    }
    common
        .stop
        .then(|| told::stopped(&stop::stop(&launches, engine)?, common.format))
}

fn open(common: &CommonArgs) -> Result<Store, Failed> {
    open_for(&common.place, common.status || common.stop)
}

/// Opens the store; to launch workers it must have a sweep.
fn open_for(place: &Place, only_looks: bool) -> Result<Store, Failed> {
    let path = app::absolute(&app::named(place.store.as_deref())?);
    let store = Store::open(&path).map_err(|error| match error.kind() {
        ErrorKind::Missing => Failed::new(
            BAD_STORE,
            error.to_string(),
            Some("make it first: flockwork submit STORE --params FILE -- COMMAND".to_owned()),
        ),
        _ => error.into(),
    })?;
    if !only_looks {
        super::sweep_of(&store)?;
    }
    Ok(store)
}

fn request(
    common: &CommonArgs,
    job: Option<&JobFlags>,
    until_done: bool,
    store: &Store,
) -> Result<Request, Failed> {
    check_flags(&common.flags)?;
    let memory = job
        .and_then(|job| job.mem.as_deref())
        .map(|typed| parse_size(typed).map_err(|error| Failed::new(USAGE, format!("--mem: {error}"), None)));
    let seconds = job
        .and_then(|job| job.time)
        .map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0));
    if seconds == Some(0) {
        return Err(Failed::usage(
            "--time 0s leaves no time",
            "write it as 30m, 2h or 1h30m",
        ));
    }
    Ok(Request {
        program: place::text("the program's path", &place::own_program()?)?,
        store: place::text("the store's path", Path::new(store.path()))?,
        workers: common.workers,
        seconds,
        memory: memory.transpose()?,
        cpus: job.and_then(|job| job.cpus),
        slots: common.slots,
        until_done,
        flags: common.flags.clone(),
    })
}

/// Refuses flags that no worker would understand, before anything is started.
fn check_flags(flags: &[String]) -> Result<(), Failed> {
    let hint = "after -- stand flags as of `flockwork worker --help`";
    check_worker_flags(flags).map_err(|error| {
        let text = error.to_string();
        let first = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        Failed::usage(
            format!("no worker would understand its flags: {}", shown::plain(first)),
            hint,
        )
    })
}

fn cap(common: &CommonArgs, until_done: bool) -> Cap {
    match common.max_submissions {
        Some(most) => Cap::Store { most },
        None if until_done => Cap::Family {
            most: u64::from(common.workers) * TIMES,
        },
        None => Cap::None,
    }
}
