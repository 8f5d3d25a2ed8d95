//! Disturbs the processes of a host at random: kills, stops, removes lock files.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use flockwork::app::exit::OTHER_MASTER;

use super::crew::{End, Process, Starter};
use super::live;
use super::notes::{Note, Notes};
use super::random::Random;
use super::setup::Setup;
use super::verdict::{Broken, Promise};
use crate::args::Role;

/// What was done on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Done {
    pub(super) kills: u64,
    pub(super) master_kills: u64,
    pub(super) stops: u64,
    pub(super) removals: u64,
}

/// The processes of this host, and what is done to them.
#[derive(Debug)]
pub(super) struct Disturber {
    starter: Starter,
    processes: Vec<Process>,
    random: Random,
    lease: Duration,
    workers: u64,
    /// Whether the master is here.
    masters: bool,
    pub(super) done: Done,
    /// Kills since an outcome was last seen, and how many outcomes that were.
    unanswered: (u64, u64),
}

impl Disturber {
    /// Starts the processes.
    pub(super) fn begin(
        starter: Starter,
        setup: &Setup,
        seed: u64,
        workers: u32,
        masters: bool,
    ) -> io::Result<Disturber> {
        let mut disturber = Disturber {
            starter,
            processes: Vec::new(),
            random: Random::new(seed),
            lease: setup.lease(),
            workers: u64::from(workers),
            masters,
            done: Done::default(),
            unanswered: (0, 0),
        };
        if masters {
            disturber.start(Role::Master)?;
        }
        for _ in 0..workers {
            disturber.start(Role::Worker)?;
        }
        Ok(disturber)
    }

    /// Does one thing at random; `outcomes` are those seen so far.
    pub(super) fn disturb(&mut self, store: &Path, notes: &Notes, outcomes: u64) -> io::Result<()> {
        if self.unanswered.1 != outcomes {
            self.unanswered = (0, outcomes);
        }
        // Work must get done in between, or nothing would be proved.
        let may_kill = self.unanswered.0 < 2 * self.workers.max(2);
        match self.random.below(20) {
            0 if self.masters && may_kill => self.kill(Role::Master, notes),
            1..=3 => {
                self.stop(notes);
                Ok(())
            }
            4..=6 => {
                self.remove_a_lock(store, notes);
                Ok(())
            }
            _ if may_kill => self.kill(Role::Worker, notes),
            _ => Ok(()),
        }
    }

    /// Kills one of them, and starts its successor; of masters now and then two, of whom one must leave.
    fn kill(&mut self, role: Role, notes: &Notes) -> io::Result<()> {
        let Some(at) = self.any(role) else { return Ok(()) };
        let mut victim = self.processes.swap_remove(at);
        self.count_kill(&victim);
        notes.note(&Note::Kill {
            part: victim.name.clone(),
            master: victim.is_master(),
        });
        victim.kill();
        self.start(role)?;
        if role == Role::Master && self.random.below(4) == 0 {
            self.start(role)?;
        }
        Ok(())
    }

    fn count_kill(&mut self, victim: &Process) {
        self.done.kills += 1;
        self.done.master_kills += u64::from(victim.is_master());
        self.unanswered.0 += 1;
    }

    /// Stops one of them, mostly for longer than the lease. Some are always awake.
    fn stop(&mut self, notes: &Notes) {
        let role = match self.masters && self.random.below(10) == 0 {
            true => Role::Master,
            false => Role::Worker,
        };
        let asleep = self.processes.iter().filter(|process| process.asleep.is_some());
        let most = self.workers / 2;
        let (asleep, victim) = (asleep.count() as u64, self.any(role));
        let lease = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let millis = lease / 2 + self.random.below(lease.saturating_mul(5) / 2);
        let Some(victim) = victim.filter(|_| asleep < most) else {
            return;
        };
        let victim = &mut self.processes[victim];
        if victim.asleep.is_none() {
            self.done.stops += 1;
            notes.note(&Note::Stop {
                part: victim.name.clone(),
                master: victim.is_master(),
                millis,
            });
            victim.stop(Instant::now() + Duration::from_millis(millis));
        }
    }

    /// Removes any lock file of a shard, as a person may.
    fn remove_a_lock(&mut self, store: &Path, notes: &Notes) {
        let rounds = live::rounds(store).unwrap_or_default();
        let latest = rounds.iter().rev().take(2);
        let locks: Vec<_> = latest
            .filter_map(|round| Some((round.number, round.files(".lock").ok()??)))
            .flat_map(|(round, locks)| locks.into_iter().map(move |lock| (round, lock)))
            .collect();
        let Some((round, lock)) = self.random.pick(&locks) else {
            return;
        };
        let name = lock.file_name().unwrap_or_default().to_string_lossy();
        let Some(stem) = name.split('.').next().and_then(|stem| stem.parse().ok()) else {
            return;
        };
        // The intent is noted first: over a network it may be done and yet answered with an error.
        notes.note(&Note::Remove { round: *round, stem });
        if std::fs::remove_file(lock).is_ok() {
            notes.note(&Note::Removed);
            self.done.removals += 1;
        }
    }

    /// Wakes those whose time has come.
    pub(super) fn wake_some(&mut self) {
        let now = Instant::now();
        let due = |process: &&mut Process| process.asleep.is_some_and(|until| until <= now);
        self.processes.iter_mut().filter(due).for_each(Process::wake);
    }

    pub(super) fn wake_all(&mut self) {
        let asleep = |process: &&mut Process| process.asleep.is_some();
        self.processes.iter_mut().filter(asleep).for_each(Process::wake);
    }

    /// Looks who has ended by himself, and starts successors; `over` when all may leave.
    pub(super) fn look_after(&mut self, notes: &Notes, over: bool) -> io::Result<()> {
        let mut at = 0;
        while at < self.processes.len() {
            let Some(end) = self.processes[at].ended()? else {
                at += 1;
                continue;
            };
            let gone = self.processes.swap_remove(at);
            let role = gone.role;
            let masters = self
                .processes
                .iter()
                .filter(|process| process.is_master())
                .count();
            let expected = match end {
                End::Code(0) => over,
                // Of two, one is too many.
                End::Code(OTHER_MASTER) => gone.is_master(),
                End::Killed => {
                    self.count_kill(&gone);
                    notes.note(&Note::Died {
                        part: gone.name.clone(),
                        master: gone.is_master(),
                    });
                    true
                }
                End::Code(_) | End::Crashed(_) => false,
            };
            if !expected {
                let what = match end {
                    End::Code(0) => "it ended before its time".to_owned(),
                    End::Code(code) => format!("it ended with exit code {code}"),
                    End::Crashed(signal) => format!("it crashed, with signal {signal}"),
                    End::Killed => continue,
                };
                notes.note(&Note::Broken(Broken::new(Promise::Processes, &gone.name, what)));
            }
            let is_needed = match role {
                Role::Master => masters == 0,
                Role::Worker => true,
            };
            if is_needed && !(over && end == End::Code(0)) {
                self.start(role)?;
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Starts a master when the run has ended.
    pub(super) fn tidy(&mut self) -> io::Result<()> {
        self.start(Role::Master)
    }

    /// Names those that are left.
    pub(super) fn left(&self) -> String {
        let names: Vec<&str> = self
            .processes
            .iter()
            .map(|process| process.name.as_str())
            .collect();
        names.join(", ")
    }

    /// Ends all that are left.
    pub(super) fn kill_all(&mut self) {
        self.processes.clear();
    }

    fn start(&mut self, role: Role) -> io::Result<()> {
        let process = self.starter.start(role)?;
        self.processes.push(process);
        Ok(())
    }

    fn any(&mut self, role: Role) -> Option<usize> {
        let fit = |(at, process): (usize, &Process)| (process.role == role).then_some(at);
        let all: Vec<usize> = self.processes.iter().enumerate().filter_map(fit).collect();
        self.random.pick(&all).copied()
    }
}
