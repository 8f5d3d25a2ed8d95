//! `flockwork.toml` in the current directory: defaults for flags, verb by verb.
//!
//! ```toml
//! [all]                       # every verb that has the flag
//! store = "sweep.flock"
//! color = "never"
//!
//! [run]                       # one verb; it counts before [all]
//! workers = 4
//! retries = 3
//! env = ["PATH", "HOME"]      # a flag that may be given several times
//! quiet = true                # a flag without a value; --quiet=false on the command line takes it back
//!
//! [hosts]                     # all verbs of `hosts`
//! nodes = "node[01-64]"
//!
//! [hosts.run]                 # one verb of a verb; it counts before [hosts]
//! timeout = "10m"
//! ```
//!
//! Keys are the long names of flags, and `store` for the store. They count after what is typed and after `FLOCKWORK_*`
//! variables, and before a store's own settings. Only the current directory is looked at, no parent and no home.
//!
//! Flags can name programs (`ok-if`), so a file in somebody else's directory can make a sweep run them. Verbs that
//! change something therefore tell on stderr what they took from the file.

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind as Wrong};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use flockwork::app::Screen;
use flockwork::app::exit::Failed;

use crate::args::{Cli, Verb};
use crate::output::escape;

mod file;

use file::{Entry, Value};

/// The name of the file.
const FILE: &str = "flockwork.toml";
/// The table of what is for every verb.
const ALL: &str = "all";
/// The key of the positional argument of most verbs.
const STORE: &str = "store";
/// Its variable, by which it is known.
const STORE_VARIABLE: &str = "FLOCKWORK_STORE";
/// Both say which hosts are meant, so they are one setting: who types one of them means these hosts and no others.
const WHICH_HOSTS: [&str; 2] = ["nodes", "hosts"];
/// Verbs that change something, or run something, tell what they took from the file; those that stand here with a verb
/// of their own, with each of them. `hosts status` runs the program that is to connect.
const TELLING: [&str; 16] = [
    "run",
    "submit",
    "worker",
    "wait",
    "retry",
    "cancel",
    "pause",
    "resume",
    "reclaim",
    "stop",
    "clean",
    "torture",
    "launch",
    "hosts",
    "local start",
    "local stop",
];

/// Parses the command line, with the settings of the file as defaults.
///
/// # Errors
///
/// The outer one is of the command line, the inner one of the file.
pub(crate) fn parse(command: Command) -> Result<Result<Cli, Failed>, clap::Error> {
    let text = match std::fs::read(FILE) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| Failed::usage(format!("{FILE} is no UTF-8"), "")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return crate::args::parse().map(Ok),
        Err(error) => Err(Failed::usage(
            format!("cannot read {FILE}: {error}"),
            "it holds settings for this directory",
        )),
    };
    // Help works with a broken file, and a worker that `run` has started is told everything on its command line.
    match typed(&command) {
        Err(error) if !error.use_stderr() => return Err(error),
        Ok(cli) if !heeds(&cli.verb) => return Ok(Ok(cli)),
        _ => {}
    }
    let entries = text.and_then(|text| file::read(&text));
    let (applied, matches) =
        match entries.and_then(|entries| matched(&command, &entries, std::env::args_os())) {
            Ok(matched) => matched?,
            Err(failed) => return Ok(Err(failed)),
        };
    if let Some(note) = note(&matches, &applied) {
        Screen::plain().line(&note);
    }
    Cli::from_arg_matches(&matches).map(Ok)
}

fn typed(command: &Command) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command.clone().try_get_matches()?)
}

fn heeds(verb: &Verb) -> bool {
    match verb {
        Verb::Worker(args) => args.parent.is_none(),
        Verb::Guard { .. }
        | Verb::TorturePart(_)
        | Verb::LocalService(_)
        | Verb::Completions { .. }
        | Verb::Man { .. } => false,
        _ => true,
    }
}

/// A verb, or a verb of a verb: `hosts run`; the whole command has no words.
type Path = Vec<String>;

/// An entry that is a default.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    path: Path,
    /// The argument.
    id: String,
    entry: Entry,
}

/// What is a default, and what was typed with these defaults.
type Matched = Result<(Vec<Applied>, ArgMatches), clap::Error>;

/// Parses a command line with the entries of a file as defaults.
///
/// # Errors
///
/// The outer one is of the file, the inner one of the command line.
fn matched(
    plain: &Command,
    entries: &[Entry],
    line: impl IntoIterator<Item = OsString>,
) -> Result<Matched, Failed> {
    let line: Vec<OsString> = line.into_iter().collect();
    let (command, applied) = apply(plain, entries)?;
    let matches = command.try_get_matches_from(&line);
    if !matches.as_ref().is_ok_and(names_hosts) {
        return Ok(matches.map(|matches| (applied, matches)));
    }
    let mut entries = entries.to_vec();
    entries.retain(|entry| !is_which_hosts(entry));
    let (command, applied) = apply(plain, &entries)?;
    Ok(command
        .try_get_matches_from(&line)
        .map(|matches| (applied, matches)))
}

/// Turns the entries of a file into defaults.
///
/// # Errors
///
/// With file, line and key: a table that is no verb, a key that is no flag, a value that the flag does not take.
pub(crate) fn apply(plain: &Command, entries: &[Entry]) -> Result<(Command, Vec<Applied>), Failed> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    // What is for fewer verbs comes last, and stays.
    entries.sort_by_key(|entry| entry.verb().len());
    let mut applied: Vec<Applied> = Vec::new();
    for entry in entries {
        let below = meant(plain, entry)?;
        let mut found = false;
        for path in &below {
            let Some(arg) = at(plain, path).and_then(|verb| argument(verb, &entry.key)) else {
                continue;
            };
            // Flags of one name may take other values elsewhere; then the table is too wide.
            check(plain, path, &arg, entry)?;
            let id = arg.get_id().to_string();
            applied.retain(|earlier| {
                let is_same = earlier.id == id || (is_which_hosts(entry) && is_which_hosts(&earlier.entry));
                earlier.path != *path || !is_same || (earlier.id != id && earlier.entry.table == entry.table)
            });
            applied.push(Applied {
                path: path.clone(),
                id,
                entry: entry.clone(),
            });
            found = true;
        }
        if !found {
            return Err(unknown_key(plain, &below, entry));
        }
    }
    let mut command = plain.clone();
    for Applied { path, id, entry } in &applied {
        command = change(command, path, |verb| with_default(verb, id, entry));
    }
    Ok((command, applied))
}

fn is_which_hosts(entry: &Entry) -> bool {
    WHICH_HOSTS.contains(&entry.key.as_str())
}

/// Says whether the command line itself says which hosts are meant.
fn names_hosts(matches: &ArgMatches) -> bool {
    let (_, own) = leaf(matches);
    let is_typed = |id: &&str| {
        own.ids().any(|known| known.as_str() == *id) && own.value_source(id) == Some(ValueSource::CommandLine)
    };
    WHICH_HOSTS.iter().any(is_typed)
}

/// Returns the verbs that a table is for: its own, and all below it.
///
/// # Errors
///
/// If no verb has the name of the table.
fn meant(plain: &Command, entry: &Entry) -> Result<Vec<Path>, Failed> {
    let mut path = Path::new();
    for word in entry.verb() {
        let verbs = at(plain, &path).map(names).unwrap_or_default();
        if !verbs.contains(word) {
            let (above, shown) = (path.join(" "), escape(word));
            let what = match (path.is_empty(), verbs.is_empty()) {
                (true, _) if word == ALL => format!("[{ALL}] has no tables of its own"),
                (true, _) => format!("no verb is named `{shown}`"),
                (false, true) => format!("`{above}` has no verbs of its own"),
                (false, false) => format!("`{above}` has no verb `{shown}`"),
            };
            let all = [ALL].into_iter().filter(|all| path.is_empty() && word != all);
            let known = verbs.iter().map(String::as_str).chain(all);
            return Err(entry.unknown(&what, word, known, &path));
        }
        path.push(word.clone());
    }
    let mut below = vec![path];
    let mut looked = 0;
    while let Some(path) = below.get(looked).cloned() {
        let verbs = at(plain, &path).map(names).unwrap_or_default();
        below.extend(verbs.into_iter().map(|verb| [path.clone(), vec![verb]].concat()));
        looked += 1;
    }
    Ok(below)
}

fn names(command: &Command) -> Vec<String> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.map(|verb| verb.get_name().to_owned()).collect()
}

/// Returns the parser of a verb.
fn at<'a>(command: &'a Command, path: &[String]) -> Option<&'a Command> {
    path.iter()
        .try_fold(command, |command, verb| command.find_subcommand(verb))
}

/// Changes the parser of a verb.
fn change(command: Command, path: &[String], how: impl FnOnce(Command) -> Command) -> Command {
    match path {
        [] => how(command),
        [verb, rest @ ..] => command.mut_subcommand(verb, |verb| change(verb, rest, how)),
    }
}

/// Returns the argument that a key means.
fn argument(command: &Command, key: &str) -> Option<Arg> {
    let mut arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
    arguments.find(|arg| key_of(arg).as_deref() == Some(key)).cloned()
}

/// Returns the key that means an argument, if one does.
fn key_of(arg: &Arg) -> Option<String> {
    let is_store = arg.is_positional() && arg.get_env().is_some_and(|variable| variable == STORE_VARIABLE);
    match arg.get_long() {
        Some("help" | "version") => None,
        Some(long) => Some(long.to_owned()),
        None => is_store.then(|| STORE.to_owned()),
    }
}

fn unknown_key(plain: &Command, verbs: &[Path], entry: &Entry) -> Failed {
    let arguments = verbs
        .iter()
        .filter_map(|path| at(plain, path))
        .flat_map(Command::get_arguments);
    let keys: Vec<String> = arguments
        .chain(plain.get_arguments())
        .filter(|arg| !arg.is_hide_set())
        .filter_map(key_of)
        .collect();
    let table = escape(&entry.table.join(" ")).into_owned();
    let what = match verbs {
        _ if entry.is_for_all() => "no verb has such a flag".to_owned(),
        [_] => format!("`{table}` has no such flag"),
        _ => format!("no verb of `{table}` has such a flag"),
    };
    entry.unknown(&what, &entry.key, keys.iter().map(String::as_str), entry.verb())
}

/// Says whether the argument of a verb takes the value, by typing it.
fn check(plain: &Command, path: &[String], arg: &Arg, entry: &Entry) -> Result<(), Failed> {
    let wrong = |why: &str| {
        let is_elsewhere = !path.is_empty() && entry.table != path;
        Err(match is_elsewhere {
            true => entry.wrong(&format!("for `{}`: {why}", path.join(" "))),
            false => entry.wrong(why),
        })
    };
    let is_flag = !arg.get_action().takes_values();
    match (&entry.value, is_flag) {
        (Value::Bool(_), true) => return Ok(()),
        (_, true) => return wrong("it is a flag without a value: true or false"),
        (Value::Bool(_), false) => return wrong("it needs a value, in quotes or a number"),
        (Value::Many(_), false) if !takes_many(arg) => {
            return wrong("it takes one value, not a list");
        }
        _ => {}
    }
    let command = at(plain, path).cloned().unwrap_or_default();
    for value in entry.value.texts() {
        let typed = match arg.get_long() {
            Some(long) => format!("--{long}={value}"),
            None => value.clone(),
        };
        // Whatever else is missing or does not fit is another matter.
        if let Err(error) = command.clone().try_get_matches_from([FILE.to_owned(), typed])
            && matches!(error.kind(), Wrong::InvalidValue | Wrong::ValueValidation)
        {
            return wrong(&reason(&error));
        }
    }
    Ok(())
}

/// Returns what clap has to say of a value, without the rest of its message.
fn reason(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) {
        return format!("it is one of {}", valid.join(", "));
    }
    let source = std::error::Error::source(error).map(|source| escape(&source.to_string()).into_owned());
    source.unwrap_or_else(|| "the flag does not take this value".into())
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some()
}

/// Makes the value of an entry the default of an argument.
fn with_default(command: Command, id: &str, entry: &Entry) -> Command {
    // `mut_arg` would put a positional argument behind the others.
    command.mut_args(|own| match own.get_id() == id {
        // What must be given is given here.
        true => defaulted(own, &entry.value).required(false),
        false => own,
    })
}

fn defaulted(arg: Arg, value: &Value) -> Arg {
    match value {
        Value::Bool(on) => arg
            // So that the command line has a way to say no.
            .action(ArgAction::Set)
            .value_parser(BoolishValueParser::new())
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value(if *on { "true" } else { "false" })
            .value_name("true|false"),
        value => arg.default_values(value.texts()),
    }
}

/// Returns the line that tells what was taken from the file, if the verb tells that.
fn note(matches: &ArgMatches, applied: &[Applied]) -> Option<String> {
    let (path, own) = leaf(matches);
    let whole = path.join(" ");
    if !TELLING
        .iter()
        .any(|telling| whole == *telling || path.first().is_some_and(|verb| verb == telling))
    {
        return None;
    }
    let counts = |applied: &&Applied| {
        applied.path == path && own.value_source(&applied.id) == Some(ValueSource::DefaultValue)
    };
    let told: Vec<String> = applied
        .iter()
        .filter(counts)
        .map(|Applied { entry, .. }| format!("{}={}", entry.key, escape(&entry.value.texts().join(","))))
        .collect();
    (!told.is_empty()).then(|| format!("note: settings from {FILE}: {}", told.join(" ")))
}

/// Returns the verb that was typed, and what it was given.
fn leaf(matches: &ArgMatches) -> (Path, &ArgMatches) {
    let (mut path, mut own) = (Path::new(), matches);
    while let Some((verb, below)) = own.subcommand() {
        path.push(verb.to_owned());
        own = below;
    }
    (path, own)
}

#[cfg(test)]
mod tests;
