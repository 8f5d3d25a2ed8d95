//! The directory `launch/` of a store: what was launched, by whom, and what became of it.
//!
//! ```text
//! launch/
//!   000001.json      a launch: what was asked for; linked there whole, before anything is started; never changed
//!   000001.job       what came of it: a line each, appended by the process that launched only
//!   000001.stopped   somebody has ended its workers: they are not replaced any more
//! ```
//!
//! Numbers are given one after the other, each once: the link of a number fails if somebody else was first. So the
//! records up to a number are all launches before it, and [`cap`](super::cap) counts them.

mod note;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flockwork::app::exit::{Failed, NOT_OK};
use serde::{Deserialize, Serialize};

pub(crate) use note::{Came, Note, Notes, Reached, last_words};

use super::request::Request;
use super::{Engine, cap};
use crate::listing;
use crate::output::ago;
use crate::sweep::shown;
use crate::token::token;

const DIR: &str = "launch";
const SCHEMA: &str = "flockwork.launch/1";
/// A record holds a submit file and some flags.
const LARGEST: u64 = 1 << 20;
/// How often a number that is taken, but cannot be seen yet, is looked for again: ten seconds in all.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How many workers may be launched at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub(crate) enum Cap {
    #[default]
    None,
    /// By all launches of the store together.
    Store { most: u64 },
    /// By one launch and its replacements.
    Family { most: u64 },
}

/// A launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) schema: String,
    pub(crate) number: u64,
    pub(crate) engine: Engine,
    /// Milliseconds since 1970, by the clock of who launched.
    pub(crate) at: u64,
    /// `HOST:PID` of the process that launched.
    pub(crate) by: String,
    pub(crate) user: String,
    /// Random: by it a process knows its own record.
    #[serde(default)]
    pub(crate) token: String,
    pub(crate) asked: Request,
    /// The launch whose worker is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<u64>,
    /// The launch that its replacements began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<u64>,
    #[serde(default)]
    pub(crate) cap: Cap,
    /// The submit file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

impl Record {
    /// Returns the number of the launch that it goes back to; its own if it replaces nothing.
    pub(crate) fn family(&self) -> u64 {
        self.first.unwrap_or(self.number)
    }
}

/// A launch that is to get a number.
pub(crate) struct Draft<'a> {
    pub(crate) engine: Engine,
    pub(crate) asked: Request,
    /// The launch whose worker is replaced.
    pub(crate) parent: Option<&'a Record>,
    pub(crate) cap: Cap,
    /// Makes the submit file, once the number is known.
    pub(crate) text: &'a MakeText<'a>,
}

/// Makes a submit file of what is asked for, and of the number of the launch; `None` where there is none.
pub(crate) type MakeText<'a> = dyn Fn(&Request, u64) -> Result<Option<String>, Failed> + 'a;

/// The launches of a store.
#[derive(Debug, Clone)]
pub(crate) struct Launches(PathBuf);

/// A launch with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Launch {
    pub(crate) record: Record,
    pub(crate) came: Came,
    pub(crate) stopped: bool,
}

impl Launches {
    pub(crate) fn of(store: &Path) -> Launches {
        Launches(store.join(DIR))
    }

    /// Gives a launch the next number, and puts its record into the store.
    ///
    /// # Errors
    ///
    /// If there would be more workers than its cap allows, or the records cannot be read or written.
    pub(crate) fn publish(&self, draft: &Draft<'_>) -> Result<Record, Failed> {
        self.make().map_err(|error| failed("make", &self.0, &error))?;
        let token = token().map_err(|error| {
            let text = format!("cannot tell this launch from others: {error}");
            Failed::new(NOT_OK, text, None)
        })?;
        let (at, user) = (ago::now(), user());
        let by = format!("{}:{}", super::process::host_name(), std::process::id());
        let mut looks = 0;
        loop {
            let before = self.records()?;
            let number = before.last().map_or(0, |record| record.number) + 1;
            let family = draft.parent.map(Record::family);
            if let Some((counted, most)) = cap::passed(draft.cap, family, &before, draft.asked.workers) {
                return Err(too_many(draft, counted, most));
            }
            let record = Record {
                schema: SCHEMA.to_owned(),
                number,
                engine: draft.engine,
                at,
                by: by.clone(),
                user: user.clone(),
                token: token.clone(),
                parent: draft.parent.map(|parent| parent.number),
                first: family,
                cap: draft.cap,
                text: (draft.text)(&draft.asked, number)?,
                asked: draft.asked.clone(),
            };
            let path = self.path(number, "json");
            match self.link(&path, &record) {
                Ok(()) => return Ok(record),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("write", &path, &error));
                }
                // A link may have been made, although its answer was lost.
                Err(_) if read(&path).is_ok_and(|there| there == record) => return Ok(record),
                Err(_) => {}
            }
            // A name that is taken and cannot be seen yet, or a record that cannot be read yet.
            if self.last()? < number {
                looks += 1;
                if looks > LOOKS {
                    return Err(failed("read", &path, &io::ErrorKind::NotFound.into()));
                }
                std::thread::sleep(BETWEEN_LOOKS);
            }
        }
    }

    /// Makes the directory, if it is not there; whoever may write in the store may launch.
    fn make(&self) -> io::Result<()> {
        match fs::create_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                let store = self.0.parent().unwrap_or(&self.0);
                fs::set_permissions(&self.0, fs::metadata(store)?.permissions())
            }
        }
    }

    fn link(&self, path: &Path, record: &Record) -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        let mut file = builder.prefix(".launch.").suffix(".tmp").tempfile_in(&self.0)?;
        let mut bytes = serde_json::to_vec_pretty(record)?;
        bytes.push(b'\n');
        file.write_all(&bytes)?;
        // Others of a group store read it as they read the rest.
        file.as_file()
            .set_permissions(of_files(&fs::metadata(&self.0)?))?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|refused| refused.error)?;
        File::open(&self.0)?.sync_all()
    }

    /// Returns the highest number that was given; 0 if there is none.
    fn last(&self) -> Result<u64, Failed> {
        Ok(self.numbers()?.last().copied().unwrap_or(0))
    }

    /// Returns the numbers in order.
    fn numbers(&self) -> Result<Vec<u64>, Failed> {
        let list = || -> Result<Vec<u64>, Failed> {
            let names = self.names()?;
            let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_in(name, "json")).collect();
            numbers.sort_unstable();
            Ok(numbers)
        };
        let numbers = list()?;
        match numbers.last() {
            // Of two names that come while it is listed, a listing may have the later one alone. Whoever gave the
            // later number had seen the other, so a listing that begins now has both. What is missing still was
            // removed by hand.
            Some(last) if *last != numbers.len() as u64 => list(),
            _ => Ok(numbers),
        }
    }

    fn names(&self) -> Result<Vec<String>, Failed> {
        match listing::names(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| failed("list", &self.0, &error)),
        }
    }

    /// Reads all records, in order.
    ///
    /// # Errors
    ///
    /// Also if one is damaged, for then nobody knows how many workers there were.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Failed> {
        let read = |number: u64| {
            let path = self.path(number, "json");
            read(&path).map_err(|error| failed("read", &path, &error))
        };
        self.numbers()?.into_iter().map(read).collect()
    }

    /// Reads all launches with what came of them, in order.
    ///
    /// # Errors
    ///
    /// As [`records`](Launches::records).
    pub(crate) fn all(&self) -> Result<Vec<Launch>, Failed> {
        let records = self.records()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.names()?;
        let stopped: Vec<u64> = names
            .iter()
            .filter_map(|name| number_in(name, "stopped"))
            .collect();
        let launch = |record: Record| {
            let path = self.path(record.number, "job");
            let came = Came::read(&path).map_err(|error| failed("read", &path, &error))?;
            let stopped = stopped.contains(&record.number);
            Ok(Launch {
                record,
                came,
                stopped,
            })
        };
        records.into_iter().map(launch).collect()
    }

    /// Begins the notes on what comes of a launch.
    ///
    /// # Errors
    ///
    /// If the file cannot be made, or there is one already.
    pub(crate) fn notes(&self, number: u64) -> Result<Notes, Failed> {
        let path = self.path(number, "job");
        Notes::begin(&path).map_err(|error| failed("write", &path, &error))
    }

    /// Says that a launch was stopped, so that its workers are not replaced.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub(crate) fn stop(&self, number: u64) -> Result<(), Failed> {
        let path = self.path(number, "stopped");
        match File::create_new(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("make", &path, &error)),
            _ => Ok(()),
        }
    }

    /// Says whether a launch was stopped.
    ///
    /// # Errors
    ///
    /// If the directory cannot be listed.
    pub(crate) fn is_stopped(&self, number: u64) -> Result<bool, Failed> {
        let names = self.names()?;
        Ok(names
            .iter()
            .any(|name| number_in(name, "stopped") == Some(number)))
    }

    fn path(&self, number: u64, ending: &str) -> PathBuf {
        self.0.join(format!("{number:06}.{ending}"))
    }
}

fn number_in(name: &str, ending: &str) -> Option<u64> {
    let number = name.strip_suffix(ending)?.strip_suffix('.')?;
    let parsed: u64 = number.parse().ok()?;
    // One number has one name.
    (number == format!("{parsed:06}")).then_some(parsed)
}

fn read(path: &Path) -> io::Result<Record> {
    let record: Record = serde_json::from_slice(&bytes(path)?)?;
    match record.schema.as_str() {
        SCHEMA => Ok(record),
        other => Err(io::Error::other(format!(
            "its schema is {}, not {SCHEMA}",
            shown::plain(other)
        ))),
    }
}

/// Reads a small file.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the permissions of files in a directory: its own, without the right to search.
fn of_files(dir: &fs::Metadata) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(dir.permissions().mode() & 0o666)
}

fn user() -> String {
    let named = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

fn too_many(draft: &Draft<'_>, counted: u64, most: u64) -> Failed {
    let whose = match draft.cap {
        Cap::Family { .. } => "by this launch and its replacements",
        _ => "on this store",
    };
    Failed::new(
        NOT_OK,
        format!(
            "{} more would pass the limit of {}: {} were launched {whose}",
            shown::count(draft.asked.workers.into(), "worker"),
            shown::count(most, "worker"),
            shown::count(counted, "worker"),
        ),
        Some(
            "launch again with a higher --max-submissions, if that is meant; failed launches count too"
                .to_owned(),
        ),
    )
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failed {
    Failed::new(
        NOT_OK,
        format!("cannot {what} {}: {error}", shown::path(path)),
        None,
    )
}

#[cfg(test)]
pub(crate) mod tests;
