//! From records to what people's code is given: the outcomes of an input file, and of a done file.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::layout::{self, Kind};
use crate::name::{RoundNumber, Stem, TaskId};
use crate::outcome::Outcome;
use crate::store::done::DoneTask;
use crate::store::{DoneFile, Ended, InputTasks, TaskRecord};

/// An input file that has ended, with the bytes of its files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedInput<'a> {
    pub(crate) stem: Stem,
    pub(crate) input: &'a [u8],
    pub(crate) inputs: &'a InputTasks,
    pub(crate) ended: &'a Ended,
}

/// The outcomes of the tasks of an input file, which lies in the shard at `dir`.
pub(crate) fn outcomes_of_input<'a, I: DeserializeOwned, O: DeserializeOwned>(
    round: RoundNumber,
    dir: &'a Path,
    file: EndedInput<'a>,
) -> impl Iterator<Item = Result<Outcome<I, O>>> + 'a {
    let path = move |kind| dir.join(layout::plain_name(file.stem, kind));
    let pairs = file.inputs.iter().zip(&file.ended.tasks);
    pairs.enumerate().map(move |(index, ((codec, input), ended))| {
        let task = TaskId {
            round,
            number: file.stem.0 + index as u64,
        };
        let (result, nanos) = match ended {
            TaskRecord::Output {
                codec,
                payload,
                nanos,
            } => {
                let output = Codec::decode(*codec, &file.ended.bytes[payload.clone()]);
                (
                    Ok(output
                        .map_err(|error| undecoded(error, task, &path(Kind::Out), Some(payload.start)))?),
                    *nanos,
                )
            }
            TaskRecord::Failure(failure) => (Err(failure.clone()), 0),
        };
        Ok(Outcome {
            task,
            input: input_of(*codec, file.input, input, task, &path(Kind::In))?,
            result,
            attempt: file.ended.attempt.0,
            worker: file.ended.worker.clone(),
            elapsed: Duration::from_nanos(nanos),
        })
    })
}

/// Decodes the input of a task, which lies at `place` in the bytes of the file at `path`.
pub(super) fn input_of<I: DeserializeOwned>(
    codec: u8,
    bytes: &[u8],
    place: &std::ops::Range<usize>,
    task: TaskId,
    path: &Path,
) -> Result<I> {
    Codec::decode(codec, &bytes[place.clone()])
        .map_err(|error| undecoded(error, task, path, Some(place.start)))
}

/// The outcomes of the tasks of a done file, which lies at `path`.
pub(crate) fn outcomes_of_done_file<'a, I: DeserializeOwned, O: DeserializeOwned>(
    round: RoundNumber,
    path: &'a Path,
    done: &'a DoneFile,
) -> impl Iterator<Item = Result<Outcome<I, O>>> + 'a {
    done.tasks()
        .map(move |record| outcome_of_done_task(round, path, &record))
}

/// The outcome of one task of the done file at `path`.
pub(super) fn outcome_of_done_task<I: DeserializeOwned, O: DeserializeOwned>(
    round: RoundNumber,
    path: &Path,
    record: &DoneTask<'_>,
) -> Result<Outcome<I, O>> {
    let task = TaskId {
        round,
        number: record.number,
    };
    let wrong = |error| undecoded(error, task, path, None);
    let (input_codec, input) = record.input;
    let (output_codec, output) = record.output;
    Ok(Outcome {
        task,
        input: Codec::decode(input_codec, input).map_err(wrong)?,
        result: Ok(Codec::decode(output_codec, output).map_err(wrong)?),
        attempt: record.header.attempt.0,
        worker: record.header.worker.to_string(),
        elapsed: Duration::from_nanos(record.nanos),
    })
}

/// Says of which task, and at which byte of which file, something does not decode.
fn undecoded(error: Error, task: TaskId, path: &Path, byte: Option<usize>) -> Error {
    let place = byte.map(|byte| format!(", at byte {byte}")).unwrap_or_default();
    error.in_step(&format!("task {task}{place}")).at(path)
}
