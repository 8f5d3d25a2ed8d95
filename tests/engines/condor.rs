//! HTCondor: the submit files that are shipped, with jobs that are vacated, held, released and removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::site::{Site, lacks, missing, ok};
use crate::wait::wait_until;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/engines/rig/condor.sh");
/// The shared directory as jobs see it.
pub(crate) const DIR: &str = "/shared";
/// An engine's own steps take seconds.
const ENGINE: Duration = Duration::from_secs(120);

/// A pool of one machine with four slots.
pub(crate) struct Pool {
    pub(crate) site: Site,
}

impl Pool {
    /// Starts one, or says why there can be none here.
    pub(crate) fn new() -> Option<Pool> {
        // The root is made at the first time.
        if let Some(why) = missing().or_else(|| lacks(&["mmdebstrap"])) {
            println!("skipped: {why}");
            return None;
        }
        let output = Command::new("bash").args([SCRIPT, "build"]).output().unwrap();
        if !output.status.success() {
            // The mirror of this machine may lack Debian 13.
            let said = String::from_utf8_lossy(&output.stderr);
            println!("skipped: HTCondor could not be unpacked: {said}");
            return None;
        }
        let site = Site::new(0)?;
        ok(Command::new("bash").args([SCRIPT, "up"]).arg(site.dir()));
        Some(Pool { site })
    }

    /// A command in the pool, as the job user, in the shared directory.
    fn command(&self, program: &str) -> Command {
        let mut command = self.site.on("pool", program);
        command.env("FW_DIR", DIR);
        command
    }

    #[track_caller]
    fn run(&self, program: &str, words: &[&str]) -> String {
        ok(self.command(program).args(words))
    }

    /// How a job is: 1 idle, 2 running, 3 removed, 4 completed, 5 held; and how often it was started.
    fn job(&self, job: &str) -> (u32, u32) {
        let fields = ["-af", "JobStatus", "NumJobStarts"];
        let mut said = self.run("condor_q", &[&[job], &fields[..]].concat());
        if said.trim().is_empty() {
            said = self.run(
                "condor_history",
                &[&[job], &fields[..], &["-limit", "1"]].concat(),
            );
        }
        let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    #[track_caller]
    fn wait_for(&self, job: &str, what: &str, is_so: impl Fn((u32, u32)) -> bool) {
        wait_until(&format!("job {job} to be {what}"), ENGINE, || {
            let seen = self.job(job);
            if is_so(seen) { Ok(()) } else { Err(seen) }
        });
    }

    /// Waits until the worker of a job has a task.
    #[track_caller]
    fn wait_for_task_of(&self, job: &str) {
        let store = self.site.shared().join("factor.flock");
        wait_until(&format!("a task of job {job}"), ENGINE, || {
            let workers = texts(&store.join("workers"), "");
            let named = |(_, text): &&(String, String)| text.contains(&format!("\"htcondor {job}\""));
            let worker = workers.iter().find(named).map(|(name, _)| name.clone());
            let locks = texts(&store.join("rounds"), ".lock");
            match worker {
                Some(name) if locks.iter().any(|(_, text)| text.contains(&name)) => Ok(()),
                _ => Err((self.job(job), workers)),
            }
        });
    }
}

/// All files below a directory whose names end so, with their texts. Files may come and go meanwhile.
fn texts(place: &Path, end: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            found.extend(texts(&path, end));
        } else if name.ends_with(end) {
            let text = fs::read(&path).unwrap_or_default();
            found.push((name, String::from_utf8_lossy(&text).into_owned()));
        }
    }
    found
}

/// Every submit file of the project.
fn submit_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../condor");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "sub"))
        .collect();
    files.sort();
    files
}

/// The example `factor`, which belongs to the other package, so that cargo has not built it for this test.
fn factor() -> PathBuf {
    // target/debug/deps/engines-...
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--package",
            "flockwork",
            "--features",
            "cli",
            "--example",
            "factor",
        ])
        .arg("--target-dir")
        .arg(target);
    ok(&mut cargo);
    target.join("debug/examples/factor")
}

/// A submit file with the shared directory in the place of the example's.
fn adapted(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("/proj/you"), "{}", file.display());
    text.replace("/proj/you", DIR)
}

#[test]
fn condor_submit_takes_every_file_without_a_warning() {
    let Some(pool) = Pool::new() else { return };
    pool.run(
        "sh",
        &[
            "-c",
            "mkdir logs; cp /bin/true factor; cp /bin/true flockwork; chmod +x factor flockwork",
        ],
    );
    let dry_run = |text: &str| {
        fs::write(pool.site.shared().join("x.sub"), text).unwrap();
        let output = pool
            .command("condor_submit")
            .args(["-dry-run", "-", "x.sub"])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let files = submit_files();
    assert!(!files.is_empty());
    for file in files {
        let text = adapted(&file);
        let (is_fine, said) = dry_run(&text);
        assert!(is_fine && !said.contains("WARNING"), "{}: {said}", file.display());
        // HTCondor takes a misspelt command for a variable of ours, and says so in a warning alone.
        let (is_fine, said) = dry_run(&text.replace("kill_sig ", "kil_sig "));
        assert!(is_fine && said.contains("WARNING"), "{}: {said}", file.display());
    }
}

#[test]
fn the_shipped_file_runs_to_its_end_whatever_happens_to_its_jobs() {
    let Some(pool) = Pool::new() else { return };
    let shared = pool.site.shared();
    fs::copy(factor(), shared.join("factor")).unwrap();
    // Squares of primes: each takes about a second.
    let primes: Vec<u64> = primes(300_000_000, 40).collect();
    let lines = |line: &dyn Fn(&u64) -> String| primes.iter().map(line).collect::<String>();
    fs::write(shared.join("numbers.txt"), lines(&|p| format!("{}\n", p * p))).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../condor/factor.sub");
    fs::write(shared.join("factor.sub"), adapted(&file)).unwrap();
    pool.run("mkdir", &["logs"]);
    let said = pool.run("condor_submit", &["-terse", "factor.sub"]);
    let cluster = said.split('.').next().unwrap().to_owned();
    let job = |number: u32| format!("{cluster}.{number}");
    for number in 1..=3 {
        pool.wait_for_task_of(&job(number));
    }

    pool.run("condor_vacate_job", &[&job(1)]);
    pool.run("condor_hold", &[&job(2)]);
    pool.run("condor_rm", &[&job(3)]);
    pool.wait_for(&job(2), "held", |(status, _)| status == 5);
    pool.run("condor_release", &[&job(2)]);
    pool.wait_for(&job(3), "removed", |(status, _)| status == 3);
    for number in 1..=2 {
        pool.wait_for(&job(number), "started again", |(_, starts)| starts == 2);
    }
    pool.wait_for(&job(0), "completed", |(status, _)| status == 4);

    let text = ok(pool
        .command("./factor")
        .args(["audit", "factor.flock", "--format", "json"]));
    let audit: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(audit["ok"], primes.len(), "{text}");
    assert_eq!(audit["open"], 0, "{text}");
    assert_eq!(audit["violations"], serde_json::json!([]), "{text}");
    let results = fs::read_to_string(shared.join(format!("logs/{cluster}.0.master.out"))).unwrap();
    assert_eq!(results, lines(&|p| format!("{} = [{p}, {p}]\n", p * p)));

    // Every end of an attempt is in the journals: once ok, and otherwise given back in order. At the end a slow task may
    // have gone to a second worker, as the store is set: a twin, whose outcome is not taken.
    let mut ends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let journals = texts(&shared.join("factor.flock/journal"), "");
    for line in journals
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter(|line| !line.starts_with('#'))
    {
        let fields: Vec<_> = line.split('\t').collect();
        ends.entry(fields[1]).or_default().push(fields[6]);
    }
    assert_eq!(ends.len(), primes.len());
    for (input, ends) in &ends {
        assert_eq!(
            ends.iter().filter(|end| **end == "ok").count(),
            1,
            "{input}: {ends:?}"
        );
        assert!(
            ends.iter().all(|end| ["ok", "back", "twin"].contains(end)),
            "{input}: {ends:?}"
        );
    }
}

/// So many primes from here on.
fn primes(from: u64, count: usize) -> impl Iterator<Item = u64> {
    let is_prime = |n: &u64| (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (from..).filter(is_prime).take(count)
}
