//! Every task has exactly one accepted outcome, and it is the answer to its own input: computed afresh.

use flockwork::app::exit::Failed;
use flockwork::{Entry, Outcome, Store, TaskId};

use crate::torture::plan::{Carry, Errand, Plan};
use crate::torture::verdict::{Broken, Promise, Verdict};

/// Reads all outcomes; returns how many rounds there are, and how many tasks have their right outcome.
pub(super) fn check(store: &Store, plan: &Plan, verdict: &mut Verdict) -> Result<(u64, u64), Failed> {
    let mut check = Check::new(*plan);
    for entry in store.outcomes::<Errand, u64>()? {
        match entry {
            Ok(Entry::Ended(outcome)) => check.ended(&outcome),
            Ok(Entry::Open(open)) => check.open(open.task),
            Err(error) => {
                let place = error
                    .path()
                    .map_or_else(String::new, |path| path.to_string_lossy().into());
                check.broken(&place, format!("it cannot be read: {error}"));
            }
        }
    }
    let (rounds, right, broken) = check.finish();
    broken.into_iter().for_each(|broken| verdict.add(broken));
    Ok((rounds, right))
}

/// Goes through the tasks in their order.
struct Check {
    plan: Plan,
    round: u32,
    /// What the round before has handed to this one.
    carry: Carry,
    /// The task that comes next.
    next: u64,
    any: bool,
    right: u64,
    broken: Vec<Broken>,
}

impl Check {
    fn new(plan: Plan) -> Check {
        Check {
            plan,
            round: 0,
            carry: Carry::default(),
            next: 0,
            any: false,
            right: 0,
            broken: Vec::new(),
        }
    }

    fn ended(&mut self, outcome: &Outcome<Errand, u64>) {
        let errand = self.expect(outcome.task);
        let place = outcome.task.to_string();
        if outcome.input != errand {
            self.broken(&place, "its input is not the one that was made");
        }
        match &outcome.result {
            Ok(answer) if *answer == errand.answer() => self.right += 1,
            Ok(_) => self.broken(&place, "its answer is not the answer to its input"),
            Err(failure) => self.broken(&place, format!("it failed for good: {failure}")),
        }
    }

    fn open(&mut self, task: TaskId) {
        self.expect(task);
        self.broken
            .push(Broken::new(Promise::Stuck, &task.to_string(), "it has not ended"));
    }

    /// Comes to a task: tells of those that are missing before it.
    fn expect(&mut self, task: TaskId) -> Errand {
        let round = task.round.get();
        self.any = true;
        while self.round < round {
            self.end_round();
        }
        if task.number != self.next || task.number >= self.plan.tasks {
            let what = match task.number < self.next {
                true => format!("the task {task} is there twice, or out of order"),
                false => format!("the tasks from {} up to {} are not there", self.next, task.number),
            };
            self.broken(&format!("round {round}"), what);
        }
        self.next = task.number + 1;
        self.plan.errand(round, self.carry, task.number)
    }

    fn end_round(&mut self) {
        if self.next < self.plan.tasks {
            let what = format!("the tasks from {} on are not there", self.next);
            self.broken(&format!("round {}", self.round), what);
        }
        self.carry = self.plan.carry(self.round, self.carry);
        self.round += 1;
        self.next = 0;
    }

    fn broken(&mut self, place: &str, what: impl Into<String>) {
        self.broken.push(Broken::new(Promise::Answers, place, what));
    }

    fn finish(mut self) -> (u64, u64, Vec<Broken>) {
        if self.any {
            self.end_round();
        }
        (u64::from(self.round), self.right, self.broken)
    }
}

#[cfg(test)]
mod tests {
    use flockwork::{
        BoxError, Inputs, Master, MasterConfig, RoundNumber, StoreConfig, Task, Worker, WorkerConfig,
    };

    use super::*;

    const PLAN: Plan = Plan { seed: 3, tasks: 5 };

    /// A master that makes one round of these inputs, and a worker that gives this answer.
    struct Inner(Vec<Errand>);
    struct Answering(fn(&Errand) -> u64);

    impl Master for Inner {
        type Input = Errand;
        type Output = u64;
        fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Errand>>, BoxError> {
            Ok(round.is_first().then(|| Inputs::new(std::mem::take(&mut self.0))))
        }
        fn collect(&mut self, _: Outcome<Errand, u64>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    impl Worker for Answering {
        type Input = Errand;
        type Output = u64;
        fn process(&self, errand: Errand, _: &Task<'_>) -> Result<u64, BoxError> {
            Ok((self.0)(&errand))
        }
    }

    fn checked(errands: Vec<Errand>, answer: fn(&Errand) -> u64) -> (u64, u64, Vec<String>) {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create(place.path().join("x"), &StoreConfig::default()).unwrap();
        let worker_store = store.clone();
        let worker =
            std::thread::spawn(move || WorkerConfig::default().run(&worker_store, Answering(answer)));
        MasterConfig::default().run(&store, &mut Inner(errands)).unwrap();
        worker.join().unwrap().unwrap();
        let mut verdict = Verdict::default();
        let (rounds, right) = check(&store, &PLAN, &mut verdict).unwrap();
        (
            rounds,
            right,
            verdict.broken.iter().map(ToString::to_string).collect(),
        )
    }

    fn errands() -> Vec<Errand> {
        PLAN.errands(0, Carry::default()).collect()
    }

    #[test]
    fn right_answers_to_the_right_inputs_are_found_right() {
        assert_eq!(checked(errands(), Errand::answer), (1, 5, vec![]));
    }

    #[test]
    fn a_wrong_answer_a_wrong_input_and_a_missing_task_are_found() {
        let (_, right, broken) = checked(errands(), |errand| errand.answer() ^ 1);
        assert_eq!((right, broken.len()), (0, 5), "{broken:?}");
        let mut swapped = errands();
        swapped.swap(1, 2);
        let (_, _, broken) = checked(swapped, Errand::answer);
        assert_eq!(broken.len(), 4, "{broken:?}");
        assert!(broken[0].contains("not the one that was made"), "{broken:?}");
        let (_, right, broken) = checked(errands()[..4].to_vec(), Errand::answer);
        assert_eq!(right, 4);
        assert_eq!(broken, ["answers: round 0: the tasks from 4 on are not there"]);
    }
}
