//! A master's run: round after round, until one has no inputs.

use std::io;

use super::feed::Feed;
use super::mastership::{self, Mastership};
use super::round::{Context, Left, Round};
use super::{Inputs, Master, MasterConfig};
use crate::clock::Random;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::DirRef;
use crate::janitor::Janitor;
use crate::layout;
use crate::name::RoundNumber;
use crate::observe::Event;
use crate::outcome::RunSummary;
use crate::panics::caught;
use crate::store::{Identity, Store, forget_dead_workers, list_rounds};
use crate::wait::How;

/// Attempts on a shared file system that the master watches at most.
const WATCHED: usize = 512;

pub(super) fn run<M: Master>(
    config: &MasterConfig,
    store: &Store,
    me: &Identity,
    master: &mut M,
) -> Result<RunSummary> {
    let stopped = RunSummary {
        stopped: true,
        ..RunSummary::default()
    };
    if !config.withdraw_stop && is_asked_to_stop(store)? {
        return Ok(stopped);
    }
    let Some(mastership) = mastership::acquire(store, me, &config.observer, &config.stop)? else {
        return Ok(stopped);
    };
    let mut janitor = Janitor::new(store, me, &config.observer, &config.stop, WATCHED);
    let result = all_rounds(config, store, master, &mastership, &mut janitor);
    let why = match &result {
        Ok(summary) if !summary.stopped => "the run has ended",
        Ok(_) => "the master was told to stop",
        Err(_) => "the master ended with an error",
    };
    let ended = matches!(&result, Ok(summary) if !summary.stopped);
    // A successor's run must not be stopped by a master that was given up in its last round.
    let farewell = if ended {
        mastership.check().and_then(|()| store.stop(How::Finish, why))
    } else {
        Ok(())
    };
    janitor.finish();
    mastership.release(why);
    result.and_then(|summary| farewell.map(|()| summary))
}

fn is_asked_to_stop(store: &Store) -> Result<bool> {
    let stop = store
        .stop_file()
        .during("cannot look for the stop file in", store.root().path())?;
    Ok(stop.is_some())
}

fn all_rounds<M: Master>(
    config: &MasterConfig,
    store: &Store,
    master: &mut M,
    mastership: &Mastership,
    janitor: &mut Janitor,
) -> Result<RunSummary> {
    if config.withdraw_stop {
        store.withdraw_stop()?;
    }
    // Only tidiness: what cannot be removed stays.
    let _ = forget_dead_workers(store);
    let known = list_rounds(store)?;
    let mut context = Context {
        store,
        config,
        mastership,
        janitor,
        summary: RunSummary::default(),
        random: Random::new(),
    };
    let mut round = RoundNumber::FIRST;
    loop {
        let is_known = known.contains(&round);
        let Some(feed) = inputs_of(master, round, is_known)? else {
            return Ok(context.summary);
        };
        let is_last = feed.is_open_ended();
        let dir = round_dir(store, round)?;
        let mut this = Round::take_up(&mut context, master, round, dir, feed)?;
        let left = this.run()?;
        let ended = this.summary().clone();
        if left == Left::Stopped {
            context.summary.stopped = true;
            return Ok(context.summary);
        }
        let place = || format!("end_round: round {round} could not be ended");
        match caught(|| master.end_round(&ended)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Error::new(ErrorKind::User, place()).because(error)),
            Err(panic) => return Err(Error::new(ErrorKind::Panic, place()).because(panic)),
        }
        context.summary.rounds += 1;
        config.observer.tell(|| Event::RoundEnded { round });
        if is_last {
            return Ok(context.summary);
        }
        round = round.next();
    }
}

/// Asks the user's master for a round's inputs; `None`: the run has ended.
fn inputs_of<M: Master>(
    master: &mut M,
    round: RoundNumber,
    is_known: bool,
) -> Result<Option<Feed<M::Input>>> {
    let place = || format!("create_inputs: there are no inputs of round {round}");
    let inputs: Option<Inputs<M::Input>> = match caught(|| master.create_inputs(round)) {
        Ok(Ok(inputs)) => inputs,
        Ok(Err(error)) => return Err(Error::new(ErrorKind::User, place()).because(error)),
        Err(panic) => return Err(Error::new(ErrorKind::Panic, place()).because(panic)),
    };
    let mut feed = inputs.map(|inputs| Feed::new(round, inputs));
    if is_known {
        let step =
            format!("create_inputs ended the run before round {round}, but the store holds that round");
        return feed.map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Mismatch, step).with_hint(
                "a master must make the same inputs each time it is started; for other inputs use a new store",
            )
        });
    }
    // A round without a single input would be followed by the same round, for ever.
    if let Some(some) = &mut feed {
        match some.next()? {
            Some(first) => some.put_back(first),
            None => feed = None,
        }
    }
    Ok(feed)
}

fn round_dir(store: &Store, round: RoundNumber) -> Result<DirRef> {
    let name = layout::round_name(round);
    match store.rounds().make_dir(&name) {
        Ok(()) if store.syncs_names() => store
            .rounds()
            .sync()
            .during("cannot sync", store.rounds().path())?,
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).during("cannot make", &store.rounds().path().join(name));
        }
        _ => {}
    }
    store.round_dir(round)
}
