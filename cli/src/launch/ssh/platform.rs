//! Which program runs on which kind of machine; pure, but for reading the programs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flockwork::app::exit::Failed;

use crate::hosts::Trouble;
use crate::hosts::sum::{Sum, Summing};
use crate::sweep::shown;
use crate::words;

/// Before the checksum in the name of a copy.
const COPY: &str = "flockwork-";
/// As much of a program as tells what it is for.
const HEAD: u64 = 20;

/// A program to be run elsewhere, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) sum: Sum,
    /// What it is for, as `uname -s` and `uname -m` say it: `Linux-x86_64`. `None`: for all, as a script is.
    pub(crate) platform: Option<String>,
}

impl Program {
    /// Reads a program; what it is for follows from its first bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is no program that could be run.
    pub(crate) fn read(path: &Path) -> Result<Program, Failed> {
        let failed = |error: std::io::Error| {
            let text = format!("cannot read the program {}: {error}", shown::path(path));
            Failed::usage(text, "give another with --program FILE")
        };
        let (head, size, sum) = File::open(path).and_then(read_all).map_err(failed)?;
        if size == 0 {
            return Err(failed(std::io::Error::other("it is empty")));
        }
        Ok(Program {
            path: path.to_owned(),
            size,
            sum,
            platform: platform_of(&head),
        })
    }

    /// Returns the name of its copies. It bears the checksum, so a newer program never replaces one that runs.
    pub(crate) fn copy_name(&self) -> String {
        format!("{COPY}{}", self.sum.short())
    }
}

/// Says whether a path is that of a copy: its name bears a checksum.
pub(crate) fn is_copy(program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(|name| name.to_str());
    let sum = name.and_then(|name| name.strip_prefix(COPY));
    sum.is_some_and(|sum| sum.len() == 16 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads a file to its end: its first bytes, its size, its checksum.
fn read_all(mut file: File) -> std::io::Result<(Vec<u8>, u64, Sum)> {
    let (mut head, mut summing) = (Vec::new(), Summing::default());
    (&mut file).take(HEAD).read_to_end(&mut head)?;
    summing.add(&head);
    let rest = summing.take(&mut file, u64::MAX)?;
    let size = head.len() as u64 + rest;
    Ok((head, size, summing.end()))
}

/// Reads the machine out of an ELF header. Numbers as in elf(5).
fn platform_of(head: &[u8]) -> Option<String> {
    let is_elf = head.len() as u64 >= HEAD && head.starts_with(b"\x7fELF");
    if !is_elf {
        return None;
    }
    let number = match head[5] {
        2 => u16::from_be_bytes([head[18], head[19]]),
        _ => u16::from_le_bytes([head[18], head[19]]),
    };
    let machine = match (number, head[5]) {
        (3, _) => "i686",
        (21, 2) => "ppc64",
        (21, _) => "ppc64le",
        (22, _) => "s390x",
        (40, _) => "armv7l",
        (62, _) => "x86_64",
        (183, _) => "aarch64",
        (243, _) => "riscv64",
        _ => return None,
    };
    Some(format!("Linux-{machine}"))
}

/// The programs that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programs {
    main: Program,
    others: Vec<Program>,
}

impl Programs {
    /// Reads the program, and those for other platforms, which are written `Linux-aarch64=FILE`.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or the form is another.
    pub(crate) fn read(main: Option<&Path>, others: &[String]) -> Result<Programs, Failed> {
        let own;
        let main = match main {
            Some(path) => path,
            None => {
                own = std::env::current_exe().map_err(|error| {
                    let text = format!("cannot tell which program this is: {error}");
                    Failed::usage(text, "give it with --program FILE")
                })?;
                own.as_path()
            }
        };
        let other = |word: &String| {
            let (platform, file) = word
                .split_once('=')
                .filter(|(platform, file)| platform.contains('-') && !file.is_empty())
                .ok_or_else(|| {
                    let text = format!("--platform {:?} is no SYSTEM-MACHINE=FILE", words::tame(word, 80));
                    Failed::usage(
                        text,
                        "write Linux-aarch64=FILE, as `uname -s` and `uname -m` say it there",
                    )
                })?;
            let mut program = Program::read(Path::new(file))?;
            program.platform = Some(platform.to_owned());
            Ok(program)
        };
        Ok(Programs {
            main: Program::read(main)?,
            others: others.iter().map(other).collect::<Result<_, Failed>>()?,
        })
    }

    /// Returns the program for a machine.
    ///
    /// # Errors
    ///
    /// If there is none: what it is, and what the program is for.
    pub(crate) fn for_platform(&self, platform: &str) -> Result<&Program, Trouble> {
        let other = self
            .others
            .iter()
            .find(|other| other.platform.as_deref() == Some(platform));
        if let Some(other) = other {
            return Ok(other);
        }
        match &self.main.platform {
            Some(main) if !runs_on(main, platform) => Err(Trouble::there(format!(
                "it is {}, and the program is for {main}: give --platform {}=FILE",
                words::tame(platform, 60),
                words::tame(platform, 60)
            ))),
            _ => Ok(&self.main),
        }
    }

    /// Returns the program for most.
    pub(crate) fn main(&self) -> &Program {
        &self.main
    }
}

fn runs_on(program: &str, platform: &str) -> bool {
    let is_pc = |machine: &str| ["Linux-i386", "Linux-i586", "Linux-i686", "Linux-x86_64"].contains(&machine);
    let is_arm = |machine: &str| machine.starts_with("Linux-armv");
    program == platform
        || (program == "Linux-i686" && is_pc(platform))
        || (program == "Linux-armv7l" && is_arm(platform))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_a_program_is_known() {
        let own = Program::read(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(
            own.platform,
            Some(format!("Linux-{}", std::env::consts::ARCH)),
            "this test runs on Linux"
        );
        assert!(is_copy(&format!("/home/ana/{}", own.copy_name())));
        assert!(!is_copy("/usr/bin/flockwork-0.1.0") && !is_copy("/usr/bin/flockwork"));
        assert_eq!(platform_of(b"#!/bin/sh\necho a script that is long"), None);
    }

    #[test]
    fn each_machine_gets_its_own_program() {
        let place = tempfile::tempdir().unwrap();
        let arm = place.path().join("arm");
        std::fs::write(&arm, "x").unwrap();
        let word = format!("Linux-aarch64={}", arm.display());
        let programs = Programs::read(None, &[word]).unwrap();
        assert_eq!(programs.for_platform("Linux-aarch64").unwrap().path, arm);
        let known = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(
            programs.for_platform("Linux-aarch64").unwrap().sum,
            Sum::read(known).unwrap()
        );
        let trouble = programs.for_platform("SunOS-sun4v").unwrap_err();
        assert!(
            trouble.text().contains("--platform SunOS-sun4v=FILE"),
            "{}",
            trouble.text()
        );
        assert!(Programs::read(None, &["aarch64".to_owned()]).is_err());
        assert!(runs_on("Linux-i686", "Linux-x86_64") && !runs_on("Linux-x86_64", "Linux-i686"));
    }
}
