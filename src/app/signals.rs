//! Signals: the first asks for an orderly stop, the second ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::exit::{Failed, NOT_OK, code_of_signal};

/// More than its share of processor time was used; the same number on every Linux but some on MIPS.
const SIGXCPU: i32 = 24;

/// What is done at signals, in a thread of its own.
pub(super) trait OnSignal: Send + 'static {
    /// The first one: begin to stop.
    fn first(&self, name: &str);
    /// The second one: the program ends right after this.
    fn second(&self, name: &str);
    /// USR1: tell what runs now.
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

/// Begins to listen.
pub(super) fn listen(on_signal: impl OnSignal) -> Result<Caught, Failed> {
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
        for signal in signals.forever() {
            let name = name_of(signal);
            if signal == SIGUSR1 {
                on_signal.tell();
            } else if noted.0.swap(signal, Ordering::SeqCst) == 0 {
                on_signal.first(name);
            } else {
                on_signal.second(name);
                signal_hook::low_level::exit(i32::from(code_of_signal(signal)));
            }
        }
    };
    let thread = std::thread::Builder::new().name("flockwork-signals".into());
    thread.spawn(body).map_err(failed)?;
    Ok(caught)
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
        let mask = ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        assert_eq!(mask >> (SIGHUP - 1) & 1, 1);
        assert_eq!(mask >> (SIGTERM - 1) & 1, 0);
        assert_eq!(ignored("nothing"), 0);
    }
}
