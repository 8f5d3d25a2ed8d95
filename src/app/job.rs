//! The batch job that this process runs in: whose it is, when it ends, and what it was given.
//!
//! Slurm says when a job ends in `SLURM_JOB_END_TIME`, and HTCondor in the job's ad. Grid Engine keeps `s_rt` and `h_rt`
//! to itself: there a worker only knows its limit if it is told (`--time-limit`).

use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::name::plain_job;

/// An ad is some hundred lines.
const LARGEST_AD: u64 = 1 << 20;

/// A batch engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// Slurm.
    Slurm,
    /// HTCondor.
    HtCondor,
    /// Grid Engine, in any of its kinds.
    GridEngine,
}

impl Engine {
    /// Returns its name, as it stands in the text of a job.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Slurm => "slurm",
            Engine::HtCondor => "htcondor",
            Engine::GridEngine => "sge",
        }
    }
}

/// When a job is ended by its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Seconds since 1970, by the engine's clock.
    At(u64),
    /// So long after the job began.
    After(Duration),
}

/// The batch job, or whatever else a launcher says, that this process is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    text: String,
    engine: Option<Engine>,
    end: Option<End>,
    cpus: Option<u32>,
    memory: Option<u64>,
}

/// What has to be known of a process to find its job: its environment, and small files.
struct Here<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    file: &'a dyn Fn(&Path) -> Option<String>,
}

impl Job {
    /// Finds the job of this process; `None` outside of one.
    pub fn of_this_process() -> Option<Job> {
        Job::find(&|name| std::env::var(name).ok(), &read_ad)
    }

    /// The same, from any environment and any files.
    ///
    /// ```
    /// use flockwork::app::Job;
    ///
    /// let variable = |name: &str| match name {
    ///     "SLURM_ARRAY_JOB_ID" => Some("48213".to_owned()),
    ///     "SLURM_ARRAY_TASK_ID" => Some("7".to_owned()),
    ///     "SLURM_JOB_ID" => Some("48220".to_owned()),
    ///     _ => None,
    /// };
    /// let job = Job::find(&variable, &|_| None);
    /// assert_eq!(job.as_ref().map(Job::text), Some("slurm 48213_7"));
    /// ```
    pub fn find(
        variable: &dyn Fn(&str) -> Option<String>,
        file: &dyn Fn(&Path) -> Option<String>,
    ) -> Option<Job> {
        let here = Here { variable, file };
        let engines = || {
            here.slurm()
                .or_else(|| here.htcondor())
                .or_else(|| here.grid_engine())
        };
        // A launcher knows best what it has started; when the job ends only the engine knows.
        let named = here.text("FLOCKWORK_JOB").and_then(|text| plain_job(&text));
        match (named, engines()) {
            (Some(text), Some(job)) => Some(Job { text, ..job }),
            (Some(text), None) => Some(Job {
                text,
                engine: None,
                end: None,
                cpus: None,
                memory: None,
            }),
            (None, job) => job,
        }
    }

    /// Returns it as people write it: `slurm 48213_7`, `htcondor 12.3`, `sge 99.4`, or what a launcher says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the engine that may send this process signals; `None` if only a launcher has named the job.
    pub fn engine(&self) -> Option<Engine> {
        self.engine
    }

    /// Says whether an engine runs this process: then its signals are warnings.
    pub(super) fn is_here() -> bool {
        Job::of_this_process().is_some_and(|job| job.engine.is_some())
    }

    /// Returns how long the job has left, for a process that began with it so long ago; `None` if the engine does not
    /// tell.
    pub fn left(&self, since_start: Duration) -> Option<Duration> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.left_at(now, since_start)
    }

    fn left_at(&self, now: Duration, since_start: Duration) -> Option<Duration> {
        Some(match self.end? {
            End::At(seconds) => Duration::from_secs(seconds).saturating_sub(now),
            End::After(limit) => limit.saturating_sub(since_start),
        })
    }

    /// Returns how many processors the engine gave to this process, if it says so.
    pub fn cpus(&self) -> Option<u32> {
        self.cpus
    }

    /// Returns how many bytes of memory the engine gave to this process, if it says so.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }
}

impl Here<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let text = (self.variable)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok().filter(|number| *number > 0)
    }

    fn slurm(&self) -> Option<Job> {
        let array = self
            .text("SLURM_ARRAY_JOB_ID")
            .zip(self.text("SLURM_ARRAY_TASK_ID"));
        let id = match array {
            Some((job, task)) => format!("{job}_{task}"),
            None => self.text("SLURM_JOB_ID")?,
        };
        let in_a_step = self.text("SLURM_STEP_ID").is_some();
        let (node, task) = (
            self.number("SLURM_CPUS_ON_NODE"),
            self.number("SLURM_CPUS_PER_TASK"),
        );
        // A batch script has the node's share; a task of a step has its own.
        let cpus = if in_a_step { task.or(node) } else { node.or(task) };
        let mebibytes = self.number("SLURM_MEM_PER_NODE").or_else(|| {
            let each = self.number("SLURM_MEM_PER_CPU")?;
            Some(each.saturating_mul(cpus?))
        });
        Some(Job {
            text: plain_job(&format!("slurm {id}"))?,
            engine: Some(Engine::Slurm),
            end: self.number("SLURM_JOB_END_TIME").map(End::At),
            cpus: cpus.map(whole),
            memory: mebibytes.map(bytes),
        })
    }

    fn htcondor(&self) -> Option<Job> {
        let ad = |name: &str| (self.file)(Path::new(&self.text(name)?));
        let slot = self.text("_CONDOR_SLOT");
        // The file may be gone; then the environment still tells that there is an engine.
        let job = match self.text("_CONDOR_JOB_AD") {
            Some(_) => ad("_CONDOR_JOB_AD").unwrap_or_default(),
            None => {
                slot.as_ref()?;
                String::new()
            }
        };
        let machine = ad("_CONDOR_MACHINE_AD").unwrap_or_default();
        let id = in_ad(&job, "ClusterId").map(|cluster| match in_ad(&job, "ProcId") {
            Some(process) => format!("{cluster}.{process}"),
            None => cluster.to_string(),
        });
        let limits = ["AllowedExecuteDuration", "AllowedJobDuration"];
        let limit = limits.iter().filter_map(|name| in_ad(&job, name)).min();
        let given = |provisioned, slots, asked| {
            let all = [
                in_ad(&job, provisioned),
                in_ad(&machine, slots),
                in_ad(&job, asked),
            ];
            all.into_iter().flatten().find(|number| *number > 0)
        };
        Some(Job {
            text: plain_job(&format!("htcondor {}", id.or(slot).unwrap_or_default()))?,
            engine: Some(Engine::HtCondor),
            end: limit.map(|seconds| End::After(Duration::from_secs(seconds))),
            cpus: given("CpusProvisioned", "Cpus", "RequestCpus").map(whole),
            memory: given("MemoryProvisioned", "Memory", "RequestMemory").map(bytes),
        })
    }

    fn grid_engine(&self) -> Option<Job> {
        let id = self.text("JOB_ID")?;
        // Others use that name too.
        let task = self.text("SGE_TASK_ID");
        if task.is_none() && self.text("SGE_ROOT").is_none() {
            return None;
        }
        let id = match task.filter(|task| task != "undefined") {
            Some(task) => format!("{id}.{task}"),
            None => id,
        };
        Some(Job {
            text: plain_job(&format!("sge {id}"))?,
            engine: Some(Engine::GridEngine),
            end: None,
            cpus: self.number("NSLOTS").map(whole),
            memory: None,
        })
    }
}

fn whole(cpus: u64) -> u32 {
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

fn bytes(mebibytes: u64) -> u64 {
    mebibytes.saturating_mul(1 << 20)
}

/// Returns the number behind a name in an ad. What is an expression there, or negative, is no number.
fn in_ad(ad: &str, name: &str) -> Option<u64> {
    ad.lines().find_map(|line| {
        let (found, value) = line.split_once('=')?;
        // Names in ads have no case.
        if !found.trim().eq_ignore_ascii_case(name) {
            return None;
        }
        value.trim().parse().ok()
    })
}

fn read_ad(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(LARGEST_AD).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn found(variables: Pairs, files: Pairs) -> Option<Job> {
        let of = |pairs: Pairs, name: &str| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Job::find(&|name| of(variables, name), &|path| {
            of(files, path.to_str().unwrap())
        })
    }

    fn text(variables: Pairs, files: Pairs) -> Option<String> {
        found(variables, files).map(|job| job.text().to_owned())
    }

    #[test]
    fn each_engine_names_its_jobs_in_its_own_way() {
        const AD: Pairs = &[("/ad", "Cmd = \"x\"\nClusterId = 12\nProcId = 3\n")];
        let table: &[(Pairs, Pairs, Option<&str>)] = &[
            (&[], &[], None),
            (&[("SLURM_JOB_ID", "48213")], &[], Some("slurm 48213")),
            (
                &[
                    ("SLURM_JOB_ID", "48220"),
                    ("SLURM_ARRAY_JOB_ID", "48213"),
                    ("SLURM_ARRAY_TASK_ID", "7"),
                ],
                &[],
                Some("slurm 48213_7"),
            ),
            (&[("_CONDOR_JOB_AD", "/ad")], AD, Some("htcondor 12.3")),
            (
                &[("_CONDOR_JOB_AD", "/gone"), ("_CONDOR_SLOT", "slot1_2")],
                AD,
                Some("htcondor slot1_2"),
            ),
            (&[("JOB_ID", "99"), ("SGE_TASK_ID", "4")], &[], Some("sge 99.4")),
            (
                &[("JOB_ID", "99"), ("SGE_TASK_ID", "undefined")],
                &[],
                Some("sge 99"),
            ),
            (&[("JOB_ID", "99")], &[], None),
            (
                &[("FLOCKWORK_JOB", "ssh h7"), ("SLURM_JOB_ID", "1")],
                &[],
                Some("ssh h7"),
            ),
            (&[("FLOCKWORK_JOB", " ")], &[], None),
        ];
        for (variables, files, expected) in table {
            assert_eq!(text(variables, files).as_deref(), *expected, "{variables:?}");
        }
    }

    #[test]
    fn a_launchers_name_hides_neither_the_engine_nor_the_end() {
        let job = found(
            &[
                ("FLOCKWORK_JOB", "mine"),
                ("SLURM_JOB_ID", "1"),
                ("SLURM_JOB_END_TIME", "5000"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!((job.text(), job.engine()), ("mine", Some(Engine::Slurm)));
        assert_eq!(
            job.left_at(Duration::from_secs(4000), Duration::ZERO),
            Some(Duration::from_secs(1000))
        );
        assert_eq!(
            job.left_at(Duration::from_secs(6000), Duration::ZERO),
            Some(Duration::ZERO)
        );
        assert_eq!(found(&[("FLOCKWORK_JOB", "ssh h7")], &[]).unwrap().engine(), None);
    }

    #[test]
    fn the_end_is_known_where_the_engine_tells_it() {
        let left = |variables, files| {
            let job = found(variables, files).unwrap();
            job.left_at(Duration::from_secs(100), Duration::from_secs(10))
        };
        assert_eq!(left(&[("SLURM_JOB_ID", "1")], &[]), None);
        assert_eq!(
            left(&[("SLURM_JOB_ID", "1"), ("SLURM_JOB_END_TIME", "soon")], &[]),
            None
        );
        const CONDOR: Pairs = &[("_CONDOR_JOB_AD", "/ad")];
        let ad = "ClusterId = 1\nallowedjobduration = 3600\nAllowedExecuteDuration = 600\n";
        assert_eq!(
            left(CONDOR, Box::leak(Box::new([("/ad", ad)]))),
            Some(Duration::from_secs(590))
        );
        assert_eq!(
            left(
                CONDOR,
                &[(
                    "/ad",
                    "AllowedExecuteDuration = undefined\nAllowedJobDuration = -1\n"
                )]
            ),
            None
        );
        assert_eq!(left(&[("JOB_ID", "1"), ("SGE_TASK_ID", "1")], &[]), None);
    }

    #[test]
    fn what_was_given_counts_before_what_was_asked_for() {
        let given = |variables, files| {
            let job = found(variables, files).unwrap();
            (job.cpus(), job.memory())
        };
        const CONDOR: Pairs = &[("_CONDOR_JOB_AD", "/job"), ("_CONDOR_MACHINE_AD", "/machine")];
        let asked = ("/job", "RequestCpus = 2\nRequestMemory = 1024\n");
        let slot = ("/machine", "Cpus = 4\nMemory = 4096\nTotalCpus = 64\n");
        assert_eq!(
            given(CONDOR, Box::leak(Box::new([asked]))),
            (Some(2), Some(1 << 30))
        );
        assert_eq!(
            given(CONDOR, Box::leak(Box::new([asked, slot]))),
            (Some(4), Some(4 << 30))
        );
        let provisioned = (
            "/job",
            "RequestCpus = 2\nCpusProvisioned = 3\nMemoryProvisioned = 2048\n\
             RequestMemory = ifthenelse(MemoryUsage =!= undefined, MemoryUsage, 1)\n",
        );
        assert_eq!(
            given(CONDOR, Box::leak(Box::new([provisioned, slot]))),
            (Some(3), Some(2 << 30))
        );
        let sge: Pairs = &[("JOB_ID", "1"), ("SGE_TASK_ID", "undefined"), ("NSLOTS", "16")];
        assert_eq!(given(sge, &[]), (Some(16), None));
        let batch: Pairs = &[
            ("SLURM_JOB_ID", "1"),
            ("SLURM_CPUS_ON_NODE", "8"),
            ("SLURM_CPUS_PER_TASK", "2"),
            ("SLURM_MEM_PER_NODE", "4096"),
        ];
        assert_eq!(given(batch, &[]), (Some(8), Some(4 << 30)));
        let step: Pairs = &[
            ("SLURM_JOB_ID", "1"),
            ("SLURM_STEP_ID", "0"),
            ("SLURM_CPUS_ON_NODE", "8"),
            ("SLURM_CPUS_PER_TASK", "2"),
            ("SLURM_MEM_PER_CPU", "1024"),
        ];
        assert_eq!(given(step, &[]), (Some(2), Some(2 << 30)));
        let odd: Pairs = &[("SLURM_JOB_ID", "1"), ("SLURM_CPUS_ON_NODE", "many")];
        assert_eq!(given(odd, &[]), (None, None));
    }

    #[test]
    fn a_hostile_job_name_is_cut_and_plain() {
        let job = found(&[("FLOCKWORK_JOB", "a\u{1b}[2Jb\nc\u{202e}")], &[]).unwrap();
        assert_eq!(job.text(), "a?[2Jb?c?");
        let long: Pairs = Box::leak(Box::new([(
            "SLURM_JOB_ID",
            &*Box::leak("9".repeat(500).into_boxed_str()),
        )]));
        assert_eq!(text(long, &[]).unwrap().len(), 64);
    }
}
