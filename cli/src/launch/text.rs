//! The submit files of the engines: what they are given, for programs and for people who edit it. Pure.

mod condor;
pub(super) mod quote;
mod sge;
mod slurm;

use flockwork::app::exit::Failed;

use super::Engine;
use super::request::Request;

/// Returns the submit file of an engine; `number` is that of the launch, if it has a record.
///
/// # Errors
///
/// If a path cannot be written so that the engine reads it as it is.
pub(crate) fn submit_file(engine: Engine, asked: &Request, number: Option<u64>) -> Result<String, Failed> {
    for (what, text) in [
        ("the program's path", &asked.program),
        ("the store's path", &asked.store),
    ] {
        quote::check_line(what, text)?;
    }
    for flag in &asked.flags {
        quote::check_line("a flag for the workers", flag)?;
    }
    match engine {
        Engine::Local | Engine::Ssh => Err(Failed::usage(
            "nothing is submitted on this host",
            "leave --print out",
        )),
        Engine::Slurm => slurm::text(asked, number),
        Engine::Condor => condor::text(asked, number),
        Engine::Sge => sge::text(asked, number),
    }
}

/// Finds the number of the job in what the engine's command said on stdout.
pub(super) fn job_id(engine: Engine, said: &str) -> Option<String> {
    match engine {
        Engine::Local | Engine::Ssh => None,
        Engine::Slurm => slurm::job_id(said),
        Engine::Condor => condor::job_id(said),
        Engine::Sge => sge::job_id(said),
    }
}

/// Returns how long before its end a job of Slurm is told, as its submit file asks.
pub(super) fn slurm_warns() -> std::time::Duration {
    std::time::Duration::from_secs(slurm::WARNED)
}

/// Returns the number at the beginning of a text.
fn leading_number(text: &str) -> Option<String> {
    let digits: String = text
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests;
