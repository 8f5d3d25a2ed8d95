//! One attempt at an input file: read it, run its tasks, publish what they gave.

use std::cell::OnceCell;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::carry::{self, Plan};
use super::engine::Engine;
use super::running::{Running, StopReason};
use super::{Task, Worker};
use crate::clock::Moment;
use crate::codec::Codec;
use crate::error::{Error, ErrorKind};
use crate::fs::{DirRef, is_foreign, is_gone};
use crate::layout::{self, Kind};
use crate::name::Attempt;
use crate::observe::Event;
use crate::outcome::{Failure, FailureKind};
use crate::panics::caught;
use crate::record::{self, Frame, RecordKind};
use crate::store::{Claim, JournalLine, Published, State};
use crate::wait::How;

/// Outputs of a batch are written down at least this often, and after each task of a second attempt.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What an attempt came to, for the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Over,
    /// The store could not be read: the next attempt had better wait a little.
    Trouble,
    /// The keeper ended it; this thread is left behind.
    Abandoned,
}

/// Why an attempt ends early.
enum Early {
    /// Another attempt has published, or the shard was cleaned.
    Done,
    Cleaned,
    /// The input cannot be read: a failure of the task.
    Damaged(String),
    /// The worker was told to stop.
    GiveBack(String),
    /// The store's own trouble.
    Trouble(String),
    Abandoned,
}

/// What stands before the first task runs.
struct Ready {
    input: Vec<u8>,
    plan: Plan,
    checkpointed: Option<Attempt>,
}

pub(super) fn run<W: Worker>(engine: &Engine<W>, running: &Running) -> End {
    let event = Event::Started {
        task: running.first_task(),
        attempt: running.attempt.0,
    };
    engine.config.observer.tell(|| event);
    let Some(dir) = running.with_claim(|claim| claim.dir().clone()) else {
        return End::Abandoned;
    };
    let ready = match prepare(engine, running, &dir) {
        Ok(ready) => ready,
        Err(early) => return end_early(engine, running, early),
    };
    let frames = match record::whole(&ready.input, &[RecordKind::Input]) {
        Ok(frames) => frames,
        Err(damage) => return end_early(engine, running, Early::Damaged(damage.to_string())),
    };
    let mut failures = 0;
    let mut saved = Moment::now();
    for &index in &ready.plan.order {
        let Some(frame) = frames
            .iter()
            .find(|frame| frame.kind == RecordKind::Input && frame.index == index)
        else {
            return end_early(
                engine,
                running,
                Early::Damaged(format!("task {index} of the batch is missing")),
            );
        };
        if running.stop_reason() == Some(StopReason::Told) {
            return end_early(
                engine,
                running,
                Early::GiveBack("the worker was told to stop".into()),
            );
        }
        if running.stop_reason() == Some(StopReason::Outrun) {
            return end_early(engine, running, Early::Done);
        }
        match run_task(engine, running, &dir, &ready, *frame) {
            Ok(()) => {}
            Err(TaskEnd::Failed(failure)) => {
                failures += 1;
                tell_failure(engine, running, &failure);
                let pushed = running.with_claim(|claim| {
                    record::push_json(claim.content(), RecordKind::Failure, index, 0, &failure);
                });
                if pushed.is_none() {
                    return End::Abandoned;
                }
            }
            Err(TaskEnd::Told) => {
                return end_early(
                    engine,
                    running,
                    Early::GiveBack("the worker was told to stop".into()),
                );
            }
            Err(TaskEnd::Outrun) => return end_early(engine, running, Early::Done),
            Err(TaskEnd::Abandoned) => return End::Abandoned,
        }
        let now = Moment::now();
        let more = ready.plan.order.last() != Some(&index);
        if more && (running.attempt > Attempt::FIRST || now.since(saved) > SAVE_EVERY) {
            saved = now;
            // What cannot be written now is written with the next.
            let _ = running.with_claim(Claim::flush);
        }
    }
    let tasks = frames
        .iter()
        .filter(|frame| frame.kind == RecordKind::Input)
        .count() as u64;
    match running.take_claim() {
        None => End::Abandoned,
        Some(claim) if failures > 0 => fail(engine, running, claim, tasks),
        Some(claim) => publish(engine, running, claim, tasks),
    }
}

fn prepare<W: Worker>(engine: &Engine<W>, running: &Running, dir: &DirRef) -> Result<Ready, Early> {
    let trouble = |error: io::Error| match is_gone(&error) {
        true => Early::Cleaned,
        false => Early::Trouble(format!("the store could not be read: {error}")),
    };
    let first = running.attempt == Attempt::FIRST;
    let mut was_lost = false;
    let mut checkpointed = None;
    if !first {
        let look = running
            .with_claim(|claim| claim.look(&engine.store))
            .ok_or(Early::Abandoned)?;
        let look = look.map_err(trouble)?;
        match look.state {
            None => return Err(Early::Cleaned),
            Some(State::Done) => return Err(Early::Done),
            Some(_) => (was_lost, checkpointed) = (look.was_lost, look.checkpointed),
        }
    }
    let mut input = Vec::new();
    let name = layout::plain_name(running.stem, Kind::In);
    match dir.read(&name, engine.store.file_limit(), &mut input) {
        Ok(()) => {}
        Err(error) if is_foreign(&error) => return Err(Early::Damaged(error.to_string())),
        Err(error) => return Err(trouble(error)),
    }
    let tasks = record::frames(&input)
        .map_while(Result::ok)
        .filter(|f| f.kind == RecordKind::Input)
        .count();
    let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
    let plan = if first {
        Plan::whole(tasks)
    } else {
        let taken = running
            .with_claim(|claim| carry::take_over(&engine.store, claim, running.stem, tasks, was_lost))
            .ok_or(Early::Abandoned)?;
        taken.map_err(trouble)?
    };
    Ok(Ready {
        input,
        plan,
        checkpointed,
    })
}

/// Why a task has no output in this attempt.
enum TaskEnd {
    Failed(Failure),
    Told,
    Outrun,
    Abandoned,
}

fn run_task<W: Worker>(
    engine: &Engine<W>,
    running: &Running,
    dir: &DirRef,
    ready: &Ready,
    frame: Frame<'_>,
) -> Result<(), TaskEnd> {
    // Decoding, encoding and the text of an error are the user's code too.
    let decoded = caught(|| Codec::decode(frame.codec, frame.payload)).map_err(TaskEnd::Failed)?;
    let input: W::Input =
        decoded.map_err(|error| TaskEnd::Failed(Failure::new(FailureKind::Input, error.to_string())))?;
    let begun = Moment::now();
    running.begin_task(frame.index, begun);
    let task = Task {
        store: &engine.store,
        running,
        worker: engine.me.id.as_str(),
        dir,
        scratch_root: engine.config.scratch.as_deref(),
        scratch: OnceCell::new(),
        checkpointed: ready.checkpointed,
    };
    let result = caught(|| {
        engine
            .worker
            .process(input, &task)
            .map_err(|error| error.to_string())
    });
    drop(task);
    let elapsed = Moment::now().since(begun);
    let output = match result {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(failed(running, elapsed, Failure::new(FailureKind::Error, error)));
        }
        Err(panic) => return Err(failed(running, elapsed, panic)),
    };
    let (codec, limit) = (engine.store.codec(), engine.store.config().max_record);
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    let head = (RecordKind::Output, codec.byte(), frame.index, nanos);
    let batch_limit = engine.store.batch_limit();
    let mut bytes = Vec::new();
    caught(|| codec.encode(&output, limit, &mut bytes))
        .map_err(TaskEnd::Failed)?
        .map_err(|error| TaskEnd::Failed(Failure::new(FailureKind::Output, error.to_string())))?;
    let pushed = running.with_claim(|claim| {
        let start = claim.content().len();
        record::push_with(claim.content(), head, |buffer| {
            buffer.extend_from_slice(&bytes);
            Ok::<(), Error>(())
        })?;
        if claim.content().len() as u64 > batch_limit {
            claim.content().truncate(start);
            let step = format!("the outputs of this batch take more than {batch_limit} bytes together");
            return Err(Error::new(ErrorKind::TooLarge, step).with_hint("use smaller batches"));
        }
        Ok(())
    });
    match pushed {
        None => Err(TaskEnd::Abandoned),
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(TaskEnd::Failed(Failure::new(
            FailureKind::Output,
            error.to_string(),
        ))),
    }
}

/// An error after the task was asked to stop means what it was asked for.
fn failed(running: &Running, elapsed: Duration, failure: Failure) -> TaskEnd {
    match running.stop_reason() {
        Some(StopReason::Told) => TaskEnd::Told,
        Some(StopReason::Outrun) => TaskEnd::Outrun,
        Some(StopReason::Timeout) => TaskEnd::Failed(timed_out(elapsed)),
        None => TaskEnd::Failed(failure),
    }
}

pub(super) fn timed_out(elapsed: Duration) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("it took longer than the timeout: {:.1} s", elapsed.as_secs_f64()),
    )
}

pub(super) fn tell_failure<W>(engine: &Engine<W>, running: &Running, failure: &Failure) {
    engine.config.observer.tell(|| Event::Failed {
        task: running.task(),
        attempt: running.attempt.0,
        failure: failure.clone(),
    });
}

fn end_early<W>(engine: &Engine<W>, running: &Running, early: Early) -> End {
    let Some(mut claim) = running.take_claim() else {
        return End::Abandoned;
    };
    match early {
        Early::Abandoned => return End::Abandoned,
        Early::Done => {
            discarded(engine, running);
            claim.release("another attempt was first");
        }
        // Its lock file stays for the cleaner: one that is unlinked here may be another's by now.
        Early::Cleaned => claim.release("the shard was cleaned"),
        Early::GiveBack(why) => give_back(engine, running, claim, &why),
        Early::Trouble(why) => {
            give_back(engine, running, claim, &why);
            return End::Trouble;
        }
        Early::Damaged(what) => {
            let failure = Failure::new(FailureKind::Input, format!("the input file is damaged: {what}"));
            tell_failure(engine, running, &failure);
            record::push_json(claim.content(), RecordKind::Failure, 0, 0, &failure);
            return fail(engine, running, claim, 1);
        }
    }
    End::Over
}

/// Gives the task back; also the keeper's way when the worker must leave.
pub(super) fn give_back<W>(engine: &Engine<W>, running: &Running, claim: Claim, why: &str) {
    engine.counts.given_back.fetch_add(1, Ordering::SeqCst);
    engine.config.observer.tell(|| Event::GivenBack {
        task: running.first_task(),
        attempt: running.attempt.0,
        why: why.to_owned(),
    });
    note(engine, running, 0, "back");
    claim.release(why);
}

/// Counts and notes an attempt that ends in failure.
pub(super) fn count_failure<W>(engine: &Engine<W>, running: &Running, tasks: u64) {
    engine.counts.failed.fetch_add(1, Ordering::SeqCst);
    engine.note_failure(running.round, running.stem);
    note(engine, running, tasks, "fail");
}

/// Ends the attempt in failure; its records say why.
fn fail<W>(engine: &Engine<W>, running: &Running, mut claim: Claim, tasks: u64) -> End {
    count_failure(engine, running, tasks);
    let mut wait = crate::clock::Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    loop {
        let error = match claim.end(Kind::Fail, "the task failed") {
            Ok(()) => return End::Over,
            Err((back, error)) => {
                claim = back;
                error
            }
        };
        if !park(engine, &error, wait.step()) {
            // Nothing can be written: the others find a dead attempt, and count it as lost.
            return End::Over;
        }
    }
}

fn publish<W>(engine: &Engine<W>, running: &Running, mut claim: Claim, tasks: u64) -> End {
    record::push_end(claim.content(), tasks);
    let mut told = String::new();
    let mut patience = |error: &io::Error, wait| {
        // Long waits come in pieces, with a heartbeat in between: they are told of once.
        let is_news = error.to_string() != std::mem::replace(&mut told, error.to_string());
        if is_news {
            park(engine, error, wait)
        } else {
            wait_out(engine, wait)
        }
    };
    match claim.publish(&engine.store, &mut patience) {
        Ok(Published::First) => {
            engine.counts.ok.fetch_add(tasks, Ordering::SeqCst);
            let event = Event::Accepted {
                task: running.first_task(),
                attempt: running.attempt.0,
            };
            engine.config.observer.tell(|| event);
            note(engine, running, tasks, "ok");
            engine.note_time(Moment::now().since(running.begun));
        }
        Ok(Published::Twin | Published::Gone) => discarded(engine, running),
        Err((claim, error)) => give_back(
            engine,
            running,
            claim,
            &format!("the outcome could not be written: {error}"),
        ),
    }
    End::Over
}

fn discarded<W>(engine: &Engine<W>, running: &Running) {
    engine.counts.discarded.fetch_add(1, Ordering::SeqCst);
    let event = Event::Discarded {
        task: running.first_task(),
        attempt: running.attempt.0,
    };
    engine.config.observer.tell(|| event);
    note(engine, running, 0, "twin");
}

/// Waits out the store's trouble; `false` once the worker is told to stop now.
pub(super) fn park<W>(engine: &Engine<W>, error: &io::Error, wait: Duration) -> bool {
    engine.config.observer.tell(|| Event::Parked {
        error: error.to_string(),
        wait,
    });
    wait_out(engine, wait)
}

/// Waits; `false` once the worker is told to stop now.
fn wait_out<W>(engine: &Engine<W>, wait: Duration) -> bool {
    let end = Moment::now().plus(wait);
    loop {
        let seen = engine.config.stop.waker().seen();
        if engine.config.stop.requested() == Some(How::Now) {
            return false;
        }
        let left = end.since(Moment::now());
        if left.is_zero() {
            return true;
        }
        engine.config.stop.waker().wait(seen, left);
    }
}

fn note<W>(engine: &Engine<W>, running: &Running, tasks: u64, outcome: &'static str) {
    if let Some(journal) = crate::wait::lock(&engine.journal).as_mut() {
        journal.add(JournalLine {
            round: running.round,
            stem: running.stem,
            attempt: running.attempt,
            tasks: u32::try_from(tasks).unwrap_or(u32::MAX),
            run: Moment::now().since(running.begun),
            outcome,
        });
    }
}
