//! How an attempt ends: accepted, failed, cancelled, given back.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempt::End;
use super::engine::Engine;
use super::running::Running;
use crate::clock::Moment;
use crate::layout::Kind;
use crate::name::Attempt;
use crate::observe::Event;
use crate::outcome::{Failure, FailureKind};
use crate::record;
use crate::store::{Claim, JournalLine, Published, push_failure};
use crate::wait::How;

/// Why an attempt ends early.
pub(super) enum Early {
    /// Another attempt has published, or the shard was cleaned.
    Done,
    Cleaned,
    /// The input cannot be read: a failure of the task.
    Damaged(String),
    /// The worker was told to stop.
    GiveBack(String),
    /// Somebody marked this attempt as the last, or the one before as it was claimed.
    Cancelled(Cancelled),
    /// The store's own trouble.
    Trouble(String),
    Abandoned,
}

/// What is known of a cancelled attempt.
pub(super) struct Cancelled {
    /// The attempt that was marked.
    pub(super) at: Attempt,
    /// What the task that ran said last.
    pub(super) detail: Option<String>,
    /// The positions in the batch that have no output.
    pub(super) left: Vec<u32>,
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

pub(super) fn end_early<W>(engine: &Engine<W>, running: &Running, early: Early) -> End {
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
            push_failure(claim.content(), 0, &failure, false);
            return fail(engine, running, claim, 1, Kind::Fail);
        }
        Early::Cancelled(cancelled) => {
            let mut failure = claim.cancelled(cancelled.at);
            failure.detail = cancelled.detail;
            if !cancelled.left.is_empty() {
                tell_failure(engine, running, &failure);
            }
            for index in &cancelled.left {
                push_failure(claim.content(), *index, &failure, true);
            }
            let tasks = cancelled.left.len() as u64;
            return fail(engine, running, claim, tasks, Kind::Final);
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
///
/// `how` is [`Kind::Final`] if there is to be no further attempt, else [`Kind::Fail`].
pub(super) fn fail<W>(engine: &Engine<W>, running: &Running, mut claim: Claim, tasks: u64, how: Kind) -> End {
    count_failure(engine, running, tasks);
    let mut wait = crate::clock::Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    loop {
        let error = match claim.end(&engine.store, how, "the task failed") {
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

pub(super) fn publish<W>(engine: &Engine<W>, running: &Running, mut claim: Claim, tasks: u64) -> End {
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
