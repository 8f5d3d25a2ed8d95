//! One round: publish inputs through a bounded window, collect outcomes, clean up behind.

use std::path::Path;
use std::time::Duration;

use super::feed::Feed;
use super::mastership::Mastership;
use super::publish::{fill_shard, patiently};
use super::shard::{Collected, OpenShard, end_of};
use super::{Master, MasterConfig};
use crate::clock::{Backoff, Moment, Random};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::DirRef;
use crate::janitor::Janitor;
use crate::layout::{self, Entry, ROUND_FILE};
use crate::name::{RoundNumber, ShardNumber};
use crate::observe::Event;
use crate::outcome::{Outcome, RoundSummary, RunSummary};
use crate::panics::caught;
use crate::store::{
    DoneFile, EndedInput, RoundFile, RunningAttempt, SMALL_FILE, State, Store, Tail, list_round,
    outcomes_of_done_file, outcomes_of_input, remove_leftovers,
};

/// Looking for outcomes takes at most a twentieth of the time while they pour in.
const PASS_SHARE: u32 = 20;
/// Attempts are not looked at more often than this, unless the lease is short: looks that come too seldom count as a
/// gap each, and then nobody is ever silent.
const EXAMINE: Duration = Duration::from_millis(500);
/// The stop file is not looked for more often than this.
const STOP_LOOK: Duration = Duration::from_millis(500);
/// A stream that has said that there is nothing more is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What all rounds of a run share.
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) config: &'a MasterConfig,
    pub(super) mastership: &'a Mastership,
    pub(super) janitor: &'a mut Janitor,
    pub(super) summary: RunSummary,
    pub(super) random: Random,
}

/// How a round was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Ended,
    Stopped,
}

pub(super) struct Round<'a, 'c, M: Master> {
    context: &'a mut Context<'c>,
    master: &'a mut M,
    dir: DirRef,
    summary: RoundSummary,
    /// `None` once the round is closed.
    feed: Option<Feed<M::Input>>,
    /// When an open-ended stream said that there is nothing more.
    dry: Option<Moment>,
    open: Vec<OpenShard>,
    /// The number of the next task to be published.
    next: u64,
    entries: Vec<Entry>,
    examined: Option<Moment>,
    stop_looked: Option<Moment>,
}

impl<'a, 'c, M: Master> Round<'a, 'c, M> {
    /// Takes up a round: what earlier masters have done of it is replayed.
    pub(super) fn take_up(
        context: &'a mut Context<'c>,
        master: &'a mut M,
        round: RoundNumber,
        dir: DirRef,
        feed: Feed<M::Input>,
    ) -> Result<Round<'a, 'c, M>> {
        let mut this = Round {
            context,
            master,
            dir,
            summary: RoundSummary {
                round,
                ..RoundSummary::default()
            },
            feed: Some(feed),
            dry: None,
            open: Vec::new(),
            next: 0,
            entries: Vec::new(),
            examined: None,
            stop_looked: None,
        };
        this.replay()?;
        Ok(this)
    }

    pub(super) fn summary(&self) -> &RoundSummary {
        &self.summary
    }

    fn replay(&mut self) -> Result<()> {
        remove_leftovers(&self.dir).during("cannot list", self.dir.path())?;
        let store = self.context.store;
        let listing = list_round(&self.dir).during("cannot list", self.dir.path())?;
        for shard in listing.shards.union(&listing.done).copied().collect::<Vec<_>>() {
            if shard.0 != self.next {
                let what = format!("the tasks from {} on are missing in", self.next);
                return Err(Error::new(ErrorKind::Damaged, what).at(self.dir.path()).with_hint(
                    "somebody removed a shard or a done file; restore it, or begin again with a new store",
                ));
            }
            let done = match listing.done.contains(&shard) {
                true => Some(DoneFile::read(store, &self.dir, shard)?),
                false => None,
            };
            if let Some(done) = &done {
                self.replay_done(done)?;
                self.next = done.header.end;
            }
            if listing.shards.contains(&shard) {
                let dir = store.shard_dir(&self.dir, shard)?;
                let end = match &done {
                    Some(done) => done.header.end,
                    None => {
                        let state = crate::store::list_shard(&dir, shard, 1, &mut self.entries);
                        end_of(&state.during("cannot list", dir.path())?, &dir)?
                    }
                };
                self.next = end;
                self.open.push(OpenShard::resume(shard, dir, end, done.as_ref()));
                // Shards that only failed tasks keep may be many: they are not all held open at once.
                if self.open.len() >= self.context.config.window {
                    self.collect()?;
                }
            }
        }
        if self.next > 0 {
            let outcomes = self.context.summary.replayed;
            self.context.config.observer.tell(|| Event::Resumed { outcomes });
        }
        if listing.complete {
            self.check_complete()?;
            self.feed = None;
        } else if let Some(feed) = &mut self.feed {
            feed.skip(self.next)?;
        }
        self.tell_published();
        Ok(())
    }

    /// The round's file counts what was published before it.
    fn check_complete(&self) -> Result<()> {
        let path = self.dir.path().join(ROUND_FILE);
        let mut bytes = Vec::new();
        self.dir
            .read(ROUND_FILE, SMALL_FILE, &mut bytes)
            .during("cannot read", &path)?;
        let file: RoundFile = serde_json::from_slice(&bytes).map_err(|cause| {
            Error::new(ErrorKind::Damaged, "damaged:")
                .at(&path)
                .because(cause)
        })?;
        if file.tasks == self.next {
            return Ok(());
        }
        let step = format!("it counts {} tasks, but there are {}:", file.tasks, self.next);
        Err(Error::new(ErrorKind::Damaged, step).at(path))
    }

    fn tell_published(&self) {
        let (round, tasks, complete) = (self.summary.round, self.next, self.is_exhausted());
        self.context.config.observer.tell(|| Event::Published {
            round,
            tasks,
            complete,
        });
    }

    /// Runs the round to its end, or until it is told to stop.
    pub(super) fn run(&mut self) -> Result<Left> {
        let (least, greatest) = self.context.config.poll_for(self.context.store);
        // Silence of a worker is only told apart from a gap by looks that come often enough.
        let mut poll = Backoff::new(least, greatest.min(self.context.store.lease() / 6));
        loop {
            let seen = self.context.config.stop.waker().seen();
            if self.is_told_to_stop()? {
                return Ok(Left::Stopped);
            }
            let mut progress = false;
            // One shard at a time: outcomes are not kept waiting while a window is filled.
            if self.wants_inputs() {
                progress |= self.publish()?;
            }
            let begun = Moment::now();
            progress |= self.collect()?;
            let took = Moment::now().since(begun);
            if self.open.is_empty() && self.is_exhausted() {
                // What came while the last outcomes did is not left behind.
                if self.feed.is_none() || !self.publish()? {
                    self.summary.tasks = self.next;
                    return Ok(Left::Ended);
                }
                continue;
            }
            if self.wants_inputs() {
                continue;
            }
            if progress {
                poll.reset();
            }
            let rest = self
                .context
                .random
                .jitter(poll.step())
                .max(took * PASS_SHARE)
                .min(greatest);
            let rest = match self.dry.filter(|_| self.has_room()) {
                Some(since) => rest.min(self.ask_again().saturating_sub(Moment::now().since(since))),
                None => rest,
            };
            self.context.config.stop.waker().wait(seen, rest);
        }
    }

    /// Says whether the stream has no more inputs, so far.
    fn is_exhausted(&self) -> bool {
        self.feed.is_none() || self.dry.is_some()
    }

    /// Says whether it is time to ask the stream, and there is room for what it gives.
    fn wants_inputs(&self) -> bool {
        let may_ask = self
            .dry
            .is_none_or(|since| Moment::now().since(since) >= self.ask_again());
        self.feed.is_some() && may_ask && self.has_room()
    }

    /// A stream that was dry is asked again after this: it may look at the file server too.
    fn ask_again(&self) -> Duration {
        let (_, greatest) = self.context.config.poll_for(self.context.store);
        greatest.max(ASK_AGAIN)
    }

    fn has_room(&self) -> bool {
        self.open.len() + self.context.janitor.cleaning() < self.context.config.window
    }

    fn is_told_to_stop(&mut self) -> Result<bool> {
        let now = Moment::now();
        if self.stop_looked.is_none_or(|last| now.since(last) >= STOP_LOOK) {
            self.stop_looked = Some(now);
            let store = self.context.store;
            let stop = store
                .stop_file()
                .during("cannot look for the stop file in", store.root().path())?;
            if let Some(stop) = stop {
                self.context.config.stop.request(stop.how);
            }
        }
        Ok(self.context.config.stop.requested().is_some())
    }

    /// Publishes one shard, or the end of the round; says whether there was anything new.
    fn publish(&mut self) -> Result<bool> {
        let (context, Some(feed)) = (&mut *self.context, &mut self.feed) else {
            return Ok(false);
        };
        let (store, config) = (context.store, context.config);
        let round_dir = self.dir.clone();
        let filled = fill_shard(config, store, &round_dir, ShardNumber(self.next), feed)?;
        let Some((mut writer, cache)) = filled.shard else {
            let was_exhausted = self.is_exhausted();
            if filled.exhausted {
                self.end_inputs()?;
            }
            let is_news = self.is_exhausted() && !was_exhausted;
            if is_news {
                self.tell_published();
            }
            return Ok(is_news);
        };
        let number = ShardNumber(self.next);
        context.mastership.check()?;
        let dir = patiently(config, || writer.publish())?;
        self.next = writer.end();
        self.open.push(OpenShard::new(number, dir, self.next, cache));
        self.dry = None;
        if filled.exhausted {
            self.end_inputs()?;
        }
        self.tell_published();
        Ok(true)
    }

    /// The stream has said that there is nothing more: closes the round, unless that may change.
    fn end_inputs(&mut self) -> Result<()> {
        if self.feed.as_ref().is_some_and(Feed::is_open_ended) {
            self.dry = Some(Moment::now());
            return Ok(());
        }
        let store = self.context.store;
        let path = self.dir.path().join(ROUND_FILE);
        let text = format!("{{\"tasks\":{}}}\n", self.next);
        patiently(self.context.config, || {
            self.dir
                .replace(ROUND_FILE, text.as_bytes(), store.syncs_data())
                .during("cannot write", &path)
        })?;
        self.feed = None;
        Ok(())
    }

    /// Takes the outcomes that are there; says whether there were any.
    fn collect(&mut self) -> Result<bool> {
        let mut progress = false;
        let mut running = Vec::new();
        let mut position = 0;
        while position < self.open.len() {
            progress |= self.collect_shard(position, &mut running)?;
            if self.open[position].has_ended() {
                let shard = self.open.swap_remove(position);
                self.close(&shard)?;
                progress = true;
            } else {
                position += 1;
            }
        }
        let now = Moment::now();
        if !running.is_empty()
            && self
                .examined
                .is_none_or(|last| now.since(last) >= EXAMINE.min(self.context.store.lease() / 10))
        {
            self.examined = Some(now);
            self.context.janitor.examine(running, Tail::default());
        }
        Ok(progress)
    }

    fn collect_shard(&mut self, position: usize, running: &mut Vec<RunningAttempt>) -> Result<bool> {
        let store = self.context.store;
        let mut entries = std::mem::take(&mut self.entries);
        let state = self.open[position].list(store, &mut entries);
        self.entries = entries;
        let state = state?;
        let shard = &self.open[position];
        let is_new = |stem, state| state == State::Done && !shard.is_handed(stem);
        if store.syncs_names() && state.inputs.iter().any(|input| is_new(input.stem, input.state)) {
            // What is handed over must not be undone by a power cut: its worker may not have synced the name yet.
            shard.dir.sync().during("cannot sync", shard.dir.path())?;
        }
        let mut progress = false;
        for input in state.inputs {
            let shard = &mut self.open[position];
            match input.state {
                State::Running { attempt } => running.push(RunningAttempt {
                    round: self.summary.round,
                    dir: shard.dir.clone(),
                    stem: input.stem,
                    attempt,
                    doubled: input.doubled,
                }),
                State::Done | State::Failed { .. } if !shard.is_handed(input.stem) => {
                    let observer = &self.context.config.observer;
                    let Some(collected) = shard.read(store, observer, input.stem, input.state)? else {
                        continue;
                    };
                    let dir = shard.dir.clone();
                    self.hand_over(dir.path(), &collected)?;
                    self.open[position].note_handed(collected);
                    progress = true;
                }
                _ => {}
            }
        }
        Ok(progress)
    }

    fn close(&mut self, shard: &OpenShard) -> Result<()> {
        self.context.mastership.check()?;
        let stems = patiently(self.context.config, || shard.finish(&self.dir))?;
        if !stems.is_empty() {
            self.context.janitor.clean(self.dir.clone(), shard.number, stems);
        }
        Ok(())
    }

    fn hand_over(&mut self, dir: &Path, collected: &Collected) -> Result<()> {
        let file = EndedInput {
            stem: collected.stem,
            input: &collected.input,
            inputs: &collected.inputs,
            ended: &collected.ended,
        };
        for outcome in outcomes_of_input(self.summary.round, dir, file) {
            self.give(outcome?)?;
        }
        Ok(())
    }

    fn replay_done(&mut self, done: &DoneFile) -> Result<()> {
        let path = self
            .dir
            .path()
            .join(layout::done_name(ShardNumber(done.header.first)));
        for outcome in outcomes_of_done_file(self.summary.round, &path, done) {
            self.context.summary.replayed += 1;
            self.give(outcome?)?;
        }
        Ok(())
    }

    fn give(&mut self, outcome: Outcome<M::Input, M::Output>) -> Result<()> {
        let (task, attempt) = (outcome.task, outcome.attempt);
        let failure = outcome.result.as_ref().err().cloned();
        let ok = failure.is_none();
        let place = || format!("collect: task {task} could not be taken");
        match caught(|| self.master.collect(outcome)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Error::new(ErrorKind::User, place()).because(error)),
            Err(panic) => return Err(Error::new(ErrorKind::Panic, place()).because(panic)),
        }
        for (count, total) in [(ok, &mut self.summary.ok), (!ok, &mut self.summary.failed)] {
            *total += u64::from(count);
        }
        self.context.summary.tasks += 1;
        self.context.summary.ok += u64::from(ok);
        self.context.summary.failed += u64::from(!ok);
        self.context.config.observer.tell(|| Event::Collected {
            task,
            failure,
            attempt,
        });
        Ok(())
    }
}
