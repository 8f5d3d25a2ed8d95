//! Another host takes part in a torture: its workers, its kills, its eyes.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use flockwork::app::exit::{BAD_STORE, Ended, Failed, NOT_OK, OK};
use flockwork::app::{Screen, absolute, times::short};

use super::host::{Host, trouble};
use super::random::new_seed;
use super::setup::{ENOUGH, Setup, Site, names};
use crate::args::TortureArgs;
use crate::signals::{self, Caught};

/// How long the store is waited for.
const WAIT: Duration = Duration::from_secs(600);
/// Between two listings for the end, on a network file system.
const LOOK: Duration = Duration::from_millis(500);

/// Runs the whole of it; returns the exit code.
pub(super) fn run(args: &TortureArgs) -> Ended {
    let screen = Screen::plain();
    let caught = signals::listen().map_err(|error| trouble("cannot listen to signals", &error))?;
    let path = absolute(&args.store);
    let Some(setup) = wait_for(&path, &caught, &screen)? else {
        return Ok(caught.code().unwrap_or(NOT_OK));
    };
    let seed = args.seed.unwrap_or_else(new_seed);
    let mut host = Host::begin(&path, setup, seed, args.workers, false, caught)?;
    screen.line(&format!(
        "{}: takes part with {} workers, seed {seed}",
        path.display(),
        args.workers
    ));
    let mut first = First::new();
    while host.caught.code().is_none() {
        match first
            .look(&host)
            .map_err(|error| trouble("cannot list the store", &error))?
        {
            Seen::Enough => break,
            Seen::Silence => {
                let text = format!("{}: the host where it began has fallen silent", path.display());
                host.leave(&screen)?;
                return Err(Failed::new(NOT_OK, text, None));
            }
            Seen::Nothing => host.step(&screen, true)?,
        }
    }
    host.calm();
    let stuck = |host: &Host| host.is_stuck() || host.caught.code().is_some();
    while !host.has_left() && !stuck(&host) {
        host.step(&screen, false)?;
    }
    let code = host.caught.code();
    if code.is_none() && !host.has_left() {
        host.give_up(&screen);
    }
    let (done, broken) = (host.done(), host.is_broken());
    host.leave(&screen)?;
    screen.line(&format!(
        "{} kills, {} stops, {} locks removed here; the verdict is told where it began",
        done.kills, done.stops, done.removals
    ));
    Ok(code.unwrap_or(if broken { NOT_OK } else { OK }))
}

/// Waits for a torture to begin; `None`: a signal came.
fn wait_for(path: &Path, caught: &Caught, screen: &Screen) -> Result<Option<Setup>, Failed> {
    let begun = Instant::now();
    let mut told = false;
    while caught.code().is_none() {
        // From above to below, afresh: then a network file system looks anew.
        let parent = path.parent().unwrap_or(Path::new("/"));
        let found = names(parent).and_then(|_| names(path)).and_then(|_| {
            let site = Site::of(path);
            Ok((site.setup()?, site.has(ENOUGH)?))
        });
        match found.map_err(|error| trouble("cannot look for the store", &error))? {
            (Some(_), true) => {
                return Err(Failed::new(
                    BAD_STORE,
                    format!("{}: this torture is over", path.display()),
                    Some("begin another: the same command without --join".to_owned()),
                ));
            }
            (Some(setup), false) => return Ok(Some(setup)),
            (None, _) if begun.elapsed() > WAIT => {
                return Err(Failed::new(
                    BAD_STORE,
                    format!("{}: no torture began here within {}", path.display(), short(WAIT)),
                    Some("begin it on one host: the same command without --join".to_owned()),
                ));
            }
            (None, _) => {}
        }
        if !std::mem::replace(&mut told, true) {
            screen.line(&format!("waiting for a torture to begin at {}", path.display()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(None)
}

/// The host where it began, as others see it.
struct First {
    looked: Option<Instant>,
    signs: u64,
    moved: Instant,
}

/// What is seen of it.
enum Seen {
    Nothing,
    /// It has said that it is enough.
    Enough,
    /// It has said nothing for long.
    Silence,
}

impl First {
    fn new() -> First {
        First {
            looked: None,
            signs: 0,
            moved: Instant::now(),
        }
    }

    fn look(&mut self, host: &Host) -> io::Result<Seen> {
        let rest = if host.setup.network { LOOK } else { LOOK / 10 };
        if self.looked.is_some_and(|looked| looked.elapsed() < rest) {
            return Ok(Seen::Nothing);
        }
        self.looked = Some(Instant::now());
        if host.site.has(ENOUGH)? {
            return Ok(Seen::Enough);
        }
        let signs = super::signs(&host.site, &host.name)?;
        if signs != self.signs {
            (self.signs, self.moved) = (signs, Instant::now());
        }
        Ok(match self.moved.elapsed() > host.setup.patience() {
            true => Seen::Silence,
            false => Seen::Nothing,
        })
    }
}
