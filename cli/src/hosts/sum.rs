//! Checksums of files: SHA-256, as `sha256sum` writes it, made here and on hosts.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// As much of a file is read at once.
const PIECE: usize = 256 << 10;

/// Gives a plain `sh` the function `sum`: the checksum of its stdin, with whatever else stands after a blank. It fails
/// where nothing makes checksums. One that is there may not run, so each is tried out.
pub(crate) const SH: &str = "for sha in sha256sum 'shasum -a 256' 'openssl dgst -sha256 -r' false; do \
                             if $sha </dev/null >/dev/null 2>&1; then break; fi; done; sum() { $sha; }; ";

/// A checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sum([u8; 32]);

impl Sum {
    /// Returns that of bytes.
    pub(crate) fn of(bytes: &[u8]) -> Sum {
        Sum(Sha256::digest(bytes).into())
    }

    /// Reads a file from where it stands to its end; returns how long that was, too.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) fn of_rest(file: &mut File) -> io::Result<(u64, Sum)> {
        let mut summing = Summing::default();
        let length = summing.take(file, u64::MAX)?;
        Ok((length, summing.end()))
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
    use std::io::Write;
    use std::process::{Command, Stdio};

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

    /// Runs the function of the shell on `abc`, after these functions in the place of programs; `None` if it fails.
    fn there(programs: &str) -> Option<String> {
        let script = format!("{programs} {SH}s=$(sum) || exit 1; echo \"${{s%% *}}\"");
        assert!(!script.contains('\n'), "{script}");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Where there is no program, nobody reads it.
        let _ = child.stdin.take().unwrap().write_all(b"abc");
        let ended = child.wait_with_output().unwrap();
        assert!(
            ended.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        let said = String::from_utf8(ended.stdout).unwrap();
        ended.status.success().then(|| said.trim_end().to_owned())
    }

    #[test]
    fn a_shell_uses_the_first_program_that_runs() {
        const NONE: &str = "sha256sum() { false; }; shasum() { false; }; openssl() { false; };";
        assert_eq!(there(NONE), None);
        let mut programs = NONE.to_owned();
        for (program, said) in [
            ("openssl() { echo \"$1$2$3 *stdin\"; };", "dgst-sha256-r"),
            ("shasum() { echo \"$1$2  -\"; };", "-a256"),
            ("sha256sum() { echo \"first$1  -\"; };", "first"),
        ] {
            programs.push_str(program);
            assert_eq!(there(&programs), Some(said.to_owned()));
        }
    }

    #[test]
    fn each_program_that_is_here_says_the_same() {
        let mut tried = 0;
        for name in ["sha256sum", "shasum", "openssl"] {
            if Command::new(name).stdin(Stdio::null()).output().is_err() {
                eprintln!("skipped for {name}: it is not here");
                continue;
            }
            let mut others = String::new();
            for other in ["sha256sum", "shasum", "openssl"] {
                if other != name {
                    others.push_str(&format!("{other}() {{ false; }}; "));
                }
            }
            assert_eq!(there(&others), Some(Sum::of(b"abc").to_string()), "{name}");
            tried += 1;
        }
        assert!(tried > 0);
    }
}
