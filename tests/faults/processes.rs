//! Processes of this very test binary, told by an environment variable what they are.
//!
//! They say everything by a socket: an error that is injected into their writes does not reach it.

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use flockwork::app::exit::Failed;
use flockwork::{Durability, MasterConfig, Result, Store, StoreConfig, WorkerConfig};
use serde::{Deserialize, Serialize};

use crate::errands::{Doer, Ear, Giver, tell_event};
use crate::wait::wait_until;

const ORDER: &str = "FLOCKWORK_FAULTS_ORDER";

/// What a process is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Master,
    Worker,
}

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) role: Role,
    pub(crate) store: PathBuf,
    pub(crate) socket: PathBuf,
    /// Treats the file system as a shared one.
    pub(crate) network: bool,
    pub(crate) batch: u32,
}

/// Settings of all stores here: no task fails for good because of faults, and none is doubled for being slow.
pub(crate) fn settings(network: bool) -> StoreConfig {
    let config = StoreConfig::default()
        .durability(Durability::Power)
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .lease(Duration::from_secs(5))
        .retries(1000)
        .tail(0.0);
    match network {
        true => config.network(true),
        false => config,
    }
}

pub(crate) fn worker_config() -> WorkerConfig {
    WorkerConfig::default().poll(Duration::from_millis(10), Duration::from_millis(100))
}

pub(crate) fn master_config(batch: u32) -> MasterConfig {
    MasterConfig::default()
        .batch(batch)
        .shard(2)
        .poll(Duration::from_millis(2), Duration::from_millis(50))
}

/// The way from a process to the tests.
#[derive(Debug, Clone)]
struct Voice {
    socket: Arc<UnixDatagram>,
    to: PathBuf,
}

impl Ear for Voice {
    fn tell(&self, text: &str) {
        // Should nobody listen any more, nobody is to be told. To a name, for that is `sendto` and not `write`.
        for _ in 0..100 {
            if self.socket.send_to(text.as_bytes(), &self.to).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The beginning of the processes; returns at once when the tests themselves are run.
#[test]
fn entry() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    use rustix::process::{PTracer, Signal};
    // Should the tests be killed, nothing of them stays behind.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    // Where only parents may trace: strace is a sister.
    let _ = rustix::process::set_ptracer(PTracer::Any);
    let order: Order = serde_json::from_str(&order).unwrap();
    let voice = Voice {
        socket: Arc::new(UnixDatagram::unbound().unwrap()),
        to: order.socket.clone(),
    };
    let teller = voice.clone();
    std::panic::set_hook(Box::new(move |panic| teller.tell(&format!("panic {panic}"))));
    voice.tell("ready");
    while !is_traced() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // strace counts the calls of each thread apart: those of a new one are ours alone.
    let body = std::thread::spawn(move || be(&order, &voice));
    let code = body.join().map_or(101, i32::from);
    #[expect(
        clippy::disallowed_methods,
        reason = "the harness would end with a code of its own; what held claims has ended"
    )]
    std::process::exit(code);
}

fn is_traced() -> bool {
    // An error is one that strace has made.
    std::fs::read_to_string("/proc/thread-self/status").map_or(true, |status| {
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_none_or(|pid| pid.trim() != "0")
    })
}

fn be(order: &Order, voice: &Voice) -> u8 {
    let ended = match order.role {
        Role::Master => be_master(order, voice),
        Role::Worker => be_worker(order, voice),
    };
    match ended {
        Ok(()) => 0,
        Err(error) => {
            let failed = Failed::from(error);
            voice.tell(&format!("failed {}", failed.text()));
            failed.code()
        }
    }
}

fn be_master(order: &Order, voice: &Voice) -> Result<()> {
    let store = Store::open_or_create(&order.store, &settings(order.network))?;
    let teller = voice.clone();
    let config = master_config(order.batch).on_event(move |event| tell_event(&teller, event));
    config.run(&store, &mut Giver::default()).map(drop)
}

fn be_worker(order: &Order, voice: &Voice) -> Result<()> {
    let store = Store::open(&order.store)?;
    let teller = voice.clone();
    let config = worker_config()
        // A store that cannot be used for so long is given up.
        .idle_exit(Duration::from_secs(2))
        .on_event(move |event| tell_event(&teller, event));
    config.run(&store, Doer(voice.clone())).map(drop)
}

/// What the processes of a case have said, and what its healthy threads have.
#[derive(Debug)]
pub(crate) struct Listener {
    path: PathBuf,
    said: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

/// What is told within this process.
#[derive(Debug, Clone)]
pub(crate) struct Inside(Arc<Mutex<Vec<String>>>);

impl Ear for Inside {
    fn tell(&self, text: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("healthy {text}"));
    }
}

const QUIT: &str = "quit";

impl Listener {
    pub(crate) fn at(path: PathBuf) -> Listener {
        let socket = UnixDatagram::bind(&path).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let body = move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let text = match socket.recv(&mut buffer) {
                    Ok(len) => String::from_utf8_lossy(&buffer[..len]).into_owned(),
                    Err(error) => format!("panic of the listener: {error}"),
                };
                let is_last = text == QUIT || text.starts_with("panic of");
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                if is_last {
                    return;
                }
            }
        };
        let thread = Some(std::thread::spawn(body));
        Listener { path, said, thread }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn inside(&self) -> Inside {
        Inside(Arc::clone(&self.said))
    }

    /// All that was said so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn has_said(&self, beginning: &str) -> bool {
        self.said().iter().any(|text| text.starts_with(beginning))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let told = UnixDatagram::unbound().and_then(|socket| socket.send_to(QUIT.as_bytes(), &self.path));
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// A process that is killed at the end of its case.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it; it waits until strace is attached to it.
    pub(crate) fn start(order: &Order) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["processes::entry", "--exact", "--nocapture"])
            .env_clear()
            .env(ORDER, serde_json::to_string(order).unwrap())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Process(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits for its end; the exit code, 128 and more for a signal.
    #[track_caller]
    pub(crate) fn ended(&mut self, limit: Duration) -> i32 {
        let status = wait_until("the end of the victim", limit, || self.0.try_wait().unwrap());
        status.code().unwrap_or(128 + status.signal().unwrap_or(0))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
