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
//! ```
//!
//! Keys are the long names of flags, and `store` for the store. They count after what is typed and after `FLOCKWORK_*`
//! variables, and before a store's own settings. Only the current directory is looked at, no parent and no home.
//!
//! Flags can name programs (`ok-if`), so a file in somebody else's directory can make a sweep run them. Verbs that
//! change something therefore tell on stderr what they took from the file.

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
/// Verbs that change something, or run something, tell what they took from the file.
const TELLING: [&str; 12] = [
    "run", "submit", "worker", "wait", "retry", "cancel", "pause", "resume", "reclaim", "stop", "clean",
    "torture",
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
    let (command, entries) = match text.and_then(|text| apply(command, &text)) {
        Ok(applied) => applied,
        Err(failed) => return Ok(Err(failed)),
    };
    let matches = command.try_get_matches()?;
    if let Some(note) = note(&matches, &entries) {
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

/// An entry that has become a default: of which verb, or of all; the argument; the entry.
type Applied = (Option<String>, String, Entry);

/// Turns the entries of a file into defaults.
///
/// # Errors
///
/// With file, line and key: a table that is no verb, a key that is no flag, a value that the flag does not take.
pub(crate) fn apply(plain: Command, text: &str) -> Result<(Command, Vec<Applied>), Failed> {
    // What may be given is asked of the command line as it was.
    let mut command = plain.clone();
    let mut entries = file::read(text)?;
    // What is for one verb is set last, and stays.
    entries.sort_by_key(|entry| entry.table != ALL);
    let mut applied = Vec::new();
    for entry in entries {
        let verbs: Vec<String> = names(&plain);
        let meant: Vec<String> = match entry.table.as_str() {
            ALL => verbs,
            table if verbs.iter().any(|verb| verb == table) => vec![table.to_owned()],
            table => {
                let tables = verbs.iter().map(String::as_str).chain([ALL]);
                return Err(entry.unknown(&format!("no verb is named `{}`", escape(table)), table, tables));
            }
        };
        let mut found = false;
        if entry.table == ALL
            && let Some(arg) = argument(&plain, &entry.key)
        {
            check(&plain, &[], &arg, &entry)?;
            command = with_default(command, &arg, &entry);
            applied.push((None, arg.get_id().to_string(), entry.clone()));
            found = true;
        }
        for verb in &meant {
            let Some(arg) = plain
                .find_subcommand(verb)
                .and_then(|verb| argument(verb, &entry.key))
            else {
                continue;
            };
            // Flags of one name may take other values elsewhere; then [all] is too wide.
            check(&plain, &[verb], &arg, &entry)?;
            command = command.mut_subcommand(verb, |verb| with_default(verb, &arg, &entry));
            applied.push((Some(verb.clone()), arg.get_id().to_string(), entry.clone()));
            found = true;
        }
        if !found {
            return Err(unknown_key(&plain, &meant, &entry));
        }
    }
    Ok((command, applied))
}

fn names(command: &Command) -> Vec<String> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.map(|verb| verb.get_name().to_owned()).collect()
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

fn unknown_key(command: &Command, verbs: &[String], entry: &Entry) -> Failed {
    let of_verbs = verbs.iter().filter_map(|verb| command.find_subcommand(verb));
    let arguments = of_verbs.chain([command]).flat_map(Command::get_arguments);
    let keys: Vec<String> = arguments
        .filter(|arg| !arg.is_hide_set())
        .filter_map(key_of)
        .collect();
    let what = match entry.table.as_str() {
        ALL => "no verb has such a flag".to_owned(),
        verb => format!("`{verb}` has no such flag"),
    };
    entry.unknown(&what, &entry.key, keys.iter().map(String::as_str))
}

/// Says whether the argument takes the value, by typing it.
fn check(command: &Command, verb: &[&str], arg: &Arg, entry: &Entry) -> Result<(), Failed> {
    let is_flag = !arg.get_action().takes_values();
    match (&entry.value, is_flag) {
        (Value::Bool(_), true) => return Ok(()),
        (_, true) => return Err(entry.wrong("it is a flag without a value: true or false")),
        (Value::Bool(_), false) => return Err(entry.wrong("it needs a value, in quotes or a number")),
        (Value::Many(_), false) if !takes_many(arg) => {
            return Err(entry.wrong("it takes one value, not a list"));
        }
        _ => {}
    }
    let command = match verb {
        [verb] => command.find_subcommand(verb).cloned().unwrap_or_default(),
        _ => command.clone(),
    };
    for value in entry.value.texts() {
        let typed = match arg.get_long() {
            Some(long) => format!("--{long}={value}"),
            None => value.clone(),
        };
        // Whatever else is missing or does not fit is another matter.
        if let Err(error) = command.clone().try_get_matches_from([FILE.to_owned(), typed])
            && matches!(error.kind(), Wrong::InvalidValue | Wrong::ValueValidation)
        {
            return Err(entry.wrong(&reason(&error)));
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
fn with_default(command: Command, arg: &Arg, entry: &Entry) -> Command {
    // `mut_arg` would put a positional argument behind the others.
    command.mut_args(|own| match own.get_id() == arg.get_id() {
        true => defaulted(own, &entry.value),
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
    let (verb, own) = matches.subcommand()?;
    if !TELLING.contains(&verb) {
        return None;
    }
    let counts = |(of, id, _): &&Applied| {
        let of_this = of.as_deref() == Some(verb);
        of_this && own.value_source(id) == Some(ValueSource::DefaultValue)
    };
    let mut told: Vec<String> = Vec::new();
    // Of two with one key the later counts.
    for (_, id, entry) in applied.iter().filter(counts) {
        let overridden = applied.iter().any(|(of, other, later)| {
            of.as_deref() == Some(verb) && other == id && later.table != ALL && entry.table == ALL
        });
        if !overridden {
            told.push(format!(
                "{}={}",
                entry.key,
                escape(&entry.value.texts().join(","))
            ));
        }
    }
    (!told.is_empty()).then(|| format!("note: settings from {FILE}: {}", told.join(" ")))
}

#[cfg(test)]
mod tests;
