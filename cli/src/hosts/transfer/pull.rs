//! Files from one host, over one connection that is made again when it breaks.

use std::collections::VecDeque;
use std::time::Duration;

use super::board::Outcome;
use super::dest::{Dest, Growing, Spot, Wanted};
use super::listing::{self, Kind, Listed, Read};
use super::sum::Sum;
use super::wire::{Answer, Wire, out_of_step};
use super::{Board, End, again, name, script};
use crate::hosts::{Host, Ssh, Trouble};

/// A piece of a file, and how many bytes may be asked for ahead.
const PIECE: u64 = 4 << 20;
const WINDOW: u64 = 8 << 20;
/// How many requests may wait for their answers.
const REQUESTS: usize = 256;

/// How files are fetched.
#[derive(Debug)]
pub(crate) struct Pull<'a> {
    pub(crate) ssh: &'a Ssh,
    /// Directory and name of each source there.
    pub(crate) sources: &'a [(Vec<u8>, Vec<u8>)],
    pub(crate) stall: Duration,
    pub(crate) retries: u32,
    pub(crate) board: &'a Board,
}

impl Pull<'_> {
    /// Asks a host what it has.
    ///
    /// # Errors
    ///
    /// Why it could not be asked.
    pub(crate) fn list(&self, host: &Host) -> Result<Vec<Read>, Trouble> {
        let mut tried = 0;
        loop {
            match self.try_list(host) {
                Err(trouble) if again::passes(trouble.why) && tried < self.retries => {
                    tried += 1;
                    again::rest(self.ssh, tried);
                }
                answer => return answer.map(listing::once),
            }
        }
    }

    fn try_list(&self, host: &Host) -> Result<Vec<Read>, Trouble> {
        let mut wire = self.open(host)?;
        let mut listed = Vec::new();
        for (number, (dir, base)) in self.sources.iter().enumerate() {
            let line = format!("Z {number} {} {}\n", name::encode(dir), name::encode(base));
            wire.send(line.as_bytes())?;
            loop {
                let line = wire.line(0)?;
                if let Some(read) = listing::read(&line, number, base) {
                    listed.push(read);
                    if listed.len() > listing::MOST {
                        return Err(Trouble::there(format!(
                            "it lists more than {} files",
                            listing::MOST
                        )));
                    }
                    continue;
                }
                match Answer::read(&line) {
                    Some(answer) if answer.number == number && answer.word == "end" => break,
                    Some(answer) if answer.number == number && answer.word == "no" => {
                        listed.push(Err((base.clone(), answer.reason())));
                        break;
                    }
                    _ => return Err(out_of_step(&line)),
                }
            }
        }
        wire.close();
        Ok(listed)
    }

    /// Fetches what a host has listed.
    pub(crate) fn fetch(&self, host: &Host, listed: &[Read], dest: &Dest) -> Outcome {
        let mut ends: Vec<Option<End>> = listed
            .iter()
            .map(|read| read.as_ref().err().map(|(_, reason)| End::No(reason.clone())))
            .collect();
        let mut counted = vec![0; listed.len()];
        let trouble = again::until_done(self.ssh, self.retries, &mut ends, |ends| {
            let mut session = Session {
                wire: self.open(host)?,
                sources: self.sources,
                listed,
                dest,
                ends,
                counted: &mut counted,
                known: listed.iter().map(|_| None).collect(),
                dir: None,
                board: self.board,
            };
            session.make();
            session.learn()?;
            session.fetch()?;
            session.settle();
            session.wire.close();
            Ok(())
        });
        let named = listed.iter().map(|read| match read {
            Ok(entry) => match entry.kind {
                Kind::Dir { .. } => (entry.path.clone(), None),
                Kind::File { size, .. } => (entry.path.clone(), Some(size)),
                Kind::Link { .. } => (entry.path.clone(), Some(0)),
            },
            Err((path, _)) => (path.clone(), Some(0)),
        });
        Outcome::of(named.zip(ends), trouble)
    }

    fn open(&self, host: &Host) -> Result<Wire, Trouble> {
        let (script, list) = script::pull();
        Wire::open(self.ssh, host, &script, &[&list], self.stall)
    }
}

/// One connection.
struct Session<'a> {
    wire: Wire,
    sources: &'a [(Vec<u8>, Vec<u8>)],
    listed: &'a [Read],
    dest: &'a Dest,
    ends: &'a mut [Option<End>],
    /// Bytes that the board knows of, so that none counts twice.
    counted: &'a mut [u64],
    /// What each file is to become, once its checksum there is known, and how much of it is here.
    known: Vec<Option<(Wanted, u64)>>,
    /// The directory there in which the next step is made.
    dir: Option<Vec<u8>>,
    board: &'a Board,
}

/// A piece that was asked for; the first one opens the file here, the last one gives it its name.
struct Asked {
    number: usize,
    from: u64,
    length: u64,
    is_first: bool,
    is_last: bool,
}

impl Session<'_> {
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
        let files = self.open_files();
        let mut asked = VecDeque::new();
        for number in files {
            let Ok(Listed {
                kind: Kind::File { size, .. },
                ..
            }) = &self.listed[number]
            else {
                continue;
            };
            let last = self.enter(number)?;
            self.wire.send(format!("S {number} all {last}\n").as_bytes())?;
            asked.push_back((number, *size));
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
        let Some((size, sum)) = sum(&answer) else {
            let reason = if answer.word == "no" {
                answer.reason()
            } else {
                return Err(out_of_step(&answer.word));
            };
            self.end(number, End::No(reason));
            return Ok(());
        };
        let Ok(Listed {
            kind: Kind::File { mode, mtime, .. },
            ..
        }) = &self.listed[number]
        else {
            return Ok(());
        };
        let wanted = Wanted {
            size,
            mtime: *mtime,
            mode: *mode,
            sum,
        };
        self.known[number] = Some((wanted, 0));
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

    /// Fetches what is missing, with some pieces asked for ahead; links come last.
    fn fetch(&mut self) -> Result<(), Trouble> {
        let (mut asked, mut ahead, mut growing) = (VecDeque::new(), 0, None);
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
                while asked.len() >= REQUESTS || (ahead > 0 && ahead + length > WINDOW) {
                    self.fetched(&mut asked, &mut ahead, &mut growing)?;
                }
                let line = format!("G {number} {from} {length} {last}\n");
                self.wire.send(line.as_bytes())?;
                ahead += length;
                asked.push_back(Asked {
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
        while !asked.is_empty() {
            self.fetched(&mut asked, &mut ahead, &mut growing)?;
        }
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
        Ok(())
    }

    fn fetched(
        &mut self,
        asked: &mut VecDeque<Asked>,
        ahead: &mut u64,
        growing: &mut Option<Growing>,
    ) -> Result<(), Trouble> {
        let Some(piece) = asked.pop_front() else {
            return Ok(());
        };
        *ahead -= piece.length;
        let number = piece.number;
        let answer = self.answer(number, 0)?;
        if answer.word != "bytes" {
            return Err(out_of_step(&answer.word));
        }
        if let (true, Ok(entry), Some((wanted, _))) =
            (piece.is_first, &self.listed[number], &self.known[number])
        {
            let begun = self.spot(entry).and_then(|spot| spot.grow(wanted, piece.from));
            *growing = match begun {
                Ok(begun) => Some(begun),
                Err(error) => {
                    self.end(number, End::No(error.to_string()));
                    None
                }
            };
        }
        self.wire.bytes(piece.length, |bytes| {
            if let Some(growing) = growing {
                growing.add(bytes);
            }
        })?;
        self.count(number, piece.from + piece.length);
        if let (true, Some(growing), Some((wanted, _))) = (
            piece.is_last,
            growing.take_if(|_| piece.is_last),
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
        let is_file = |read: &Read| {
            matches!(
                read,
                Ok(Listed {
                    kind: Kind::File { .. },
                    ..
                })
            )
        };
        let numbers = 0..self.listed.len();
        numbers
            .filter(|number| self.ends[*number].is_none() && is_file(&self.listed[*number]))
            .collect()
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

fn sum(answer: &Answer) -> Option<(u64, Sum)> {
    let (size, sum) = answer.rest.split_once(' ')?;
    (answer.word == "sum").then_some(())?;
    Some((size.parse().ok()?, Sum::read(sum)?))
}
