//! Workers in the background of this host, which outlive the terminal.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flockwork::app::exit::{Failed, NO_WORKER, NOT_OK};

use super::process::{Life, Process, leads_a_session};
use super::records::{Came, Draft, Launches, Note, Notes, Record};
use super::submit::make_logs;
use crate::output::ago;
use crate::sweep::shown;

/// How long a worker may take to leave the terminal.
const DETACH: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// What came of a start.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) record: Record,
    pub(crate) pids: Vec<u32>,
    /// Those that could not be started, or ended at once: what there is to say.
    pub(crate) failed: Vec<String>,
}

/// Puts the record of a launch into the store, and starts its workers.
///
/// # Errors
///
/// If its cap is passed, the record cannot be written, or no worker could be started.
pub(crate) fn start(launches: &Launches, draft: &Draft<'_>) -> Result<Started, Failed> {
    let store = Path::new(&draft.asked.store);
    make_logs(store)?;
    let record = launches.publish(draft)?;
    let mut notes = launches.notes(record.number)?;
    let (mut hands, mut failed) = (Vec::new(), Vec::new());
    for worker in 1..=record.asked.workers {
        let log = format!("logs/local-{:06}.{worker}.log", record.number);
        match begin(&record, &log, &mut notes) {
            Ok(child) => hands.push((child, log)),
            Err(error) => {
                failed.push(format!("worker {worker} cannot be started: {error}"));
                // The next one would fare no better.
                break;
            }
        }
    }
    let mut pids = Vec::new();
    for (mut child, log) in hands {
        match detached(&mut child) {
            true => pids.push(child.id()),
            false => failed.push(format!(
                "worker {} ended at once: {}",
                child.id(),
                shown::path(&store.join(&log))
            )),
        }
    }
    if let Some(said) = failed.first() {
        // It is told in any case.
        let _ = notes.add(&Note::Failed {
            at: ago::now(),
            said: said.clone(),
        });
    }
    if pids.is_empty() {
        let text = failed
            .first()
            .cloned()
            .unwrap_or_else(|| "no worker was started".to_owned());
        return Err(Failed::new(NO_WORKER, text, Some("its log says why".to_owned())));
    }
    Ok(Started { record, pids, failed })
}

fn begin(record: &Record, log: &str, notes: &mut Notes) -> io::Result<Child> {
    let store = Path::new(&record.asked.store);
    let output = File::options().append(true).create(true).open(store.join(log))?;
    let mut child = Command::new(&record.asked.program)
        .args(record.asked.words(record.engine, None))
        .arg("--detached")
        .env("FLOCKWORK_JOB", format!("local {}", record.number))
        // Settings of this directory are not for it.
        .current_dir(store)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    // One that has ended already is told of later.
    if let Some(process) = Process::of(child.id()) {
        let note = Note::Started {
            at: ago::now(),
            process,
            log: log.to_owned(),
        };
        if let Err(error) = notes.add(&note) {
            // Neither `--status` nor `--stop` would ever find it. It may have ended by itself just now.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    }
    Ok(child)
}

/// Waits until a worker has a session of its own; `false` if it has failed before.
fn detached(child: &mut Child) -> bool {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            // Nothing to do is no failure.
            Ok(Some(status)) => return status.success(),
            _ if leads_a_session(child.id()) || begun.elapsed() >= DETACH => return true,
            _ => std::thread::sleep(LOOK),
        }
    }
}

/// How many processes of a launch live, are gone, and are of other hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lives {
    pub(crate) alive: u64,
    pub(crate) gone: u64,
    pub(crate) elsewhere: u64,
}

/// Looks at the processes of a launch.
pub(crate) fn lives(came: &Came) -> Lives {
    let mut lives = Lives::default();
    for (process, _) in &came.started {
        match process.life() {
            Life::Alive => lives.alive += 1,
            Life::Gone => lives.gone += 1,
            Life::Elsewhere => lives.elsewhere += 1,
        }
    }
    lives
}

/// Takes this process away from its terminal: signals of the terminal, and its end, do not reach it any more.
///
/// # Errors
///
/// If the kernel refuses it.
pub(crate) fn begin_session() -> Result<(), Failed> {
    match rustix::process::setsid() {
        // It leads a session already.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(Failed::new(
            NOT_OK,
            format!("cannot begin a session: {error}"),
            None,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Engine;
    use crate::launch::records::tests::record;

    /// The processes that run in a directory.
    fn running_in(dir: &Path) -> Vec<String> {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let here = processes.filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == dir.canonicalize().unwrap())
        });
        here.map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_worker_that_cannot_be_recorded_does_not_run() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().to_str().unwrap();
        make_logs(place.path()).unwrap();
        // What a shell finds when it is started as `sh worker STORE`.
        std::fs::write(place.path().join("worker"), "exec sleep 1000\n").unwrap();
        let mut record = record(1, 1, None);
        record.engine = Engine::Local;
        record.asked.program = "/bin/sh".to_owned();
        record.asked.store = store.to_owned();
        let error = begin(&record, "logs/x", &mut Notes::full()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(running_in(place.path()), Vec::<String>::new());
    }
}
