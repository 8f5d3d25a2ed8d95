//! How fast a store is, against the floor of the same run: `cargo bench --bench end_to_end -- --help`.
//!
//! Each measurement starts real processes: one master and N workers. Rates swing with the machine, so floor and
//! store take turns, and the ratio of each pair is what counts.

#[path = "floor/mod.rs"]
mod floor;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use flockwork::{
    BoxError, Durability, Inputs, Master, MasterConfig, Outcome, RoundNumber, Store, StoreConfig, Task,
    Worker, WorkerConfig,
};

const HELP: &str = "\
cargo bench --bench end_to_end -- [MODE] [OPTIONS]

modes:
  compare   (default) floor and store in turn, 1, 2 and 8 workers
  batch     tasks in batches of 64
  million   1,000,000 tasks through the window: peak memory of master and worker, files in the store
  idle      a worker with nothing to do, as on a network file system, for 30 s (for strace)
  store     one run of the store alone (for strace)
options:
  --dir DIR      where stores are made (default: the temporary directory)
  --tasks N      how many tasks (default: 20000; batch: 1000000)
  --workers N    only this many workers
  --pairs N      how many times each (default: 3)
";

struct Options {
    mode: String,
    dir: PathBuf,
    tasks: Option<u64>,
    workers: Option<u64>,
    pairs: u32,
}

fn main() {
    if let Ok(role) = std::env::var("FLOCKWORK_BENCH_ROLE") {
        return act(&role);
    }
    let options = parse();
    fs::create_dir_all(&options.dir).expect("the directory can be made");
    match options.mode.as_str() {
        "compare" => compare(&options),
        "batch" => batch(&options),
        "million" => million(&options),
        "idle" => idle(&options),
        "store" => {
            let tasks = options.tasks.unwrap_or(20_000);
            report(
                "store",
                options.workers.unwrap_or(1),
                tasks,
                &run_store(&options.dir, tasks, options.workers.unwrap_or(1), 1),
            );
        }
        _ => print!("{HELP}"),
    }
}

fn parse() -> Options {
    let mut options = Options {
        mode: "compare".into(),
        dir: std::env::temp_dir(),
        tasks: None,
        workers: None,
        pairs: 3,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value follows the option");
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--dir" => options.dir = value().into(),
            "--tasks" => options.tasks = Some(value().parse().expect("a number")),
            "--workers" => options.workers = Some(value().parse().expect("a number")),
            "--pairs" => options.pairs = value().parse().expect("a number"),
            mode => options.mode = mode.trim_start_matches('-').to_owned(),
        }
    }
    options
}

#[derive(Debug, Default)]
struct Figures {
    wall: Duration,
    /// Of this process' children and itself.
    cpu: Duration,
}

fn report(what: &str, workers: u64, tasks: u64, figures: &Figures) {
    let rate = tasks as f64 / figures.wall.as_secs_f64();
    let cpu = figures.cpu.as_secs_f64() * 1e6 / tasks as f64;
    println!(
        "{what:<6} {workers:>2} workers  {tasks:>8} tasks  {rate:>9.0} tasks/s  {cpu:>7.1} us of CPU per task"
    );
}

fn compare(options: &Options) {
    let tasks = options.tasks.unwrap_or(20_000);
    for workers in options.workers.map_or(vec![1, 2, 8], |one| vec![one]) {
        let mut ratios = Vec::new();
        for _ in 0..options.pairs {
            let floor = run_floor(&options.dir, tasks, workers);
            let store = run_store(&options.dir, tasks, workers, 1);
            report("floor", workers, tasks, &floor);
            report("store", workers, tasks, &store);
            ratios.push(floor.wall.as_secs_f64() / store.wall.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "ratio  {workers:>2} workers  store is {:.2} times as fast as the floor (median)\n",
            ratios[ratios.len() / 2]
        );
    }
}

fn batch(options: &Options) {
    let tasks = options.tasks.unwrap_or(1_000_000);
    let workers = options.workers.unwrap_or(2);
    for _ in 0..options.pairs {
        report(
            "batch",
            workers,
            tasks,
            &run_store(&options.dir, tasks, workers, 64),
        );
    }
}

fn million(options: &Options) {
    let tasks = options.tasks.unwrap_or(1_000_000);
    let workers = options.workers.unwrap_or(2);
    let path = fresh(&options.dir);
    let store = make_store(&path);
    drop(store);
    let begun = Instant::now();
    let mut children = vec![("master", start("master", &path, tasks, 0, 1))];
    children.extend((0..workers).map(|worker| ("worker", start("worker", &path, tasks, worker, 1))));
    let mut most_files = 0;
    let mut memory = vec![0; children.len()];
    while children
        .iter_mut()
        .any(|(_, child)| child.try_wait().expect("a child can be waited for").is_none())
    {
        for (place, (_, child)) in children.iter().enumerate() {
            memory[place] = memory[place].max(peak_memory(child.id()));
        }
        most_files = most_files.max(files_in(&path));
        std::thread::sleep(Duration::from_millis(200));
    }
    let rate = tasks as f64 / begun.elapsed().as_secs_f64();
    println!("{tasks} tasks, {workers} workers: {rate:.0} tasks/s, at most {most_files} files in the store");
    for ((name, _), kib) in children.iter().zip(memory) {
        println!("{name}: peak resident memory {:.1} MiB", kib as f64 / 1024.0);
    }
    remove(&path);
}

fn idle(options: &Options) {
    let path = fresh(&options.dir);
    let config = StoreConfig::default().network(true);
    let store = Store::create(&path, &config).expect("the store can be made");
    drop(store);
    let child = start("idle", &path, 0, 0, 1);
    wait(vec![child]);
    remove(&path);
}

fn fresh(dir: &Path) -> PathBuf {
    let path = dir.join(format!("bench-{}.flock", std::process::id()));
    remove(&path);
    path
}

fn remove(path: &Path) {
    if path.exists() {
        fs::remove_dir_all(path).expect("the store can be removed");
    }
}

fn make_store(path: &Path) -> Store {
    let config = StoreConfig::default().durability(Durability::Process);
    Store::create(path, &config).expect("the store can be made")
}

fn run_floor(dir: &Path, tasks: u64, workers: u64) -> Figures {
    let path = fresh(dir);
    let (begun, cpu) = (Instant::now(), cpu_time());
    floor::create(&path, tasks, &payload());
    wait(
        (0..workers)
            .map(|worker| start("floor", &path, workers, worker, 1))
            .collect(),
    );
    assert_eq!(floor::collect(&path, tasks), tasks, "the floor has lost tasks");
    let figures = Figures {
        wall: begun.elapsed(),
        cpu: cpu_time() - cpu,
    };
    remove(&path);
    figures
}

fn run_store(dir: &Path, tasks: u64, workers: u64, batch: u32) -> Figures {
    let path = fresh(dir);
    let (begun, cpu) = (Instant::now(), cpu_time());
    drop(make_store(&path));
    let mut children = vec![start("master", &path, tasks, 0, batch)];
    children.extend((0..workers).map(|worker| start("worker", &path, tasks, worker, batch)));
    wait(children);
    let figures = Figures {
        wall: begun.elapsed(),
        cpu: cpu_time() - cpu,
    };
    remove(&path);
    figures
}

fn start(role: &str, path: &Path, tasks: u64, worker: u64, batch: u32) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .env("FLOCKWORK_BENCH_ROLE", role)
        .args([
            path.as_os_str(),
            tasks.to_string().as_ref(),
            worker.to_string().as_ref(),
            batch.to_string().as_ref(),
        ])
        .spawn()
        .expect("a process can be started")
}

fn wait(children: Vec<Child>) {
    for mut child in children {
        assert!(
            child.wait().expect("a child can be waited for").success(),
            "a process has failed"
        );
    }
}

fn payload() -> Vec<u8> {
    vec![7; 100]
}

/// What the processes do that this one starts.
fn act(role: &str) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = PathBuf::from(&arguments[0]);
    let number = |place: usize| arguments[place].parse::<u64>().expect("a number");
    let (tasks, worker) = (number(1), number(2));
    match role {
        "floor" => floor::work(&path, worker, tasks),
        "master" => {
            let store = Store::open(&path).expect("the store can be opened");
            let batch = u32::try_from(number(3)).expect("a small number");
            let mut master = NoOp { tasks, collected: 0 };
            let summary = MasterConfig::default()
                .batch(batch)
                .run(&store, &mut master)
                .expect("the master runs");
            assert_eq!((summary.ok, master.collected), (tasks, tasks), "tasks were lost");
        }
        "idle" => {
            let store = Store::open(&path).expect("the store can be opened");
            let config = WorkerConfig::default().idle_exit(Duration::from_secs(30));
            config.run(&store, Echo).expect("the worker runs");
        }
        _ => {
            let store = Store::open(&path).expect("the store can be opened");
            WorkerConfig::default()
                .run(&store, Echo)
                .expect("the worker runs");
        }
    }
}

struct NoOp {
    tasks: u64,
    collected: u64,
}

impl Master for NoOp {
    type Input = Vec<u8>;
    type Output = Vec<u8>;

    fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<Vec<u8>>>, BoxError> {
        let tasks = self.tasks;
        Ok(round
            .is_first()
            .then(|| Inputs::new((0..tasks).map(|_| payload()))))
    }

    fn collect(&mut self, outcome: Outcome<Vec<u8>, Vec<u8>>) -> Result<(), BoxError> {
        assert_eq!(outcome.result?, payload());
        self.collected += 1;
        Ok(())
    }
}

struct Echo;

impl Worker for Echo {
    type Input = Vec<u8>;
    type Output = Vec<u8>;

    fn process(&self, input: Vec<u8>, _task: &Task<'_>) -> Result<Vec<u8>, BoxError> {
        Ok(input)
    }
}

/// User and system time of this process and its ended children; clock ticks are hundredths of a second on Linux.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let fields = stat
        .rsplit_once(')')
        .expect("the name ends")
        .1
        .split_ascii_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().unwrap_or(0))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// In KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Counts files by their inode: an outcome is a second name of its lock file.
fn files_in(path: &Path) -> usize {
    use std::os::unix::fs::DirEntryExt;
    let mut inodes = std::collections::HashSet::new();
    let mut dirs = vec![path.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            inodes.insert(entry.ino());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            }
        }
    }
    inodes.len()
}
