//! A worker and a master are killed at each of their system calls.

use crate::cases::{Choice, calls, run_all};
use crate::processes::Role;
use crate::random::Random;
use crate::scenario::Case;
use crate::strace::{Fate, Rule, missing};

/// So many kills of each are chosen by chance.
const SOME: usize = 25;

fn kills(role: Role) {
    if let Some(why) = missing() {
        println!("skipped: strace cannot inject signals here: {why}");
        return;
    }
    let (mut random, seed) = Random::seeded();
    println!("kills of a {role:?}: seed {seed}");
    let mut cases = Vec::new();
    for network in [false, true] {
        for (call, count) in calls(role, network) {
            for when in 1..=count {
                cases.push(Case {
                    role,
                    rule: Rule {
                        call,
                        fate: Fate::Killed,
                        when: when.to_string(),
                    },
                    network,
                    batch: 1 + u32::try_from(random.below(2)).unwrap(),
                });
            }
        }
    }
    if Choice::made() == Choice::Some {
        while cases.len() > SOME {
            let out = random.below(cases.len() as u64);
            cases.swap_remove(usize::try_from(out).unwrap());
        }
    }
    run_all(&format!("kills of a {role:?}"), cases);
}

#[test]
fn a_worker_is_killed_at_each_call() {
    kills(Role::Worker);
}

#[test]
fn a_master_is_killed_at_each_call() {
    kills(Role::Master);
}
