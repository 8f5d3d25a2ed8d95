//! One case: a victim under strace, healthy ones that finish the run, and the proof.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flockwork::{How, Stop, Store};

use crate::errands::{Doer, Giver, tell_event};
use crate::processes::{Listener, Order, Process, Role, master_config, settings, worker_config};
use crate::proof::{self, Seen};
use crate::strace::{Fate, Rule, Strace};
use crate::wait::{LONG, wait_until};

/// A victim that has neither ended nor parked by then has what it needs taken away: the faults.
const PATIENCE: Duration = Duration::from_secs(6);
/// Parked outcomes are tried again after half a minute; and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(150);

/// What is done to whom, and where.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) role: Role,
    pub(crate) rule: Rule,
    pub(crate) network: bool,
    pub(crate) batch: u32,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = match self.role {
            Role::Master => "master",
            Role::Worker => "worker",
        };
        let place = if self.network { "network" } else { "local" };
        write!(f, "{role} {} ({place}, batches of {})", self.rule, self.batch)
    }
}

/// What a case came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) injected: usize,
    pub(crate) executions: usize,
    pub(crate) gave_up: usize,
    pub(crate) parked: usize,
}

/// The directory of a case, and the healthy ones in it.
struct Site {
    dir: tempfile::TempDir,
    listener: Listener,
    masters: Stop,
    workers: Stop,
    network: bool,
    batch: u32,
}

type Master = JoinHandle<Result<Giver, String>>;
type Worker = JoinHandle<Result<(), String>>;

impl Site {
    fn new(network: bool, batch: u32) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let listener = Listener::at(dir.path().join("socket"));
        Site {
            dir,
            listener,
            masters: Stop::new(),
            workers: Stop::new(),
            network,
            batch,
        }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("x.flock")
    }

    fn order(&self, role: Role) -> Order {
        let (network, batch) = (self.network, self.batch);
        Order {
            role,
            store: self.store(),
            socket: self.listener.path().to_owned(),
            network,
            batch,
        }
    }

    /// A master that nothing happens to.
    fn master(&self) -> Master {
        let (path, stop, ear) = (self.store(), self.masters.clone(), self.listener.inside());
        let config = master_config(self.batch)
            .stop(stop)
            .on_event(move |event| tell_event(&ear, event));
        let settings = settings(self.network);
        std::thread::spawn(move || {
            let mut giver = Giver::default();
            let store = Store::open_or_create(&path, &settings).map_err(|error| error.to_string())?;
            let summary = config
                .run(&store, &mut giver)
                .map_err(|error| error.to_string())?;
            if summary.stopped {
                Err("the case was ended".to_owned())
            } else {
                Ok(giver)
            }
        })
    }

    /// A worker that nothing happens to; it waits for the store.
    fn worker(&self) -> Worker {
        let (path, stop) = (self.store(), self.workers.clone());
        let (ear, doer) = (self.listener.inside(), Doer(self.listener.inside()));
        let config = worker_config()
            .stop(stop.clone())
            .idle_exit(LIMIT * 2)
            .on_event(move |event| tell_event(&ear, event));
        std::thread::spawn(move || {
            let store = loop {
                match Store::open(&path) {
                    Ok(store) => break store,
                    Err(_) if stop.requested().is_some() => return Ok(()),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            };
            config
                .run(&store, doer)
                .map(drop)
                .map_err(|error| error.to_string())
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // After a failed proof nobody goes on in a directory that is removed.
        self.masters.request(How::Now);
        self.workers.request(How::Now);
    }
}

/// Counts the calls of an undisturbed run.
pub(crate) fn count_calls(role: Role, network: bool) -> std::collections::BTreeMap<&'static str, u32> {
    let site = Site::new(network, 1);
    let victim = Victim::start(&site, role, None);
    let counts = run(&site, role, victim).unwrap_or_else(|error| panic!("an undisturbed run: {error}"));
    counts.1
}

/// Runs a case of a master that has nothing to collect before so many calls were answered with an error.
pub(crate) fn play_long(case: &Case, injected: usize) -> Result<Figures, String> {
    let site = Site::new(case.network, case.batch);
    let victim = Victim::start(&site, case.role, Some(&case.rule));
    wait_until("the errors", LIMIT, || {
        match victim.strace.injected() >= injected {
            true => Ok(()),
            false => Err(site.listener.said()),
        }
    });
    run(&site, case.role, victim).map(|(figures, _)| figures)
}

/// Runs a case; what went wrong, if something did.
pub(crate) fn play(case: &Case) -> Result<Figures, String> {
    let site = Site::new(case.network, case.batch);
    let victim = Victim::start(&site, case.role, Some(&case.rule));
    run(&site, case.role, victim).map(|(figures, _)| figures)
}

struct Victim {
    process: Process,
    strace: Strace,
    killed: bool,
}

impl Victim {
    fn start(site: &Site, role: Role, rule: Option<&Rule>) -> Victim {
        if role == Role::Worker {
            // Its master has made the store by then.
            Store::open_or_create(site.store(), &settings(site.network)).unwrap();
        }
        let process = Process::start(&site.order(role));
        let log = site.dir.path().join("strace");
        // What it does before is not ours: loading libraries, and what tests print.
        wait_until("the victim to begin", LONG, || site.listener.has_said("ready"));
        let strace = match rule {
            Some(rule) => Strace::inject(process.pid(), &log, rule),
            None => Strace::watch(process.pid(), &log),
        };
        let killed = rule.is_some_and(|rule| rule.fate == Fate::Killed);
        Victim {
            process,
            strace,
            killed,
        }
    }

    /// Waits until it has ended, or waits for better times.
    fn suffer(&mut self, site: &Site) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE
            && self.process.has_ended().is_none()
            && !site.listener.has_said("event Parked")
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.strace.let_go();
    }
}

type Counts = std::collections::BTreeMap<&'static str, u32>;

fn run(site: &Site, role: Role, mut victim: Victim) -> Result<(Figures, Counts), String> {
    let (mut master, mut worker) = (None, None);
    match role {
        Role::Worker => master = Some(site.master()),
        Role::Master => worker = Some(site.worker()),
    }
    victim.suffer(site);
    let code = match role {
        Role::Worker => {
            worker = Some(site.worker());
            None
        }
        Role::Master => {
            let code = victim.process.ended(LIMIT);
            master = Some(site.master());
            Some(code)
        }
    };
    let giver = join(master.take(), "the healthy master", site)?;
    // One that has come after the end waits for a master that takes the stop file away.
    site.workers.request(How::Finish);
    join(worker.take(), "the healthy worker", site)?;
    let code = code.unwrap_or_else(|| victim.process.ended(LIMIT));
    let injected = if victim.killed {
        usize::from(code == 128 + 9)
    } else {
        victim.strace.injected()
    };
    let counts = victim.strace.counts();
    // A master that is started again sees the same outcomes.
    let again = join(Some(site.master()), "a master that is started again", site)?;
    let seen = Seen {
        store: &site.store(),
        said: &site.listener.said(),
        injected,
        killed: victim.killed,
        code,
    };
    let (executions, parked) = proof::check(&seen, &giver, &again)?;
    let gave_up = usize::from(code != 0 && !victim.killed);
    Ok((
        Figures {
            injected,
            executions,
            gave_up,
            parked,
        },
        counts,
    ))
}

fn join<T>(thread: Option<JoinHandle<Result<T, String>>>, who: &str, site: &Site) -> Result<T, String> {
    let Some(thread) = thread else {
        return Err(format!("{who} was not started"));
    };
    wait_until(who, LIMIT, || match thread.is_finished() {
        true => Ok(()),
        false => Err(site.listener.said()),
    });
    match thread.join() {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{who}: {error}\n{:#?}", site.listener.said())),
        Err(_) => Err(format!("{who} panicked")),
    }
}
