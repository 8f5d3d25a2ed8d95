//! A launch of a batch engine: its record first, then the submission, then what came of it.

use std::io;
use std::path::Path;
use std::time::Duration;

use flockwork::app::exit::{Failed, NO_WORKER, NOT_OK};

use super::records::{Draft, Launches, Note, Record, last_words};
use super::run::{Answer, run};
use super::{Engine, text};
use crate::output::ago;
use crate::sweep::shown;

/// How long an engine may take to answer; a busy Slurm answers after a minute.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest text of an engine that is kept.
const LONGEST: usize = 2_000;

/// A launch that the engine has taken.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) record: Record,
    pub(crate) job: String,
}

/// Puts the record of a launch into the store, and submits it.
///
/// `may` is asked between the two, when others can see the record: it may still say why not.
///
/// # Errors
///
/// If its cap is passed, the record cannot be written, or the engine does not take it. The latter is in the record.
pub(crate) fn submit(
    launches: &Launches,
    draft: &Draft<'_>,
    may: impl FnOnce() -> Result<Option<String>, Failed>,
) -> Result<Submitted, Failed> {
    let engine = draft.engine;
    make_logs(Path::new(&draft.asked.store))?;
    let record = launches.publish(draft)?;
    let mut notes = launches.notes(record.number)?;
    let mut fail = |said: String| {
        let note = Note::Failed {
            at: ago::now(),
            said: end_of(&said),
        };
        // What went wrong is told in any case.
        let _ = notes.add(&note);
        failed(engine, &record, &said)
    };
    match may() {
        Ok(None) => {}
        Ok(Some(why)) => return Err(fail(why)),
        Err(other) => return Err(fail(other.to_string())),
    }
    let answer = match hand_over(&record) {
        Ok(answer) => answer,
        Err(error) => return Err(fail(format!("it cannot be started: {error}"))),
    };
    if !answer.is_ok() {
        return Err(fail(answer.words()));
    }
    let Some(job) = text::job_id(engine, &answer.out) else {
        return Err(fail(format!(
            "it names no job, though it may have taken it: {}",
            answer.words()
        )));
    };
    let note = Note::Submitted {
        at: ago::now(),
        job: job.clone(),
    };
    notes.add(&note).map_err(|error| {
        let text = format!("job {job} was submitted, but that cannot be written into the store: {error}");
        Failed::new(
            NOT_OK,
            text,
            Some("`--status` and `--stop` do not know of it".to_owned()),
        )
    })?;
    Ok(Submitted { record, job })
}

/// Makes the text of a draft.
pub(crate) fn submit_text(
    engine: Engine,
) -> impl Fn(&super::request::Request, u64) -> Result<Option<String>, Failed> {
    move |asked, number| text::submit_file(engine, asked, Some(number)).map(Some)
}

/// Makes the directory of the logs; no engine does.
///
/// # Errors
///
/// If it cannot be made.
pub(crate) fn make_logs(store: &Path) -> Result<(), Failed> {
    let logs = store.join("logs");
    match std::fs::create_dir(&logs) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Failed::new(
            NOT_OK,
            format!("cannot make {}: {error}", shown::path(&logs)),
            None,
        )),
        _ => Ok(()),
    }
}

fn hand_over(record: &Record) -> io::Result<Answer> {
    let flags: &[&str] = match record.engine {
        Engine::Slurm => &["--parsable"],
        Engine::Condor => &["-terse", "-"],
        Engine::Sge => &["-terse"],
        Engine::Local | Engine::Ssh => &[],
    };
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let command = record.engine.submits_with().unwrap_or_default();
    run(
        command,
        &flags,
        record.text.as_deref().unwrap_or_default(),
        PATIENCE,
    )
}

fn end_of(said: &str) -> String {
    let cut = said.char_indices().rev().nth(LONGEST).map_or(0, |(at, _)| at);
    said[cut..].to_owned()
}

fn failed(engine: Engine, record: &Record, said: &str) -> Failed {
    Failed::new(
        NO_WORKER,
        format!(
            "launch {} was not submitted: {}: {}",
            record.number,
            engine.submits_with().unwrap_or(engine.name()),
            last_words(said)
        ),
        Some("--print writes the submit file; look whether your site wants an account, a partition or other limits".to_owned()),
    )
}
