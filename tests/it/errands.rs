//! The master and the worker that the processes of the tests run: errands whose answers are known beforehand.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flockwork::{BoxError, Inputs, Master, Outcome, RoundNumber, Task, Worker};
use serde::{Deserialize, Serialize};

/// An input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) value: u64,
    pub(crate) act: Act,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Nothing at all.
    Nothing,
    /// Takes up to so many milliseconds, and fails once in a while.
    Work { millis: u64, fails_one_in: u64 },
    /// Waits for a file `open`, `open.ATTEMPT` or `open.pid.PID` in this directory.
    Wait { gates: PathBuf },
    /// Kills its own process in the first so many attempts.
    Die { attempts: u32 },
    /// Counts to so many; keeps a checkpoint after each, and kills its process halfway in the first attempt.
    Count { to: u64 },
    /// Waits as `Wait` does, and gives so many bytes beside the answer.
    WaitAndFill { gates: PathBuf, bytes: usize },
}

/// The answer to a value.
pub(crate) fn answer(value: u64) -> u64 {
    mix(value ^ 0x5eed)
}

/// A good shuffle of bits (splitmix64).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Output: the answer, and as many bytes as the errand wants.
pub(crate) type Answer = (u64, Vec<u8>);

/// Runs errands, and notes each execution in a file outside of the store.
#[derive(Debug)]
pub(crate) struct Errands {
    executions: File,
}

impl Errands {
    pub(crate) fn noting_in(path: &Path) -> Errands {
        Errands {
            executions: append_to(path),
        }
    }

    fn note(&self, what: &str, task: &Task<'_>) {
        let line = format!("{what} {} {} {}\n", task.id(), task.attempt(), task.worker());
        // One write each, at the end of the file: lines of many processes do not mix.
        (&self.executions).write_all(line.as_bytes()).unwrap();
    }
}

pub(crate) fn append_to(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

impl Worker for Errands {
    type Input = Errand;
    type Output = Answer;

    fn process(&self, errand: Errand, task: &Task<'_>) -> Result<Answer, BoxError> {
        self.note("begin", task);
        let result = act(&errand, task);
        self.note(if result.is_ok() { "end" } else { "fail" }, task);
        Ok((answer(errand.value), result?))
    }
}

fn act(errand: &Errand, task: &Task<'_>) -> Result<Vec<u8>, BoxError> {
    match &errand.act {
        Act::Nothing => {}
        Act::Work { millis, fails_one_in } => {
            let chance = mix(errand.value ^ (u64::from(task.attempt()) << 40));
            std::thread::sleep(Duration::from_millis(chance % (millis + 1)));
            if *fails_one_in > 0 && (chance >> 20).is_multiple_of(*fails_one_in) {
                return Err(format!("attempt {} fails", task.attempt()).into());
            }
        }
        Act::Wait { gates } | Act::WaitAndFill { gates, .. } => {
            let open = [
                "open".into(),
                format!("open.{}", task.attempt()),
                format!("open.pid.{}", std::process::id()),
            ];
            while !open.iter().any(|name| gates.join(name).exists()) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Act::Die { attempts } => {
            if task.attempt() <= *attempts {
                die();
            }
        }
        Act::Count { to } => {
            let begin = task.restored::<u64>()?.unwrap_or(0);
            for count in begin..*to {
                if task.attempt() == 1 && count == to / 2 {
                    die();
                }
                task.checkpoint(&(count + 1))?;
            }
            return Ok(begin.to_le_bytes().to_vec());
        }
    }
    Ok(match &errand.act {
        Act::WaitAndFill { bytes, .. } => vec![7; *bytes],
        _ => Vec::new(),
    })
}

/// Ends this process as `kill -9` does.
pub(crate) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("nobody survives that signal")
}

/// Which errands there are, round by round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) tasks: u64,
    pub(crate) act: Act,
    /// Rounds at most.
    pub(crate) rounds: u32,
}

impl Plan {
    pub(crate) fn new(tasks: u64, act: Act) -> Plan {
        Plan {
            tasks,
            act,
            rounds: 1,
        }
    }

    pub(crate) fn rounds(mut self, rounds: u32) -> Plan {
        self.rounds = rounds;
        self
    }

    /// The errands of a round: they depend on all answers of the round before.
    fn errands(&self, round: u32, carry: u64) -> impl Iterator<Item = Errand> + use<> {
        let act = self.act.clone();
        (0..self.tasks).map(move |number| Errand {
            value: mix(carry ^ (u64::from(round) << 32) ^ number),
            act: act.clone(),
        })
    }

    /// All answers of so many rounds, by round and number.
    pub(crate) fn answers(&self, rounds: u32) -> BTreeMap<(u32, u64), u64> {
        let mut answers = BTreeMap::new();
        let mut carry = 0;
        for round in 0..rounds {
            let errands = self.errands(round, carry);
            carry = 0;
            for (number, errand) in (0..).zip(errands) {
                let answer = answer(errand.value);
                carry = mix_in(carry, answer);
                answers.insert((round, number), answer);
            }
        }
        answers
    }

    fn has_round(&self, round: u32) -> bool {
        round < self.rounds
    }
}

/// Order does not matter: outcomes come in any.
fn mix_in(carry: u64, answer: u64) -> u64 {
    carry.wrapping_add(mix(answer))
}

/// Makes the errands of a plan, and keeps every answer.
#[derive(Debug)]
pub(crate) struct Planner {
    plan: Plan,
    pub(crate) answers: BTreeMap<(u32, u64), Result<u64, String>>,
}

impl Planner {
    pub(crate) fn new(plan: Plan) -> Planner {
        Planner {
            plan,
            answers: BTreeMap::new(),
        }
    }
}

impl Master for Planner {
    type Input = Errand;
    type Output = Answer;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Errand>>, BoxError> {
        let round = round.get();
        if !self.plan.has_round(round) {
            return Ok(None);
        }
        let mut carry = 0;
        if round > 0 {
            let before = self.answers.range((round - 1, 0)..(round, 0));
            for (_, answer) in before {
                carry = mix_in(carry, answer.clone().unwrap_or(0));
            }
        }
        Ok(Some(Inputs::new(self.plan.errands(round, carry))))
    }

    fn collect(&mut self, outcome: Outcome<Errand, Answer>) -> Result<(), BoxError> {
        let key = (outcome.task.round.get(), outcome.task.number);
        let answer = match outcome.result {
            Ok((given, _)) if given != answer(outcome.input.value) => {
                return Err(format!("{}: the answer belongs to another input", outcome.task).into());
            }
            Ok((given, bytes)) => match outcome.input.act {
                Act::Count { to } if bytes != (to / 2).to_le_bytes() => {
                    return Err(format!("it was counted from {bytes:?} on").into());
                }
                _ => Ok(given),
            },
            Err(failure) => Err(failure.to_string()),
        };
        match self.answers.insert(key, answer) {
            None => Ok(()),
            Some(_) => Err(format!("{} was collected twice", outcome.task).into()),
        }
    }
}
