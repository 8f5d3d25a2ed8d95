//! The process of a service: it answers on its port, and looks after its worker.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flockwork::app::exit::{Ended, Failed, NOT_OK, OK};
use rustix::process::{Pid, Signal, kill_process, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::state::States;
use crate::args::ServiceArgs;

/// Who connects and says nothing is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request, in bytes.
const LONGEST: u64 = 256;
/// How long a worker may take to give its task back.
const GRACE: Duration = Duration::from_secs(15);
/// How often it is looked whether the worker has left, or a signal has come.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the service until it is told to stop.
///
/// # Errors
///
/// If it was not started by `local start`, or its worker cannot be.
pub(crate) fn run(args: &ServiceArgs) -> Ended {
    let ours = |what: &str| Failed::usage(what, "services are started by flockwork local start");
    let token = std::env::var("FLOCKWORK_LOCAL_TOKEN").map_err(|_| ours("this is no service"))?;
    let stdin = rustix::io::dup(std::io::stdin());
    let listener = TcpListener::from(stdin.map_err(|error| ours(&error.to_string()))?);
    listener
        .local_addr()
        .map_err(|_| ours("standard input is no port"))?;
    // It outlives the terminal that it was started from.
    let _ = setsid();
    let worker = match &args.store {
        None => None,
        Some(store) => {
            let program = std::env::current_exe();
            let started = program.and_then(|program| {
                Command::new(program)
                    .arg("worker")
                    .arg(store)
                    .args(&args.flags)
                    .env_remove("FLOCKWORK_LOCAL_TOKEN")
                    .env("FLOCKWORK_JOB", format!("local :{}", args.port))
                    .stdin(Stdio::null())
                    .spawn()
            });
            let failed = |error| Failed::new(NOT_OK, format!("cannot start a worker: {error}"), None);
            Some(started.map_err(failed)?)
        }
    };
    let service = Arc::new(Serving {
        token,
        worker: Mutex::new(worker),
        told: AtomicBool::new(false),
    });
    service.serve(listener)?;
    service.send_worker_away();
    if let Ok(states) = States::open() {
        states.remove(args.port);
    }
    Ok(OK)
}

struct Serving {
    token: String,
    worker: Mutex<Option<Child>>,
    told: AtomicBool,
}

impl Serving {
    /// Answers until somebody who may says stop, or a signal does.
    fn serve(self: &Arc<Serving>, listener: TcpListener) -> Result<(), Failed> {
        let failed = |error: std::io::Error| Failed::new(NOT_OK, format!("cannot serve: {error}"), None);
        let signal = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(number, Arc::clone(&signal)).map_err(failed)?;
        }
        listener.set_nonblocking(true).map_err(failed)?;
        while !self.told.load(Ordering::SeqCst) && !signal.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((stream, _)) => {
                    let service = Arc::clone(self);
                    // Who does not get a thread connects again.
                    let _ = std::thread::Builder::new().spawn(move || service.answer(stream));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => self.wait(&listener),
                // One connection that broke at once, or no descriptor free.
                Err(_) => std::thread::sleep(LOOK),
            }
        }
        Ok(())
    }

    /// Waits for a connection, and in between reaps the worker.
    fn wait(&self, listener: &TcpListener) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut polled = [PollFd::new(listener, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK.as_nanos() as i64 * 4,
        };
        // A signal ends the wait, and is looked at next.
        let _ = poll(&mut polled, Some(&limit));
        if let Some(worker) = self.lock().as_mut() {
            let _ = worker.try_wait();
        }
    }

    /// Answers one request: `TOKEN ping WORD` or `TOKEN stop`.
    fn answer(&self, stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        if stream.set_nonblocking(false).is_err() {
            return;
        }
        let mut line = String::new();
        if BufReader::new((&stream).take(LONGEST))
            .read_line(&mut line)
            .is_err()
        {
            return;
        }
        let Some((token, request)) = line.trim_end().split_once(' ') else {
            return;
        };
        // Whoever does not know the token learns nothing, not even by how long it takes.
        let differs = token
            .bytes()
            .zip(self.token.bytes())
            .fold(0, |differs, (a, b)| differs | (a ^ b));
        if token.len() != self.token.len() || differs != 0 {
            return;
        }
        let reply = match request.split_once(' ') {
            Some(("ping", word)) => format!("pong {word} {}\n", self.worker_state()),
            None if request == "stop" => {
                self.send_worker_away();
                "bye\n".to_owned()
            }
            _ => return,
        };
        // If the other has gone it does not matter.
        let _ = (&stream).write_all(reply.as_bytes());
        if request == "stop" {
            self.told.store(true, Ordering::SeqCst);
        }
    }

    fn worker_state(&self) -> &'static str {
        match self.lock().as_mut().map(Child::try_wait) {
            None => "none",
            Some(Ok(None)) => "works",
            Some(_) => "left",
        }
    }

    fn send_worker_away(&self) {
        let Some(mut worker) = self.lock().take() else {
            return;
        };
        if !matches!(worker.try_wait(), Ok(None)) {
            return;
        }
        // Until it is waited for, the number is its own.
        let _ = kill_process(Pid::from_child(&worker), Signal::TERM);
        let until = Instant::now() + GRACE;
        while matches!(worker.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                let _ = worker.kill();
                let _ = worker.wait();
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
