//! Files from one host, over one connection that is made again when it breaks.

mod session;

use std::time::Duration;

use self::session::Session;

use super::board::Outcome;
use super::dest::Dest;
use super::listing::{self, Kind, Read};
use super::wire::{Answer, Wire, out_of_step};
use super::{Board, End, again, name, script};
use crate::hosts::{Host, Ssh, Trouble};

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
            session.run()?;
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
