//! A host's part in a torture: its processes, what it does to them, what it watches.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flockwork::app::Screen;
use flockwork::app::exit::{Failed, NOT_OK};
use flockwork::app::times::short;

use super::crew::Starter;
use super::disturb::{Disturber, Done};
use super::notes::{Note, Notes};
use super::random::Random;
use super::setup::{BROKEN, ENDED, HOST, Setup, Site};
use super::verdict::{Broken, Promise};
use super::watch::Watch;
use crate::output::count;
use crate::signals::Caught;

/// The longest rest in one piece: signals are seen in between.
const REST: Duration = Duration::from_millis(20);
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(10);
/// Violations that are shown as they are found; the verdict has all.
const MOST: usize = 10;

/// What a host has while it takes part.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) store: PathBuf,
    pub(super) site: Site,
    pub(super) setup: Setup,
    pub(super) caught: Caught,
    notes: Notes,
    watch: Watch,
    disturber: Disturber,
    pauses: Random,
    pub(super) begun: Instant,
    /// When an outcome was last seen, and how many there were.
    progress: (Instant, u64),
    beat: Instant,
    told: Instant,
    next: Instant,
    /// What was found broken here.
    broken: HashSet<Broken>,
    /// Somebody has found something broken.
    alarm: bool,
}

impl Host {
    /// Takes part: says so, and starts the processes.
    pub(super) fn begin(
        store: &Path,
        setup: Setup,
        seed: u64,
        workers: u32,
        masters: bool,
        caught: Caught,
    ) -> Result<Host, Failed> {
        let name = super::own_name();
        let (site, now) = (Site::of(store), Instant::now());
        let begin = || {
            let notes = Notes::begin(&site, &site.path(&format!("{name}{HOST}")))?;
            notes.note(&Note::Host {
                host: super::host_name(),
                seed,
            });
            let starter = Starter::new(store.to_owned(), name.clone())?;
            let watch = Watch::begin(store, setup.network)?;
            let disturber = Disturber::begin(starter, &setup, seed, workers, masters)?;
            Ok((notes, watch, disturber))
        };
        let begun: io::Result<_> = begin();
        let (notes, watch, disturber) = begun.map_err(|error| trouble("cannot begin", &error))?;
        Ok(Host {
            store: store.to_owned(),
            pauses: Random::new(seed ^ 0x9a05e),
            name,
            site,
            setup,
            caught,
            notes,
            watch,
            disturber,
            begun: now,
            progress: (now, 0),
            beat: now,
            told: now,
            next: now,
            broken: HashSet::new(),
            alarm: false,
        })
    }

    pub(super) fn done(&self) -> Done {
        self.disturber.done
    }

    /// Whether this host has found anything broken.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Whether anybody has: then there is no need to go on.
    pub(super) fn is_alarmed(&self) -> bool {
        self.alarm || self.is_broken()
    }

    /// One step: disturbs, if it is time to; looks after the processes; rests a little.
    pub(super) fn step(&mut self, screen: &Screen, disturbs: bool) -> Result<(), Failed> {
        let now = Instant::now();
        self.look(now, screen);
        let answer = match disturbs && now >= self.next {
            true => self
                .disturber
                .disturb(&self.store, &self.notes, self.watch.seen()),
            false => Ok(()),
        };
        let pace = u64::try_from(self.setup.pace().as_micros()).unwrap_or(u64::MAX);
        if disturbs && now >= self.next {
            self.next = now + Duration::from_micros(self.pauses.below(pace.saturating_mul(2)));
        }
        self.disturber.wake_some();
        answer
            .and_then(|()| self.disturber.look_after(&self.notes, !disturbs))
            .map_err(|error| trouble("cannot start a process", &error))?;
        if let Some(error) = self.notes.trouble() {
            return Err(Failed::new(
                NOT_OK,
                format!("cannot write to {}: {error}", self.store.display()),
                None,
            ));
        }
        let until = if disturbs { self.next } else { now + REST };
        std::thread::sleep(until.saturating_duration_since(Instant::now()).min(REST));
        Ok(())
    }

    fn look(&mut self, now: Instant, screen: &Screen) {
        for broken in self.watch.broken() {
            self.note_broken(broken, screen);
        }
        if self.progress.1 != self.watch.seen() {
            self.progress = (now, self.watch.seen());
        }
        if now.duration_since(self.beat) >= BEAT {
            self.beat = now;
            // What cannot be listed now is listed with the next.
            if !self.is_alarmed() && self.site.has(BROKEN).unwrap_or(false) {
                self.alarm = true;
                screen.line("VIOLATION found by one of the processes: disturbs no more, and proves");
            }
            self.notes.note(&Note::Beat);
            if self.setup.network {
                self.notes.sync();
            }
        }
        if now.duration_since(self.told) >= TELL {
            self.told = now;
            screen.line(&self.progress_line());
        }
    }

    fn progress_line(&self) -> String {
        let Done {
            kills,
            master_kills,
            stops,
            removals,
        } = self.done();
        format!(
            "  {}  {} kills here ({master_kills} of masters), {stops} stops, {removals} locks removed; {} outcome files watched",
            short(self.begun.elapsed()),
            count(kills),
            count(self.watch.seen()),
        )
    }

    pub(super) fn note_broken(&mut self, broken: Broken, screen: &Screen) {
        if !self.broken.insert(broken.clone()) {
            return;
        }
        match self.broken.len() {
            0..=MOST => screen.line(&format!("VIOLATION {broken}")),
            len if len == MOST + 1 => screen.line("VIOLATION and others"),
            _ => {}
        }
        self.notes.note(&Note::Broken(broken));
    }

    /// Says whether nothing has ended for so long that nothing will any more.
    pub(super) fn is_stuck(&self) -> bool {
        self.progress.0.elapsed() > self.setup.patience()
    }

    /// No more disturbances: those that sleep wake up.
    pub(super) fn calm(&mut self) {
        self.disturber.wake_all();
        self.progress.0 = Instant::now();
    }

    /// Whether all processes have left.
    pub(super) fn has_left(&self) -> bool {
        self.disturber.is_empty()
    }

    /// Has one more master take everything up again, which cleans what the others could not.
    pub(super) fn tidy(&mut self, screen: &Screen) -> Result<(), Failed> {
        self.disturber
            .tidy()
            .map_err(|error| trouble("cannot start a process", &error))?;
        self.progress.0 = Instant::now();
        while !self.has_left() && !self.is_stuck() && self.caught.code().is_none() {
            self.step(screen, false)?;
        }
        Ok(())
    }

    /// Tells of a run that has no end.
    pub(super) fn give_up(&mut self, screen: &Screen) {
        let what = format!(
            "no outcome came in for {}; still there: {}",
            short(self.setup.patience()),
            self.disturber.left()
        );
        let place = self.store.to_string_lossy().into_owned();
        self.note_broken(Broken::new(Promise::Stuck, &place, what), screen);
    }

    /// Ends the processes that are left, and says all that there is to say.
    pub(super) fn leave(mut self, screen: &Screen) -> Result<(), Failed> {
        self.disturber.kill_all();
        self.watch.end();
        for broken in self.watch.broken() {
            self.note_broken(broken, screen);
        }
        self.notes.note(&Note::Watched {
            outcomes: self.watch.seen(),
        });
        self.notes.note(&Note::Left);
        self.notes.sync();
        let said = self.site.say(&format!("{}{ENDED}", self.name));
        said.map_err(|error| trouble("cannot say that it has ended", &error))?;
        match self.notes.trouble() {
            None => Ok(()),
            Some(error) => Err(Failed::new(NOT_OK, format!("cannot write notes: {error}"), None)),
        }
    }
}

pub(super) fn trouble(step: &str, error: &io::Error) -> Failed {
    Failed::new(NOT_OK, format!("{step}: {error}"), None)
}
