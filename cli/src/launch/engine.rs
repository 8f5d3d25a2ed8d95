//! Who starts workers, and what its commands are called.

use serde::{Deserialize, Serialize};

/// Who starts workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Engine {
    /// This command, on this host.
    Local,
    Slurm,
    Condor,
    Sge,
    Ssh,
}

impl Engine {
    /// The name in records, in lists and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Local => "local",
            Engine::Slurm => "slurm",
            Engine::Condor => "condor",
            Engine::Sge => "sge",
            Engine::Ssh => "ssh",
        }
    }

    /// The name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Engine::Local => "this host",
            Engine::Slurm => "Slurm",
            Engine::Condor => "HTCondor",
            Engine::Sge => "Grid Engine",
            Engine::Ssh => "ssh",
        }
    }

    /// The word before a job's number in a worker's own file: `htcondor 12.3`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Engine::Condor => "htcondor",
            other => other.name(),
        }
    }

    /// The command that submits; `None` where nothing is submitted.
    pub(crate) fn submits_with(self) -> Option<&'static str> {
        match self {
            Engine::Local | Engine::Ssh => None,
            Engine::Slurm => Some("sbatch"),
            Engine::Condor => Some("condor_submit"),
            Engine::Sge => Some("qsub"),
        }
    }

    /// The command that tells of jobs.
    pub(super) fn asks_with(self) -> Option<&'static str> {
        match self {
            Engine::Local | Engine::Ssh => None,
            Engine::Slurm => Some("squeue"),
            Engine::Condor => Some("condor_q"),
            Engine::Sge => Some("qstat"),
        }
    }

    /// The command that ends jobs.
    pub(super) fn ends_with(self) -> Option<&'static str> {
        match self {
            Engine::Local | Engine::Ssh => None,
            Engine::Slurm => Some("scancel"),
            Engine::Condor => Some("condor_rm"),
            Engine::Sge => Some("qdel"),
        }
    }
}
