//! Files to one host, over one connection that is made again when it breaks.

mod session;

use std::time::Duration;

use self::session::Session;
use super::board::Outcome;
use super::relay::Relay;
use super::relays::Turn;
use super::wire::Wire;
use super::{Board, End, Entry, Relays, What, again, name, script};
use crate::hosts::trouble::Why;
use crate::hosts::{Host, Ssh, Trouble};

/// How files are sent.
#[derive(Debug)]
pub(crate) struct Push<'a> {
    pub(crate) ssh: &'a Ssh,
    /// The directory there, made if it is missing.
    pub(crate) dest: &'a [u8],
    /// Whether what is done there outlives a power cut, as far as the host's `sync` does its work.
    pub(crate) durable: bool,
    pub(crate) stall: Duration,
    pub(crate) retries: u32,
    pub(crate) board: &'a Board,
    /// Hosts that send on what they have; `None`: everything comes from here.
    pub(crate) relays: Option<&'a Relays>,
}

/// Which other host has sent what a host has now, and which could not.
#[derive(Debug, Default)]
struct By {
    from: Option<Host>,
    failed: Option<(Host, Trouble)>,
}

impl Push<'_> {
    /// Sends all of it, and tells each end as it comes.
    pub(crate) fn send(&self, host: &Host, entries: &[&Entry], mut told: impl FnMut(usize, &End)) -> Outcome {
        let mut ends: Vec<Option<End>> = vec![None; entries.len()];
        let mut counted = vec![0; entries.len()];
        let mut by = By::default();
        let trouble = again::until_done(self.ssh, self.retries, &mut ends, |ends| {
            let wire = self.open(host)?;
            let mut session = Session::new(wire, entries, ends, &mut counted, &mut told, self.board);
            let sent = session
                .look()
                .and_then(|()| self.bytes(&mut session, host, &mut by));
            if let Err(trouble) = sent.and_then(|()| session.settle()) {
                session.hear_the_rest(&trouble);
                return Err(trouble);
            }
            session.close();
            Ok(())
        });
        let sizes = entries.iter().map(|entry| match entry.what {
            What::Dir { .. } => None,
            _ => Some(entry.size()),
        });
        let paths = entries.iter().map(|entry| entry.path.clone());
        let mut outcome = Outcome::of(paths.zip(sizes).zip(ends), trouble);
        if let Some(relays) = self.relays.filter(|_| outcome.is_ok()) {
            relays.add(host);
            if let Some((sender, trouble)) = by.failed {
                relays.failed(&sender, host, trouble);
            }
        }
        outcome.from = by.from.map(|sender| sender.name);
        outcome
    }

    /// Sends bytes that are missing, or has another host send them.
    fn bytes(&self, session: &mut Session<'_>, host: &Host, by: &mut By) -> Result<(), Trouble> {
        let Some(relays) = self.relays.filter(|_| session.is_short()) else {
            return session.send();
        };
        let mut turn = Some(self.turn(relays, by.failed.is_some())?);
        if let Some(sender) = turn.as_ref().and_then(Turn::from).cloned() {
            let relay = Relay::open(self, &sender, host, session.name());
            let sent = relay.and_then(|relay| session.fill(relay));
            // The sender is free while the other checks what it has.
            drop(turn.take());
            if let Err(trouble) = sent {
                by.failed = Some((sender, trouble));
                turn = Some(self.turn(relays, true)?);
            } else {
                relays.worked();
                by.from = Some(sender);
            }
        }
        session.send()?;
        drop(turn);
        if session.was_spoilt()
            && let Some(sender) = by.from.take()
        {
            by.failed = Some((sender, Trouble::there("checksum differs")));
        }
        Ok(())
    }

    fn turn<'a>(&self, relays: &'a Relays, only_here: bool) -> Result<Turn<'a>, Trouble> {
        let turn = relays.turn(only_here, || self.ssh.is_cut());
        turn.ok_or_else(|| Trouble::new(Why::Interrupted, ""))
    }

    fn open(&self, host: &Host) -> Result<Wire, Trouble> {
        let arguments = self.arguments();
        let arguments = arguments.each_ref().map(String::as_str);
        Wire::open(self.ssh, host, &script::push(), &arguments, self.stall)
    }

    /// Returns the arguments of the script that takes files.
    pub(super) fn arguments(&self) -> [String; 2] {
        // Words that begin with a dash are no options.
        let dest = match self.dest.starts_with(b"/") {
            true => self.dest.to_vec(),
            false => [b"./", self.dest].concat(),
        };
        let durable = if self.durable { "sync" } else { "" };
        [name::encode(&dest), durable.to_owned()]
    }
}
