//! A script that runs in a guest.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Result;

/// How often its files are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A script that was started in a guest; what it says and how it ends are files on this machine.
///
/// It is not ended when this value is dropped.
#[derive(Debug)]
pub struct Job {
    pub(crate) title: String,
    /// Without an ending.
    pub(crate) stem: PathBuf,
    /// Whether the guest still runs in which it was started.
    pub(crate) guest_runs: Arc<AtomicBool>,
}

impl Job {
    /// Returns what it has said so far, on both of its outputs.
    pub fn text(&self) -> String {
        let bytes = fs::read(self.stem.with_extension("out")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns its exit status, if it has ended.
    pub fn status(&self) -> Option<i32> {
        let text = fs::read_to_string(self.stem.with_extension("status")).ok()?;
        text.trim().parse().ok()
    }

    /// Waits until it has said a line that contains `text`, and returns the line.
    ///
    /// # Errors
    ///
    /// If it ends before, if its guest dies, or after `limit`.
    pub fn until(&self, text: &str, limit: Duration) -> Result<String> {
        self.watch(limit, &format!("to say {text:?}"), || {
            // In this order: what it said last is there when its status is.
            let ended = self.status();
            let said = self.text();
            match (said.lines().find(|line| line.contains(text)), ended) {
                (Some(line), _) => Ok(Some(line.to_owned())),
                (None, Some(status)) => {
                    Err(self.trouble(&format!("ended with {status} and never said {text:?}")))
                }
                (None, None) => Ok(None),
            }
        })
    }

    /// Waits for its end, and returns the exit status.
    ///
    /// # Errors
    ///
    /// If its guest dies before, or after `limit`.
    pub fn wait(&self, limit: Duration) -> Result<i32> {
        self.watch(limit, "to end", || Ok(self.status()))
    }

    /// Waits for its good end, and returns all that it has said.
    ///
    /// # Errors
    ///
    /// As [`wait`](Job::wait), and if the status is not 0.
    pub fn finish(&self, limit: Duration) -> Result<String> {
        match self.wait(limit)? {
            0 => Ok(self.text()),
            status => Err(self.trouble(&format!("ended with {status}"))),
        }
    }

    fn watch<T>(
        &self,
        limit: Duration,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            let runs = self.guest_runs.load(Ordering::SeqCst);
            if let Some(found) = look()? {
                return Ok(found);
            }
            if !runs {
                return Err(self.trouble("is in a guest that is gone"));
            }
            if begun.elapsed() > limit {
                return Err(self.trouble(&format!("was waited for {what}, for {limit:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn trouble(&self, what: &str) -> crate::Error {
        format!("{} {what}\n{}", self.title, self.text()).into()
    }
}
