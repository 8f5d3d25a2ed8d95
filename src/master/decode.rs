//! From records to what the user's master is given.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::shard::Collected;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::layout::{self, Kind};
use crate::name::{RoundNumber, TaskId};
use crate::outcome::Outcome;
use crate::store::{DoneFile, TaskRecord};

/// The outcomes of the tasks of an input file, which lies in the shard at `dir`.
pub(super) fn outcomes_of_input<I: DeserializeOwned, O: DeserializeOwned>(
    round: RoundNumber,
    dir: &Path,
    collected: &Collected,
) -> impl Iterator<Item = Result<Outcome<I, O>>> {
    let path = move |kind| dir.join(layout::plain_name(collected.stem, kind));
    let pairs = collected.inputs.iter().zip(&collected.ended.tasks);
    pairs.enumerate().map(move |(index, ((codec, input), ended))| {
        let task = TaskId {
            round,
            number: collected.stem.0 + index as u64,
        };
        let (result, nanos) = match ended {
            TaskRecord::Output {
                codec,
                payload,
                nanos,
            } => {
                let output = Codec::decode(*codec, &collected.ended.bytes[payload.clone()]);
                (
                    Ok(output
                        .map_err(|error| undecoded(error, task, &path(Kind::Out), Some(payload.start)))?),
                    *nanos,
                )
            }
            TaskRecord::Failure(failure) => (Err(failure.clone()), 0),
        };
        let decoded = Codec::decode(*codec, &collected.input[input.clone()]);
        Ok(Outcome {
            task,
            input: decoded.map_err(|error| undecoded(error, task, &path(Kind::In), Some(input.start)))?,
            result,
            attempt: collected.ended.attempt.0,
            worker: collected.ended.worker.clone(),
            elapsed: Duration::from_nanos(nanos),
        })
    })
}

/// The outcomes of the tasks of a done file.
pub(super) fn outcomes_of_done_file<I: DeserializeOwned, O: DeserializeOwned>(
    round: RoundNumber,
    path: &Path,
    done: &DoneFile,
) -> impl Iterator<Item = Result<Outcome<I, O>>> {
    done.tasks().map(move |record| {
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
    })
}

/// Says of which task, and at which byte of which file, something does not decode.
fn undecoded(error: Error, task: TaskId, path: &Path, byte: Option<usize>) -> Error {
    let place = byte.map(|byte| format!(", at byte {byte}")).unwrap_or_default();
    error.in_step(&format!("task {task}{place}")).at(path)
}
