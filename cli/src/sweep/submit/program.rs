//! The program of a command, and the files it names: are they there, and are they there for a task too?
//!
//! Tasks run in directories of their own. So words that name files where the sweep was submitted become absolute, and
//! names that only a row makes are refused with a hint.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use flockwork::app::exit::Failed;
use rustix::fs::Access;

use crate::sweep::command::CommandLine;
use crate::sweep::pattern::{Fill, Pattern, literally};
use crate::sweep::shown::{self, plain};

/// Where names of files are meant from.
pub(super) struct Placed<'a> {
    /// Where the sweep is submitted.
    pub(super) here: &'a Path,
    /// Where the command runs, or `here` if each attempt has a directory of its own.
    pub(super) cwd: &'a Path,
    /// Each attempt has a directory of its own.
    pub(super) own_dirs: bool,
}

/// Words that only a shell understands.
const FOR_A_SHELL: [&str; 9] = ["|", ">", ">>", "<", "&&", "||", ";", "2>&1", "2>"];

impl Placed<'_> {
    /// Checks program and files of a command that needs no shell; returns its words, with absolute names where needed.
    ///
    /// `whose` begins the messages: nothing for the command itself, or an option and a colon.
    pub(super) fn place(
        &self,
        whose: &str,
        line: &CommandLine,
        words: &[String],
        fill: &Fill<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>, Failed> {
        let mut placed = words.to_vec();
        for (number, (pattern, word)) in line.words().iter().zip(&mut placed).enumerate() {
            let filled = PathBuf::from(pattern.fill(fill));
            if number == 0 {
                self.check_program(whose, &filled)?;
            }
            if FOR_A_SHELL.contains(&word.as_str()) {
                notes.push(format!(
                    "`{word}` reaches the program as it is; --shell gives the command to a shell"
                ));
            }
            // A program without a slash is looked for in PATH, even if a file here has its name.
            let by_path = number == 0 && !filled.as_os_str().as_bytes().contains(&b'/');
            if self.own_dirs && !by_path {
                self.place_word(word, pattern, &filled, notes)?;
            }
        }
        Ok(placed)
    }

    /// Notes files that a shell's line names, since its tasks run elsewhere.
    pub(super) fn look_at_shell(&self, line: &CommandLine, fill: &Fill<'_>, notes: &mut Vec<String>) {
        let words = line
            .argv(fill)
            .pop()
            .and_then(|line| shlex::split(&line.to_string_lossy()));
        let named = words
            .unwrap_or_default()
            .into_iter()
            .find(|word| self.is_here(Path::new(word)));
        if let Some(word) = named.filter(|_| self.own_dirs) {
            let word = plain(&word);
            notes.push(format!("{word} is a file here, but tasks run in directories of their own: {{here}}/{word}, or --cwd ."));
        }
    }

    fn place_word(
        &self,
        word: &mut String,
        pattern: &Pattern,
        filled: &Path,
        notes: &mut Vec<String>,
    ) -> Result<(), Failed> {
        if !self.is_here(filled) {
            if pattern.literal().is_some() && self.is_named(filled) && self.here.join(filled).is_dir() {
                let dir = shown::path(filled);
                notes.push(format!(
                    "{dir} is a directory here; tasks run elsewhere: {{here}}/{dir}, or --cwd ."
                ));
            }
            return Ok(());
        }
        let shown = shown::path(filled);
        if pattern.literal().is_none() {
            return Err(Failed::usage(
                format!(
                    "`{}` makes `{shown}`, a file here, but tasks run in directories of their own",
                    plain(word)
                ),
                format!(
                    "write {{here}}/{}, or add --cwd . to run all tasks here",
                    plain(word)
                ),
            ));
        }
        let absolute = absolute(self.here, filled);
        let absolute = absolute.to_string_lossy();
        notes.push(format!(
            "{shown} became {}, since tasks run in directories of their own",
            plain(&absolute)
        ));
        *word = literally(&absolute);
        Ok(())
    }

    /// Returns whether a word is a relative name, and no option.
    fn is_named(&self, word: &Path) -> bool {
        word.is_relative() && !word.as_os_str().is_empty() && !word.as_os_str().as_bytes().starts_with(b"-")
    }

    fn is_here(&self, word: &Path) -> bool {
        self.is_named(word) && self.here.join(word).is_file()
    }

    /// Checks that the program is there and can be run.
    fn check_program(&self, whose: &str, program: &Path) -> Result<(), Failed> {
        let shown = shown::path(program);
        if program.as_os_str().as_bytes().contains(&b'/') {
            return match runnable(&self.cwd.join(program)) {
                Ok(()) => Ok(()),
                Err(what) => Err(Failed::usage(
                    format!("{whose}the program {shown} {what}"),
                    hint(what, &shown),
                )),
            };
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found: Vec<_> = std::env::split_paths(&path)
            .map(|dir| runnable(&dir.join(program)))
            .collect();
        if found.iter().any(Result::is_ok) {
            return Ok(());
        }
        let text = match found.contains(&Err(NOT_EXECUTABLE)) {
            true => format!("{whose}the program {shown} is in PATH, but is not executable"),
            false => format!("{whose}there is no program {shown} in PATH"),
        };
        let hint = if self.here.join(program).is_file() {
            format!("for the file here write ./{shown}")
        } else if shown.contains(char::is_whitespace) {
            "leave out the quotes around the command, so that it is several words; or add --shell".to_owned()
        } else {
            "check the name, or write its path; for a shell's own words, such as cd, add --shell".to_owned()
        };
        Err(Failed::usage(text, hint))
    }
}

const NOT_EXECUTABLE: &str = "is not executable";

fn runnable(path: &Path) -> Result<(), &'static str> {
    match path.metadata() {
        Err(_) => Err("is not there"),
        Ok(metadata) if metadata.is_dir() => Err("is a directory"),
        Ok(_) => rustix::fs::access(path, Access::EXEC_OK).map_err(|_| NOT_EXECUTABLE),
    }
}

fn hint(what: &str, shown: &str) -> String {
    match what {
        NOT_EXECUTABLE => format!("chmod +x {shown}, or name what runs it, such as: -- python3 {shown}"),
        _ => "check the path; it is meant from here, or from --cwd".to_owned(),
    }
}

/// Returns a name from a directory without `.` in it. `..` stays: it may lead through a link.
pub(super) fn absolute(here: &Path, name: &Path) -> PathBuf {
    here.join(name)
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}
