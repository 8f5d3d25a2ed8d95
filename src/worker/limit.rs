//! The end that others have set to a worker, and why it leaves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{WhyLeft, WorkerConfig};
use crate::clock::Moment;
use crate::observe::{Event, Observer};
use crate::policy::{self, Limit};
use crate::wait::{How, Stop, lock};

/// So many of the latest times are looked at; tasks may get slower as a run goes on.
const KEPT: usize = 255;

/// What a worker knows of its own end.
#[derive(Debug)]
pub(super) struct Leaving {
    limit: Option<Limit>,
    /// How long single tasks took, the latest ones.
    times: Mutex<Vec<Duration>>,
    /// Set when the first task is refused because the limit is near.
    near: AtomicBool,
    why: Mutex<Option<WhyLeft>>,
    stop: Stop,
    observer: Observer,
}

impl Leaving {
    pub(super) fn new(config: &WorkerConfig) -> Leaving {
        let known = &config.known_times;
        let latest = known[known.len().saturating_sub(KEPT)..].to_vec();
        Leaving {
            limit: config
                .ends
                .map(|(began, left)| Limit::new(began, left, config.grace)),
            times: Mutex::new(latest),
            near: AtomicBool::new(false),
            why: Mutex::new(None),
            stop: config.stop.clone(),
            observer: config.observer.clone(),
        }
    }

    /// Notes how long a task took that is ok.
    pub(super) fn note_time(&self, time: Duration) {
        if self.limit.is_none() {
            return;
        }
        let mut times = lock(&self.times);
        if times.len() >= KEPT {
            times.remove(0);
        }
        times.push(time);
    }

    /// Says whether another task may be started; once refused, none is any more.
    pub(super) fn allows_a_task(&self, timeout: Option<Duration>) -> bool {
        let Some(limit) = &self.limit else { return true };
        let now = Moment::now();
        if !self.near.load(Ordering::SeqCst) && limit.allows(now, policy::p95(&lock(&self.times)), timeout) {
            return true;
        }
        self.begin_to_refuse(limit, now);
        false
    }

    fn begin_to_refuse(&self, limit: &Limit, now: Moment) {
        self.note(WhyLeft::TimeLimit);
        if !self.near.swap(true, Ordering::SeqCst) {
            let left = limit.left(now);
            self.observer.tell(|| Event::LimitNear { left });
        }
    }

    /// Returns after how long [`enforce`](Leaving::enforce) has something to do.
    pub(super) fn stops_in(&self, now: Moment) -> Option<Duration> {
        let limit = self.limit.as_ref()?;
        (self.stop.requested() != Some(How::Now)).then(|| limit.stops_in(now))
    }

    /// Tells running tasks to stop when only the grace is left.
    pub(super) fn enforce(&self, now: Moment) {
        if let (Some(limit), Some(Duration::ZERO)) = (&self.limit, self.stops_in(now)) {
            self.begin_to_refuse(limit, now);
            self.stop.request(How::Now);
        }
    }

    /// Notes why the worker leaves, unless it does so already for another reason.
    pub(super) fn note(&self, why: WhyLeft) {
        if self.stop.requested().is_none() {
            lock(&self.why).get_or_insert(why);
        }
    }

    /// Returns why it leaves, as far as that is known.
    pub(super) fn why(&self) -> WhyLeft {
        let asked = self.stop.requested().is_some();
        let asked = if asked { WhyLeft::Asked } else { WhyLeft::Idle };
        lock(&self.why).unwrap_or(asked)
    }

    /// Returns what is said of a task that is given back.
    pub(super) fn says(&self) -> &'static str {
        match self.why() {
            WhyLeft::TimeLimit => "the time limit of its worker is near",
            WhyLeft::Idle | WhyLeft::Store | WhyLeft::Asked => "the worker was told to stop",
        }
    }
}
