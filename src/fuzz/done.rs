//! Done files, input files and accepted outcomes: each task is where it is said to be, and within its shard.

use super::mended;
use crate::codec::Codec;
use crate::name::{ShardNumber, Stem};
use crate::record::{self, DoneHeader, RecordKind};
use crate::store::{DoneBuilder, DoneFile, TaskRecord, accepted, input_tasks};

/// Done files, input files and outcomes of any bytes.
pub fn done(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), mended(bytes)] {
        check_done(&bytes);
        check_input(&bytes);
        check_outcome(&bytes);
    }
}

fn check_done(bytes: &[u8]) {
    let first = record::frames(bytes).next().and_then(Result::ok);
    let header = first.and_then(|frame| record::from_json::<DoneHeader>(&frame));
    let shard = ShardNumber(header.map_or(0, |header| header.first));
    let Ok(done) = DoneFile::parse(bytes.to_vec(), shard) else {
        return;
    };
    let mut count = 0;
    for task in done.tasks() {
        count += 1;
        assert!((done.header.first..done.header.end).contains(&task.number));
        // Of an input file that is there twice either may be found.
        assert!(done.task(task.number).is_some());
        decode(task.input);
        decode(task.output);
    }
    assert_eq!(done.groups().iter().map(|(_, tasks)| tasks).sum::<u64>(), count);
    assert!(done.stems().len() <= done.groups().len());
    for outside in [done.header.end, u64::MAX] {
        assert!(done.task(outside).is_none());
    }
    let mut builder = DoneBuilder::default();
    builder.add_earlier(&done);
    let again = DoneFile::parse(builder.content(shard, done.header.end), shard);
    let tasks = |done: &DoneFile| done.tasks().map(|task| format!("{task:?}")).collect::<Vec<_>>();
    assert_eq!(
        again.as_ref().map(tasks),
        Ok(tasks(&done)),
        "it is written as it was read"
    );
}

fn check_input(bytes: &[u8]) {
    let Ok(tasks) = input_tasks(bytes) else { return };
    for (codec, place) in tasks {
        decode((codec, &bytes[place]));
    }
}

fn check_outcome(bytes: &[u8]) {
    let stem = record::frames(bytes)
        .next()
        .and_then(Result::ok)
        .map_or(0, |frame| frame.aux);
    let outputs = record::frames(bytes)
        .map_while(Result::ok)
        .filter(|frame| frame.kind == RecordKind::Output);
    let most = outputs.count();
    for tasks in [most, most + 1, 1] {
        let Ok(ended) = accepted(Stem(stem), tasks, bytes.to_vec()) else {
            continue;
        };
        assert_eq!(ended.tasks.len(), tasks);
        assert!(tasks <= most, "each task has an output of its own");
        for task in &ended.tasks {
            if let TaskRecord::Output { codec, payload, .. } = task {
                decode((*codec, &ended.bytes[payload.clone()]));
            }
        }
    }
}

/// Decodes bytes as some types: a length in them must not ask for more memory than there are bytes.
fn decode((codec, bytes): (u8, &[u8])) {
    let _ = Codec::decode::<u64>(codec, bytes);
    let _ = Codec::decode::<Vec<String>>(codec, bytes);
    if let Ok(values) = Codec::decode::<Vec<(String, Option<Vec<f64>>)>>(codec, bytes) {
        assert!(values.len() <= bytes.len());
    }
}
