//! What an engine says of jobs: asked with a limit of time, and read from what it writes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Engine;
use super::run::run;
use crate::words;

/// How long an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is told of an answer that makes no sense.
const LONGEST: usize = 300;

/// How many workers of a launch are in which state, by the engine's word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Jobs {
    pub(crate) waiting: u64,
    pub(crate) running: u64,
    /// Held, suspended, ending or in error.
    pub(crate) other: u64,
    /// What the engine says of one of the latter.
    pub(crate) why: Option<String>,
}

impl Jobs {
    pub(crate) fn total(&self) -> u64 {
        self.waiting + self.running + self.other
    }

    fn add(&mut self, state: State, count: u64, why: &str) {
        match state {
            State::Waiting => self.waiting += count,
            State::Running => self.running += count,
            State::Other => {
                self.other += count;
                self.why.get_or_insert_with(|| words::tame(why, LONGEST));
            }
            State::Gone => {}
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Other,
    Gone,
}

/// What is in the queue, by the number of the job.
pub(crate) type Queue = BTreeMap<String, Jobs>;

/// Asks an engine for jobs; those that have ended are not in the answer.
///
/// # Errors
///
/// With why it has not answered.
pub(crate) fn ask(engine: Engine, jobs: &[String]) -> Result<Queue, String> {
    let Some(command) = engine.asks_with().filter(|_| !jobs.is_empty()) else {
        return Ok(Queue::new());
    };
    let answer =
        run(command, &question(engine, jobs), "", PATIENCE).map_err(|error| format!("{command}: {error}"))?;
    // Slurm knows nothing any more of a job that has ended, and calls that an error.
    let forgotten = engine == Engine::Slurm && answer.err.contains("Invalid job id");
    if !answer.is_ok() && !forgotten {
        return Err(format!("{command}: {}", words::tame(&answer.words(), LONGEST)));
    }
    let queue = read(engine, &answer.out);
    Ok(queue.into_iter().filter(|(job, _)| jobs.contains(job)).collect())
}

fn question(engine: Engine, jobs: &[String]) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match engine {
        Engine::Local | Engine::Ssh => Vec::new(),
        Engine::Slurm => {
            let jobs = format!("--jobs={}", jobs.join(","));
            [words(&["--noheader", "--array", "--format=%i|%T|%r"]), vec![jobs]].concat()
        }
        Engine::Condor => [
            jobs.to_vec(),
            words(&["-af", "ClusterId", "JobStatus", "HoldReason"]),
        ]
        .concat(),
        Engine::Sge => Vec::new(),
    }
}

fn read(engine: Engine, text: &str) -> Queue {
    let mut queue = Queue::new();
    for line in text.lines() {
        let found = match engine {
            Engine::Local | Engine::Ssh => None,
            Engine::Slurm => slurm(line),
            Engine::Condor => condor(line),
            Engine::Sge => sge(line),
        };
        if let Some((job, state, count, why)) = found {
            queue.entry(job).or_default().add(state, count, &why);
        }
    }
    queue
}

type Line = (String, State, u64, String);

/// `48213_7|RUNNING|None`.
fn slurm(line: &str) -> Option<Line> {
    let mut fields = line.trim().splitn(3, '|');
    let (id, state, reason) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
    let job = id.split('_').next()?;
    let meant = match state {
        "PENDING" | "REQUEUED" | "REQUEUE_FED" => State::Waiting,
        "RUNNING" | "CONFIGURING" | "COMPLETING" => State::Running,
        "COMPLETED" | "CANCELLED" | "FAILED" | "TIMEOUT" | "NODE_FAIL" | "PREEMPTED" | "OUT_OF_MEMORY"
        | "BOOT_FAIL" | "DEADLINE" | "REVOKED" => State::Gone,
        _ => State::Other,
    };
    Some((
        job.to_owned(),
        meant,
        1,
        format!("{state} {reason}").trim().to_owned(),
    ))
}

/// `12 2 undefined`.
fn condor(line: &str) -> Option<Line> {
    let mut fields = line.trim().splitn(3, ' ');
    let (job, state, reason) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
    job.parse::<u64>().ok()?;
    let (meant, name) = match state {
        "1" => (State::Waiting, "idle"),
        // 6: its output is on the way.
        "2" | "6" => (State::Running, "running"),
        "3" | "4" => (State::Gone, "ended"),
        "5" => (State::Other, "held"),
        "7" => (State::Other, "suspended"),
        _ => (State::Other, "in an unknown state"),
    };
    let why = match reason {
        "undefined" | "" => name.to_owned(),
        reason => format!("{name}: {reason}"),
    };
    Some((job.to_owned(), meant, 1, why))
}

/// `99 0.55500 sweep ana qw 11/25/2026 23:00:00   1 5-50:1`, with the queue before the slots if it runs.
fn sge(line: &str) -> Option<Line> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (job, state) = (*fields.first()?, *fields.get(4)?);
    job.parse::<u64>().ok()?;
    let meant = match state {
        // Held, suspended, in error, being deleted.
        _ if state.contains(['h', 's', 'S', 'T', 'E', 'd']) => State::Other,
        _ if state.contains('q') => State::Waiting,
        _ if state.contains(['r', 't']) => State::Running,
        _ => State::Other,
    };
    // A line stands for several tasks only while they wait.
    let count = match meant {
        State::Running => 1,
        _ => fields
            .get(8..)
            .and_then(<[&str]>::last)
            .map_or(1, |tasks| tasks_in(tasks)),
    };
    Some((job.to_owned(), meant, count, format!("state {state}")))
}

/// `5-50:1`, `4`, `1,3,7-9:2`.
fn tasks_in(text: &str) -> u64 {
    let range = |part: &str| -> Option<u64> {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let step: u64 = step.parse().ok().filter(|step| *step > 0)?;
        Some(last.checked_sub(first)? / step + 1)
    };
    text.split(',')
        .map(|part| range(part).unwrap_or(1))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(engine: Engine, text: &str) -> Vec<String> {
        let queue = read(engine, text).into_iter();
        let told = |(job, jobs): (String, Jobs)| {
            let why = jobs.why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!(
                "{job}: {} wait {} run {} other{why}",
                jobs.waiting, jobs.running, jobs.other
            )
        };
        queue.map(told).collect()
    }

    #[test]
    fn what_engines_write_is_counted() {
        let slurm = "48213_7|RUNNING|None\n48213_8|PENDING|Resources\n48213_9|SUSPENDED|None\n9|COMPLETED|None\nnoise\n";
        assert_eq!(
            told(Engine::Slurm, slurm),
            [
                "48213: 1 wait 1 run 1 other (SUSPENDED None)",
                "9: 0 wait 0 run 0 other"
            ]
        );
        let condor = "12 2 undefined\n12 1 undefined\n12 5 The system macro \x1b[2J is wrong\n12 4 undefined\n-- talk\n";
        assert_eq!(
            told(Engine::Condor, condor),
            ["12: 1 wait 1 run 1 other (held: The system macro \\x1b[2J is wrong)"]
        );
        let sge = "job-ID  prior   name       user         state submit/start at     queue  slots ja-task-ID\n\
                   -----------------------------------------------------------------------------\n\
                   \u{20}    99 0.55500 sweep ana          r     11/25/2026 23:00:00 all.q@node01    1 4\n\
                   \u{20}    99 0.00000 sweep ana          qw    11/25/2026 23:00:00                 1 5-50:1\n\
                   \u{20}   100 0.00000 other ana          Eqw   11/25/2026 23:00:00                 1 1,3,7-9:2\n";
        assert_eq!(
            told(Engine::Sge, sge),
            [
                "100: 0 wait 0 run 4 other (state Eqw)",
                "99: 46 wait 1 run 0 other"
            ]
        );
    }

    #[test]
    fn ranges_of_tasks_are_counted() {
        for (text, count) in [
            ("4", 1),
            ("5-50:1", 46),
            ("1-9:2", 5),
            ("1,2", 2),
            ("x", 1),
            ("9-1:1", 1),
            ("1-3:0", 1),
        ] {
            assert_eq!(tasks_in(text), count, "{text}");
        }
    }

    #[test]
    fn nothing_is_asked_for_no_jobs() {
        assert_eq!(ask(Engine::Slurm, &[]), Ok(Queue::new()));
    }
}
