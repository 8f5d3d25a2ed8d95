//! One round: publish inputs through a bounded window, collect outcomes, clean up behind.

use std::time::Duration;

use super::feed::Feed;
use super::mastership::Mastership;
use super::shard::{Collected, InputCache, OpenShard, end_of};
use super::{Master, MasterConfig};
use crate::clock::{Backoff, Moment, Random};
use crate::codec::Codec;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, is_worth_parking};
use crate::janitor::Janitor;
use crate::layout::{Entry, ROUND_FILE};
use crate::name::{RoundNumber, ShardNumber, TaskId};
use crate::observe::Event;
use crate::outcome::{Outcome, RoundSummary, RunSummary};
use crate::panics::caught;
use crate::record::{self, RecordKind};
use crate::store::{
    DoneFile, RoundFile, RunningAttempt, SMALL_FILE, ShardWriter, State, Store, Tail, TaskRecord, list_round,
    remove_leftovers,
};

/// A source that gives nothing for this long has what it gave published.
const SLOW_SOURCE: Duration = Duration::from_secs(1);
/// Looking for outcomes takes at most a twentieth of the time while they pour in.
const PASS_SHARE: u32 = 20;
/// Attempts are not looked at more often than this, unless the lease is short.
const EXAMINE: Duration = Duration::from_millis(500);
/// The stop file is not looked for more often than this.
const STOP_LOOK: Duration = Duration::from_millis(500);

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
    feed: Option<Feed<M::Input>>,
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
                        let state = crate::store::list_shard(&dir, 1, &mut self.entries);
                        end_of(&state.during("cannot list", dir.path())?, &dir)?
                    }
                };
                self.next = end;
                self.open.push(OpenShard::resume(shard, dir, end, done.as_ref()));
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
        let (round, tasks, complete) = (self.summary.round, self.next, self.feed.is_none());
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
        let greatest = greatest.min(self.context.store.lease() / 6);
        let mut poll = Backoff::new(least, greatest);
        loop {
            let seen = self.context.config.stop.waker().seen();
            if self.is_told_to_stop()? {
                return Ok(Left::Stopped);
            }
            let mut progress = false;
            let window = self.context.config.window;
            // One shard at a time: outcomes are not kept waiting while a window is filled.
            if self.feed.is_some() && self.open.len() + self.context.janitor.cleaning() < window {
                progress |= self.publish()?;
            }
            let begun = Moment::now();
            progress |= self.collect()?;
            let took = Moment::now().since(begun);
            if self.feed.is_none() && self.open.is_empty() {
                self.summary.tasks = self.next;
                return Ok(Left::Ended);
            }
            let has_room = self.feed.is_some() && self.open.len() + self.context.janitor.cleaning() < window;
            if has_room {
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
            self.context.config.stop.waker().wait(seen, rest);
        }
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

    /// Publishes one shard, or the end of the round; says whether there was anything to publish.
    fn publish(&mut self) -> Result<bool> {
        let (context, Some(feed)) = (&mut *self.context, &mut self.feed) else {
            return Ok(false);
        };
        let (store, config) = (context.store, context.config);
        let begun = Moment::now();
        let mut cache = InputCache::default();
        let mut writer: Option<ShardWriter<'_>> = None;
        let mut exhausted = false;
        let mut records = Vec::new();
        let filled = (|| {
            for _ in 0..config.shard {
                records.clear();
                let tasks = fill_batch(feed, store, config.batch, &mut records, &mut exhausted)?;
                if tasks > 0 {
                    if writer.is_none() {
                        let number = ShardNumber(self.next);
                        writer = Some(patiently(config, || {
                            ShardWriter::begin(store, &self.dir, number)
                                .during("cannot make a shard in", self.dir.path())
                        })?);
                    }
                    if let Some(writer) = &mut writer {
                        let stem = patiently(config, || {
                            writer
                                .add(&records, tasks)
                                .during("cannot write an input in", self.dir.path())
                        })?;
                        cache.add(stem, &records);
                    }
                }
                if exhausted || Moment::now().since(begun) >= SLOW_SOURCE {
                    break;
                }
            }
            Ok(())
        })();
        let Some(mut writer) = writer else {
            filled?;
            if exhausted {
                self.complete()?;
            }
            return Ok(exhausted);
        };
        if let Err(error) = filled {
            writer.abandon();
            return Err(error);
        }
        let number = ShardNumber(self.next);
        context.mastership.check()?;
        let dir = patiently(config, || writer.publish())?;
        self.next = writer.end();
        self.open.push(OpenShard::new(number, dir, self.next, cache));
        if exhausted {
            self.complete()?;
        }
        self.tell_published();
        Ok(true)
    }

    fn complete(&mut self) -> Result<()> {
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
        // Looks that come too seldom count as a gap each, and then nobody is ever silent.
        let examine = EXAMINE.min(self.context.store.lease() / 8);
        if !running.is_empty() && self.examined.is_none_or(|last| now.since(last) >= examine) {
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
        let mut progress = false;
        for input in state?.inputs {
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
                    self.hand_over(&collected)?;
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
        let store = self.context.store;
        let stems = patiently(self.context.config, || shard.finish(store, &self.dir))?;
        if !stems.is_empty() {
            self.context.janitor.clean(self.dir.clone(), shard.number, stems);
        }
        Ok(())
    }

    fn hand_over(&mut self, collected: &Collected) -> Result<()> {
        let inputs = record::frames(&collected.input).map_while(std::result::Result::ok);
        let inputs = inputs.filter(|frame| frame.kind == RecordKind::Input);
        for (index, (input, ended)) in inputs.zip(&collected.ended.tasks).enumerate() {
            let task = TaskId {
                round: self.summary.round,
                number: collected.stem.0 + index as u64,
            };
            let place = || collected_place(self.dir.path(), task);
            let (result, elapsed) = match ended {
                TaskRecord::Output {
                    codec,
                    payload,
                    nanos,
                } => {
                    let output = Codec::decode(*codec, &collected.ended.bytes[payload.clone()]);
                    (Ok(output.map_err(|error| error.at(place()))?), *nanos)
                }
                TaskRecord::Failure(failure) => (Err(failure.clone()), 0),
            };
            self.give(Outcome {
                task,
                input: Codec::decode(input.codec, input.payload).map_err(|error| error.at(place()))?,
                result,
                attempt: collected.ended.attempt.0,
                worker: collected.ended.worker.clone(),
                elapsed: Duration::from_nanos(elapsed),
            })?;
        }
        Ok(())
    }

    fn replay_done(&mut self, done: &DoneFile) -> Result<()> {
        for record in done.tasks() {
            let task = TaskId {
                round: self.summary.round,
                number: record.number,
            };
            let place = || collected_place(self.dir.path(), task);
            let (input_codec, input) = record.input;
            let (output_codec, output) = record.output;
            self.context.summary.replayed += 1;
            self.give(Outcome {
                task,
                input: Codec::decode(input_codec, input).map_err(|error| error.at(place()))?,
                result: Ok(Codec::decode(output_codec, output).map_err(|error| error.at(place()))?),
                attempt: record.header.attempt.0,
                worker: record.header.worker.to_string(),
                elapsed: Duration::from_nanos(record.nanos),
            })?;
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

fn collected_place(round: &std::path::Path, task: TaskId) -> std::path::PathBuf {
    round.join(format!("(task {task})"))
}

/// Takes up to `batch` inputs; says how many there were.
fn fill_batch<I: serde::Serialize>(
    feed: &mut Feed<I>,
    store: &Store,
    batch: u32,
    records: &mut Vec<u8>,
    exhausted: &mut bool,
) -> Result<u64> {
    let begun = Moment::now();
    let (codec, limit) = (store.codec(), store.config().max_record);
    let mut tasks = 0;
    while tasks < batch {
        let Some(input) = feed.next()? else {
            *exhausted = true;
            break;
        };
        let head = (RecordKind::Input, codec.byte(), tasks, 0);
        record::push_with(records, head, |buffer| codec.encode(&input, limit, buffer)).map_err(|error| {
            let number = feed.taken() - 1;
            error.in_step(&format!(
                "create_inputs: input {number} of round {}",
                feed.round()
            ))
        })?;
        tasks += 1;
        if Moment::now().since(begun) >= SLOW_SOURCE {
            break;
        }
    }
    if tasks > 0 {
        record::push_end(records, u64::from(tasks));
    }
    Ok(u64::from(tasks))
}

/// Waits out a full disk and the like; every other error, and a request to stop, ends the wait.
fn patiently<T>(config: &MasterConfig, mut step: impl FnMut() -> Result<T>) -> Result<T> {
    let mut waits = Backoff::new(Duration::from_secs(1), Duration::from_secs(600));
    loop {
        let seen = config.stop.waker().seen();
        let error = match step() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !error.io_error().is_some_and(is_worth_parking) || config.stop.requested().is_some() {
            return Err(error);
        }
        let wait = waits.step();
        config.observer.tell(|| Event::Parked {
            error: error.to_string(),
            wait,
        });
        let end = Moment::now().plus(wait);
        while config.stop.requested().is_none() && !end.since(Moment::now()).is_zero() {
            config
                .stop
                .waker()
                .wait(seen, end.since(Moment::now()).min(Duration::from_secs(1)));
        }
    }
}
