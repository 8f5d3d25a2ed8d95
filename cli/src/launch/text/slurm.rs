//! Slurm: an array job that `sbatch` reads.

use flockwork::app::exit::Failed;

use super::{leading_number, quote};
use crate::launch::Engine;
use crate::launch::request::{Request, clock, size};

/// How long before its end a job is told, in seconds; Slurm may say it up to a minute earlier.
pub(super) const WARNED: u64 = 120;

pub(super) fn text(asked: &Request, number: Option<u64>) -> Result<String, Failed> {
    // In the name of an output file a backslash turns the meaning of all `%` off.
    quote::check_without("the store's path", &asked.store, "\\", "Slurm")?;
    let name = asked.name();
    let logs = format!("{}/logs/slurm-", asked.store.replace('%', "%%"));
    let (array, output) = match asked.workers {
        1 => (String::new(), format!("{logs}%j.out")),
        workers => (format!(" --array=1-{workers}"), format!("{logs}%A_%a.out")),
    };
    let mut limits = vec![format!("--cpus-per-task={}", asked.cpus())];
    limits.extend(
        asked
            .seconds
            .map(|seconds| format!("--time={}", clock(seconds, true))),
    );
    limits.extend(asked.memory.map(|bytes| format!("--mem={}", size(bytes))));
    let words = [vec![asked.program.clone()], asked.words(Engine::Slurm, number)].concat();
    Ok(format!(
        "#!/bin/sh\n\
         # Workers of {name}, each one a job of its own: submit it with sbatch.\n\
         #SBATCH --job-name={name}{array}\n\
         # What each of them may use. Add --partition= and --account= where your site wants them.\n\
         #SBATCH {}\n\
         # Preempted, or its node gone: run it again. Before the time is up the worker is told.\n\
         #SBATCH --requeue --open-mode=append --signal=B:USR1@{WARNED}\n\
         #SBATCH --chdir={}\n\
         #SBATCH --output={}\n\
         # By `exec` signals reach the worker itself.\n\
         exec {}\n",
        limits.join(" "),
        quote::sbatch(&asked.store),
        quote::sbatch(&output),
        quote::shell(words)?
    ))
}

/// `48213` or, with several clusters, `48213;name`.
pub(super) fn job_id(said: &str) -> Option<String> {
    // Plugins of a site may say something before.
    said.lines().rev().find_map(|line| {
        let (number, rest) = line.trim().split_once(';').unwrap_or((line.trim(), ""));
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !rest.contains(char::is_whitespace)).then(|| leading_number(number))?
    })
}
