//! What a command writes: head and tail in memory, and a file that others can follow while it runs.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::task::{Bytes, Captured};

/// The head and the tail of a stream; the most that is kept of both together is the limit.
#[derive(Debug)]
pub(super) struct Capture {
    limit: usize,
    /// All there is, until it is more than the limit; then the first half.
    head: Vec<u8>,
    /// The end of the rest; up to twice of what is kept, so that it need not move with every piece.
    tail: Vec<u8>,
    total: u64,
}

impl Capture {
    pub(super) fn new(limit: u64) -> Capture {
        Capture {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            head: Vec::new(),
            tail: Vec::new(),
            total: 0,
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let was_whole = !self.is_cut();
        self.total += bytes.len() as u64;
        if !self.is_cut() {
            self.head.extend_from_slice(bytes);
            return;
        }
        if was_whole {
            let first = self.limit / 2;
            let missing = first.saturating_sub(self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..missing]);
            self.tail = self.head.split_off(first.min(self.head.len()));
            self.push_tail(&bytes[missing..]);
        } else {
            self.push_tail(bytes);
        }
    }

    /// Returns what is kept.
    pub(super) fn finish(mut self) -> Captured {
        let kept = self.limit - self.limit / 2;
        if self.tail.len() > kept {
            self.tail.drain(..self.tail.len() - kept);
        }
        Captured {
            head: Bytes(self.head),
            tail: Bytes(self.tail),
            total: self.total,
        }
    }

    fn is_cut(&self) -> bool {
        self.total > self.limit as u64
    }

    fn push_tail(&mut self, bytes: &[u8]) {
        let kept = self.limit - self.limit / 2;
        if bytes.len() >= kept {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - kept..]);
            return;
        }
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > kept.saturating_mul(2) {
            self.tail.drain(..self.tail.len() - kept);
        }
    }
}

/// A file in which others can follow what a command writes; removed when the attempt has ended.
///
/// It never holds more than the limit, and a line that says so. Trouble with it is no trouble of the task.
#[derive(Debug)]
pub(super) struct Live {
    path: PathBuf,
    /// `None` once it is full or cannot be written.
    file: Option<File>,
    left: u64,
}

impl Live {
    /// Makes the file with what there is so far; `None` if it cannot be made.
    pub(super) fn begin(path: PathBuf, capture: &Capture) -> Option<Live> {
        let file = create(&path)?;
        let mut live = Live {
            path,
            file: Some(file),
            left: capture.limit as u64,
        };
        live.push(&capture.head);
        if capture.is_cut() {
            live.left = 0;
            live.push(b" ");
        }
        Some(live)
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else {
            return;
        };
        let fits = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= fits as u64;
        let mut written = file.write_all(&bytes[..fits]);
        if written.is_ok() && fits < bytes.len() {
            written = file
                .write_all(b"\n(flockwork: the limit is reached; the end is kept and shown afterwards)\n");
            self.file = None;
        }
        if written.is_err() {
            self.file = None;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // What cannot be removed is only space.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn create(path: &Path) -> Option<File> {
    let mut options = File::options();
    // Attempts are numbered, so the name is new; what somebody planted there is left alone.
    options.write(true).create_new(true);
    let folder = path.parent()?;
    match std::fs::symlink_metadata(folder) {
        Ok(found) if !found.is_dir() => return None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::create_dir(folder).ok()?,
        _ => {}
    }
    options.open(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(limit: u64, pieces: &[&[u8]]) -> Captured {
        let mut capture = Capture::new(limit);
        for piece in pieces {
            capture.push(piece);
        }
        capture.finish()
    }

    #[test]
    fn head_and_tail_are_kept_however_the_pieces_fall() {
        let all: Vec<u8> = (0..=255).collect();
        for limit in [0, 1, 2, 7, 100, 255, 256, 300] {
            for size in [1, 2, 3, 50, 256] {
                let pieces: Vec<&[u8]> = all.chunks(size).collect();
                let kept = captured(limit, &pieces);
                let what = format!("limit {limit}, pieces of {size}");
                assert_eq!(kept.total, 256, "{what}");
                let half = (limit / 2) as usize;
                if limit >= 256 {
                    assert_eq!(
                        (kept.head.0.as_slice(), kept.tail.0.len()),
                        (&all[..], 0),
                        "{what}"
                    );
                } else {
                    assert_eq!(kept.head.0, all[..half], "{what}");
                    assert_eq!(kept.tail.0, all[256 - (limit as usize - half)..], "{what}");
                }
                assert_eq!(kept.omitted(), 256u64.saturating_sub(limit), "{what}");
            }
        }
    }

    #[test]
    fn a_live_file_ends_at_the_limit_says_so_and_goes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("logs/0000001.1.stdout");
        let mut capture = Capture::new(10);
        capture.push(b"12345");
        let mut live = Live::begin(path.clone(), &capture).unwrap();
        live.push(b"678");
        assert_eq!(std::fs::read(&path).unwrap(), b"12345678");
        live.push(b"90abc");
        live.push(b"def");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("1234567890\n(flockwork: the limit is reached"),
            "{text}"
        );
        assert!(!text.contains("abc") && !text.contains("def"), "{text}");
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn a_live_file_is_never_made_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let victim = place.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let path = place.path().join("0000001.1.stdout");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(Live::begin(path, &Capture::new(10)).is_none());
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    }
}
