//! Grid Engine: an array job that `qsub` reads.

use flockwork::app::exit::Failed;

use super::{leading_number, quote};
use crate::launch::Engine;
use crate::launch::request::{Request, clock, size};

/// In a path of a line of `#$` these separate, are replaced, or are lost.
const SPECIAL: &str = " ,:$\\\"'#";

pub(super) fn text(asked: &Request, number: Option<u64>) -> Result<String, Failed> {
    quote::check_without("the store's path", &asked.store, SPECIAL, "Grid Engine")?;
    let (name, store) = (asked.name(), &asked.store);
    let mut limits = String::new();
    let wanted: Vec<String> = [
        asked
            .seconds
            .map(|seconds| format!("h_rt={}", clock(seconds, false))),
        asked.memory.map(|bytes| format!("h_vmem={}", size(bytes))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !wanted.is_empty() {
        limits.push_str(&format!("#$ -l {}\n", wanted.join(",")));
    }
    if asked.cpus() > 1 {
        limits.push_str(&format!("#$ -pe smp {}\n", asked.cpus()));
    }
    let words = [vec![asked.program.clone()], asked.words(Engine::Sge, number)].concat();
    Ok(format!(
        "#!/bin/sh\n\
         # Workers of {name}, each one a task of an array job: submit it with qsub.\n\
         #$ -N {name} -S /bin/sh -t 1-{}\n\
         # What each of them may use. The names h_vmem (for each slot) and smp are those of your site; -q and -P too.\n\
         {limits}\
         # Told with USR2 before it is killed; run again if its host is gone.\n\
         #$ -notify -r y\n\
         #$ -wd {store}\n\
         #$ -j y -o {store}/logs\n\
         # By `exec` signals reach the worker itself.\n\
         exec {}\n",
        asked.workers,
        quote::shell(words)?
    ))
}

/// `99` with -terse, `99.1-50:1` for an array; `Your job-array 99.1-50:1 ("x") has been submitted` without.
pub(super) fn job_id(said: &str) -> Option<String> {
    let terse = |line: &str| {
        let plain = |letter: char| letter.is_ascii_digit() || ".-:".contains(letter);
        let line = line.trim();
        line.chars().all(plain).then(|| leading_number(line))?
    };
    let talk = |line: &str| {
        let rest = line.trim().strip_prefix("Your job")?.trim_start_matches("-array");
        leading_number(rest)
    };
    said.lines().find_map(|line| terse(line).or_else(|| talk(line)))
}
