//! The options of a submission, each checked by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use flockwork::app::exit::Failed;

use super::Submission;
use super::program::absolute;
use crate::sweep::shown::{self, plain};
use crate::sweep::spec::{InputFile, ResultSpec, inside};

const RESULT: &str = "a result is a part of what the command gives: --result energy=regex:'energy=(.*)'";

impl Submission {
    pub(super) fn cwd(&self) -> Result<Option<PathBuf>, Failed> {
        let Some(cwd) = &self.cwd else { return Ok(None) };
        let shown = shown::path(cwd);
        let refuse =
            |what: String| Failed::usage(format!("--cwd {shown}: {what}"), "name a directory that is there");
        // Links stay as they are: other hosts may reach the directory by this name only.
        let path = absolute(&self.here, cwd);
        path.metadata().map_err(|error| refuse(error.to_string()))?;
        match path.is_dir() {
            true => Ok(Some(path)),
            false => Err(refuse("no directory".to_owned())),
        }
    }

    pub(super) fn env(&self) -> Result<BTreeMap<String, String>, Failed> {
        let mut env = BTreeMap::new();
        for asked in &self.env {
            let (name, value) = match asked.split_once('=') {
                Some((name, value)) => (name, Ok(value.to_owned())),
                None => (asked.as_str(), std::env::var(asked)),
            };
            let hint = "write --env NAME for a variable that is set here, or --env NAME=VALUE";
            let value = match value {
                Ok(value) => value,
                Err(error) => return Err(Failed::usage(format!("--env {}: {error}", plain(name)), hint)),
            };
            if name.is_empty() || name.contains('\0') || value.contains('\0') {
                return Err(Failed::usage(
                    format!("--env {}: no name of a variable", plain(asked)),
                    hint,
                ));
            }
            if env.insert(name.to_owned(), value).is_some() {
                return Err(Failed::usage(
                    format!("--env {} is given twice", plain(name)),
                    "give each once",
                ));
            }
        }
        Ok(env)
    }

    pub(super) fn inputs(&self) -> Result<Vec<InputFile>, Failed> {
        let mut inputs: Vec<InputFile> = Vec::new();
        for asked in &self.inputs {
            let shown = plain(asked);
            let form =
                "write --input NAME=FILE: the file's name in the attempt's directory, and the template";
            let Some((name, file)) = asked.split_once('=').filter(|(_, file)| !file.is_empty()) else {
                return Err(Failed::usage(
                    format!("--input {shown}: no `=` between name and template"),
                    form,
                ));
            };
            inside(name)
                .map_err(|what| Failed::usage(format!("--input {shown}: the input file {what}"), form))?;
            if inputs.iter().any(|input| input.name == name) {
                let text = format!("--input {}: two templates make this file", plain(name));
                return Err(Failed::usage(text, "give each input file a name of its own"));
            }
            inputs.push(InputFile {
                name: name.to_owned(),
                template: self.template("--input", file)?,
            });
        }
        Ok(inputs)
    }

    pub(super) fn stdin(&self) -> Result<Option<String>, Failed> {
        match &self.stdin {
            None => Ok(None),
            Some(given) => match given.strip_prefix('@') {
                Some(file) => self.template("--stdin", file).map(Some),
                // As a shell's <<< does: many programs wait for a whole line.
                None if given.ends_with('\n') || given.is_empty() => Ok(Some(given.clone())),
                None => Ok(Some(format!("{given}\n"))),
            },
        }
    }

    fn template(&self, option: &str, file: &str) -> Result<String, Failed> {
        let bytes = fs::read(self.here.join(file)).map_err(|error| {
            let hint = format!("check the name; it is meant from {}", shown::path(&self.here));
            Failed::usage(format!("{option}: cannot read {}: {error}", plain(file)), hint)
        })?;
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            let text = format!("{option}: {} line {line} is no UTF-8", plain(file));
            Failed::usage(
                text,
                "templates are text; give other files by their name, as {here}/FILE",
            )
        })
    }

    pub(super) fn results(&self, columns: &[String]) -> Result<Vec<ResultSpec>, Failed> {
        let mut results: Vec<ResultSpec> = Vec::new();
        for asked in &self.results {
            let result =
                ResultSpec::parse(asked).map_err(|what| Failed::usage(format!("--result {what}"), RESULT))?;
            let name = plain(&result.name);
            if columns.contains(&result.name) {
                let text = format!("--result {name} is the name of a column of the table too");
                return Err(Failed::usage(
                    text,
                    "both stand in the table of results; give the result another name",
                ));
            }
            if results.iter().any(|other| other.name == result.name) {
                return Err(Failed::usage(
                    format!("--result {name} is given twice"),
                    "give each a name of its own",
                ));
            }
            results.push(result);
        }
        Ok(results)
    }

    pub(super) fn ok_if(&self) -> Result<Option<Vec<String>>, Failed> {
        let Some(text) = &self.ok_if else { return Ok(None) };
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Some(words)),
            _ => Err(Failed::usage(
                format!("--ok-if `{}`: no command; is a quote left open?", plain(text)),
                "write it as for a shell, such as 'grep -q ^energy= {stdout}'; it is run without one",
            )),
        }
    }

    /// Returns the templates of a sweep as messages call them: the names of their files.
    pub(super) fn names_of_templates(&self) -> Vec<String> {
        let inputs = self
            .inputs
            .iter()
            .map(|input| input.split_once('=').map_or("", |(_, file)| file));
        let stdin = self
            .stdin
            .iter()
            .map(|stdin| stdin.strip_prefix('@').unwrap_or("--stdin"));
        inputs.chain(stdin).map(plain).collect()
    }
}
