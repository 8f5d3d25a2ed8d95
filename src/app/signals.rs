//! Signals: the first asks for an orderly stop, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::exit::{Failed, NOT_OK, code_of_signal};

/// More than its share of processor time was used; the same number on every Linux but some on MIPS.
const SIGXCPU: i32 = 24;

/// Signals that follow each other within this are one event.
const SAME_EVENT: Duration = Duration::from_secs(1);

/// What is done at signals, in a thread of its own.
pub(super) trait OnSignal: Send + 'static {
    /// The first one: begin to stop.
    fn first(&self, name: &str);
    /// A later one; says whether the program is to end right now.
    fn again(&self, name: &str) -> bool;
    /// USR1 outside of a batch job: tell what runs now.
    fn tell(&self);
}

/// Which signal asked us to stop, if one did.
#[derive(Debug, Clone, Default)]
pub(super) struct Caught(Arc<AtomicI32>);

impl Caught {
    /// Returns the exit code of a program that a signal ended.
    pub(super) fn code(&self) -> Option<u8> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(code_of_signal(signal)),
        }
    }
}

/// Begins to listen. In a batch job (`in_a_job`) USR1 is a warning like the others.
pub(super) fn listen(on_signal: impl OnSignal, in_a_job: bool) -> Result<Caught, Failed> {
    let failed =
        |error: std::io::Error| Failed::Ours(NOT_OK, format!("cannot listen to signals: {error}"), None);
    // What our parent had us ignore (nohup, a shell's `&`) stays ignored.
    let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU];
    let wanted = wanted.iter().filter(|signal| ignored >> (*signal - 1) & 1 == 0);
    let mut signals = Signals::new(wanted).map_err(failed)?;
    let caught = Caught::default();
    let noted = caught.clone();
    let body = move || {
        let mut before: Option<(i32, Instant)> = None;
        for signal in signals.forever() {
            let name = name_of(signal);
            let since = before.map(|(signal, at)| (signal, at.elapsed()));
            match meaning(signal, in_a_job, since) {
                Meaning::Question => {
                    on_signal.tell();
                    continue;
                }
                Meaning::Same => continue,
                Meaning::First => on_signal.first(name),
                Meaning::Again => {
                    if on_signal.again(name) {
                        signal_hook::low_level::exit(i32::from(code_of_signal(signal)));
                    }
                }
            }
            noted.0.store(signal, Ordering::SeqCst);
            before = Some((signal, Instant::now()));
        }
    };
    let thread = std::thread::Builder::new().name("flockwork-signals".into());
    thread.spawn(body).map_err(failed)?;
    Ok(caught)
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// What runs now?
    Question,
    First,
    /// It belongs to the event that the one before told of.
    Same,
    Again,
}

/// Decides what a signal says, if this one and so long ago was the last that counted.
///
/// Engines send to a process and to its group, and sometimes twice, for one event. A person's second Ctrl-C counts at once.
fn meaning(signal: i32, in_a_job: bool, before: Option<(i32, Duration)>) -> Meaning {
    match before {
        _ if signal == SIGUSR1 && !in_a_job => Meaning::Question,
        None => Meaning::First,
        Some((SIGINT, _)) if signal == SIGINT => Meaning::Again,
        Some((_, since)) if since < SAME_EVENT => Meaning::Same,
        Some(_) => Meaning::Again,
    }
}

/// Reads the mask of ignored signals; bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        SIGINT => "INT",
        SIGTERM => "TERM",
        SIGHUP => "HUP",
        SIGUSR1 => "USR1",
        SIGUSR2 => "USR2",
        SIGXCPU => "XCPU",
        _ => "a signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_known() {
        let mask = ignored("Name:\tx\nSigIgn:\t0000000000005001\nSigCgt:\t0\n");
        assert_eq!(mask >> (SIGHUP - 1) & 1, 1);
        assert_eq!(mask >> (SIGTERM - 1) & 1, 1);
        assert_eq!(mask >> (SIGINT - 1) & 1, 0);
        assert_eq!(ignored("nothing"), 0);
    }

    #[test]
    fn signals_are_named_as_people_name_them() {
        let named = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU].map(name_of);
        assert_eq!(named, ["INT", "TERM", "HUP", "USR1", "USR2", "XCPU"]);
    }

    #[test]
    fn signals_of_one_event_count_once() {
        let ago = |signal, millis| Some((signal, Duration::from_millis(millis)));
        #[rustfmt::skip]
        let table = [
            // signal, in a job, the last that counted, what it says
            (SIGTERM, false, None,                Meaning::First),
            (SIGXCPU, true,  None,                Meaning::First),
            (SIGUSR1, false, None,                Meaning::Question),
            (SIGUSR1, false, ago(SIGTERM, 5000),  Meaning::Question),
            (SIGUSR1, true,  None,                Meaning::First),
            (SIGTERM, true,  ago(SIGTERM, 0),     Meaning::Same),
            (SIGTERM, true,  ago(SIGTERM, 999),   Meaning::Same),
            (SIGTERM, true,  ago(SIGTERM, 1000),  Meaning::Again),
            (SIGTERM, true,  ago(SIGUSR1, 120_000), Meaning::Again),
            (SIGTERM, false, ago(SIGINT, 10),     Meaning::Same),
            (SIGINT,  false, ago(SIGINT, 10),     Meaning::Again),
            (SIGINT,  false, ago(SIGTERM, 10),    Meaning::Same),
        ];
        for (signal, in_a_job, before, expected) in table {
            assert_eq!(
                meaning(signal, in_a_job, before),
                expected,
                "{signal} after {before:?}"
            );
        }
    }
}
