//! Reading what input files ended with.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use super::Store;
use super::marker::{Marker, read_marker};
use crate::fs::{DirRef, is_closed_to_us, is_foreign, is_gone};
use crate::layout::{self, Entry, Kind};
use crate::name::{Attempt, Stem};
use crate::outcome::{Failure, FailureKind};
use crate::record::{self, AttemptHeader, Damage, Frame, RecordKind};

/// What a failure record holds.
#[derive(serde::Serialize)]
struct FailureRecord<'a> {
    #[serde(flatten)]
    failure: &'a Failure,
    /// The task is not to be tried again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    last: bool,
}

/// Appends why the task at this position of the batch failed, and whether that was its last attempt.
pub(crate) fn push_failure(content: &mut Vec<u8>, index: u32, failure: &Failure, last: bool) {
    let record = FailureRecord { failure, last };
    record::push_json(content, RecordKind::Failure, index, 0, &record);
}

/// Says whether a failure record is of a task that is not to be tried again.
pub(crate) fn is_last_failure(frame: &Frame<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct Last {
        #[serde(default)]
        last: bool,
    }
    frame.kind == RecordKind::Failure && record::from_json::<Last>(frame).is_some_and(|record| record.last)
}

/// What one task of an input file ended with, with the payload still in its buffer.
#[derive(Debug, Clone)]
pub(crate) enum TaskRecord {
    /// Codec, where the payload lies in the buffer, nanoseconds.
    Output {
        codec: u8,
        payload: Range<usize>,
        nanos: u64,
    },
    Failure(Failure),
}

/// What an input file ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) attempt: Attempt,
    pub(crate) worker: String,
    /// The records of the file or files that `tasks` points into.
    pub(crate) bytes: Vec<u8>,
    /// Where the first attempt's header record lies in an accepted outcome; empty for a failed one.
    pub(crate) head: Range<usize>,
    /// For each position in the batch.
    pub(crate) tasks: Vec<TaskRecord>,
}

/// Reads an accepted outcome of as many tasks as its input file holds.
///
/// # Errors
///
/// The inner one says where the bytes are damaged.
pub(crate) fn read_accepted(
    store: &Store,
    dir: &DirRef,
    stem: Stem,
    tasks: usize,
    bytes: Vec<u8>,
) -> io::Result<Result<Ended, Damage>> {
    let mut bytes = bytes;
    bytes.clear();
    match dir.read(
        &layout::plain_name(stem, Kind::Out),
        store.file_limit(),
        &mut bytes,
    ) {
        Ok(()) => {}
        Err(error) if is_foreign(&error) => {
            return Ok(Err(Damage {
                offset: 0,
                what: "it is no regular file, or larger than any outcome",
            }));
        }
        Err(error) => return Err(error),
    }
    Ok(accepted(stem, tasks, bytes))
}

/// Reads the bytes of an accepted outcome.
pub(crate) fn accepted(stem: Stem, tasks: usize, bytes: Vec<u8>) -> Result<Ended, Damage> {
    let frames = record::whole(&bytes, &[RecordKind::Output])?;
    let start = Damage { offset: 0, what: "" };
    let (head, rest) = frames.split_first().ok_or(Damage {
        what: "it has no header",
        ..start
    })?;
    let header: AttemptHeader = (head.kind == RecordKind::Attempt)
        .then(|| record::from_json(head))
        .flatten()
        .ok_or(Damage {
            what: "it has no header",
            ..start
        })?;
    if head.aux != stem.0 {
        return Err(Damage {
            what: "it is the outcome of another input file",
            ..start
        });
    }
    let mut outputs: Vec<Option<TaskRecord>> = vec![None; tasks];
    for frame in rest.iter().filter(|frame| frame.kind == RecordKind::Output) {
        let place = outputs.get_mut(frame.index as usize);
        let place = place.ok_or(Damage {
            what: "it has outputs of more tasks than its input",
            ..start
        })?;
        *place = Some(output(&bytes, frame));
    }
    let tasks: Option<Vec<TaskRecord>> = outputs.into_iter().collect();
    let tasks = tasks.ok_or(Damage {
        what: "it has outputs of fewer tasks than its input",
        ..start
    })?;
    let (attempt, worker, head) = (header.attempt, header.worker.to_string(), 0..head.raw.len());
    Ok(Ended {
        attempt,
        worker,
        bytes,
        head,
        tasks,
    })
}

/// The tasks of an input file: codec, and where the payload lies in the buffer.
pub(crate) type InputTasks = Vec<(u8, Range<usize>)>;

/// Reads the records of an input file.
///
/// # Errors
///
/// Where the bytes are damaged.
pub(crate) fn input_tasks(bytes: &[u8]) -> Result<InputTasks, Damage> {
    let frames = record::whole(bytes, &[RecordKind::Input])?;
    if let Some(foreign) = frames.iter().find(|frame| frame.kind != RecordKind::Input) {
        let offset = foreign.raw.as_ptr().addr() - bytes.as_ptr().addr();
        return Err(Damage {
            offset,
            what: "a record that is no input begins",
        });
    }
    Ok(frames
        .iter()
        .map(|frame| (frame.codec, place(bytes, frame)))
        .collect())
}

/// Where the payload of a record lies in the buffer that it was read from.
fn place(bytes: &[u8], frame: &Frame<'_>) -> Range<usize> {
    let start = frame.payload.as_ptr().addr() - bytes.as_ptr().addr();
    start..start + frame.payload.len()
}

fn output(bytes: &[u8], frame: &Frame<'_>) -> TaskRecord {
    TaskRecord::Output {
        codec: frame.codec,
        payload: place(bytes, frame),
        nanos: frame.aux,
    }
}

/// Reads what is known of an input file that has failed: of each task the last record counts.
///
/// `final_at` is the attempt that was to be the last. Who ends its own attempt for good says why in a record, so a task
/// without one in that attempt or a later one was cancelled.
pub(crate) fn read_failed(
    store: &Store,
    dir: &DirRef,
    stem: Stem,
    tasks: usize,
    last: Attempt,
    final_at: Option<Attempt>,
) -> io::Result<Ended> {
    let base = stem.to_string();
    let mut bytes = Vec::new();
    let mut records: BTreeMap<u32, TaskRecord> = BTreeMap::new();
    let mut told: BTreeSet<u32> = BTreeSet::new();
    let mut worker = String::new();
    for attempt in attempts_up_to(dir, stem, last)? {
        let start = bytes.len();
        match dir.read(
            &layout::attempt_name(&base, attempt, Kind::Lock),
            store.file_limit(),
            &mut bytes,
        ) {
            Ok(()) => {}
            // Removed by hand, put aside as damaged, planted, or another user's alone.
            Err(error) if is_gone(&error) || is_foreign(&error) || is_closed_to_us(&error) => continue,
            Err(error) => return Err(error),
        }
        for frame in record::frames(&bytes[start..]).map_while(Result::ok) {
            match frame.kind {
                RecordKind::Output => drop(records.insert(frame.index, output(&bytes, &frame))),
                RecordKind::Failure => {
                    let known = matches!(records.get(&frame.index), Some(TaskRecord::Output { .. }));
                    // One that was cancelled, and then granted new attempts, is no longer cancelled.
                    let counts = |failure: &Failure| {
                        failure.kind != FailureKind::Cancelled || final_at.is_some_and(|at| attempt >= at)
                    };
                    if let (false, Some(failure)) = (known, record::from_json(&frame).filter(counts)) {
                        records.insert(frame.index, TaskRecord::Failure(failure));
                        if Some(attempt) >= final_at {
                            told.insert(frame.index);
                        }
                    }
                }
                RecordKind::Attempt => {
                    if let Some(header) = record::from_json::<AttemptHeader>(&frame) {
                        worker = header.worker.to_string();
                    }
                }
                _ => {}
            }
        }
    }
    let unknown = || {
        TaskRecord::Failure(match final_at {
            Some(attempt) => cancelled_failure(read_marker(dir, &base, attempt, Kind::Final)),
            None => lost_failure(dir, &base, last),
        })
    };
    // Without a `final`, every record counts.
    records.retain(|index, record| told.contains(index) || matches!(record, TaskRecord::Output { .. }));
    let tasks = (0..u32::try_from(tasks).unwrap_or(u32::MAX))
        .map(|index| records.remove(&index).unwrap_or_else(unknown))
        .collect();
    Ok(Ended {
        attempt: last,
        worker,
        bytes,
        head: 0..0,
        tasks,
    })
}

/// Returns the attempts whose files may be there, in order.
///
/// Most often these are few numbers. A number that was planted may be any, so beyond some a listing tells which are there.
pub(crate) fn attempts_up_to(dir: &DirRef, stem: Stem, last: Attempt) -> io::Result<Vec<Attempt>> {
    const FEW: u32 = 64;
    if last.0 <= FEW {
        return Ok((1..=last.0).map(Attempt).collect());
    }
    let mut found = BTreeSet::new();
    dir.list(&mut |name| {
        let entry = Entry::parse(name).filter(|entry| entry.stem == stem && entry.kind == Kind::Lock);
        found.extend(
            entry
                .and_then(|entry| entry.attempt)
                .filter(|attempt| *attempt <= last),
        );
    })?;
    Ok(found.into_iter().collect())
}

/// What a cancelled task ends with.
pub(crate) fn cancelled_failure(marker: Option<Marker>) -> Failure {
    let why = marker.map_or_else(
        || "somebody made its marker by hand".to_owned(),
        |marker| marker.why,
    );
    Failure::new(FailureKind::Cancelled, why)
}

fn lost_failure(dir: &DirRef, base: &str, last: Attempt) -> Failure {
    let why = [Kind::Lost, Kind::Fail]
        .into_iter()
        .find_map(|kind| read_marker(dir, base, last, kind));
    let why = why.map_or_else(
        || "its worker died or fell silent".to_owned(),
        |marker| marker.why,
    );
    Failure::new(
        FailureKind::Lost,
        format!("every attempt ended without an outcome; the last: {why}"),
    )
}

/// Puts a damaged outcome aside: the rename is also the marker that ends its attempt.
///
/// It is read three times, each time opened anew, before that: a network file system may need a moment.
pub(crate) fn set_damaged_aside(dir: &DirRef, stem: Stem, highest: Attempt) -> io::Result<String> {
    let to = layout::attempt_name(&stem.to_string(), highest, Kind::Damaged);
    dir.rename(&layout::plain_name(stem, Kind::Out), &to)?;
    Ok(to)
}
