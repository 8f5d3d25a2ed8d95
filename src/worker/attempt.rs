//! One attempt at an input file: read it, run its tasks, publish what they gave.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::time::Duration;

use super::carry::{self, Plan};
use super::ending::{Cancelled, Early, end_early, fail, publish, tell_failure, timed_out};
use super::engine::Engine;
use super::running::{Running, StopReason};
use super::{Task, Worker};
use crate::clock::Moment;
use crate::codec::Codec;
use crate::error::{BoxError, Error, ErrorKind};
use crate::fs::{DirRef, is_foreign, is_gone};
use crate::layout::{self, Kind};
use crate::name::Attempt;
use crate::observe::Event;
use crate::outcome::{Failure, FailureKind, TaskError};
use crate::panics::caught;
use crate::record::{self, Frame, RecordKind};
use crate::store::{Claim, SecondLook, State, push_failure};

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

/// What stands before the first task runs.
struct Ready {
    input: Vec<u8>,
    plan: Plan,
    checkpointed: Option<Attempt>,
    /// What whoever granted new attempts has to say.
    note: Option<String>,
}

/// How many tasks have failed in an attempt.
#[derive(Default)]
struct Failures {
    /// To be tried again.
    open: u64,
    /// Not to be tried again.
    last: u64,
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
    let mut failures = Failures {
        last: ready.plan.failed_for_good,
        ..Failures::default()
    };
    let mut saved = Moment::now();
    for (position, &index) in ready.plan.order.iter().enumerate() {
        // What of a batch is done by now stays done.
        if position > 0 && !engine.may_start() {
            return end_early(engine, running, Early::GiveBack(engine.end.says().into()));
        }
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
        let asked = running
            .stop_reason()
            .and_then(|reason| asked_to_end(reason, None));
        let ended = match asked {
            Some(end) => Err(end),
            None => run_task(engine, running, &dir, &ready, *frame),
        };
        match ended {
            Ok(()) => {}
            Err(TaskEnd::Failed { failure, last }) => {
                let count = if last {
                    &mut failures.last
                } else {
                    &mut failures.open
                };
                *count += 1;
                tell_failure(engine, running, &failure);
                let pushed = running.with_claim(|claim| push_failure(claim.content(), index, &failure, last));
                if pushed.is_none() {
                    return End::Abandoned;
                }
            }
            Err(TaskEnd::Told) => {
                return end_early(engine, running, Early::GiveBack(engine.end.says().into()));
            }
            Err(TaskEnd::TakenOver) => {
                let why = "it was given up while its worker was suspended, and another attempt has begun";
                return end_early(engine, running, Early::GiveBack(why.into()));
            }
            Err(TaskEnd::Trouble(why)) => return end_early(engine, running, Early::Trouble(why)),
            Err(TaskEnd::Outrun) => return end_early(engine, running, Early::Done),
            Err(TaskEnd::Cancelled { detail }) => {
                let left = ready.plan.from(index);
                let at = running.attempt;
                return end_early(engine, running, Early::Cancelled(Cancelled { at, detail, left }));
            }
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
        // One task that is to be tried again is enough: the next attempt leaves those out that are not.
        Some(claim) if failures.open > 0 => fail(engine, running, claim, tasks, Kind::Fail),
        Some(claim) if failures.last > 0 => fail(engine, running, claim, tasks, Kind::Final),
        Some(claim) => publish(engine, running, claim, tasks),
    }
}

fn prepare<W: Worker>(engine: &Engine<W>, running: &Running, dir: &DirRef) -> Result<Ready, Early> {
    let trouble = |error: io::Error| match is_gone(&error) {
        true => Early::Cleaned,
        false => Early::Trouble(format!("the store could not be read: {error}")),
    };
    let first = running.attempt == Attempt::FIRST;
    let mut look = SecondLook::default();
    let mut note = None;
    if !first {
        look = running
            .with_claim(|claim| claim.look(&engine.store))
            .ok_or(Early::Abandoned)?
            .map_err(trouble)?;
        match look.state {
            None => return Err(Early::Cleaned),
            Some(State::Done) => return Err(Early::Done),
            Some(_) => {}
        }
        if let Some(again) = look.again {
            note = running
                .with_claim(|claim| claim.note(again))
                .ok_or(Early::Abandoned)?
                .map_err(trouble)?;
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
            .with_claim(|claim| carry::take_over(&engine.store, claim, running.stem, tasks, &look))
            .ok_or(Early::Abandoned)?;
        taken.map_err(trouble)?
    };
    // It was cancelled between the listing that showed it free and the claim.
    if let Some(at) = look.final_at {
        let (detail, left) = (None, plan.order);
        return Err(Early::Cancelled(Cancelled { at, detail, left }));
    }
    Ok(Ready {
        input,
        plan,
        checkpointed: look.checkpointed,
        note,
    })
}

/// Why a task has no output in this attempt.
enum TaskEnd {
    Failed {
        failure: Failure,
        /// There is to be no further attempt.
        last: bool,
    },
    Told,
    Outrun,
    /// Another attempt has begun.
    TakenOver,
    /// The store refused what the task asked of it.
    Trouble(String),
    Cancelled {
        /// What the task said before it returned.
        detail: Option<String>,
    },
    Abandoned,
}

impl TaskEnd {
    fn failed(failure: Failure) -> TaskEnd {
        TaskEnd::Failed { failure, last: false }
    }
}

fn run_task<W: Worker>(
    engine: &Engine<W>,
    running: &Running,
    dir: &DirRef,
    ready: &Ready,
    frame: Frame<'_>,
) -> Result<(), TaskEnd> {
    // Decoding, encoding and the text of an error are the user's code too.
    let decoded = caught(|| Codec::decode(frame.codec, frame.payload)).map_err(TaskEnd::failed)?;
    let input: W::Input =
        decoded.map_err(|error| TaskEnd::failed(Failure::new(FailureKind::Input, error.to_string())))?;
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
        note: ready.note.as_deref(),
        trouble: RefCell::default(),
    };
    let result = caught(|| engine.worker.process(input, &task).map_err(failure_of));
    let trouble = task.trouble.take();
    drop(task);
    let elapsed = Moment::now().since(begun);
    let output = match result {
        Ok(Ok(output)) => output,
        Ok(Err((failure, last))) => {
            return Err(
                match trouble.filter(|_| !last && running.stop_reason().is_none()) {
                    Some(why) => TaskEnd::Trouble(why),
                    None => failed(running, elapsed, failure, last),
                },
            );
        }
        Err(panic) => return Err(failed(running, elapsed, panic, false)),
    };
    engine.end.note_time(elapsed);
    let (codec, limit) = (engine.store.codec(), engine.store.config().max_record);
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    let head = (RecordKind::Output, codec.byte(), frame.index, nanos);
    let batch_limit = engine.store.batch_limit();
    let mut bytes = Vec::new();
    caught(|| codec.encode(&output, limit, &mut bytes))
        .map_err(TaskEnd::failed)?
        .map_err(|error| TaskEnd::failed(Failure::new(FailureKind::Output, error.to_string())))?;
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
        Some(Err(error)) => Err(TaskEnd::failed(Failure::new(
            FailureKind::Output,
            error.to_string(),
        ))),
    }
}

/// What an error of a task means, and whether there is to be no further attempt.
fn failure_of(error: BoxError) -> (Failure, bool) {
    match error.downcast::<TaskError>() {
        Ok(error) => error.into_failure(),
        Err(error) => (Failure::new(FailureKind::Error, error.to_string()), false),
    }
}

/// An error after the task was asked to stop means what it was asked for.
fn failed(running: &Running, elapsed: Duration, failure: Failure, last: bool) -> TaskEnd {
    let Some(reason) = running.stop_reason() else {
        return TaskEnd::Failed { failure, last };
    };
    let detail = failure.detail;
    match asked_to_end(reason, detail.clone()) {
        Some(end) => end,
        None => TaskEnd::Failed {
            failure: Failure {
                detail,
                ..timed_out(elapsed)
            },
            last,
        },
    }
}

/// What the request to stop ends the attempt with, if it ends the attempt and not only the task.
fn asked_to_end(reason: StopReason, detail: Option<String>) -> Option<TaskEnd> {
    match reason {
        StopReason::Told => Some(TaskEnd::Told),
        StopReason::Outrun => Some(TaskEnd::Outrun),
        StopReason::TakenOver => Some(TaskEnd::TakenOver),
        StopReason::Cancelled => Some(TaskEnd::Cancelled { detail }),
        StopReason::Timeout => None,
    }
}
