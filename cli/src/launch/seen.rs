//! Which living workers of a store belong to which launch. Pure.

use flockwork::WorkerStatus;

use super::Engine;
use super::records::Launch;

/// Returns how many living workers of a launch are seen in the store.
pub(crate) fn seen(launch: &Launch, workers: &[WorkerStatus]) -> u64 {
    let alive = workers.iter().filter(|worker| !worker.lost);
    alive.filter(|worker| is_of(launch, worker)).count() as u64
}

fn is_of(launch: &Launch, worker: &WorkerStatus) -> bool {
    match (worker.job.as_deref(), &launch.came.job) {
        (Some(text), None) if launch.record.engine == Engine::Ssh => is_over_ssh(text, launch.record.number),
        (Some(text), Some(job)) => is_job(text, launch.record.engine, job),
        _ => launch
            .came
            .started
            .iter()
            .any(|(process, _)| is_process(&worker.worker, &process.host, process.pid)),
    }
}

/// Says whether `slurm 48213_7`, `htcondor 12.3` or `sge 99.4` is of a job.
fn is_job(text: &str, engine: Engine, job: &str) -> bool {
    let Some((word, id)) = text.split_once(' ') else {
        return false;
    };
    word == engine.word() && id.split(['_', '.']).next() == Some(job)
}

/// Returns what a worker that is launched over ssh calls its job: the launch, and the host as it was named.
pub(super) fn ssh_job(launch: u64, host: &str) -> String {
    format!("ssh {launch} {host}")
}

fn is_over_ssh(text: &str, launch: u64) -> bool {
    text.starts_with(&ssh_job(launch, ""))
}

/// Says whether a worker's name, `HOST-PID-RANDOM`, is that of a process.
fn is_process(name: &str, host: &str, pid: u32) -> bool {
    let mut parts = name.rsplitn(3, '-').skip(1);
    let (named, on) = (parts.next(), parts.next());
    // In names of workers a host's dashes are underscores.
    named == Some(pid.to_string().as_str()) && on.is_some_and(|on| on == host.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_processes_are_told_from_each_other() {
        for (text, engine, job, expected) in [
            ("slurm 48213_7", Engine::Slurm, "48213", true),
            ("slurm 48213", Engine::Slurm, "48213", true),
            ("slurm 482130_7", Engine::Slurm, "48213", false),
            ("htcondor 12.3", Engine::Condor, "12", true),
            ("htcondor 12.3", Engine::Slurm, "12", false),
            ("sge 99.4", Engine::Sge, "99", true),
            ("sge", Engine::Sge, "", false),
        ] {
            assert_eq!(is_job(text, engine, job), expected, "{text} {job}");
        }
        assert!(is_over_ssh(&ssh_job(3, "h1"), 3) && !is_over_ssh(&ssh_job(31, "h1"), 3));
        assert!(is_process("node_07-8812-03fa9c", "node-07", 8812));
        assert!(!is_process("node_07-8812-03fa9c", "node-07", 881));
        assert!(!is_process("node_07-8812-03fa9c", "node-08", 8812));
        assert!(!is_process("x", "x", 1));
    }
}
