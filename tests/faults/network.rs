//! The command `flockwork` on a file system that fails calls before or after they were done.
//!
//! To flockwork it is a shared one: its kind is not in the list of those that one kernel sees alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cases::Choice;
use crate::fuse::{Chance, Fault, Mount, Rates, missing};
use crate::proof::audited;
use crate::random::Random;

const STORE: &str = "s.flock";
const WORKERS: usize = 4;
/// Parked outcomes are tried again after half a minute, and a worker with trouble rests for up to a minute.
const LIMIT: Duration = Duration::from_secs(240);

/// A place for one run: the mounted directory, the one below it, and one where the commands run.
struct Place {
    /// Gone before the directory that it is in.
    mount: Mount,
    dir: tempfile::TempDir,
    chance: Chance,
    tasks: u64,
}

/// A worker, and where it says what.
struct Worker {
    child: Child,
    said: PathBuf,
}

impl Place {
    /// Submits a sweep while nothing fails yet; `None`, with the reason printed, where nothing can be mounted.
    fn new(tasks: u64, batch: u32, random: Random) -> Option<Place> {
        let dir = tempfile::tempdir().unwrap();
        for name in ["below", "mnt", "run", "said"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let chance = Chance::new(random);
        let mounted = missing().map_or_else(
            || Mount::new(&dir.path().join("below"), &dir.path().join("mnt"), chance.clone()),
            Err,
        );
        let mount = match mounted {
            Ok(mount) => mount,
            Err(why) => {
                println!("skipped: no file system of our own can be mounted here: {why}");
                return None;
            }
        };
        // Each execution is noted outside of the store, with one write.
        let script = "echo $1 >> \"$EXECUTIONS\"\necho r=$(($1 * 7))\n";
        std::fs::write(dir.path().join("run/task.sh"), script).unwrap();
        let place = Place {
            dir,
            mount,
            chance,
            tasks,
        };
        let sweep = format!("a=1..{tasks}");
        let (batch, script) = (batch.to_string(), place.path("run/task.sh"));
        place.ok(&[
            "submit",
            &place.store(),
            "--sweep",
            &sweep,
            "--lease",
            "4s",
            "--retries",
            "1000",
            "--backoff",
            "10ms..50ms",
            "--tail",
            "0",
            "--batch",
            &batch,
            "--env",
            "EXECUTIONS",
            "--",
            "sh",
            &script,
            "{a}",
        ]);
        Some(place)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn store(&self) -> String {
        self.mount.path().join(STORE).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flockwork"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("EXECUTIONS", self.dir.path().join("run/executions"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `flockwork ...`, which must end with 0.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let said = self.path(&format!("said/{}", arguments[0]));
        let (mut child, begun) = (self.start(arguments, &said), Instant::now());
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LIMIT {
                let _ = child.kill();
                panic!(
                    "{arguments:?} did not end: {}\n{}",
                    read(&said),
                    self.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = read(&said);
        assert!(status.success(), "{arguments:?}: {status}: {said}");
        said
    }

    fn start(&self, arguments: &[&str], said: &str) -> Child {
        let file = std::fs::File::create(said).unwrap();
        let mut command = self.command(arguments);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        command.spawn().unwrap()
    }

    fn worker(&self, number: usize) -> Worker {
        let said = self.path(&format!("said/worker-{number}"));
        let child = self.start(
            &[
                "worker",
                &self.store(),
                "--slots",
                "2",
                "--poll",
                "20ms..300ms",
                "--idle-exit",
                "30s",
            ],
            &said,
        );
        Worker {
            child,
            said: said.into(),
        }
    }

    /// What all workers have said.
    fn last_words(&self) -> String {
        let files = std::fs::read_dir(self.dir.path().join("said")).unwrap();
        let texts = files.map(|file| file.unwrap().path()).map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            format!("--- {}\n{text}", path.file_name().unwrap().to_string_lossy())
        });
        texts.collect()
    }
}

impl Worker {
    /// Checks how it has ended; says whether that was with an error.
    fn check(&mut self, code: Option<i32>) -> bool {
        let said = std::fs::read_to_string(&self.said).unwrap_or_default();
        assert!(!said.contains("panicked"), "a panic: {said}");
        match code {
            Some(0 | 3) => false,
            Some(1 | 4) => {
                assert!(
                    said.contains("error: ") && said.contains(STORE),
                    "no reason: {code:?}: {said}"
                );
                true
            }
            code => panic!("a worker ended with {code:?}: {said}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What a run came to.
#[derive(Debug, Default)]
struct Figures {
    calls: usize,
    faults: usize,
    done: usize,
    short: usize,
    executions: usize,
    gave_up: usize,
}

/// Runs a sweep whose file system fails so often, then lets it end in peace, and checks everything.
///
/// With `kills`, one of its workers is killed about every second.
fn run(
    what: &str,
    rates: Rates,
    (tasks, batch): (u64, u32),
    trouble: Duration,
    kills: bool,
) -> Option<Figures> {
    let (random, seed) = Random::seeded();
    println!("{what}: seed {seed}");
    let mut choices = random.clone();
    let place = Place::new(tasks, batch, random)?;
    place.chance.set(rates);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| place.worker(number)).collect();
    let (begun, mut gave_up, mut killed) = (Instant::now(), 0, 0);
    while begun.elapsed() < trouble {
        if kills && begun.elapsed() > Duration::from_secs(killed as u64 + 1) {
            killed += 1;
            let victim = usize::try_from(choices.below(WORKERS as u64)).unwrap();
            let _ = workers[victim].child.kill();
            let _ = workers[victim].child.wait();
            workers[victim] = place.worker(1000 + killed);
        }
        for worker in &mut workers {
            if let Some(status) = worker.child.try_wait().unwrap() {
                gave_up += usize::from(worker.check(status.code()));
                *worker = place.worker(WORKERS + gave_up);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    place.chance.set(Rates::default());
    let results = place.path("results.csv");
    place.ok(&["run", &place.store(), "-w", "2", "-o", &results]);
    for worker in &mut workers {
        let begun = Instant::now();
        let status = loop {
            match worker.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begun.elapsed() > LIMIT => panic!("a worker did not leave: {}", read(&worker.said)),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        worker.check(status.code());
    }
    // A master that is started again cleans what could not be cleaned.
    place.ok(&["run", &place.store(), "-w", "1", "-o", &results]);
    let faults = place.chance.faults();
    check_results(&results, tasks);
    audited(&place.dir.path().join("below").join(STORE), tasks).unwrap_or_else(|wrong| panic!("{wrong}"));
    let executions = check_executions(&place, &faults, batch, gave_up + killed);
    let (calls, short) = place.chance.counts();
    let done = faults.iter().filter(|fault| fault.done).count();
    let figures = Figures {
        calls,
        faults: faults.len(),
        done,
        short,
        executions,
        gave_up,
    };
    println!(
        "  {what}: {tasks} tasks, {} executions; {} of {} calls failed, {} of them after they were done, {} were cut short; \
         {} processes gave up",
        figures.executions, figures.faults, figures.calls, figures.done, figures.short, figures.gave_up
    );
    Some(figures)
}

fn check_results(path: &str, tasks: u64) {
    let text = read(path);
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name| head.iter().position(|column| *column == name).unwrap();
    let (a, r) = (column("a"), column("r"));
    let got: BTreeMap<u64, u64> = lines
        .map(|row| (row[a].parse().unwrap(), row[r].parse().unwrap()))
        .collect();
    assert_eq!(got, (1..=tasks).map(|a| (a, a * 7)).collect());
    assert_eq!(text.lines().count() as u64, tasks + 1, "a task is there twice");
}

/// No task is run more often than once, and once more for each fault at its files or at what all share.
fn check_executions(place: &Place, faults: &[Fault], batch: u32, gave_up: usize) -> usize {
    let mut runs: BTreeMap<u64, usize> = BTreeMap::new();
    let text = read(place.path("run/executions"));
    for line in text.lines() {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    let stem_of = |name: &str| {
        name.trim_start_matches('.')
            .split('.')
            .next()
            .and_then(|stem| stem.parse().ok())
    };
    let mut of_input: BTreeMap<u64, usize> = BTreeMap::new();
    // A directory of a shard, and what is above it, concerns all of its tasks.
    let mut shared = gave_up;
    for fault in faults {
        let is_file =
            fault.name.contains(".in") || fault.name.contains(".out") || fault.name.matches('.').count() > 1;
        match stem_of(&fault.name).filter(|_| is_file) {
            Some(stem) => *of_input.entry(stem).or_default() += 1,
            None => shared += 1,
        }
    }
    for (a, count) in &runs {
        let stem = (a - 1) - (a - 1) % u64::from(batch);
        let most = 1 + shared + of_input.get(&stem).copied().unwrap_or(0);
        assert!(
            *count <= most,
            "task {stem}: run {count} times, {most} at most\n{}",
            place.last_words()
        );
    }
    assert_eq!(runs.len() as u64, place.tasks, "not all were run");
    let total: usize = runs.values().sum();
    let most = place.tasks as usize + (faults.len() + gave_up) * batch as usize;
    assert!(total <= most, "{total} executions, {most} at most");
    total
}

#[test]
fn without_faults_it_is_a_file_system_like_others() {
    let Some(figures) = run(
        "no faults",
        Rates::default(),
        (60, 1),
        Duration::from_secs(1),
        false,
    ) else {
        return;
    };
    assert!(figures.calls > 500, "{figures:?}");
    assert_eq!(
        (figures.faults, figures.executions, figures.gave_up),
        (0, 60, 0),
        "{figures:?}"
    );
}

fn with_faults(what: &str, rates: Rates, (tasks, batch): (u64, u32), kills: bool) {
    let seconds = if Choice::made() == Choice::All { 60 } else { 12 };
    let trouble = Duration::from_secs(seconds);
    let Some(figures) = run(what, rates, (tasks, batch), trouble, kills) else {
        return;
    };
    assert!(
        figures.faults + figures.short > 20,
        "hardly anything failed: {figures:?}"
    );
}

#[test]
fn calls_fail_before_they_are_done() {
    let rates = Rates {
        before: 20,
        ..Rates::default()
    };
    with_faults("2 % fail before", rates, (300, 1), false);
}

#[test]
fn calls_are_done_and_answered_with_an_error() {
    let rates = Rates {
        after: 20,
        ..Rates::default()
    };
    with_faults("2 % fail after", rates, (300, 1), false);
}

#[test]
fn calls_fail_often_before_and_after_and_workers_are_killed() {
    let rates = Rates {
        before: 50,
        after: 50,
        ..Rates::default()
    };
    with_faults("10 % fail, and workers are killed", rates, (200, 2), true);
}

#[test]
fn every_fifth_call_fails() {
    let rates = Rates {
        before: 100,
        after: 100,
        ..Rates::default()
    };
    with_faults("20 % fail", rates, (100, 1), false);
}

#[test]
fn reads_and_writes_are_cut_short() {
    let rates = Rates {
        short: 300,
        ..Rates::default()
    };
    with_faults("30 % are cut short", rates, (300, 2), false);
}
