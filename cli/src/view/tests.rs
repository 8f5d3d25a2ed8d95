//! Small real stores for tests, made with the library: of a sweep, and of somebody's own program.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flockwork::{
    BoxError, Codec, How, MasterConfig, Stop, Store, StoreConfig, Task, TaskError, Worker, WorkerConfig,
};

use super::opened::Opened;
use crate::master::SweepMaster;
use crate::sweep::spec::Limits;
use crate::sweep::submit::Submission;
use crate::sweep::table::TableSpec;
use crate::task::{Captured, Exit, Report, Row};

/// A store in a directory of its own.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) store: Store,
}

/// What a worker of a test does with a row.
pub(crate) type Act = dyn Fn(&Row, &Task<'_>) -> Result<Report, BoxError> + Send + Sync;

#[derive(Clone)]
struct Acting(Arc<Act>);

impl Worker for Acting {
    type Input = Row;
    type Output = Report;

    fn process(&self, row: Row, task: &Task<'_>) -> Result<Report, BoxError> {
        (self.0)(&row, task)
    }
}

impl World {
    /// A sweep over a table in JSON lines.
    pub(crate) fn sweep(table: &str) -> World {
        let world = World::empty();
        world.submit(table);
        world
    }

    /// A store that nothing was submitted to.
    pub(crate) fn empty() -> World {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::default()
            .durability(flockwork::Durability::Process)
            .retries(1)
            .backoff(Duration::from_millis(1), Duration::from_millis(1));
        let store = Store::create(dir.path().join("s.flock"), &config).unwrap();
        World { dir, store }
    }

    /// Adds the rows of a table.
    pub(crate) fn submit(&self, table: &str) {
        std::fs::write(self.dir.path().join("t.jsonl"), table).unwrap();
        let submission = Submission {
            table: TableSpec {
                params: Some("t.jsonl".into()),
                ..TableSpec::default()
            },
            command: ["/bin/echo", "--alpha={alpha}", "{name}"]
                .map(str::to_owned)
                .to_vec(),
            shell: false,
            here: self.dir.path().to_owned(),
            cwd: None,
            env: Vec::new(),
            inputs: Vec::new(),
            stdin: None,
            results: Vec::new(),
            ok_if: None,
            limits: Limits {
                timeout: Some(crate::sweep::spec::Timeout::After(Duration::from_secs(240))),
                grace: Duration::from_secs(1),
                output: 1 << 20,
                cpus: 1,
                memory: None,
                retry_on: Vec::new(),
                no_retry_on: Vec::new(),
                max_failures: None,
                batch: 1,
            },
        };
        let prepared = submission.prepare().unwrap();
        prepared.submit(Some(self.store.path())).unwrap();
    }

    /// A store of a program whose types are not known here; each third task has failed.
    pub(crate) fn program(codec: Codec) -> World {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.flock");
        let config = StoreConfig::default().codec(codec).retries(0);
        let square = |n: u64| match n % 3 {
            2 => Err(BoxError::from("no luck")),
            _ => Ok((n * n, "squared".to_owned())),
        };
        // It fails for the tasks that failed.
        let _ = flockwork::map(&path, 0..6u64, square)
            .store_config(config)
            .collect();
        let store = Store::open(&path).unwrap();
        World { dir, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.store.path().to_owned()
    }

    pub(crate) fn opened(&self) -> Opened {
        Opened::open(Some(self.store.path())).unwrap()
    }

    /// Lets one worker do all tasks, beside a master.
    pub(crate) fn run(
        &self,
        act: impl Fn(&Row, &Task<'_>) -> Result<Report, BoxError> + Send + Sync + 'static,
    ) {
        let crew = self.start(act);
        let before = Instant::now();
        loop {
            let status = self.store.status().unwrap();
            let submitted = self.opened().submitted().unwrap().unwrap_or(0);
            if status.ok() + status.failed() == submitted {
                break;
            }
            assert!(before.elapsed() < Duration::from_secs(30), "{status:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(crew);
    }

    /// Starts a master, and a worker with two slots; both leave when the answer is dropped.
    pub(crate) fn start(
        &self,
        act: impl Fn(&Row, &Task<'_>) -> Result<Report, BoxError> + Send + Sync + 'static,
    ) -> Crew {
        let stop = Stop::new();
        let opened = self.opened();
        let (store, theirs) = (self.store.clone(), stop.clone());
        let master = std::thread::spawn(move || {
            let sweep = opened.sweep.unwrap();
            let mut master = SweepMaster::new(&store, sweep, None);
            // With one shard for all nothing is cleaned before all has ended.
            let config = MasterConfig::default().stop(theirs);
            config
                .poll(Duration::from_millis(5), Duration::from_millis(20))
                .run(&store, &mut master)
                .unwrap();
        });
        let (store, theirs, acting) = (self.store.clone(), stop.clone(), Acting(Arc::new(act)));
        let worker = std::thread::spawn(move || {
            let config = WorkerConfig::default()
                .slots(2)
                .stop(theirs)
                .grace(Duration::from_secs(1));
            config
                .poll(Duration::from_millis(5), Duration::from_millis(20))
                .run(&store, acting)
                .unwrap();
        });
        Crew {
            stop,
            threads: vec![master, worker],
        }
    }

    /// Makes what names the place and the moment the same for all.
    pub(crate) fn masked(&self, text: &str) -> String {
        masked(&text.replace(&*self.dir.path().to_string_lossy(), "HERE"))
    }
}

/// Replaces hosts, processes, times, sizes and tokens.
pub(crate) fn masked(text: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = regex::escape(host.trim());
    let mut text = text.to_owned();
    for (pattern, by) in [
        (format!("{host}-\\d+-[0-9a-f]+"), "WORKER"),
        (format!("{host}:\\d+"), "HOST:PID"),
        (format!("\"{host}\""), "\"HOST\""),
        (format!("\\b{host}\\b"), "HOST"),
        (
            r#""(\w*(?:_ms|seconds|bytes|pid)|id|busy|rate|age|file_system\w*)": [^,\n\[{]+(,?)\n"#
                .to_owned(),
            "\"$1\": N$2\n",
        ),
        (r"\b\d+(\.\d+)?(us|ms|s)\b".to_owned(), "TIME"),
        (r"\b\d+m\d\ds\b".to_owned(), "TIME"),
        (r"ETA \S+ \([^)]*\)".to_owned(), "ETA"),
        (r"[\d.]+ tasks/s".to_owned(), "N tasks/s"),
        // Nothing is said in the first millisecond.
        (r" *busy \d+%".to_owned(), ""),
        (r"   \S+ \S+, \S+ \S+ free".to_owned(), "   FILE SYSTEM, N free"),
        // Texts are as wide as what was replaced.
        (r"(\S) {2,}".to_owned(), "$1  "),
    ] {
        text = regex::Regex::new(&pattern)
            .unwrap()
            .replace_all(&text, by)
            .into_owned();
    }
    text
}

/// A master and a worker at work.
pub(crate) struct Crew {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stop.request(How::Now);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A report of a command that took a second.
pub(crate) fn report(stdout: &[u8], stderr: &[u8]) -> Report {
    let captured = |bytes: &[u8]| Captured {
        head: bytes.into(),
        tail: "".into(),
        total: bytes.len() as u64,
    };
    Report {
        exit: Exit::Code(0),
        host: "node01".into(),
        began_ms: 1_795_240_982_000,
        wall_us: 1_000_000,
        user_us: 900_000,
        system_us: 100_000,
        peak: 3 << 20,
        stdout: captured(stdout),
        stderr: captured(stderr),
        results: vec![("energy".into(), "-14.22".into())],
    }
}

/// The failure of a command, as its worker gives it.
pub(crate) fn failed(message: &str, exit: Exit) -> BoxError {
    let report = Report {
        exit,
        results: Vec::new(),
        ..report(b"some output\n", message.as_bytes())
    };
    TaskError::new(message)
        .detail(serde_json::to_string(&report).unwrap())
        .into()
}

/// A gate at which tasks wait, and a sign from each that has come to it.
pub(crate) struct Gate {
    arrived: Receiver<()>,
}

impl Gate {
    /// Returns what tasks do: come, and wait until they are asked to stop.
    pub(crate) fn new() -> (Gate, impl Fn(&Task<'_>) -> BoxError + Send + Sync + 'static) {
        let (come, arrived): (Sender<()>, Receiver<()>) = channel();
        let wait = move |task: &Task<'_>| {
            let _ = come.send(());
            while !task.should_stop() {
                std::thread::sleep(Duration::from_millis(2));
            }
            BoxError::from("told to stop")
        };
        (Gate { arrived }, wait)
    }

    /// Waits until so many tasks have come.
    pub(crate) fn wait(&self, tasks: usize) {
        for _ in 0..tasks {
            self.arrived.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    }
}

/// Lets the attempts that run look silent for so long.
pub(crate) fn silence(store: &Store, silent: Duration) {
    let then = std::time::SystemTime::now() - silent;
    for running in store.running().unwrap() {
        let name = format!("{:07}.{}.lock", running.first.number, running.attempt);
        let path = store.path().join("rounds/000000/0000000").join(name);
        let file = std::fs::File::options().append(true).open(path).unwrap();
        let times = std::fs::FileTimes::new().set_modified(then);
        file.set_times(times).unwrap();
    }
}
