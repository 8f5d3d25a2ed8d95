//! What a command is started with: its program, its words, its variables.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use rustix::fs::Access;

use super::Job;
use super::guard::TOKENS;
use super::oom::OomKills;
use crate::sweep::pattern::Fill;
use crate::sweep::spec::Sweep;

/// Variables that are set for each attempt, so the worker's own are not handed on.
const OURS: [&str; 7] = [
    "FLOCKWORK_TASK",
    "FLOCKWORK_ATTEMPT",
    "FLOCKWORK_DIR",
    "FLOCKWORK_HERE",
    "FLOCKWORK_CHECKPOINT",
    "FLOCKWORK_WORKER",
    TOKENS,
];

/// Linux passes on no argument and no variable of over 128 KiB.
const LONGEST_VARIABLE: usize = 100 << 10;

/// Makes the words of a command from what their placeholders stand for.
pub(crate) type FillWords = dyn Fn(&Fill<'_>) -> Vec<OsString> + Send + Sync;

/// A command with placeholders.
pub(crate) struct Words {
    fill: Box<FillWords>,
    /// It names the attempt's directory.
    pub(super) wants_dir: bool,
    /// It names files with what the command wrote.
    pub(super) wants_output: bool,
}

impl Words {
    /// Makes it of the words as they were typed, and of what fills their placeholders.
    ///
    /// `fill` also wraps them in `sh -c`, if that was asked for.
    pub(crate) fn new(typed: &[String], fill: Box<FillWords>) -> Words {
        let names = |name: &str| typed.iter().any(|word| word.contains(name));
        Words {
            fill,
            wants_dir: names("{dir}"),
            wants_output: names("{stdout}") || names("{stderr}"),
        }
    }
}

/// What is the same for all commands that a worker starts.
pub(crate) struct Place {
    /// The worker's variables and those of the sweep.
    env: Vec<(OsString, OsString)>,
    /// The names of the variables of the columns.
    columns: Vec<OsString>,
    /// Whose guards end what is left of the commands.
    tokens: Option<String>,
    /// Where programs are looked for.
    path: OsString,
    here: PathBuf,
    cwd: Option<PathBuf>,
    /// Programs that were found on the path.
    found: Mutex<HashMap<OsString, PathBuf>>,
    pub(super) host: String,
    pub(super) oom: OomKills,
}

impl Place {
    /// Reads the worker's environment once. `tokens`: see [`Guard::tokens`](super::guard::Guard::tokens).
    pub(crate) fn new(sweep: &Sweep, tokens: Option<&str>) -> Place {
        Place::with(sweep, tokens, std::env::vars_os().collect())
    }

    pub(super) fn with(sweep: &Sweep, tokens: Option<&str>, env: Vec<(OsString, OsString)>) -> Place {
        let mut env: HashMap<OsString, OsString> = env.into_iter().collect();
        env.extend(sweep.env.iter().map(|(name, value)| (name.into(), value.into())));
        env.retain(|name, _| !OURS.iter().any(|ours| name == ours));
        let path = env.get(OsStr::new("PATH")).cloned();
        let mut env: Vec<_> = env.into_iter().collect();
        // In this order each is put at the end of the new command's list.
        env.sort();
        Place {
            env,
            tokens: tokens.map(str::to_owned),
            columns: sweep.columns.iter().map(|name| variable(name)).collect(),
            path: path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            here: sweep.here.clone(),
            cwd: sweep.cwd.as_ref().map(|cwd| sweep.here.join(cwd)),
            found: Mutex::default(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            oom: OomKills::new(),
        }
    }

    /// Returns the command of an attempt, ready to be started, and how people know its program.
    pub(super) fn command(
        &self,
        job: &Job<'_>,
        dir: Option<&Path>,
        words: &Words,
        output: Option<(&Path, &Path)>,
    ) -> Result<(Command, String), String> {
        let fill = Fill {
            columns: &job.sweep.columns,
            values: job.values,
            task: job.task,
            dir: dir.unwrap_or(Path::new("")),
            here: &self.here,
            output,
        };
        let words = (words.fill)(&fill);
        let (name, arguments) = words.split_first().ok_or("there is no command")?;
        let shown = super::message::on_one_line(name.as_bytes());
        let mut command = if name.as_bytes().contains(&b'/') {
            // As at the submission, where it was looked for.
            Command::new(self.cwd.as_deref().unwrap_or(&self.here).join(name))
        } else {
            let program = self.on_path(name);
            let program =
                program.ok_or_else(|| format!("cannot start {shown}: no such program on the PATH"))?;
            let mut command = Command::new(program);
            command.arg0(name);
            command
        };
        command.args(arguments);
        match self.cwd.as_deref().or(dir) {
            Some(cwd) => command.current_dir(cwd),
            None => {
                return Err(format!(
                    "cannot start {shown}: there is no directory to run it in"
                ));
            }
        };
        command.env_clear().envs(self.env.iter().map(|(k, v)| (k, v)));
        for (name, value) in self.columns.iter().zip(job.values) {
            // A longer one could not be passed on at all, and may be meant for an input file or stdin.
            if value.0.len() <= LONGEST_VARIABLE {
                command.env(name, OsStr::from_bytes(&value.0));
            }
        }
        // After the columns, of which one may have such a name.
        command
            .env("FLOCKWORK_TASK", format!("{:07}", job.task))
            .env("FLOCKWORK_ATTEMPT", job.attempt.to_string())
            .env("FLOCKWORK_CHECKPOINT", job.checkpoint)
            .env("FLOCKWORK_WORKER", job.worker)
            .env("FLOCKWORK_HERE", &self.here);
        if let Some(dir) = dir {
            command.env("FLOCKWORK_DIR", dir);
        } else {
            command.env_remove("FLOCKWORK_DIR");
        }
        match &self.tokens {
            Some(tokens) => command.env(TOKENS, tokens),
            None => command.env_remove(TOKENS),
        };
        Ok((command, shown))
    }

    /// Returns where it cannot be run, for a text that says so.
    pub(super) fn missing_cwd(&self) -> Option<&Path> {
        self.cwd.as_deref().filter(|cwd| !cwd.is_dir())
    }

    /// Finds a program by its name, as a shell does.
    fn on_path(&self, name: &OsStr) -> Option<PathBuf> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = found.get(name) {
            return Some(program.clone());
        }
        let is_program = |path: &PathBuf| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
        let program = std::env::split_paths(&self.path)
            .map(|dir| self.here.join(dir).join(name))
            .find(is_program)?;
        found.insert(name.to_owned(), program.clone());
        Some(program)
    }
}

/// Returns the name of the variable of a column: what no shell can name becomes `_`.
fn variable(column: &str) -> OsString {
    let mut name = b"FLOCKWORK_".to_vec();
    let safe = |c: char| if c.is_ascii_alphanumeric() { c as u8 } else { b'_' };
    name.extend(column.chars().map(safe));
    OsString::from_vec(name)
}
