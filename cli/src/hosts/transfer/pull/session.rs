//! One connection to a host from which files are fetched: what there is to do, in its order.

use std::collections::VecDeque;

use crate::hosts::Trouble;
use crate::hosts::sum::Sum;
use crate::hosts::transfer::dest::{Dest, Growing, Spot, Wanted};
use crate::hosts::transfer::listing::{Kind, Listed, Read};
use crate::hosts::transfer::wire::{Answer, Wire, out_of_step};
use crate::hosts::transfer::{Board, End, name};

/// A piece of a file, and how many bytes may be asked for ahead.
const PIECE: u64 = 4 << 20;
const WINDOW: u64 = 8 << 20;
/// How many requests may wait for their answers.
const REQUESTS: usize = 256;

/// One connection.
pub(super) struct Session<'a> {
    pub(super) wire: Wire,
    pub(super) sources: &'a [(Vec<u8>, Vec<u8>)],
    pub(super) listed: &'a [Read],
    pub(super) dest: &'a Dest,
    pub(super) ends: &'a mut [Option<End>],
    /// Bytes that the board knows of, so that none counts twice.
    pub(super) counted: &'a mut [u64],
    /// What each file is to become, once its checksum there is known, and how much of it is here.
    pub(super) known: Vec<Option<(Wanted, u64)>>,
    /// The directory there in which the next step is made.
    pub(super) dir: Option<Vec<u8>>,
    pub(super) board: &'a Board,
}

/// A piece that was asked for; the first one opens the file here, the last one gives it its name.
struct Asked {
    number: usize,
    from: u64,
    length: u64,
    is_first: bool,
    is_last: bool,
}

/// What was asked for and has not come yet.
#[derive(Default)]
struct Ahead {
    asked: VecDeque<Asked>,
    bytes: u64,
    /// The file whose pieces come.
    growing: Option<Growing>,
}

impl Session<'_> {
    /// Fetches all that has not ended.
    ///
    /// # Errors
    ///
    /// Why the connection broke.
    pub(super) fn run(&mut self) -> Result<(), Trouble> {
        self.make();
        self.learn()?;
        self.fetch()?;
        self.link();
        self.settle();
        Ok(())
    }

    /// Makes the directories, so that empty ones are there too.
    fn make(&mut self) {
        for number in 0..self.listed.len() {
            if let (Ok(entry), None) = (&self.listed[number], &self.ends[number])
                && matches!(entry.kind, Kind::Dir { .. })
                && let Err(error) = self.spot(entry).and_then(|spot| spot.make())
            {
                self.end(number, End::No(error.to_string()));
            }
        }
    }

    /// Learns the checksums there, and what is here.
    fn learn(&mut self) -> Result<(), Trouble> {
        let mut asked = VecDeque::new();
        for number in self.open_files() {
            let Some((size, ..)) = file(&self.listed[number]) else {
                continue;
            };
            let last = self.enter(number)?;
            self.wire.send(format!("S {number} all {last}\n").as_bytes())?;
            asked.push_back((number, size));
            if asked.len() >= REQUESTS {
                self.learned(&mut asked)?;
            }
        }
        while !asked.is_empty() {
            self.learned(&mut asked)?;
        }
        self.go_on()
    }

    fn learned(&mut self, asked: &mut VecDeque<(usize, u64)>) -> Result<(), Trouble> {
        let Some((number, size)) = asked.pop_front() else {
            return Ok(());
        };
        let answer = self.answer(number, size)?;
        match (sum(&answer), file(&self.listed[number])) {
            // Its size may have changed since it was listed: what was summed up counts.
            (Some((size, sum)), Some((_, mode, mtime))) => {
                let wanted = Wanted {
                    size,
                    mtime,
                    mode,
                    sum,
                };
                self.known[number] = Some((wanted, 0));
            }
            _ if answer.word == "no" => self.end(number, End::No(answer.reason())),
            _ => return Err(out_of_step(&answer.word)),
        }
        Ok(())
    }

    /// Compares what is here: the file itself, or a part of it.
    fn go_on(&mut self) -> Result<(), Trouble> {
        for number in self.open_files() {
            let (Ok(entry), Some((wanted, _))) = (&self.listed[number], &self.known[number]) else {
                continue;
            };
            let seen = self.spot(entry).and_then(|spot| match spot.is_same(wanted)? {
                true => Ok(None),
                // A part that cannot be read is begun anew.
                false => Ok(Some(spot.part(wanted).unwrap_or(None))),
            });
            let size = wanted.size;
            match seen {
                Err(error) => self.end(number, End::No(error.to_string())),
                Ok(None) => {
                    self.count(number, size);
                    self.end(number, End::Same);
                }
                Ok(Some(Some((length, here)))) if (1..=size).contains(&length) => {
                    let last = self.enter(number)?;
                    self.wire
                        .send(format!("S {number} {length} {last}\n").as_bytes())?;
                    let there = sum(&self.answer(number, length)?);
                    if let (Some((_, wanted_from)), true) =
                        (&mut self.known[number], there == Some((length, here)))
                    {
                        *wanted_from = length;
                        self.count(number, length);
                    }
                }
                Ok(Some(_)) => {}
            }
        }
        Ok(())
    }

    /// Fetches what is missing, with some pieces asked for ahead.
    fn fetch(&mut self) -> Result<(), Trouble> {
        let mut ahead = Ahead::default();
        for number in self.open_files() {
            let Some((size, mut from)) = self.known[number]
                .as_ref()
                .map(|(wanted, from)| (wanted.size, *from))
            else {
                continue;
            };
            let last = self.enter(number)?;
            let mut is_first = true;
            while is_first || from < size {
                let length = PIECE.min(size - from);
                while ahead.asked.len() >= REQUESTS || (ahead.bytes > 0 && ahead.bytes + length > WINDOW) {
                    self.fetched(&mut ahead)?;
                }
                let line = format!("G {number} {from} {length} {last}\n");
                self.wire.send(line.as_bytes())?;
                ahead.bytes += length;
                ahead.asked.push_back(Asked {
                    number,
                    from,
                    length,
                    is_first,
                    is_last: from + length == size,
                });
                from += length;
                is_first = false;
            }
        }
        while !ahead.asked.is_empty() {
            self.fetched(&mut ahead)?;
        }
        Ok(())
    }

    /// Makes links, now that no file is written any more.
    fn link(&mut self) {
        for number in 0..self.listed.len() {
            if let (Ok(entry), None) = (&self.listed[number], &self.ends[number])
                && let Kind::Link { target } = &entry.kind
            {
                let end = match self.spot(entry).and_then(|spot| spot.link(target)) {
                    Ok(true) => End::Same,
                    Ok(false) => End::Done,
                    Err(error) => End::No(error.to_string()),
                };
                self.end(number, end);
            }
        }
    }

    fn fetched(&mut self, ahead: &mut Ahead) -> Result<(), Trouble> {
        let Some(piece) = ahead.asked.pop_front() else {
            return Ok(());
        };
        ahead.bytes -= piece.length;
        let number = piece.number;
        let answer = self.answer(number, 0)?;
        if answer.word != "bytes" {
            return Err(out_of_step(&answer.word));
        }
        if let (true, Ok(entry), Some((wanted, _))) =
            (piece.is_first, &self.listed[number], &self.known[number])
        {
            let begun = self.spot(entry).and_then(|spot| spot.grow(wanted, piece.from));
            ahead.growing = match begun {
                Ok(begun) => Some(begun),
                Err(error) => {
                    self.end(number, End::No(error.to_string()));
                    None
                }
            };
        }
        self.wire.bytes(piece.length, |bytes| {
            if let Some(growing) = &mut ahead.growing {
                growing.add(bytes);
            }
        })?;
        self.count(number, piece.from + piece.length);
        if let (true, Some(growing), Some((wanted, _))) = (
            piece.is_last,
            ahead.growing.take_if(|_| piece.is_last),
            &self.known[number],
        ) {
            let end = match growing.finish(wanted) {
                Ok(true) => End::Done,
                Ok(false) => End::Differs,
                Err(error) => End::No(format!("cannot write it here: {error}")),
            };
            self.end(number, end);
        }
        Ok(())
    }

    /// Gives directories their permissions and times, now that nothing is made in them any more.
    fn settle(&mut self) {
        for number in (0..self.listed.len()).rev() {
            if let (Ok(entry), None) = (&self.listed[number], &self.ends[number])
                && let Kind::Dir { mode, mtime } = entry.kind
            {
                let end = match self.spot(entry).and_then(|spot| spot.settle(mode, mtime)) {
                    Ok(()) => End::Done,
                    Err(error) => End::No(error.to_string()),
                };
                self.end(number, end);
            }
        }
    }

    fn open_files(&self) -> Vec<usize> {
        let is_open = |number: &usize| self.ends[*number].is_none() && file(&self.listed[*number]).is_some();
        (0..self.listed.len()).filter(is_open).collect()
    }

    fn spot(&self, entry: &Listed) -> std::io::Result<Spot> {
        let parts = name::parts(&entry.path).map_err(std::io::Error::other)?;
        self.dest.spot(&parts)
    }

    /// Has the host enter the directory of a file, and returns the last name as it is sent.
    fn enter(&mut self, number: usize) -> Result<String, Trouble> {
        let Ok(entry) = &self.listed[number] else {
            return Ok(String::new());
        };
        let (dir, last) = name::split(&entry.path);
        let last = name::encode(last);
        let dir = match self.sources.get(entry.source) {
            Some((above, _)) if !dir.is_empty() => [above, &b"/"[..], dir].concat(),
            Some((above, _)) => above.clone(),
            None => dir.to_vec(),
        };
        if self.dir.as_ref() != Some(&dir) {
            self.wire.send(format!("C {}\n", name::encode(&dir)).as_bytes())?;
            self.dir = Some(dir);
        }
        Ok(last)
    }

    fn answer(&mut self, number: usize, work: u64) -> Result<Answer, Trouble> {
        let answer = self.wire.answer(work)?;
        match answer.number == number {
            true => Ok(answer),
            false => Err(out_of_step(&format!("{} for {number}", answer.number))),
        }
    }

    fn count(&mut self, number: usize, until: u64) {
        let more = until.saturating_sub(self.counted[number]);
        self.counted[number] += more;
        self.board.moved(more);
    }

    fn end(&mut self, number: usize, end: End) {
        let is_dir = matches!(
            &self.listed[number],
            Ok(Listed {
                kind: Kind::Dir { .. },
                ..
            })
        );
        match &end {
            End::Differs => self.board.differs(),
            end if end.is_ok() && !is_dir => self.board.arrived(),
            _ => {}
        }
        self.ends[number] = Some(end);
    }
}

/// Returns size, permissions and time of what was listed as a file.
fn file(read: &Read) -> Option<(u64, u32, i64)> {
    match read.as_ref().ok()?.kind {
        Kind::File { mode, mtime, size } => Some((size, mode, mtime)),
        _ => None,
    }
}

fn sum(answer: &Answer) -> Option<(u64, Sum)> {
    (answer.word == "sum").then(|| answer.size_and_sum()).flatten()
}
