//! The named results of a command, found in what it wrote.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use regex::bytes::Regex;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::files::{self, NoFile};
use crate::sweep::spec::{ResultSpec, Source};
use crate::task::{Bytes, Captured};

/// Which results are wanted.
pub(crate) struct Results {
    wanted: Vec<(ResultSpec, Option<Regex>)>,
}

impl Results {
    /// Compiles the patterns; an error says which one is wrong, and how.
    pub(crate) fn new(specs: &[ResultSpec]) -> Result<Results, String> {
        let mut wanted = Vec::new();
        for spec in specs {
            let regex = match &spec.source {
                Source::Regex(pattern) => {
                    let compiled = Regex::new(pattern);
                    Some(compiled.map_err(|error| format!("result {}: {error}", spec.name))?)
                }
                _ => None,
            };
            wanted.push((spec.clone(), regex));
        }
        Ok(Results { wanted })
    }

    /// Says whether one of them is in a file.
    pub(super) fn want_files(&self) -> bool {
        self.wanted
            .iter()
            .any(|(spec, _)| matches!(spec.source, Source::File(_)))
    }

    /// Returns the results; an error says which one is not there, and why.
    pub(super) fn find(
        &self,
        stdout: &Captured,
        stderr: &Captured,
        dir: Option<&Path>,
        limit: u64,
    ) -> Result<Vec<(String, Bytes)>, String> {
        if self.wanted.is_empty() {
            return Ok(unasked(stdout));
        }
        let find = |spec: &ResultSpec, regex: Option<&Regex>| match &spec.source {
            Source::Stdout => all(stdout).ok_or_else(|| cut("stdout", limit)),
            Source::Stderr => all(stderr).ok_or_else(|| cut("stderr", limit)),
            Source::File(name) => in_file(dir, name, limit),
            Source::Json => in_json(stdout, &spec.name, limit),
            Source::Regex(pattern) => last_match(stdout, regex, pattern, limit),
        };
        let mut results = Vec::new();
        for (spec, regex) in &self.wanted {
            let value = find(spec, regex.as_ref());
            let value = value.map_err(|why| format!("no result {}: {why}", spec.name))?;
            results.push((spec.name.clone(), Bytes(value)));
        }
        Ok(results)
    }
}

fn cut(stream: &str, limit: u64) -> String {
    format!("{stream} is longer than the {limit} bytes that are kept")
}

/// Returns a whole stream without its last line break; `None` if it was cut.
fn all(stream: &Captured) -> Option<Vec<u8>> {
    (stream.omitted() == 0).then(|| without_break(&stream.head.0).to_vec())
}

fn without_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn in_file(dir: Option<&Path>, name: &str, limit: u64) -> Result<Vec<u8>, String> {
    let dir = dir.ok_or("the attempt has no directory")?;
    match files::read(dir, name, limit) {
        Ok(bytes) => Ok(without_break(&bytes).to_vec()),
        Err(NoFile::Missing) => Err(format!("the file {name} was not written")),
        Err(NoFile::Wrong(what)) => Err(format!("the file {name}: {what}")),
    }
}

/// Returns the whole lines at the end of a stream, as the bytes and where they begin.
fn whole_lines(stream: &Captured) -> Option<(&[u8], usize)> {
    if stream.omitted() == 0 {
        return Some((&stream.head.0, 0));
    }
    let tail = &stream.tail.0;
    tail.iter()
        .position(|byte| *byte == b'\n')
        .map(|at| (&tail[..], at + 1))
}

/// Returns the last line that is not empty; `None` if it was cut.
fn last_line(stream: &Captured) -> Option<&[u8]> {
    let (bytes, start) = whole_lines(stream)?;
    let last = bytes[start..]
        .rsplit(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty());
    match last {
        None if stream.omitted() > 0 => None,
        last => Some(last.unwrap_or_default()),
    }
}

fn last_match(
    stdout: &Captured,
    regex: Option<&Regex>,
    pattern: &str,
    limit: u64,
) -> Result<Vec<u8>, String> {
    let (bytes, start) = whole_lines(stdout).ok_or_else(|| cut("stdout", limit))?;
    let regex = regex.ok_or("its pattern was not compiled")?;
    let mut at = start;
    let mut last = None;
    // Not from a slice: `^` must not match where the output was cut.
    while at <= bytes.len()
        && let Some(groups) = regex.captures_at(bytes, at)
    {
        let all = groups.get_match();
        at = all.end() + usize::from(all.is_empty());
        let found = if groups.len() > 1 {
            groups.get(1)
        } else {
            Some(all)
        };
        last = Some(found.map_or(&[][..], |found| found.as_bytes()));
    }
    match last {
        Some(value) => Ok(value.to_vec()),
        None if stdout.omitted() > 0 => Err(format!(
            "nothing in the last lines of stdout matches {pattern}, and {}",
            cut("it", limit)
        )),
        None => Err(format!("nothing in stdout matches {pattern}")),
    }
}

fn in_json(stdout: &Captured, name: &str, limit: u64) -> Result<Vec<u8>, String> {
    let line = last_line(stdout).ok_or_else(|| cut("the last line of stdout", limit))?;
    if line.is_empty() {
        return Err("stdout is empty".to_owned());
    }
    let object: Object =
        serde_json::from_slice(line).map_err(|_| "the last line of stdout is no JSON object".to_owned())?;
    let member = object.0.iter().find(|(member, _)| member == name);
    let (_, value) = member.ok_or("the JSON object in the last line of stdout has no such member")?;
    Ok(bare(value.get()).into_bytes())
}

/// Returns what a program gives that was not told how: named values in its last line, or all of stdout.
fn unasked(stdout: &Captured) -> Vec<(String, Bytes)> {
    let named = last_line(stdout).and_then(|line| scalars(line).or_else(|| assignments(line)));
    // Output that was cut would be a wrong value; its head and tail are in the report.
    named.unwrap_or_else(|| {
        let all = all(stdout).map(|all| ("stdout".to_owned(), Bytes(all)));
        all.into_iter().collect()
    })
}

/// Reads a JSON object whose members are neither objects nor arrays.
fn scalars(line: &[u8]) -> Option<Vec<(String, Bytes)>> {
    if !line.starts_with(b"{") {
        return None;
    }
    let object: Object = serde_json::from_slice(line).ok()?;
    let is_flat = |(_, value): &(String, Box<RawValue>)| !value.get().starts_with(['{', '[']);
    if object.0.is_empty() || !object.0.iter().all(is_flat) {
        return None;
    }
    let bare = |(name, value): (String, Box<RawValue>)| (name, Bytes::from(bare(value.get())));
    Some(object.0.into_iter().map(bare).collect())
}

/// Reads a line that has only words of the form `NAME=VALUE`.
fn assignments(line: &[u8]) -> Option<Vec<(String, Bytes)>> {
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let mut results = Members::default();
    for word in words {
        let at = word.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(&word[..at]).ok()?;
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return None;
        }
        results.put(name.to_owned(), Bytes::from(&word[at + 1..]));
    }
    Some(results.list).filter(|results| !results.is_empty())
}

/// Returns a JSON value for a table: strings without quotes, nothing for null, numbers as they were written.
fn bare(json: &str) -> String {
    if json == "null" {
        return String::new();
    }
    match serde_json::from_str::<String>(json) {
        Ok(text) => text,
        Err(_) => compact(json),
    }
}

/// Removes the space between the parts of a JSON value.
fn compact(json: &str) -> String {
    let mut quoted = false;
    let mut escaped = false;
    let kept = json.chars().filter(|c| {
        let in_quotes = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        in_quotes || !c.is_ascii_whitespace()
    });
    kept.collect()
}

/// Named values in their order; the last of the same name counts.
struct Members<T> {
    list: Vec<(String, T)>,
    places: HashMap<String, usize>,
}

impl<T> Default for Members<T> {
    fn default() -> Members<T> {
        Members {
            list: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T> Members<T> {
    fn put(&mut self, name: String, value: T) {
        match self.places.get(&name) {
            Some(&place) => self.list[place].1 = value,
            None => {
                self.places.insert(name.clone(), self.list.len());
                self.list.push((name, value));
            }
        }
    }
}

/// The members of a JSON object, as they were written.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Members::default();
        while let Some((name, value)) = map.next_entry()? {
            members.put(name, value);
        }
        Ok(Object(members.list))
    }
}

#[cfg(test)]
mod tests;
