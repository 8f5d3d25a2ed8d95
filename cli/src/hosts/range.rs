//! Node ranges: many names of hosts in one word.
//!
//! | written | stands for |
//! |---|---|
//! | `node[01-04,07].cluster` | node01.cluster to node04.cluster, and node07.cluster |
//! | `192.168.100.101..200` | the last number counts up; the same as `192.168.100.[101-200]` |
//! | `node{a,b}` | nodea and nodeb |
//! | `r[1-2]n[1-4]` | each with each |
//! | `one,two` | both |
//!
//! Zeros in front are kept: `[08-10]` is 08, 09, 10. A name that is there twice counts once. `user@` in front and `:port`
//! behind are a part of the name here, and whoever asked takes them off.

use std::collections::HashSet;

use flockwork::app::exit::Failed;

use crate::sweep::shown::{cut, plain};

/// The most names that one expression stands for.
pub(crate) const MOST: u64 = 65_536;
/// The longest name; those of hosts have 253 letters at most, and a user and a port may stand around them.
const LONGEST: usize = 300;
/// Numbers with more digits than this are no numbers of hosts.
const DIGITS: usize = 18;

const FORM: &str = "write node[01-04,07], 192.168.100.101..200 or node{a,b}, with commas between them";

/// Returns the names that an expression stands for, in its order, each once.
///
/// # Errors
///
/// A usage error that names the column, and what was expected there.
pub(crate) fn expand(text: &str) -> Result<Vec<String>, Failed> {
    let mut reader = Reader { text, at: 0 };
    let mut words = Vec::new();
    loop {
        let begins = reader.at;
        words.push((begins, reader.word()?));
        if !reader.takes(",") {
            break;
        }
    }
    let count = words
        .iter()
        .fold(0, |sum: u64, (_, word)| sum.saturating_add(size(word)));
    if count > MOST {
        let what = format!("more than {MOST} names");
        return Err(reader.refused_at(0, &what, "name fewer hosts at once"));
    }
    let (mut names, mut known) = (Vec::new(), HashSet::new());
    for (begins, word) in &words {
        let listed = listed(word);
        for place in 0..size(word) {
            let name = name(&listed, place);
            check(&name).map_err(|(what, hint)| reader.refused_at(*begins, &what, hint))?;
            if known.insert(name.clone()) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// A part of a word.
#[derive(Debug)]
enum Piece {
    Text(String),
    OneOf(Vec<Choice>),
}

#[derive(Debug)]
enum Choice {
    Text(String),
    /// Both ends included; `width`: how many digits there are at least.
    Numbers {
        first: u64,
        last: u64,
        width: usize,
    },
}

impl Choice {
    fn count(&self) -> u64 {
        match self {
            Choice::Text(_) => 1,
            Choice::Numbers { first, last, .. } => last - first + 1,
        }
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Choice::Text(text) => vec![text.clone()],
            Choice::Numbers { first, last, width } => (*first..=*last)
                .map(|number| format!("{number:0width$}"))
                .collect(),
        }
    }
}

/// Returns how many names a word stands for.
fn size(word: &[Piece]) -> u64 {
    word.iter().fold(1, |product: u64, piece| match piece {
        Piece::Text(_) => product,
        Piece::OneOf(choices) => product.saturating_mul(size_of(choices)),
    })
}

fn size_of(choices: &[Choice]) -> u64 {
    choices
        .iter()
        .fold(0, |sum, choice| sum.saturating_add(choice.count()))
}

/// Returns the texts of each piece. All together they are no more than the names, which were counted before.
fn listed(word: &[Piece]) -> Vec<Vec<String>> {
    let texts = |piece: &Piece| match piece {
        Piece::Text(text) => vec![text.clone()],
        Piece::OneOf(choices) => choices.iter().flat_map(Choice::texts).collect(),
    };
    word.iter().map(texts).collect()
}

/// Returns the name at a place, from 0; the last piece varies fastest.
fn name(word: &[Vec<String>], place: u64) -> String {
    let mut rest = place;
    let mut parts = Vec::with_capacity(word.len());
    for texts in word.iter().rev() {
        let count = texts.len() as u64;
        parts.push(texts[(rest % count) as usize].as_str());
        rest /= count;
    }
    parts.reverse();
    parts.concat()
}

/// Checks a name as it will be given to other programs; the letters themselves were checked when they were read.
fn check(name: &str) -> Result<(), (String, &'static str)> {
    let host = name.rsplit_once('@').map_or(name, |(_, host)| host);
    let shown = cut(name, 60);
    if name.is_empty() {
        Err(("expected a name".to_owned(), FORM))
    } else if name.len() > LONGEST {
        Err((format!("`{shown}` is longer than {LONGEST} letters"), FORM))
    } else if name.starts_with('-') || host.starts_with('-') {
        let hint = "names of hosts begin with a letter or a digit";
        Err((format!("`{shown}` would be an option and no host"), hint))
    } else if host.is_empty() {
        Err((format!("`{shown}` has no host behind the @"), FORM))
    } else if name.matches('@').count() > 1 {
        Err((format!("`{shown}` has two @"), FORM))
    } else if name.contains("..") {
        Err((format!("`{shown}` has two dots together"), FORM))
    } else {
        Ok(())
    }
}

#[derive(Debug)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        self.at += if is_there { token.len() } else { 0 };
        is_there
    }

    /// Reads up to a comma or the end.
    fn word(&mut self) -> Result<Vec<Piece>, Failed> {
        let mut word = Vec::new();
        loop {
            let text = self.letters()?;
            if self.takes("..") {
                let digits = text.len()
                    - text
                        .trim_end_matches(|letter: char| letter.is_ascii_digit())
                        .len();
                let (before, first) = text.split_at(text.len() - digits);
                word.push(Piece::Text(before.to_owned()));
                word.push(Piece::OneOf(vec![self.counting(first)?]));
                continue;
            }
            word.push(Piece::Text(text.to_owned()));
            if self.takes("[") {
                word.push(Piece::OneOf(self.numbers()?));
            } else if self.takes("{") {
                word.push(Piece::OneOf(self.alternatives()?));
            } else if self.rest().is_empty() || self.rest().starts_with(',') {
                return Ok(word);
            } else {
                return Err(self.unexpected("a letter, a digit, `[`, `{`, `..` or a comma"));
            }
        }
    }

    /// Reads what may stand in a name as it is.
    fn letters(&mut self) -> Result<&'a str, Failed> {
        let rest = self.rest();
        let end = rest.find(|letter: char| !is_letter(letter)).unwrap_or(rest.len());
        // One dot is a letter, two stand between numbers.
        let end = rest[..end].find("..").unwrap_or(end);
        self.at += end;
        match self.rest().chars().next() {
            Some(letter) if !"[]{},.".contains(letter) => Err(self.refused_at(
                self.at,
                &format!(
                    "`{}` cannot stand in the name of a host",
                    plain(&letter.to_string())
                ),
                "letters, digits, `.`, `-` and `_` can; write commas without blanks around them",
            )),
            _ => Ok(&rest[..end]),
        }
    }

    /// Reads the end of `101..200`.
    fn counting(&mut self, first: &str) -> Result<Choice, Failed> {
        if first.is_empty() {
            self.at -= 2;
            return Err(self.refused_at(self.at, "expected a number before `..`", FORM));
        }
        let begins = self.at - 2 - first.len();
        let last = self.digits()?;
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|letter| letter.is_ascii_digit()) {
            let what = "expected the last number alone behind `..`";
            return Err(self.refused_at(
                self.at - last.len(),
                what,
                "write 192.168.100.101..200, or 10.0.[1-4].[1-254]",
            ));
        }
        self.range(begins, first, last)
    }

    /// Reads the numbers of a bracket, which is open.
    fn numbers(&mut self) -> Result<Vec<Choice>, Failed> {
        let mut choices = Vec::new();
        loop {
            let begins = self.at;
            let first = self.digits()?;
            let is_range = self.takes("-") || self.takes("..");
            let last = if is_range { self.digits()? } else { first };
            choices.push(self.range(begins, first, last)?);
            if self.takes("]") {
                return Ok(choices);
            }
            if !self.takes(",") {
                return Err(self.unexpected(if is_range {
                    "a digit, a comma or `]`"
                } else {
                    "a digit, `-`, a comma or `]`"
                }));
            }
        }
    }

    /// Reads the alternatives of a brace, which is open.
    fn alternatives(&mut self) -> Result<Vec<Choice>, Failed> {
        let mut choices = Vec::new();
        loop {
            let begins = self.at;
            let text = self.letters()?;
            let is_number = !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
            choices.push(match is_number && self.takes("..") {
                true => {
                    let last = self.digits()?;
                    self.range(begins, text, last)?
                }
                false => Choice::Text(text.to_owned()),
            });
            if self.takes("}") {
                return Ok(choices);
            }
            if !self.takes(",") {
                return Err(self.unexpected("a letter, a comma or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Result<&'a str, Failed> {
        let rest = self.rest();
        let end = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.unexpected("a number"));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn range(&self, begins: usize, first: &str, last: &str) -> Result<Choice, Failed> {
        let number = |digits: &str| {
            let number = digits.parse().ok().filter(|_| digits.len() <= DIGITS);
            number.ok_or_else(|| {
                let what = format!("`{}` has more than {DIGITS} digits", cut(digits, 40));
                self.refused_at(begins, &what, "write such a name as it is, without a range")
            })
        };
        let (from, to) = (number(first)?, number(last)?);
        if from > to {
            let what = format!("the range goes down from {first} to {last}");
            return Err(self.refused_at(begins, &what, &format!("write {last}-{first}")));
        }
        if last.len() > first.len() && last.starts_with('0') {
            let what = format!("{first} and {last} differ in their zeros");
            let hint = format!("write {from:0width$}-{last}", width = last.len());
            return Err(self.refused_at(begins, &what, &hint));
        }
        Ok(Choice::Numbers {
            first: from,
            last: to,
            width: first.len(),
        })
    }

    fn unexpected(&self, expected: &str) -> Failed {
        let found = match self.rest().chars().next() {
            Some(letter) => format!("`{}`", plain(&letter.to_string())),
            None => "the end".to_owned(),
        };
        self.refused_at(self.at, &format!("expected {expected}, found {found}"), FORM)
    }

    fn refused_at(&self, at: usize, what: &str, hint: &str) -> Failed {
        let column = self.text[..at].chars().count() + 1;
        let text = plain(&cut(self.text, 100));
        Failed::usage(format!("the hosts `{text}`, column {column}: {what}"), hint)
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._-@:".contains(letter)
}

#[cfg(test)]
mod tests;
