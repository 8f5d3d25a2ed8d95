//! Framed, checksummed records: what every file of the store that holds data is made of; pure.
//!
//! A frame is a header of 24 bytes, little-endian, and a payload:
//!
//! | bytes | field |
//! |---|---|
//! | 0..2 | `fw` |
//! | 2 | kind |
//! | 3 | codec of the payload |
//! | 4..8 | length of the payload |
//! | 8..12 | index: the position of the task in its batch |
//! | 12..16 | CRC-32 of the bytes 0..12, 16..24 and the payload |
//! | 16..24 | aux: for an output the nanoseconds it took, for an end mark the number of task records |

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::name::{Attempt, WorkerId};

/// The length of a frame's header in bytes.
pub(crate) const HEADER: usize = 24;
const MAGIC: [u8; 2] = *b"fw";
/// The codec byte of the protocol's own records.
pub(crate) const PROTOCOL_JSON: u8 = 0;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// Who holds the attempt: [`AttemptHeader`].
    Attempt = 1,
    Input = 2,
    Output = 3,
    Failure = 4,
    Checkpoint = 5,
    /// The end mark: what stands before it is whole.
    End = 6,
    /// The head of a done file: [`DoneHeader`].
    Done = 7,
}

impl RecordKind {
    fn of(byte: u8) -> Option<RecordKind> {
        use RecordKind as K;
        [
            K::Attempt,
            K::Input,
            K::Output,
            K::Failure,
            K::Checkpoint,
            K::End,
            K::Done,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A record, with its payload still in the buffer that it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: RecordKind,
    pub(crate) codec: u8,
    pub(crate) index: u32,
    pub(crate) aux: u64,
    pub(crate) payload: &'a [u8],
    /// The whole record, header and all, to be copied as it is.
    pub(crate) raw: &'a [u8],
}

/// Where and why the records of a file end before the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl std::error::Error for Damage {}

/// Appends a record whose payload `write` puts at the end of the buffer.
///
/// If `write` fails, the buffer is as it was.
pub(crate) fn push_with<E>(
    buffer: &mut Vec<u8>,
    (kind, codec, index, aux): (RecordKind, u8, u32, u64),
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    if let Err(error) = write(buffer) {
        buffer.truncate(start);
        return Err(error);
    }
    let (header, payload) = buffer[start..].split_at_mut(HEADER);
    // Callers keep payloads below the store's limit, which is itself below 4 GiB.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    header[0..2].copy_from_slice(&MAGIC);
    header[2] = kind as u8;
    header[3] = codec;
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..12].copy_from_slice(&index.to_le_bytes());
    header[16..24].copy_from_slice(&aux.to_le_bytes());
    let crc = checksum(header, payload);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Appends one of the protocol's own records.
pub(crate) fn push_json<T: Serialize>(
    buffer: &mut Vec<u8>,
    kind: RecordKind,
    index: u32,
    aux: u64,
    value: &T,
) {
    let written = push_with(buffer, (kind, PROTOCOL_JSON, index, aux), |buffer| {
        serde_json::to_writer(buffer, value)
    });
    written.expect("our own records are plain data, and a Vec takes every byte");
}

/// Appends the end mark: `tasks` task records stand before it.
pub(crate) fn push_end(buffer: &mut Vec<u8>, tasks: u64) {
    let nothing = |_: &mut Vec<u8>| Ok::<(), std::convert::Infallible>(());
    let Ok(()) = push_with(buffer, (RecordKind::End, PROTOCOL_JSON, 0, tasks), nothing);
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[0..12]);
    crc.update(&header[16..24]);
    crc.update(payload);
    crc.finalize()
}

/// The records of a buffer, one after the other, up to the first that is not whole.
#[derive(Debug, Clone)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// Reads the records of a buffer.
pub(crate) fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { bytes, offset: 0 }
}

impl<'a> Frames<'a> {
    /// Returns how many bytes the records read so far took.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    fn read(&self) -> Result<(Frame<'a>, usize), Damage> {
        let damage = |what| Damage {
            offset: self.offset,
            what,
        };
        let all = &self.bytes[self.offset..];
        let (header, rest) = all
            .split_at_checked(HEADER)
            .ok_or(damage("a record is cut off"))?;
        if header[0..2] != MAGIC {
            return Err(damage("no record begins"));
        }
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = word(4) as usize;
        let payload = rest.get(..length).ok_or(damage("a record is cut off"))?;
        if word(12) != checksum(header, payload) {
            return Err(damage("a record's checksum is wrong"));
        }
        let kind = RecordKind::of(header[2]).ok_or(damage("a record of unknown kind begins"))?;
        let aux = u64::from(word(16)) | u64::from(word(20)) << 32;
        let raw = &all[..HEADER + length];
        let frame = Frame {
            kind,
            codec: header[3],
            index: word(8),
            aux,
            payload,
            raw,
        };
        Ok((frame, self.offset + HEADER + length))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.bytes.len() {
            return None;
        }
        match self.read() {
            Ok((frame, next)) => {
                self.offset = next;
                Some(Ok(frame))
            }
            Err(damage) => {
                self.bytes = &self.bytes[..self.offset];
                Some(Err(damage))
            }
        }
    }
}

/// Reads one of the protocol's own records.
pub(crate) fn from_json<T: DeserializeOwned>(frame: &Frame<'_>) -> Option<T> {
    if frame.codec != PROTOCOL_JSON {
        return None;
    }
    serde_json::from_slice(frame.payload).ok()
}

/// The records of a whole file: up to an end mark that counts as many task records as there are.
///
/// # Errors
///
/// Where the first damage is, or that the end mark is missing or counts otherwise.
pub(crate) fn whole<'a>(bytes: &'a [u8], task_kinds: &[RecordKind]) -> Result<Vec<Frame<'a>>, Damage> {
    let mut found = Vec::new();
    let mut tasks = 0;
    let mut reader = frames(bytes);
    while let Some(frame) = reader.next() {
        let frame = frame?;
        if frame.kind == RecordKind::End {
            return if frame.aux == tasks {
                Ok(found)
            } else {
                Err(Damage {
                    offset: reader.offset() - HEADER,
                    what: "the end mark counts other records",
                })
            };
        }
        tasks += u64::from(task_kinds.contains(&frame.kind));
        found.push(frame);
    }
    Err(Damage {
        offset: bytes.len(),
        what: "the end mark is missing",
    })
}

/// The first record of an attempt: who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptHeader {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: Attempt,
    #[serde(flatten)]
    pub(crate) process: ProcessMark,
    /// Whether the lock file is flock-ed.
    pub(crate) flock: bool,
    /// Whether the worker's own file is, and speaks for this attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) worker_flock: bool,
    /// When it was claimed by the worker's clock, in milliseconds since 1970; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
    /// Positions in the batch at which earlier attempts were lost: they are run last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) suspects: Vec<u32>,
}

impl AttemptHeader {
    /// Workers' names are random, so worker and number tell an attempt from every other.
    pub(crate) fn is_same_attempt(&self, other: &AttemptHeader) -> bool {
        (&self.worker, self.attempt) == (&other.worker, other.attempt)
    }
}

/// What tells one process from every other, as far as one host can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessMark {
    pub(crate) host: String,
    /// The kernel's id of this boot.
    pub(crate) boot: String,
    /// The process id namespace: in another container the same pid is another process.
    pub(crate) pidns: u64,
    pub(crate) pid: u32,
    /// The start time of the process in clock ticks since boot: pids are used again.
    pub(crate) start: u64,
}

/// The first record of a done file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneHeader {
    /// The first task of the shard.
    pub(crate) first: u64,
    /// The first task that is no longer in the shard.
    pub(crate) end: u64,
    /// How many tasks of the shard have their outcome in this file.
    pub(crate) tasks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut buffer = Vec::new();
        push_json(
            &mut buffer,
            RecordKind::Done,
            0,
            0,
            &DoneHeader {
                first: 0,
                end: 2,
                tasks: 2,
            },
        );
        for index in 0..2 {
            let payload = vec![index as u8; 5];
            let head = (RecordKind::Output, 1, index, 1 << 40);
            push_with(&mut buffer, head, |buffer| {
                buffer.extend_from_slice(&payload);
                Ok::<(), &str>(())
            })
            .unwrap();
        }
        push_end(&mut buffer, 2);
        buffer
    }

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let bytes = sample();
        let records = whole(&bytes, &[RecordKind::Output]).unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(from_json::<DoneHeader>(&records[0]).unwrap().end, 2);
        assert_eq!(
            (records[2].index, records[2].aux, records[2].payload),
            (1, 1 << 40, &[1u8; 5][..])
        );
    }

    #[test]
    fn a_cut_anywhere_is_noticed() {
        let bytes = sample();
        for cut in 0..bytes.len() {
            assert!(
                whole(&bytes[..cut], &[RecordKind::Output]).is_err(),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let mut bytes = sample();
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(whole(&bytes, &[RecordKind::Output]).is_err(), "bit {at}");
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn whole_records_before_a_damage_are_still_read() {
        let mut bytes = sample();
        let last = bytes.len() - HEADER - 1;
        bytes[last] ^= 1;
        let good: Vec<_> = frames(&bytes).map_while(Result::ok).collect();
        assert_eq!(good.len(), 2);
        let damage = frames(&bytes).find_map(Result::err).unwrap();
        assert_eq!(damage.what, "a record's checksum is wrong");
    }

    #[test]
    fn a_length_bomb_takes_no_memory() {
        let mut bytes = sample();
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            frames(&bytes).next().unwrap().unwrap_err().what,
            "a record is cut off"
        );
    }

    #[test]
    fn an_end_mark_that_counts_otherwise_is_damage() {
        let mut bytes = Vec::new();
        push_end(&mut bytes, 1);
        assert!(whole(&bytes, &[RecordKind::Output]).is_err());
        assert!(whole(&[], &[RecordKind::Output]).is_err());
    }

    #[test]
    fn a_failed_payload_leaves_nothing_behind() {
        let mut buffer = vec![7];
        let answer = push_with(&mut buffer, (RecordKind::Output, 1, 0, 0), |buffer| {
            buffer.push(1);
            Err("no")
        });
        assert_eq!((answer, buffer), (Err("no"), vec![7]));
    }
}
