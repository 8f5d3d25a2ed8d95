//! Each system call of a worker and of a master is answered with each error that a file system gives there.

use crate::cases::{calls, run_all, some_of};
use crate::processes::Role;
use crate::random::Random;
use crate::scenario::{Case, play_long};
use crate::strace::{Fate, Rule, missing};

/// Which errors a call may be answered with.
fn errors_of(call: &str) -> &'static [&'static str] {
    match call {
        "openat" => &[
            "EIO", "ENOSPC", "EDQUOT", "ESTALE", "EINTR", "EACCES", "EMFILE", "EROFS",
        ],
        "read" | "pread64" | "getdents64" => &["EIO", "ESTALE", "EINTR", "EACCES"],
        "write" | "pwrite64" | "fdatasync" | "fsync" | "syncfs" => {
            &["EIO", "ENOSPC", "EDQUOT", "ESTALE", "EINTR", "EROFS"]
        }
        "linkat" | "rename" | "renameat" | "renameat2" | "mkdirat" | "mkdir" => {
            &["EIO", "ENOSPC", "EDQUOT", "ESTALE", "EACCES", "EROFS"]
        }
        "unlinkat" | "utimensat" => &["EIO", "ESTALE", "EACCES", "EROFS"],
        "flock" => &["EIO", "ENOLCK", "EINTR", "ESTALE", "EACCES"],
        "close" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        _ => &["EIO", "ESTALE", "EACCES"],
    }
}

/// The first call, one in the middle, and every second one from there on.
fn positions(count: u32) -> Vec<String> {
    let middle = count / 3 + 1;
    let mut positions = vec!["1".to_owned(), middle.to_string(), format!("{middle}+2")];
    positions.dedup();
    positions
}

fn cases(role: Role) -> Option<Vec<Case>> {
    if let Some(why) = missing() {
        println!("skipped: strace cannot inject errors here: {why}");
        return None;
    }
    let (mut random, seed) = Random::seeded();
    println!("errors of a {role:?}: seed {seed}");
    let mut cases = Vec::new();
    let (local, network) = (calls(role, false), calls(role, true));
    for &(call, count) in &local {
        for error in errors_of(call) {
            for when in some_of(&positions(count), &mut random) {
                let on_both = network.iter().any(|(other, _)| *other == call);
                // On a local file system these two are made to be woken, too, and not on the store.
                let is_mixed = ["read", "write"].contains(&call);
                cases.push(Case {
                    role,
                    rule: Rule {
                        call,
                        fate: Fate::Error(error),
                        when,
                    },
                    network: on_both && (is_mixed || random.below(2) == 0),
                    batch: 1 + u32::try_from(random.below(2)).unwrap(),
                });
            }
        }
    }
    Some(cases)
}

#[test]
fn each_call_of_a_worker_fails() {
    if let Some(cases) = cases(Role::Worker) {
        run_all("errors of a worker", cases);
    }
}

#[test]
fn each_call_of_a_master_fails() {
    if let Some(cases) = cases(Role::Master) {
        run_all("errors of a master", cases);
    }
}

/// One answer of flock in its heartbeat that means "another has it" made a master end and say that another took over,
/// though nobody had.
#[test]
fn a_master_whose_lock_was_lost_goes_on_as_long_as_no_other_is_there() {
    if let Some(why) = missing() {
        println!("skipped: strace cannot inject errors here: {why}");
        return;
    }
    let rule = Rule {
        call: "flock",
        fate: Fate::Error("EACCES"),
        when: "1".to_owned(),
    };
    let case = Case {
        role: Role::Master,
        rule,
        network: false,
        batch: 1,
    };
    // The first thread tries out the file system; the second gives the heartbeat.
    let figures = play_long(&case, 2).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((figures.gave_up, figures.executions), (0, 6), "{figures:?}");
}
