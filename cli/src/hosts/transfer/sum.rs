//! Checksums of files: SHA-256, as `sha256sum` writes it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// As much of a file is read at once.
const PIECE: usize = 256 << 10;

/// A checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum([u8; 32]);

impl Sum {
    /// Returns that of bytes.
    pub(crate) fn of(bytes: &[u8]) -> Sum {
        Sum(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub(crate) fn read(text: &str) -> Option<Sum> {
        let mut sum = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Sum(sum))
    }

    /// Returns its first 16 digits.
    pub(crate) fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(16);
        text
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A checksum of what is yet to come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summing(Sha256);

impl Summing {
    /// Takes more bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes the next bytes of a file, at most so many; returns how many there were.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) fn take(&mut self, file: &mut File, most: u64) -> io::Result<u64> {
        let mut piece = vec![0; PIECE];
        let mut taken = 0;
        while taken < most {
            let room = usize::try_from(most - taken).map_or(PIECE, |left| left.min(PIECE));
            match file.read(&mut piece[..room]) {
                Ok(0) => break,
                Ok(count) => {
                    self.add(&piece[..count]);
                    taken += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Returns the checksum of all that was taken.
    pub(crate) fn end(self) -> Sum {
        Sum(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_sha256sum_writes() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sum::of(b"abc").to_string(), known);
        assert_eq!(Sum::read(known), Some(Sum::of(b"abc")));
        assert_eq!(Sum::read(&known[1..]), None);
        assert_eq!(Sum::read(&format!("+{}", &known[1..])), None);
        let mut summing = Summing::default();
        summing.add(b"a");
        summing.add(b"bc");
        assert_eq!(summing.end().to_string(), known);
    }
}
