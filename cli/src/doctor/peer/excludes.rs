//! Does a flock that one host holds keep the other out, in both directions?

use std::fs::File;
use std::io;
use std::time::Duration;

use super::meeting::{During, Pair, Trouble, until};
use crate::doctor::finding::Finding;
use crate::doctor::locks::Flock;

/// How long a lock may take to be free after its holder has closed it.
const FREE: Duration = Duration::from_secs(5);
const CHECK: &str = "peer-flock";

/// What both know of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answers {
    /// Of the one who holds it.
    held: String,
    /// Of the one who asks meanwhile.
    tried: String,
    /// Of the same, when it was let go.
    again: String,
}

/// Tries both directions; `ask` asks for a lock.
pub(super) fn run(pair: &Pair, ask: impl Fn(&File) -> io::Result<Flock>) -> Result<Vec<Finding>, Trouble> {
    let mut findings = Vec::new();
    for first_holds in [true, false] {
        let we_hold = first_holds == pair.first;
        let step = if first_holds { "lock-one" } else { "lock-two" };
        let answers = match we_hold {
            true => hold(pair, step, &ask)?,
            false => probe(pair, step, &ask)?,
        };
        let (holder, prober) = match we_hold {
            true => ("this host", "the other"),
            false => ("the other host", "this one"),
        };
        let direction = if we_hold { "here" } else { "there" };
        findings.push(judge(&answers, holder, prober).with("held", direction));
    }
    Ok(findings)
}

fn hold(pair: &Pair, step: &str, ask: impl Fn(&File) -> io::Result<Flock>) -> Result<Answers, Trouble> {
    let file = pair.dir.create(step).during("make a file")?;
    let held = told(ask(&file));
    pair.say(&format!("{step}.held"), &held)?;
    let tried = pair.hear(&format!("{step}.tried"))?;
    drop(file);
    pair.say(&format!("{step}.free"), "")?;
    let again = pair.hear(&format!("{step}.again"))?;
    Ok(Answers { held, tried, again })
}

fn probe(pair: &Pair, step: &str, ask: impl Fn(&File) -> io::Result<Flock>) -> Result<Answers, Trouble> {
    let held = pair.hear(&format!("{step}.held"))?;
    let ask_once = || -> io::Result<Flock> { ask(&pair.dir.open_write(step)?) };
    let tried = told(ask_once());
    pair.say(&format!("{step}.tried"), &tried)?;
    pair.hear(&format!("{step}.free"))?;
    let mut again = tried.clone();
    until(FREE, || {
        again = told(ask_once());
        Ok((again != told(Ok(Flock::Busy))).then_some(()))
    })
    .during("ask for a lock")?;
    pair.say(&format!("{step}.again"), &again)?;
    Ok(Answers { held, tried, again })
}

fn told(answer: io::Result<Flock>) -> String {
    match answer {
        Ok(Flock::Taken) => "taken".into(),
        Ok(Flock::Busy) => "busy".into(),
        Ok(Flock::Unsupported) => "unsupported".into(),
        Err(error) => error.to_string(),
    }
}

fn judge(answers: &Answers, holder: &str, prober: &str) -> Finding {
    let lease = "results stay right; a dead worker elsewhere is noticed after the lease only";
    match [&answers.held, &answers.tried, &answers.again].map(String::as_str) {
        ["taken", "busy", "taken"] => Finding::ok(
            CHECK,
            format!("flock: what {holder} holds {prober} cannot take, until it is let go"),
        ),
        ["taken", "taken", _] => Finding::fail(
            CHECK,
            format!("flock: what {holder} holds {prober} can take too; {lease}"),
        ),
        ["taken", "busy", "busy"] => {
            let free = FREE.as_secs();
            Finding::warn(
                CHECK,
                format!("flock: what {holder} has let go {prober} cannot take for {free} s"),
            )
        }
        ["unsupported", ..] | [_, "unsupported", _] => {
            Finding::warn(CHECK, format!("flock: {holder} or {prober} has none; {lease}"))
        }
        [held, tried, again] => {
            let text = format!("flock: {holder} asks: {held}; {prober} asks: {tried}, then {again}; {lease}");
            Finding::warn(CHECK, text)
        }
    }
}
