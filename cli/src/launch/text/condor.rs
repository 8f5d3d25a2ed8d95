//! HTCondor: a cluster of jobs that `condor_submit` reads.

use flockwork::app::exit::Failed;

use super::{leading_number, quote};
use crate::launch::Engine;
use crate::launch::request::{Request, size};

pub(super) fn text(asked: &Request, number: Option<u64>) -> Result<String, Failed> {
    for (what, path) in [
        ("the store's path", &asked.store),
        ("the program's path", &asked.program),
    ] {
        quote::check_without(what, path, "\"", "HTCondor")?;
        if path.ends_with(['\\', ' ']) {
            return Err(quote::refused(
                what,
                path,
                "ends in a way that HTCondor does not keep",
            ));
        }
    }
    let name = asked.name();
    let store = quote::condor(&asked.store);
    let mut limits = format!("request_cpus          = {}\n", asked.cpus());
    if let Some(bytes) = asked.memory {
        limits.push_str(&format!("request_memory        = {}\n", size(bytes)));
    }
    if let Some(seconds) = asked.seconds {
        // The worker leaves before; a job that does not is held.
        limits.push_str(&format!("allowed_execute_duration = {seconds}\n"));
    }
    Ok(format!(
        "# Workers of {name}, each one a job of its own: submit it with condor_submit.\n\
         universe              = vanilla\n\
         executable            = {}\n\
         arguments             = {}\n\
         initialdir            = {store}\n\
         # All machines see the store by themselves.\n\
         should_transfer_files = NO\n\
         # A job that has to go gives its task back, and is run again by HTCondor.\n\
         kill_sig              = SIGTERM\n\
         job_max_vacate_time   = 60\n\
         {limits}\
         batch_name            = {name}\n\
         log                   = {store}/logs/condor.$(Cluster).log\n\
         output                = {store}/logs/condor.$(Cluster).$(Process).out\n\
         error                 = {store}/logs/condor.$(Cluster).$(Process).err\n\
         queue {}\n",
        quote::condor(&asked.program),
        quote::condor_words(&asked.words(Engine::Condor, number)),
        asked.workers
    ))
}

/// `12.0 - 12.49` with -terse; `50 job(s) submitted to cluster 12.` without.
pub(super) fn job_id(said: &str) -> Option<String> {
    let terse = |line: &str| {
        let (cluster, rest) = line.trim().split_once('.')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let first = rest.split(' ').next()?;
        (is_number(cluster) && is_number(first)).then(|| cluster.to_owned())
    };
    let talk = |line: &str| leading_number(line.split_once("submitted to cluster ")?.1);
    said.lines().find_map(|line| terse(line).or_else(|| talk(line)))
}
