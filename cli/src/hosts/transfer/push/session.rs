//! One connection to a host that takes files: what is there, what is missing, and the end of each.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};

use crate::hosts::Trouble;
use crate::hosts::sum::{Sum, Summing};
use crate::hosts::transfer::relay::{Relay, Wanted};
use crate::hosts::transfer::wire::{Wire, out_of_step};
use crate::hosts::transfer::{Board, End, Entry, Source, What, name, time};
use crate::hosts::trouble::Why;

/// A piece of a file, and how many bytes may be on their way.
const PIECE: u64 = 1 << 20;
const WINDOW: u64 = 8 << 20;
/// How many requests may be.
const REQUESTS: usize = 256;

/// What is there of a file: nothing, or a part of it.
type There = Option<(u64, Sum)>;

/// One connection.
pub(super) struct Session<'a> {
    wire: Wire,
    entries: &'a [&'a Entry],
    ends: &'a mut [Option<End>],
    /// Bytes that the board knows of, so that none counts twice.
    counted: &'a mut [u64],
    there: Vec<There>,
    /// Files of which another host has sent every byte. Whether they are right is not known yet.
    whole: Vec<bool>,
    /// Whether one of them was wrong.
    was_spoilt: bool,
    asked: VecDeque<Asked>,
    on_their_way: u64,
    /// The directory there in which the next step is made.
    dir: Option<&'a [u8]>,
    told: &'a mut dyn FnMut(usize, &End),
    board: &'a Board,
}

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct Asked {
    number: usize,
    step: Step,
    /// Bytes that the host reads before it answers.
    work: u64,
    /// Bytes that went with it.
    sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Make,
    Look,
    /// A piece that ends there.
    Piece(u64),
    Finish,
    Settle,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        wire: Wire,
        entries: &'a [&'a Entry],
        ends: &'a mut [Option<End>],
        counted: &'a mut [u64],
        told: &'a mut dyn FnMut(usize, &End),
        board: &'a Board,
    ) -> Session<'a> {
        Session {
            wire,
            entries,
            ends,
            counted,
            there: vec![None; entries.len()],
            whole: vec![false; entries.len()],
            was_spoilt: false,
            asked: VecDeque::new(),
            on_their_way: 0,
            dir: None,
            told,
            board,
        }
    }

    /// Makes directories and links, and learns what is there of the files.
    pub(super) fn look(&mut self) -> Result<(), Trouble> {
        for number in 0..self.entries.len() {
            if self.ends[number].is_some() {
                continue;
            }
            let entry = self.entries[number];
            let word = name::encode(self.enter(&entry.path)?);
            match &entry.what {
                What::Dir { .. } => self.ask(number, Step::Make, 0, format!("D {number} {word}"))?,
                What::Link { target } => {
                    let target = name::encode(target);
                    self.ask(number, Step::Make, 0, format!("L {number} {target} {word}"))?;
                }
                What::File(source) => {
                    let part = part(entry, source);
                    let line = format!("Q {number} {} {} {part} {word}", source.size, source.sum);
                    self.ask(number, Step::Look, 2 * source.size, line)?;
                }
            }
        }
        self.hear_all()
    }

    /// Says whether bytes of files are missing there.
    pub(super) fn is_short(&self) -> bool {
        self.open_files()
            .iter()
            .any(|(number, source)| self.there[*number].is_none_or(|(size, _)| size < source.size))
    }

    /// Returns what the host calls itself.
    pub(super) fn name(&self) -> &str {
        self.wire.name()
    }

    /// Has another host send the bytes that are missing.
    ///
    /// # Errors
    ///
    /// Why not all of them are there now. [`Session::send`] sends the rest.
    pub(super) fn fill(&mut self, relay: Relay) -> Result<(), Trouble> {
        let mut wanted = Vec::new();
        for (number, source) in self.open_files() {
            let begun = source
                .open()
                .and_then(|mut file| from_where(&mut file, source, self.there[number]));
            // What cannot be read here is told when it is sent.
            let Ok(offset) = begun else { continue };
            let entry = self.entries[number];
            wanted.push(Wanted {
                number,
                path: &entry.path,
                size: source.size,
                offset,
                part: part(entry, source),
            });
        }
        let sizes: Vec<u64> = self.entries.iter().map(|entry| entry.size()).collect();
        for Wanted {
            number, offset, size, ..
        } in &wanted
        {
            self.whole[*number] = offset == size && *size > 0;
            // A part that has grown is another one than that which was looked at.
            self.there[*number] = None;
            self.count(*number, *offset);
        }
        relay.send(&wanted, |number, until| {
            self.count(number, until);
            self.whole[number] = until == sizes[number];
        })
    }

    /// Sends what is missing.
    pub(super) fn send(&mut self) -> Result<(), Trouble> {
        // Those first that another host has sent: what is wrong with one may be mended at once.
        for (number, source) in self.open_files() {
            if self.whole[number] {
                self.finish(number, source)?;
            }
        }
        self.hear_all()?;
        for (number, source) in self.open_files() {
            self.file(number, self.entries[number], source)?;
        }
        self.hear_all()
    }

    /// Says whether something that another host has sent was wrong, and sent again from here.
    pub(super) fn was_spoilt(&self) -> bool {
        self.was_spoilt
    }

    /// Returns the files that have no end yet.
    fn open_files(&self) -> Vec<(usize, &'a Source)> {
        let numbered = self.entries.iter().zip(self.ends.iter()).enumerate();
        let open = numbered.filter_map(|(number, (entry, end))| match (&entry.what, end) {
            (What::File(source), None) => Some((number, source)),
            _ => None,
        });
        open.collect()
    }

    fn file(&mut self, number: usize, entry: &'a Entry, source: &'a Source) -> Result<(), Trouble> {
        let begun = source.open().and_then(|mut file| {
            let offset = from_where(&mut file, source, self.there[number])?;
            file.seek(SeekFrom::Start(offset))?;
            Ok((file, offset))
        });
        let (mut file, mut offset) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.end(number, End::No(format!("cannot read it here: {error}")));
                return Ok(());
            }
        };
        self.count(number, offset);
        self.enter(&entry.path)?;
        let part = part(entry, source);
        let mut is_first = offset == 0;
        while is_first || offset < source.size {
            is_first = false;
            let length = PIECE.min(source.size - offset);
            let bytes = piece(&mut file, length);
            let line = format!("P {number} {offset} {length} {part}");
            offset += length;
            self.room(length)?;
            self.ask(number, Step::Piece(offset), 0, line)?;
            self.wire.send(&bytes)?;
            if let Some(asked) = self.asked.back_mut() {
                asked.sent = length;
                self.on_their_way += length;
            }
            if self.ends[number].is_some() {
                return Ok(());
            }
        }
        // What has failed to be written is to be gone on with, and not to be thrown away by a check.
        if source.size > PIECE {
            self.hear_all()?;
        }
        if self.ends[number].is_some() {
            return Ok(());
        }
        self.finish(number, source)
    }

    /// Has a file checked, and given its name.
    fn finish(&mut self, number: usize, source: &Source) -> Result<(), Trouble> {
        let entry = self.entries[number];
        let word = name::encode(self.enter(&entry.path)?);
        let part = part(entry, source);
        let (mode, time, sum) = (source.mode, time::stamp(source.mtime), source.sum);
        let line = format!("F {number} {mode:o} {time} {sum} {part} {word}");
        self.ask(number, Step::Finish, 2 * source.size, line)
    }

    /// Gives directories their permissions and times, now that nothing is made in them any more.
    pub(super) fn settle(&mut self) -> Result<(), Trouble> {
        for number in (0..self.entries.len()).rev() {
            let entry = self.entries[number];
            if let (What::Dir { mode, mtime }, Some(End::Done | End::Same)) =
                (&entry.what, &self.ends[number])
            {
                let word = name::encode(self.enter(&entry.path)?);
                let line = format!("M {number} {mode:o} {} {word}", time::stamp(*mtime));
                self.ask(number, Step::Settle, 0, line)?;
            }
        }
        self.hear_all()
    }

    pub(super) fn close(self) {
        self.wire.close();
    }

    /// Has the host enter the directory of a path, and returns the last name.
    fn enter(&mut self, path: &'a [u8]) -> Result<&'a [u8], Trouble> {
        let (dir, last) = name::split(path);
        if self.dir != Some(dir) {
            self.dir = Some(dir);
            self.wire.send(format!("C {}\n", name::encode(dir)).as_bytes())?;
        }
        Ok(last)
    }

    fn ask(&mut self, number: usize, step: Step, work: u64, line: String) -> Result<(), Trouble> {
        self.room(0)?;
        self.wire.send(format!("{line}\n").as_bytes())?;
        self.asked.push_back(Asked {
            number,
            step,
            work,
            sent: 0,
        });
        Ok(())
    }

    /// Waits until so many bytes more may be on their way.
    fn room(&mut self, bytes: u64) -> Result<(), Trouble> {
        while self.asked.len() >= REQUESTS || (self.on_their_way > 0 && self.on_their_way + bytes > WINDOW) {
            self.hear()?;
        }
        Ok(())
    }

    fn hear_all(&mut self) -> Result<(), Trouble> {
        while !self.asked.is_empty() {
            self.hear()?;
        }
        Ok(())
    }

    /// Hears what the host has answered before a signal cut it short: these files are there.
    pub(super) fn hear_the_rest(&mut self, trouble: &Trouble) {
        let is_cut = trouble.why == Why::Interrupted;
        while is_cut && !self.asked.is_empty() && self.hear().is_ok() {}
    }

    fn hear(&mut self) -> Result<(), Trouble> {
        let Some(asked) = self.asked.pop_front() else {
            return Ok(());
        };
        let answer = self.wire.answer(asked.work)?;
        self.on_their_way -= asked.sent;
        let number = asked.number;
        if answer.number != number {
            return Err(out_of_step(&format!("{} for {number}", answer.number)));
        }
        match (asked.step, answer.word.as_str()) {
            (_, "no") => self.end(number, End::No(answer.reason())),
            (Step::Look, "none") | (Step::Settle, "done") => {}
            (Step::Look, "part") => self.there[number] = answer.size_and_sum(),
            (Step::Piece(until), "got") => self.count(number, until),
            (Step::Make, "same") | (Step::Look, "same") => {
                self.count(number, self.entries[number].size());
                self.end(number, End::Same);
            }
            (Step::Make | Step::Finish, "done") => self.end(number, End::Done),
            // It is sent again, from here.
            (Step::Finish, "differs") if std::mem::take(&mut self.whole[number]) => self.was_spoilt = true,
            (Step::Finish, "differs") => self.end(number, End::Differs),
            (_, word) => return Err(out_of_step(word)),
        }
        Ok(())
    }

    fn count(&mut self, number: usize, until: u64) {
        let more = until.saturating_sub(self.counted[number]);
        self.counted[number] += more;
        self.board.moved(more);
    }

    /// The first end of a file counts, but that a directory may still fail at its permissions.
    fn end(&mut self, number: usize, end: End) {
        let known = &mut self.ends[number];
        if !known.as_ref().is_none_or(End::is_ok) {
            return;
        }
        if !matches!(self.entries[number].what, What::Dir { .. }) {
            match &end {
                End::Differs => self.board.differs(),
                end if end.is_ok() => self.board.arrived(),
                _ => {}
            }
        }
        (self.told)(number, &end);
        *known = Some(end);
    }
}

/// Returns the offset from which a file is to be sent: the end of its part there, if that is the same up to there.
fn from_where(file: &mut std::fs::File, source: &Source, there: There) -> io::Result<u64> {
    let Some((size, sum)) = there.filter(|(size, _)| *size <= source.size) else {
        return Ok(0);
    };
    let mut summing = Summing::default();
    let taken = summing.take(file, size)?;
    Ok(if taken == size && summing.end() == sum {
        size
    } else {
        0
    })
}

/// Returns the next bytes of a file. So many were promised: if it has become shorter, or cannot be read, zeros follow,
/// and the checksum there tells.
fn piece(file: &mut std::fs::File, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = file.take(length).read_to_end(&mut bytes);
    bytes.resize(usize::try_from(length).unwrap_or(bytes.len()), 0);
    bytes
}

fn part(entry: &Entry, source: &Source) -> String {
    let (_, last) = name::split(&entry.path);
    name::encode(&name::part(last, source.size, source.mtime, &source.sum))
}
