//! Races: of two hosts that make the same name, exactly one must win.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::meeting::{During, Pair, Trouble};
use crate::doctor::finding::Finding;
use crate::doctor::held::{look, now};

/// How many names there are.
const NAMES: usize = 200;
/// Both try the next name at the same moment, by the file server's clock, so that each name is a race of its own.
const PACE: i64 = 5_000_000;
/// Until the first name: both must have heard of it.
const LEAD: i64 = 1_000_000_000;

/// What the race is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Race {
    Create,
    Link,
}

impl Race {
    fn name(self) -> &'static str {
        match self {
            Race::Create => "create",
            Race::Link => "link",
        }
    }

    fn check(self) -> &'static str {
        match self {
            Race::Create => "peer-creation",
            Race::Link => "peer-link",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Race::Create => "exclusive creation",
            Race::Link => "hard links",
        }
    }
}

/// Runs a race; `offset` is how far our clock is ahead of the file server's.
pub(super) fn run(pair: &Pair, race: Race, offset: i64) -> Result<Finding, Trouble> {
    let name = race.name();
    let own = format!("{}.own-{name}", pair.me);
    let file = pair.dir.create(&own).during("make a file")?;
    // The one says when, by the file server's clock, and the other has heard it.
    let begin = match pair.first {
        true => {
            let begin = now() - offset + LEAD;
            pair.exchange(&format!("{name}.begin"), &begin.to_string())?;
            begin
        }
        false => {
            let said = pair.exchange(&format!("{name}.begin"), "")?;
            said.parse().unwrap_or_else(|_| now() - offset)
        }
    };
    let mut answers = String::with_capacity(NAMES);
    let mut trouble = String::new();
    let mut random = u64::from(pair.first) ^ now().unsigned_abs();
    for number in 0..NAMES {
        // By chance, so that it is not always the same who wins, whose clock is a little ahead.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let chance = (random >> 33) as i64 % PACE;
        sleep_until(begin + offset + PACE * number as i64 + chance);
        let taken = format!("{name}-{number}");
        let answer = match race {
            Race::Create => pair.dir.create(&taken).map(drop),
            Race::Link => pair.dir.link(&own, &taken),
        };
        answers.push(letter(&answer));
        if let (Err(error), 'e') = (&answer, letter(&answer)) {
            trouble = error.to_string();
        }
    }
    // A reply may be lost, and then the winner takes itself for the loser; the file knows better.
    let names = look(&file).during("look at a file")?.links.saturating_sub(1);
    let said = pair.exchange(&format!("{name}.done"), &answers)?;
    let mut finding = judge(race, &count(&answers, &said), &trouble);
    if race == Race::Link {
        finding = finding.with("own_links", names);
    }
    Ok(finding)
}

fn letter(answer: &io::Result<()>) -> char {
    match answer {
        Ok(()) => '1',
        Err(error) if error.kind() == ErrorKind::AlreadyExists => '0',
        Err(_) => 'e',
    }
}

fn sleep_until(time: i64) {
    if let Ok(nanos @ 1..) = u64::try_from(time.saturating_sub(now())) {
        // A clock that is far off does not make it wait for ever.
        std::thread::sleep(Duration::from_nanos(nanos).min(Duration::from_secs(2)));
    }
}

/// How the names went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    ours: u64,
    theirs: u64,
    both: u64,
    nobody: u64,
    errors: u64,
}

fn count(ours: &str, theirs: &str) -> Count {
    let mut count = Count::default();
    for pair in ours.chars().zip(theirs.chars()) {
        match pair {
            ('e', _) | (_, 'e') => count.errors += 1,
            ('1', '1') => count.both += 1,
            ('1', _) => count.ours += 1,
            (_, '1') => count.theirs += 1,
            _ => count.nobody += 1,
        }
    }
    count.errors += ours.len().abs_diff(theirs.len()) as u64;
    count
}

fn judge(race: Race, count: &Count, trouble: &str) -> Finding {
    let Count {
        ours,
        theirs,
        both,
        nobody,
        errors,
    } = *count;
    let (check, words) = (race.check(), race.words());
    let finding = if both > 0 {
        Finding::fail(
            check,
            format!("{words}: {both} of {NAMES} names were won by both hosts; a store needs one winner"),
        )
    } else if errors > 0 {
        let why = if trouble.is_empty() {
            "the other host has errors"
        } else {
            trouble
        };
        let text = format!("{words}: {errors} of {NAMES} names gave errors: {why}");
        match race {
            Race::Create => Finding::fail(check, text),
            Race::Link => Finding::warn(check, format!("{text}; stores rename instead")),
        }
    } else if nobody > 0 {
        let text =
            format!("{words}: {nobody} of {NAMES} names have no winner that knows of it (replies were lost)");
        Finding::warn(check, text)
    } else {
        let text = format!("{words}: each of {NAMES} names has one winner ({ours} here, {theirs} there)");
        Finding::ok(check, text)
    };
    finding
        .with("names", NAMES)
        .with("here", ours)
        .with("there", theirs)
        .with("both", both)
        .with("nobody", nobody)
        .with("errors", errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn two_winners_are_a_failure_and_lost_replies_are_told() {
        for (ours, theirs, verdict) in [
            ("1010", "0101", Verdict::Ok),
            ("1110", "0101", Verdict::Fail),
            ("1010", "0100", Verdict::Warn),
            ("10e0", "0101", Verdict::Fail),
            ("1010", "01", Verdict::Fail),
        ] {
            let finding = judge(Race::Create, &count(ours, theirs), "");
            assert_eq!(finding.verdict, verdict, "{ours} {theirs}: {finding:?}");
        }
        let no_links = judge(Race::Link, &count("ee", "ee"), "Operation not permitted");
        assert_eq!(no_links.verdict, Verdict::Warn);
        assert!(no_links.text.contains("not permitted"), "{no_links:?}");
    }
}
