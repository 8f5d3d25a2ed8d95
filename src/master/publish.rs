//! Filling shards with inputs.

use std::time::Duration;

use super::MasterConfig;
use super::feed::Feed;
use super::shard::InputCache;
use crate::clock::{Backoff, Moment};
use crate::error::{IoContext, Result};
use crate::fs::{DirRef, is_worth_parking};
use crate::name::ShardNumber;
use crate::observe::Event;
use crate::record::{self, RecordKind};
use crate::store::{ShardWriter, Store};

/// After this long a shard, or a batch, is published as it is. The clock is read between two inputs: a source that
/// blocks keeps what it gave before.
const SLOW_SOURCE: Duration = Duration::from_secs(1);

/// A shard that is ready to be renamed into place.
pub(super) struct Filled<'a> {
    /// `None`: there was no input left.
    pub(super) shard: Option<(ShardWriter<'a>, InputCache)>,
    /// There are no more inputs behind these.
    pub(super) exhausted: bool,
}

/// Writes the next inputs into a hidden shard, until it is full, the inputs are at their end, or they come slowly.
pub(super) fn fill_shard<'a, I: serde::Serialize>(
    config: &MasterConfig,
    store: &'a Store,
    round: &'a DirRef,
    number: ShardNumber,
    feed: &mut Feed<I>,
) -> Result<Filled<'a>> {
    let mut filled = Filled {
        shard: None,
        exhausted: false,
    };
    match fill(config, store, round, number, feed, &mut filled) {
        Ok(()) => Ok(filled),
        Err(error) => {
            if let Some((writer, _)) = filled.shard {
                writer.abandon();
            }
            Err(error)
        }
    }
}

fn fill<'a, I: serde::Serialize>(
    config: &MasterConfig,
    store: &'a Store,
    round: &'a DirRef,
    number: ShardNumber,
    feed: &mut Feed<I>,
    filled: &mut Filled<'a>,
) -> Result<()> {
    let begun = Moment::now();
    let mut records = Vec::new();
    for _ in 0..config.shard {
        records.clear();
        let tasks = fill_batch(feed, store, config.batch, &mut records, &mut filled.exhausted)?;
        if tasks > 0 {
            let (writer, cache) = match &mut filled.shard {
                Some(shard) => shard,
                none => {
                    let begin = || {
                        ShardWriter::begin(store, round, number)
                            .during("cannot make a shard in", round.path())
                    };
                    none.insert((patiently(config, begin)?, InputCache::default()))
                }
            };
            let add = || {
                writer
                    .add(&records, tasks)
                    .during("cannot write an input in", round.path())
            };
            let stem = patiently(config, add)?;
            cache.add(stem, &records);
        }
        if filled.exhausted || Moment::now().since(begun) >= SLOW_SOURCE {
            break;
        }
    }
    Ok(())
}

/// Takes up to `batch` inputs; says how many there were.
fn fill_batch<I: serde::Serialize>(
    feed: &mut Feed<I>,
    store: &Store,
    batch: u32,
    records: &mut Vec<u8>,
    exhausted: &mut bool,
) -> Result<u64> {
    let begun = Moment::now();
    let (codec, limit) = (store.codec(), store.config().max_record);
    let mut tasks = 0;
    while tasks < batch {
        let Some(input) = feed.next()? else {
            *exhausted = true;
            break;
        };
        let head = (RecordKind::Input, codec.byte(), tasks, 0);
        record::push_with(records, head, |buffer| codec.encode(&input, limit, buffer)).map_err(|error| {
            let number = feed.taken() - 1;
            error.in_step(&format!(
                "create_inputs: input {number} of round {}",
                feed.round()
            ))
        })?;
        tasks += 1;
        // The next one may take up a whole record's limit too.
        let full = records.len() as u64 + limit > store.batch_limit();
        if full || Moment::now().since(begun) >= SLOW_SOURCE {
            break;
        }
    }
    if tasks > 0 {
        record::push_end(records, u64::from(tasks));
    }
    Ok(u64::from(tasks))
}

/// Waits out a full disk and the like; every other error, and a request to stop, ends the wait.
pub(super) fn patiently<T>(config: &MasterConfig, mut step: impl FnMut() -> Result<T>) -> Result<T> {
    let mut waits = Backoff::new(Duration::from_secs(1), Duration::from_secs(600));
    loop {
        let error = match step() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !error.io_error().is_some_and(is_worth_parking) || config.stop.requested().is_some() {
            return Err(error);
        }
        let wait = waits.step();
        config.observer.tell(|| Event::Parked {
            error: error.to_string(),
            wait,
        });
        let end = Moment::now().plus(wait);
        loop {
            let seen = config.stop.waker().seen();
            let left = end.since(Moment::now());
            if left.is_zero() || config.stop.requested().is_some() {
                break;
            }
            config.stop.waker().wait(seen, left);
        }
    }
}
