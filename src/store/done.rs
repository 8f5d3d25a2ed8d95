//! Done files: the accepted outcomes of an ended shard in one file, with their inputs.
//!
//! They keep the number of files small, and let a master that was started again see every outcome.

use std::collections::BTreeSet;
use std::io;

use super::Store;
use super::outcomes::{Ended, InputTasks, TaskRecord};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::DirRef;
use crate::layout;
use crate::name::{ShardNumber, Stem};
use crate::record::{self, AttemptHeader, DoneHeader, Frame, RecordKind};

/// Shards with more bytes than this keep their files: copying large outcomes would cost more than it gains.
const LARGEST: usize = 8 << 20;

/// Gathers the accepted outcomes of a shard while they are collected.
#[derive(Debug, Default)]
pub(crate) struct DoneBuilder {
    groups: Vec<u8>,
    tasks: u64,
    too_large: bool,
    /// Whether there is more than what an earlier done file holds.
    grown: bool,
}

impl DoneBuilder {
    /// Adds the records of an input file and of its accepted outcome.
    pub(crate) fn add(&mut self, input: &[u8], inputs: &InputTasks, ended: &Ended) {
        if self.too_large || self.groups.len() + input.len() + ended.bytes.len() > LARGEST {
            *self = DoneBuilder {
                too_large: true,
                ..DoneBuilder::default()
            };
            return;
        }
        self.groups.extend_from_slice(&ended.bytes[ended.head.clone()]);
        // An input file is nothing but inputs, the end mark, and whatever somebody put behind that.
        let end = inputs.last().map_or(0, |(_, payload)| payload.end);
        self.groups.extend_from_slice(&input[..end]);
        for task in &ended.tasks {
            if let TaskRecord::Output { payload, .. } = task {
                self.groups
                    .extend_from_slice(&ended.bytes[payload.start - record::HEADER..payload.end]);
                self.tasks += 1;
                self.grown = true;
            }
        }
    }

    /// Adds everything that an earlier done file of the shard holds.
    pub(crate) fn add_earlier(&mut self, earlier: &DoneFile) {
        for group in &earlier.groups {
            self.groups.extend_from_slice(&earlier.bytes[group.range.clone()]);
            self.tasks += group.tasks.len() as u64;
        }
    }

    /// Says whether there is a file to be written.
    pub(crate) fn is_worth_writing(&self) -> bool {
        !self.too_large && self.grown
    }

    /// Puts the done file into place.
    pub(crate) fn write(&self, round: &DirRef, shard: ShardNumber, end: u64) -> io::Result<()> {
        // Always synced: cleaning removes the only other copy.
        round.replace(&layout::done_name(shard), &self.content(shard, end), true)
    }

    /// Returns what the done file holds.
    pub(crate) fn content(&self, shard: ShardNumber, end: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.groups.len() + 256);
        let header = DoneHeader {
            first: shard.0,
            end,
            tasks: self.tasks,
        };
        record::push_json(&mut bytes, RecordKind::Done, 0, 0, &header);
        bytes.extend_from_slice(&self.groups);
        record::push_end(&mut bytes, self.tasks);
        bytes
    }
}

/// A done file that was read.
#[derive(Debug)]
pub(crate) struct DoneFile {
    pub(crate) header: DoneHeader,
    bytes: Vec<u8>,
    groups: Vec<Group>,
}

/// One input file of a done file.
#[derive(Debug)]
struct Group {
    stem: Stem,
    header: AttemptHeader,
    /// Where its records lie.
    range: std::ops::Range<usize>,
    inputs: Vec<(u8, std::ops::Range<usize>)>,
    tasks: Vec<TaskRecord>,
}

/// One task of a done file.
#[derive(Debug)]
pub(crate) struct DoneTask<'a> {
    pub(crate) number: u64,
    pub(crate) header: &'a AttemptHeader,
    /// Codec and bytes.
    pub(crate) input: (u8, &'a [u8]),
    pub(crate) output: (u8, &'a [u8]),
    pub(crate) nanos: u64,
}

impl DoneFile {
    /// Reads the done file of a shard.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`] with the byte at which the damage is; [`ErrorKind::Io`].
    pub(crate) fn read(store: &Store, round: &DirRef, shard: ShardNumber) -> Result<DoneFile> {
        let name = layout::done_name(shard);
        let path = round.path().join(&name);
        let mut bytes = Vec::new();
        round
            .read(&name, store.file_limit(), &mut bytes)
            .during("cannot read", &path)?;
        let damaged = |what: String| {
            Error::new(ErrorKind::Damaged, "damaged:").at(&path).because(what).with_hint(
                "restore the file from a backup; without it, remove it and the round's tasks of this shard are lost",
            )
        };
        DoneFile::parse(bytes, shard).map_err(damaged)
    }

    /// Reads a done file.
    ///
    /// # Errors
    ///
    /// What is damaged, and where.
    pub(crate) fn parse(bytes: Vec<u8>, shard: ShardNumber) -> Result<DoneFile, String> {
        let frames = record::whole(&bytes, &[RecordKind::Output]).map_err(|damage| damage.to_string())?;
        let (head, rest) = frames.split_first().ok_or("it has no header")?;
        let header: DoneHeader = record::from_json(head).ok_or("it has no header")?;
        if head.kind != RecordKind::Done || header.first != shard.0 {
            return Err("it is the done file of another shard".into());
        }
        let position = |frame: &Frame<'_>| frame.payload.as_ptr().addr() - bytes.as_ptr().addr();
        let range = |frame: &Frame<'_>| position(frame)..position(frame) + frame.payload.len();
        let mut groups: Vec<Group> = Vec::new();
        for frame in rest {
            let start = position(frame) - record::HEADER;
            let end = range(frame).end;
            if frame.kind == RecordKind::Attempt {
                let header = record::from_json(frame).ok_or("an attempt's header does not decode")?;
                groups.push(Group {
                    stem: Stem(frame.aux),
                    header,
                    range: start..end,
                    inputs: Vec::new(),
                    tasks: Vec::new(),
                });
                continue;
            }
            let group = groups
                .last_mut()
                .ok_or("a record stands before the first attempt's header")?;
            group.range.end = end;
            match frame.kind {
                RecordKind::Input => group.inputs.push((frame.codec, range(frame))),
                RecordKind::Output => group.tasks.push(TaskRecord::Output {
                    codec: frame.codec,
                    payload: range(frame),
                    nanos: frame.aux,
                }),
                _ => return Err("a record of a kind that does not belong there".into()),
            }
        }
        let whole = groups.iter().all(|group| group.inputs.len() == group.tasks.len());
        if !whole {
            return Err("an input file has not as many outputs as inputs".into());
        }
        groups.sort_by_key(|group| group.stem);
        let within = |group: &Group| {
            let end = group.stem.0.checked_add(group.tasks.len() as u64);
            group.stem.0 >= header.first && end.is_some_and(|end| end <= header.end)
        };
        if !groups.iter().all(within) {
            return Err("it holds a task that the shard does not have".into());
        }
        let apart = |two: &[Group]| {
            let (one, next) = (&two[0], &two[1]);
            let same = (one.stem, one.tasks.len()) == (next.stem, next.tasks.len());
            same || one.stem.0 + one.tasks.len() as u64 <= next.stem.0
        };
        if !groups.windows(2).all(apart) {
            return Err("two of its input files hold the same task".into());
        }
        Ok(DoneFile {
            header,
            groups,
            bytes,
        })
    }

    /// Reads only its header, from the first bytes.
    pub(crate) fn read_header(round: &DirRef, shard: ShardNumber) -> Result<DoneHeader> {
        let name = layout::done_name(shard);
        let path = round.path().join(&name);
        let mut bytes = Vec::new();
        let read = round.read(&name, 0, &mut bytes);
        // The limit only says that there is more than the header.
        match read {
            Err(error) if error.kind() != io::ErrorKind::FileTooLarge => {
                return Err(error).during("cannot read", &path);
            }
            _ => {}
        }
        let first = record::frames(&bytes).next().and_then(std::result::Result::ok);
        let header = first
            .filter(|frame| frame.kind == RecordKind::Done)
            .and_then(|frame| record::from_json(&frame));
        header.ok_or_else(|| {
            Error::new(ErrorKind::Damaged, "damaged:")
                .at(&path)
                .because("it has no header")
        })
    }

    /// Returns the stems of the input files whose outcomes are here.
    pub(crate) fn stems(&self) -> BTreeSet<Stem> {
        self.groups.iter().map(|group| group.stem).collect()
    }

    /// Returns the input files whose outcomes are here, in order: the stem, and how many tasks each has.
    pub(crate) fn groups(&self) -> Vec<(Stem, u64)> {
        let groups = self.groups.iter();
        groups
            .map(|group| (group.stem, group.tasks.len() as u64))
            .collect()
    }

    /// Returns how many tasks of this input file are here, if its outcome is.
    pub(crate) fn tasks_of_stem(&self, stem: Stem) -> Option<usize> {
        let found = self.groups.binary_search_by_key(&stem, |group| group.stem).ok()?;
        Some(self.groups[found].tasks.len())
    }

    /// Returns a task, if its outcome is here.
    pub(crate) fn task(&self, number: u64) -> Option<DoneTask<'_>> {
        let after = self.groups.partition_point(|group| group.stem.0 <= number);
        let group = self.groups.get(after.checked_sub(1)?)?;
        let index = usize::try_from(number - group.stem.0).ok()?;
        self.task_of(group, index)
    }

    /// Returns the tasks, in order.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = DoneTask<'_>> {
        self.groups
            .iter()
            .flat_map(move |group| (0..group.tasks.len()).filter_map(move |index| self.task_of(group, index)))
    }

    fn task_of<'a>(&'a self, group: &'a Group, index: usize) -> Option<DoneTask<'a>> {
        let (codec, input) = group.inputs.get(index)?;
        match group.tasks.get(index)? {
            TaskRecord::Output {
                codec: output_codec,
                payload,
                nanos,
            } => Some(DoneTask {
                number: group.stem.0 + index as u64,
                header: &group.header,
                input: (*codec, &self.bytes[input.clone()]),
                output: (*output_codec, &self.bytes[payload.clone()]),
                nanos: *nanos,
            }),
            TaskRecord::Failure(_) => None,
        }
    }
}
