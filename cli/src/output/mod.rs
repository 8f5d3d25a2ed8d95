//! What goes to stdout: data for people and for programs, and nothing else.

pub(crate) mod ago;
pub(crate) mod color;
mod format;
mod showing;
mod size;
mod text;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use color::{Kind, paint};
use flockwork::app::exit::{Failed, NOT_OK};
pub(crate) use format::{Cell, Column, Table, document, terminal_width};
pub(crate) use showing::showing;
pub(crate) use size::{bytes, count};
pub(crate) use text::{cut, escape, width};

/// Whether the reader of stdout has gone.
static GONE: AtomicBool = AtomicBool::new(false);

/// Writes a text to stdout, all of it, now.
///
/// A reader who has gone, such as `head`, is no error: a verb that writes once ends as if all had been read. A verb
/// that goes on writing asks [`is_read`] in between.
///
/// # Errors
///
/// If stdout cannot be written for another reason, such as a full disk.
pub(crate) fn write_all(text: &str) -> Result<(), Failed> {
    write_bytes(text.as_bytes())
}

/// Writes bytes as they are to stdout, as [`write_all`] does.
///
/// # Errors
///
/// As of [`write_all`].
pub(crate) fn write_bytes(bytes: &[u8]) -> Result<(), Failed> {
    let mut stdout = std::io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Says whether somebody still reads stdout, as far as writing has told.
pub(crate) fn is_read() -> bool {
    !GONE.load(Ordering::SeqCst)
}

fn written(answer: std::io::Result<()>) -> Result<(), Failed> {
    match answer {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            GONE.store(true, Ordering::SeqCst);
            Ok(())
        }
        Err(error) => {
            let text = format!("cannot write to standard output: {error}");
            Err(Failed::new(NOT_OK, text, None))
        }
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_has_gone_is_no_error_and_a_full_disk_is() {
        let of = |kind| written(Err(std::io::Error::from(kind)));
        assert!(of(std::io::ErrorKind::BrokenPipe).is_ok());
        assert!(!is_read());
        let failed = of(std::io::ErrorKind::StorageFull).unwrap_err();
        assert_eq!(failed.code(), NOT_OK);
        assert!(failed.text().contains("standard output"), "{}", failed.text());
    }
}
