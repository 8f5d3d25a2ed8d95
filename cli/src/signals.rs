//! The first signal ends a long verb in an orderly way; the second at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flockwork::app::exit::SIGNAL;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal has come, if one has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caught(Arc<AtomicUsize>);

/// Begins to listen.
pub(crate) fn listen() -> io::Result<Caught> {
    let (caught, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // At the second one the flag of the first is set. What we have started ends when it notices that we are gone.
        flag::register_conditional_default(signal, Arc::clone(&again))?;
        flag::register(signal, Arc::clone(&again))?;
        flag::register_usize(signal, Arc::clone(&caught), usize::try_from(signal).unwrap_or(1))?;
    }
    Ok(Caught(caught))
}

impl Caught {
    /// Acts as if a signal had come.
    #[cfg(test)]
    pub(crate) fn catch(&self, signal: usize) {
        self.0.store(signal, Ordering::SeqCst);
    }

    /// Returns the exit code of a program that a signal has ended, if one has come.
    pub(crate) fn code(&self) -> Option<u8> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(0))),
        }
    }
}
