//! Many cases at a time: most of them wait for something, so there are more than processors.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use crate::processes::Role;
use crate::random::Random;
use crate::scenario::{Case, Figures, count_calls, play};

const AT_A_TIME: usize = 8;

/// Which cases are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Some of them, by chance.
    Some,
    All,
    /// Those whose names have all these words.
    Named(String),
}

impl Choice {
    pub(crate) fn made() -> Choice {
        match std::env::var("FLOCKWORK_FAULTS").ok().as_deref() {
            None | Some("") => Choice::Some,
            Some("all") => Choice::All,
            Some(words) => Choice::Named(words.to_owned()),
        }
    }

    fn keeps(&self, case: &Case) -> bool {
        let Choice::Named(words) = self else {
            return true;
        };
        let name = case.to_string();
        words.split(' ').all(|word| {
            name.split(' ')
                .any(|part| part.trim_matches(['(', ')', ',']) == word)
        })
    }
}

/// The calls that a process of this role makes, and how often.
pub(crate) fn calls(role: Role, network: bool) -> Vec<(&'static str, u32)> {
    let counts = count_calls(role, network);
    println!("  calls of an undisturbed {role:?} (network: {network}): {counts:?}");
    assert!(counts.len() > 8, "strace has seen too few calls: {counts:?}");
    counts.into_iter().collect()
}

/// Runs all the cases that are chosen, and fails with all that went wrong.
pub(crate) fn run_all(what: &str, cases: Vec<Case>) {
    let choice = Choice::made();
    let cases: VecDeque<Case> = cases.into_iter().filter(|case| choice.keeps(case)).collect();
    let (count, begun) = (cases.len(), Instant::now());
    let (queue, done) = (Mutex::new(cases), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let ended = std::panic::catch_unwind(|| play(&case));
                    let ended = ended.unwrap_or_else(|_| Err("the case panicked, see above".to_owned()));
                    if let Err(wrong) = &ended {
                        println!("WRONG {case}: {wrong}");
                    }
                    done.lock().unwrap().push((case, ended));
                }
            });
        }
    });
    tell(what, count, begun, done.into_inner().unwrap(), &choice);
}

fn tell(
    what: &str,
    count: usize,
    begun: Instant,
    done: Vec<(Case, Result<Figures, String>)>,
    choice: &Choice,
) {
    let figures: Vec<Figures> = done.iter().filter_map(|(_, ended)| ended.clone().ok()).collect();
    let sum = |of: fn(&Figures) -> usize| figures.iter().map(of).sum::<usize>();
    let fired = figures.iter().filter(|figures| figures.injected > 0).count();
    println!(
        "{what}: {count} runs in {:.0} s, in {fired} of them a fault fired, {} faults in all; {} executions, {} processes gave \
         up, {} outcomes were parked",
        begun.elapsed().as_secs_f64(),
        sum(|figures| figures.injected),
        sum(|figures| figures.executions),
        sum(|figures| figures.gave_up),
        sum(|figures| figures.parked),
    );
    let wrong: Vec<String> = done
        .iter()
        .filter(|(_, ended)| ended.is_err())
        .map(|(case, _)| case.to_string())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {count} went wrong, each is told of above: {wrong:#?}",
        wrong.len()
    );
    // A rule that names calls nobody makes would prove nothing.
    let enough = matches!(choice, Choice::Named(_)) || fired * 2 >= count;
    assert!(enough, "only in {fired} of {count} runs a fault fired");
}

/// Takes one of these by chance, or all.
pub(crate) fn some_of<T: Clone>(items: &[T], random: &mut Random) -> Vec<T> {
    match Choice::made() {
        Choice::Some => vec![random.pick(items).clone()],
        Choice::All | Choice::Named(_) => items.to_vec(),
    }
}
