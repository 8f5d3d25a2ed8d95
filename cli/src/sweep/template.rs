//! Templates: `--input NAME=FILE` and `--stdin`, in the language of minijinja (that of Jinja).
//!
//! - `{{ alpha }}` is the text of the table, character by character.
//! - In expressions a value that is written as JSON writes numbers (`17`, `-0.50`, `1e-5`) is a number:
//!   `{{ alpha * 2 }}`, `{% if beta > 3 %}`. All others are texts, also `007`, `+5` and `0x1f`.
//! - `text.alpha` is always the text, also in expressions: `{{ text.alpha ~ ".dat" }}`. It takes any column's name:
//!   `text["max-iter"]`.
//! - `task` is the task's seven digits, as `{task}` in patterns; `number` is its number from 1. Columns go before them.
//! - A name that is none of these is an error. Nothing is escaped, and no other file can be included.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flockwork::app::exit::Failed;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::pattern::{Fill, name_of};
use super::shown::plain;
use crate::nearest::nearest;
use crate::task::Bytes;

/// Names that a template knows beside the columns.
const OURS: [&str; 3] = ["task", "number", "text"];
/// What minijinja brings along.
const BUILTIN: [&str; 4] = ["range", "dict", "debug", "namespace"];
/// The name by which the formatter asks for the text that was looked up last; no template can write it.
const LAST: &str = "\0last";
const NONE: usize = usize::MAX;

/// A template that was read, for any number of tasks.
pub(crate) struct Template {
    environment: Environment<'static>,
    /// What it is called in messages.
    name: String,
    columns: Arc<[String]>,
    used: Vec<usize>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.name)
    }
}

impl Template {
    /// Reads a template; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// A usage error, with line and column, if it does not parse or uses a name that is no column.
    pub(crate) fn parse(source: &str, name: &str, columns: &[String]) -> Result<Template, Failed> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_keep_trailing_newline(true);
        environment.set_formatter(format);
        let named = plain(name);
        let added = environment.add_template_owned("template", source.to_owned());
        added.map_err(|error| failed(&named, source, &error, columns))?;
        let mut template = Template {
            environment,
            name: named,
            columns: columns.into(),
            used: Vec::new(),
        };
        template.used = template.check_names(source)?;
        Ok(template)
    }

    /// Returns the text for a task.
    ///
    /// # Errors
    ///
    /// A usage error, with line and column, for an expression that makes no sense with these values, such as a product
    /// with a text, and for a value that is no UTF-8.
    pub(crate) fn render(&self, fill: &Fill<'_>) -> Result<Vec<u8>, Failed> {
        if *fill.columns != *self.columns {
            let text = format!(
                "{}: the row has other columns than the template was read for",
                self.name
            );
            return Err(Failed::usage(text, "submit to a new store"));
        }
        let context = Context {
            columns: Arc::clone(&self.columns),
            values: fill.values.to_vec(),
            task: fill.task,
            last: AtomicUsize::new(NONE),
            texts: false,
        };
        let template = self.environment.get_template("template");
        let template = template.map_err(|error| failed(&self.name, "", &error, &self.columns))?;
        let text = template.render(Value::from_object(context));
        text.map(String::into_bytes)
            .map_err(|error| failed(&self.name, template.source(), &error, &self.columns))
    }

    /// Returns the columns that it uses.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.used.iter().copied()
    }

    /// Checks the names everywhere in the template, also where the first row does not come by.
    fn check_names(&self, source: &str) -> Result<Vec<usize>, Failed> {
        let template = self.environment.get_template("template");
        let template = template.map_err(|error| failed(&self.name, source, &error, &self.columns))?;
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.sort();
        let mut used = Vec::new();
        for name in names {
            match self.columns.iter().position(|column| *column == name) {
                Some(column) => used.push(column),
                None if name == "text" => used.extend(0..self.columns.len()),
                None if OURS.contains(&name.as_str()) || BUILTIN.contains(&name.as_str()) => {}
                None => {
                    let place = place_of(source, &name);
                    return Err(unknown(&self.name, &place, &name, &self.columns));
                }
            }
        }
        Ok(used)
    }
}

/// What the names of a template stand for.
#[derive(Debug)]
struct Context {
    columns: Arc<[String]>,
    values: Vec<Bytes>,
    task: u64,
    /// The column that was looked up last, for the formatter.
    last: AtomicUsize,
    /// It is `text`: all values are texts.
    texts: bool,
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if let Some(column) = self.columns.iter().position(|column| column == key) {
            let text = match self.text(column) {
                Ok(text) => text,
                Err(error) => return Some(Value::from(error)),
            };
            self.last.store(column, Ordering::Relaxed);
            return Some(match self.texts {
                true => Value::from(text),
                false => number(text).unwrap_or_else(|| Value::from(text)),
            });
        }
        match key {
            _ if self.texts => None,
            LAST => {
                let last = self.last.swap(NONE, Ordering::Relaxed);
                self.values
                    .get(last)
                    .and_then(|_| self.text(last).ok())
                    .map(Value::from)
            }
            "task" => Some(Value::from(name_of(self.task))),
            "number" => Some(Value::from(self.task + 1)),
            "text" => Some(Value::from_object(Context {
                columns: Arc::clone(&self.columns),
                values: self.values.clone(),
                task: self.task,
                last: AtomicUsize::new(NONE),
                texts: true,
            })),
            _ => None,
        }
    }
}

impl Context {
    fn text(&self, column: usize) -> Result<&str, Error> {
        let value = self.values.get(column).map_or(&[][..], |value| &value.0);
        std::str::from_utf8(value).map_err(|_| {
            let shown = plain(&String::from_utf8_lossy(value));
            let name = plain(&self.columns[column]);
            Error::new(
                ErrorKind::BadSerialization,
                format!("the value of {name}, `{shown}`, is no UTF-8"),
            )
        })
    }
}

/// Returns the number that a text is, if it is written as in JSON.
fn number(text: &str) -> Option<Value> {
    let bare = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = bare.split_at(
        bare.find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(bare.len()),
    );
    if whole.is_empty()
        || (whole.len() > 1 && whole.starts_with('0'))
        || rest.starts_with('.') && bare.ends_with('.')
    {
        return None;
    }
    let decimals = rest
        .strip_prefix('.')
        .is_none_or(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
    if rest.is_empty() {
        // Longer ones than an i128 go on as floating point numbers.
        if let Ok(whole) = text.parse::<i128>() {
            return Some(Value::from(whole));
        }
    }
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|number| decimals && number.is_finite())?;
    Some(Value::from(number))
}

/// Writes a value. A number that comes straight from a column is written as the table has it: `0.50`, not `0.5`.
fn format(out: &mut Output<'_>, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let last = state.lookup(LAST);
    if value.kind() == ValueKind::Number
        && let Some(text) = last.as_ref().and_then(Value::as_str)
        && number(text).as_ref() == Some(value)
    {
        out.write_str(text)?;
        return Ok(());
    }
    minijinja::escape_formatter(out, state, value)
}

/// Returns where a name stands first, as `line 3, column 8`.
fn place_of(source: &str, name: &str) -> String {
    let letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let whole = |at: usize| !source[..at].ends_with(letter) && !source[at + name.len()..].starts_with(letter);
    let inside = |at: usize| {
        let opened = source[..at].rfind("{{").max(source[..at].rfind("{%"));
        let closed = source[..at].rfind("}}").max(source[..at].rfind("%}"));
        opened > closed
    };
    match source
        .match_indices(name)
        .map(|(at, _)| at)
        .find(|at| whole(*at) && inside(*at))
    {
        Some(at) => line_and_column(source, at),
        None => "somewhere".to_owned(),
    }
}

fn line_and_column(source: &str, at: usize) -> String {
    let before = source.get(..at).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

fn unknown(name: &str, place: &str, unknown: &str, columns: &[String]) -> Failed {
    let list = plain(&columns.join(", "));
    let hint = match nearest(unknown, columns.iter().map(String::as_str).chain(OURS)) {
        Some(meant) => format!("did you mean {{{{ {} }}}}?", plain(meant)),
        None => "templates know the columns, task, number and text".to_owned(),
    };
    Failed::usage(
        format!(
            "{name} {place}: `{}` is no column; the columns are {list}",
            plain(unknown)
        ),
        hint,
    )
}

/// Turns an error of minijinja into one for people.
fn failed(name: &str, source: &str, error: &Error, columns: &[String]) -> Failed {
    let place = match (error.range(), error.line()) {
        (Some(range), _) if !source.is_empty() => format!(" {}", line_and_column(source, range.start)),
        (_, Some(line)) => format!(" line {line}"),
        _ => String::new(),
    };
    // The kind alone says little, and the detail alone does not say that the template is meant.
    let what = error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{}: {detail}", error.kind()),
    );
    let hint = match error.kind() {
        ErrorKind::SyntaxError => {
            "templates are written as {{ alpha }} and {% if beta > 3 %} ... {% endif %}; \
                                   for a brace as it is: {{ \"{{\" }}"
                .to_owned()
        }
        ErrorKind::UndefinedError => format!("the columns are {}", plain(&columns.join(", "))),
        ErrorKind::InvalidOperation => {
            "only values written as numbers are numbers; text.NAME is always the text".to_owned()
        }
        ErrorKind::BadSerialization => {
            "templates make text; give such values as arguments, {NAME}".to_owned()
        }
        _ => "look at the template there".to_owned(),
    };
    Failed::usage(format!("{name}{place}: {}", plain(&what)), hint)
}

#[cfg(test)]
#[path = "template/tests.rs"]
mod tests;
