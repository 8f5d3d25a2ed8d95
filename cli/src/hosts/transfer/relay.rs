//! One host sends to another: bytes only. What they are worth is found out by the other's own connection.
//!
//! The sender runs its own ssh to the other host, and there the same script that takes files from here. It is asked for
//! pieces, reads them from its own copies, and passes the answers on. So neither is anything installed, nor is the
//! sender's word taken for anything.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use super::name;
use super::push::Push;
use super::script;
use super::wire::{Wire, out_of_step};
use crate::hosts::ssh::remote;
use crate::hosts::{Host, Trouble};

/// A piece of a file: what one step of the two scripts moves.
const PIECE: u64 = 8 << 20;
/// How many pieces may be asked for.
const REQUESTS: usize = 64;

/// A file that is missing, or its end is.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) number: usize,
    pub(super) path: &'a [u8],
    pub(super) size: u64,
    /// What is there already.
    pub(super) offset: u64,
    /// Under which name it grows there.
    pub(super) part: String,
}

/// The way from one host to another.
#[derive(Debug)]
pub(super) struct Relay {
    wire: Wire,
}

impl Relay {
    /// Has one host connect to another, by its own ssh. `name` is what the other has called itself on its own connection.
    ///
    /// # Errors
    ///
    /// Why the sender cannot be reached, or cannot reach the other, or reaches another one by that name.
    pub(super) fn open(push: &Push<'_>, from: &Host, to: &Host, name: &str) -> Result<Relay, Trouble> {
        let place = push.ssh.resolved(to, Instant::now() + push.ssh.connect_timeout());
        let is_own = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
        if place.name == "localhost" || place.name.parse().is_ok_and(is_own) {
            let text = format!("{} is a way that only this machine has", place.name);
            return Err(Trouble::there(text));
        }
        let arguments = push.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let line = remote(&script::far(), &arguments);
        let seconds = push.ssh.connect_timeout().as_secs().max(1).to_string();
        let port = place.port.to_string();
        let user = place.user.unwrap_or_default();
        let words = [arguments[0], &seconds, &user, &port, &place.name, &line];
        let wire = Wire::open_far(push.ssh, from, &script::relay(), &words, push.stall)?;
        if wire.name() != name {
            let text = format!("{} is another host there", place.name);
            return Err(Trouble::there(text));
        }
        Ok(Relay { wire })
    }

    /// Has the files sent; `got` is told the number of each and how far it has come.
    ///
    /// # Errors
    ///
    /// Why the connections broke; what was told until then is there.
    pub(super) fn send(
        mut self,
        files: &[Wanted<'_>],
        mut got: impl FnMut(usize, u64),
    ) -> Result<(), Trouble> {
        let mut asked = VecDeque::new();
        let mut dir = None;
        for file in files {
            let (its_dir, last) = name::split(file.path);
            if dir != Some(its_dir) {
                dir = Some(its_dir);
                let line = format!("C {}\n", name::encode(its_dir));
                self.wire.send(line.as_bytes())?;
            }
            let mut offset = file.offset;
            while offset < file.size {
                let length = PIECE.min(file.size - offset);
                let Wanted {
                    number, size, part, ..
                } = file;
                let word = name::encode(last);
                let line = format!("S {number} {offset} {length} {part} {word} {size}\n");
                self.wire.send(line.as_bytes())?;
                offset += length;
                asked.push_back((*number, offset, length));
                if asked.len() >= REQUESTS {
                    self.hear(&mut asked, &mut got)?;
                }
            }
        }
        while !asked.is_empty() {
            self.hear(&mut asked, &mut got)?;
        }
        self.wire.close();
        Ok(())
    }

    fn hear(
        &mut self,
        asked: &mut VecDeque<(usize, u64, u64)>,
        got: &mut impl FnMut(usize, u64),
    ) -> Result<(), Trouble> {
        let Some((number, until, length)) = asked.pop_front() else {
            return Ok(());
        };
        let answer = self.wire.answer(length)?;
        match answer.word.as_str() {
            word if answer.number != number => Err(out_of_step(word)),
            "got" => {
                got(number, until);
                Ok(())
            }
            // A disk that is full, a file that has gone: it is sent from here, or fails there too.
            "no" => Err(Trouble::there(answer.reason())),
            word => Err(out_of_step(word)),
        }
    }
}
