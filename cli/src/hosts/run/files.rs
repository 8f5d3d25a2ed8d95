//! Files that are copied to the hosts: what they are here, and that the same is there.

use std::fs::File;
use std::io::{Read, Result as IoResult};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flockwork::app::exit::Failed;

use crate::hosts::ssh::finish;
use crate::hosts::sum::{SH, Sum, Summing};
use crate::hosts::trouble::Why;
use crate::hosts::{Host, Ssh, Trouble};
use crate::signals::Caught;
use crate::sweep::shown;

/// Until a step that copies nothing must be done.
const STEP: Duration = Duration::from_secs(30);

/// Makes the directory and tells where it is: `$1`, or a private one.
const PREPARE: &str = "if [ -n \"$1\" ]; then mkdir -p -- \"$1\" && cd -- \"$1\"; \
    else umask 077; d=$(mktemp -d \"${TMPDIR:-/tmp}/flockwork.XXXXXX\") && cd \"$d\"; fi && pwd -P";
/// Takes a file from stdin, after [`SH`]: `$1` the directory, `$2` the name, `$3` its SHA-256, `$4` what cksum says, `$5`
/// its mode. What is not whole never has the name.
const TAKE: &str = "f=$1/.flockwork-$$.part; trap 'rm -f -- \"$f\"' EXIT; cat >\"$f\" || exit 1; \
    if s=$(sum <\"$f\"); then w=$3; else s=$(cksum <\"$f\") w=$4; fi; \
    case $s in \"$w\"*) ;; *) echo 'the checksum differs' >&2; exit 1;; esac; \
    chmod \"$5\" \"$f\" && mv -f -- \"$f\" \"$1/$2\"";
const REMOVE: &str = "rm -rf -- \"$1\"";

/// A file that is copied.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: PathBuf,
    pub(crate) name: String,
    sum: Sum,
    cksum: String,
    mode: &'static str,
}

impl Source {
    /// Reads the file, all of it.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no file.
    pub(crate) fn read(path: &Path, executable: bool) -> Result<Source, Failed> {
        let failed = |what: &dyn std::fmt::Display| {
            Failed::usage(
                format!("cannot read {}: {what}", shown::path(path)),
                "name files that are to be copied; for directories there is `hosts cp`",
            )
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| failed(&"it has no name in UTF-8"))?;
        let mut file = File::open(path).map_err(|error| failed(&error))?;
        let about = file.metadata().map_err(|error| failed(&error))?;
        if !about.is_file() {
            return Err(failed(&"it is no file"));
        }
        let (mut summing, mut crc, mut piece) = (Summing::default(), Cksum::default(), vec![0; 64 << 10]);
        loop {
            let count = file.read(&mut piece).map_err(|error| failed(&error))?;
            if count == 0 {
                break;
            }
            summing.add(&piece[..count]);
            crc.update(&piece[..count]);
        }
        let runs = executable || about.permissions().mode() & 0o100 != 0;
        Ok(Source {
            path: path.to_owned(),
            name: name.to_owned(),
            sum: summing.end(),
            cksum: crc.text(),
            mode: if runs { "755" } else { "644" },
        })
    }
}

/// Where the files of a host are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dir: String,
    /// It is ours, and goes in the end.
    pub(crate) temporary: bool,
}

/// Makes the directory there and copies the files into it.
///
/// # Errors
///
/// Why not; then a directory of ours is gone again, if the host could still be reached.
pub(crate) fn copy(
    ssh: &Ssh,
    host: &Host,
    dir: Option<&str>,
    files: &[Source],
    caught: &Caught,
) -> Result<Place, Trouble> {
    let answer = ssh.run(host, PREPARE, &[dir.unwrap_or_default()], STEP)?;
    let place = Place {
        dir: answer.lines.last().cloned().unwrap_or_default(),
        temporary: dir.is_none(),
    };
    if answer.status != 0 || !place.dir.starts_with('/') {
        return Err(Trouble::there(format!(
            "cannot make the directory: {}",
            answer.last_words()
        )));
    }
    let done = files
        .iter()
        .try_for_each(|file| send(ssh, host, &place.dir, file, caught));
    if done.is_err() {
        remove(ssh, host, &place);
    }
    done.map(|()| place)
}

/// Removes a directory of ours; what cannot be reached any more stays.
pub(crate) fn remove(ssh: &Ssh, host: &Host, place: &Place) {
    if place.temporary {
        let _ = ssh.run(host, REMOVE, &[&place.dir], STEP);
    }
}

fn send(ssh: &Ssh, host: &Host, dir: &str, file: &Source, caught: &Caught) -> Result<(), Trouble> {
    let here = |error: std::io::Error| {
        Trouble::new(
            Why::Here,
            format!("cannot copy {}: {error}", shown::plain(&file.name)),
        )
    };
    let opened = File::open(&file.path).map_err(here)?;
    let sum = file.sum.to_string();
    let arguments = [dir, &file.name, &sum, &file.cksum, file.mode];
    let mut talk = ssh.talk(host, &format!("{SH}{TAKE}"), &arguments)?;
    let said = talk.say(Unless { file: opened, caught });
    if caught.code().is_some() {
        return Err(Trouble::new(Why::Here, "interrupted"));
    }
    talk.hush();
    let answer = finish(talk, STEP)?;
    if answer.status != 0 {
        let why = answer.last_words();
        return Err(Trouble::there(format!(
            "cannot copy {}: {why}",
            shown::plain(&file.name)
        )));
    }
    said.map(|_| ()).map_err(here)
}

/// A file that ends with an error when a signal has come.
struct Unless<'a> {
    file: File,
    caught: &'a Caught,
}

impl Read for Unless<'_> {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        match self.caught.code() {
            Some(_) => Err(std::io::Error::other("a signal has come")),
            None => self.file.read(into),
        }
    }
}

/// The checksum that POSIX has everywhere.
#[derive(Debug, Default)]
struct Cksum {
    crc: u32,
    length: u64,
}

impl Cksum {
    fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc = bytes.iter().fold(self.crc, |crc, byte| step(crc, *byte));
    }

    /// Returns what `cksum` says of its stdin.
    fn text(&self) -> String {
        let (mut crc, mut length) = (self.crc, self.length);
        while length > 0 {
            crc = step(crc, length.to_le_bytes()[0]);
            length >>= 8;
        }
        format!("{} {}", !crc, self.length)
    }
}

fn step(crc: u32, byte: u8) -> u32 {
    const POLYNOMIAL: u32 = 0x04c1_1db7;
    (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| match crc >> 31 {
        0 => crc << 1,
        _ => (crc << 1) ^ POLYNOMIAL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_programs() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x y");
        std::fs::write(&path, "hello\nworld").unwrap();
        let source = Source::read(&path, false).unwrap();
        for (program, told) in [("sha256sum", &source.sum.to_string()), ("cksum", &source.cksum)] {
            let file = File::open(&path).unwrap();
            let said = std::process::Command::new(program).stdin(file).output().unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            assert_eq!(said.split("  ").next().unwrap().trim(), told, "{program}");
        }
        assert_eq!((source.name.as_str(), source.mode), ("x y", "644"));
        assert_eq!(Source::read(&path, true).unwrap().mode, "755");
        assert!(Source::read(place.path(), false).is_err());
    }

    /// Takes a file there as hosts do that have these programs only; says whether it is there then.
    fn is_taken(programs: &[&str], sum: &str, cksum: &str) -> bool {
        let place = tempfile::tempdir().unwrap();
        let (bin, dir) = (place.path().join("bin"), place.path().join("dir"));
        std::fs::create_dir(&bin).unwrap();
        std::fs::create_dir(&dir).unwrap();
        for program in programs.iter().chain(&["cat", "chmod", "mv", "rm"]) {
            let path = std::env::split_paths(&std::env::var_os("PATH").unwrap())
                .map(|dir| dir.join(program))
                .find(|path| path.exists());
            std::os::unix::fs::symlink(path.unwrap(), bin.join(program)).unwrap();
        }
        let source = place.path().join("source");
        std::fs::write(&source, "hello\n").unwrap();
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("{SH}{TAKE}"), "sh"])
            .arg(&dir)
            .args(["it", sum, cksum, "644"])
            .env("PATH", &bin)
            .stdin(File::open(&source).unwrap())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        let names: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
        let is_there = dir.join("it").exists();
        assert_eq!((status.success(), names.len()), (is_there, usize::from(is_there)));
        is_there
    }

    #[test]
    fn a_file_is_taken_if_either_checksum_is_right() {
        let sum = Sum::of(b"hello\n").to_string();
        let mut crc = Cksum::default();
        crc.update(b"hello\n");
        let (cksum, wrong) = (crc.text(), Sum::of(b"").to_string());
        assert!(is_taken(&["sha256sum", "cksum"], &sum, ""));
        assert!(!is_taken(&["sha256sum", "cksum"], &wrong, &cksum));
        assert!(is_taken(&["cksum"], &wrong, &cksum));
        assert!(!is_taken(&["cksum"], &sum, "1 6"));
        assert!(!is_taken(&[], &sum, &cksum), "nothing tells");
    }
}
