//! The local worker processes of `run`: started, replaced when they die, asked to leave.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::exit::NEAR_LIMIT;
use super::screen::Screen;
use crate::wait::lock;

/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(100);
/// A worker that left in good order while there is work is replaced after this.
const PAUSE: Duration = Duration::from_secs(1);
/// After deaths in a row the pause grows by this.
const STEP: Duration = Duration::from_millis(100);
/// The longest line of a worker that is passed on whole.
const LONGEST_LINE: u64 = 4096;

/// What to start, and when to give up.
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) workers: u32,
    /// A worker may die so often in a row while no outcome comes in.
    pub(super) deaths: u32,
    /// How many outcomes have come in.
    pub(super) outcomes: Box<dyn Fn() -> u64 + Send>,
    /// Whether the store asks workers to leave.
    pub(super) is_stopping: Box<dyn Fn() -> bool + Send>,
    /// Called once when no worker is left that could be started.
    pub(super) on_none_left: Box<dyn Fn() + Send>,
}

/// How the workers are made to leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leave {
    /// They are sent TERM after this; `None`: they leave by themselves.
    pub(super) term_after: Option<Duration>,
    /// They are killed so long after TERM; `None`: never.
    pub(super) kill_after: Option<Duration>,
}

/// The local workers; clones are the same ones.
#[derive(Clone)]
pub(super) struct Crew(Arc<Mutex<State>>);

struct State {
    plan: Plan,
    screen: Screen,
    phase: Phase,
    hands: Vec<Hand>,
    none_left: bool,
    /// Whether workers have left because the time limit of all of them is near.
    near_limit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    NotStarted,
    Working,
    Leaving,
}

/// The place of one worker: its process, or when the next one is to be started.
enum Hand {
    Alive {
        child: Child,
        termed: bool,
        deaths: u32,
        outcomes: u64,
    },
    Next {
        at: Instant,
        deaths: u32,
        instead_of: u32,
    },
    GivenUp,
}

impl Crew {
    pub(super) fn new(plan: Plan, screen: &Screen) -> Crew {
        Crew(Arc::new(Mutex::new(State {
            plan,
            screen: screen.clone(),
            phase: Phase::NotStarted,
            hands: Vec::new(),
            none_left: false,
            near_limit: false,
        })))
    }

    /// Starts the workers, if that was not done before, and a thread that looks after them.
    pub(super) fn start(&self) {
        {
            let mut state = lock(&self.0);
            if state.phase != Phase::NotStarted {
                return;
            }
            state.phase = Phase::Working;
            state.hands = (0..state.plan.workers).map(|_| state.begin(0)).collect();
            let pids: Vec<_> = state.pids().iter().map(u32::to_string).collect();
            if !pids.is_empty() {
                let (count, s) = (pids.len(), if pids.len() == 1 { "" } else { "s" });
                state
                    .screen
                    .line(&format!("{count} local worker{s} (pid{s} {})", pids.join(" ")));
            }
        }
        let crew = self.clone();
        let body = move || {
            while lock(&crew.0).look() {
                std::thread::park_timeout(LOOK);
            }
        };
        let thread = std::thread::Builder::new()
            .name("flockwork-crew".into())
            .spawn(body);
        if let Err(error) = thread {
            lock(&self.0)
                .screen
                .line(&format!("note: dead workers will not be replaced: {error}"));
        }
    }

    /// Says whether there was no worker left that could be started.
    pub(super) fn none_left(&self) -> bool {
        lock(&self.0).none_left
    }

    /// Says whether that is so because the time limit is near.
    pub(super) fn near_limit(&self) -> bool {
        lock(&self.0).near_limit
    }

    /// Sends TERM to all, once.
    pub(super) fn term(&self) {
        lock(&self.0).term();
    }

    /// Kills all, with the processes that they have started.
    pub(super) fn kill(&self) {
        lock(&self.0).kill();
    }

    /// Waits until all have left; none is started any more.
    pub(super) fn leave(&self, leave: Leave) {
        let begun = Instant::now();
        let mut termed: Option<Instant> = None;
        lock(&self.0).phase = Phase::Leaving;
        loop {
            let mut state = lock(&self.0);
            state.look();
            if state.pids().is_empty() {
                return;
            }
            if leave.term_after.is_some_and(|after| begun.elapsed() >= after) {
                state.term();
                let since = *termed.get_or_insert_with(Instant::now);
                if leave.kill_after.is_some_and(|after| since.elapsed() >= after) {
                    state.kill();
                }
            }
            drop(state);
            std::thread::park_timeout(LOOK / 4);
        }
    }
}

impl State {
    fn pids(&self) -> Vec<u32> {
        let alive = self.hands.iter().filter_map(|hand| match hand {
            Hand::Alive { child, .. } => Some(child.id()),
            _ => None,
        });
        alive.collect()
    }

    /// Looks at all processes, replaces those that died; says whether that is to go on.
    fn look(&mut self) -> bool {
        let mut hands = std::mem::take(&mut self.hands);
        for hand in &mut hands {
            let ended = match hand {
                Hand::Alive { child, .. } => child.try_wait().ok().flatten(),
                _ => None,
            };
            match (ended, &*hand) {
                (
                    Some(status),
                    Hand::Alive {
                        child,
                        termed,
                        deaths,
                        outcomes,
                    },
                ) => *hand = self.after(child.id(), status, *termed, (*deaths, *outcomes)),
                (_, Hand::Next { .. }) if self.phase == Phase::Leaving => *hand = Hand::GivenUp,
                (
                    _,
                    Hand::Next {
                        at,
                        deaths,
                        instead_of,
                    },
                ) if Instant::now() >= *at => {
                    if (self.plan.is_stopping)() {
                        continue;
                    }
                    let old = *instead_of;
                    *hand = self.begin(*deaths);
                    if let Hand::Alive { child, .. } = hand {
                        let new = child.id();
                        let whom = match old {
                            0 => String::new(),
                            old => format!(" takes the place of {old}"),
                        };
                        self.screen.line(&format!("START worker {new}{whom}"));
                    }
                }
                _ => {}
            }
        }
        self.hands = hands;
        let none_left = self.hands.iter().all(|hand| matches!(hand, Hand::GivenUp));
        if none_left && self.phase == Phase::Working && !std::mem::replace(&mut self.none_left, true) {
            (self.plan.on_none_left)();
        }
        self.phase == Phase::Working
    }

    /// Decides what comes after a process that has ended.
    fn after(&mut self, pid: u32, status: ExitStatus, termed: bool, before: (u32, u64)) -> Hand {
        if status.code() == Some(NEAR_LIMIT.into()) {
            // The next one would refuse all tasks too.
            if !std::mem::replace(&mut self.near_limit, true) {
                self.screen
                    .line("LIMIT  the time limit is near: workers take no new tasks, and leave");
            }
            return Hand::GivenUp;
        }
        let broke = !status.success();
        if broke && !(termed && status.code().is_none()) {
            self.screen
                .line(&format!("LOST  worker {pid} {}", how_it_ended(status)));
        }
        if self.phase == Phase::Leaving {
            return Hand::GivenUp;
        }
        let (deaths, outcomes) = before;
        // While outcomes come in, the run gets on, and that is what counts.
        let deaths = match (self.plan.outcomes)() > outcomes {
            true => u32::from(broke),
            false => deaths + u32::from(broke),
        };
        self.next_after(deaths, pid)
    }

    fn begin(&self, deaths: u32) -> Hand {
        match self.spawn() {
            Ok(child) => Hand::Alive {
                child,
                termed: false,
                deaths,
                outcomes: (self.plan.outcomes)(),
            },
            // The system may lack memory or processes for a moment: that counts as a death.
            Err(error) => {
                if deaths == 0 {
                    let program = self.plan.program.display();
                    self.screen.line(&format!(
                        "error: cannot start a worker {program}: {error}; trying again"
                    ));
                }
                self.next_after(deaths + 1, 0)
            }
        }
    }

    /// Decides when the next process is started after so many deaths; pid 0: there was none.
    fn next_after(&self, deaths: u32, pid: u32) -> Hand {
        if deaths > self.plan.deaths {
            let text =
                format!("LOST  a worker is not replaced: {deaths} deaths in a row without any outcome");
            self.screen.line(&text);
            return Hand::GivenUp;
        }
        let pause = match deaths {
            0 => PAUSE,
            1 => Duration::ZERO,
            deaths => STEP * deaths.min(50),
        };
        Hand::Next {
            at: Instant::now() + pause,
            deaths,
            instead_of: pid,
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let (reader, writer) = std::io::pipe()?;
        let child = Command::new(&self.plan.program)
            .args(&self.plan.arguments)
            .stdin(Stdio::null())
            // stdout is for the results, which the master prints.
            .stdout(writer.try_clone()?)
            .stderr(writer)
            // A terminal's signals come to us only, and we tell the workers.
            .process_group(0)
            .spawn()?;
        let (pid, screen) = (child.id(), self.screen.clone());
        std::thread::Builder::new()
            .name("flockwork-relay".into())
            .spawn(move || relay(reader, pid, &screen))?;
        Ok(child)
    }

    fn term(&mut self) {
        for hand in &mut self.hands {
            if let Hand::Alive { child, termed, .. } = hand
                && !std::mem::replace(termed, true)
            {
                // It may have ended already.
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
            }
        }
    }

    fn kill(&mut self) {
        for hand in &self.hands {
            if let Hand::Alive { child, .. } = hand {
                let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            }
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("was killed by signal {signal}"),
        _ => "ended".to_owned(),
    }
}

/// Passes a worker's lines on, each with its pid.
fn relay(reader: PipeReader, pid: u32, screen: &Screen) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                screen.line(&format!("[{pid}] {}", text.trim_end()));
            }
        }
    }
}
