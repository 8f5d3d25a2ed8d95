//! Files to many hosts and back: checked on both sides, resumed when cut, and nothing to install there.
//!
//! A small `sh` script runs on each host over one connection. It is sent lines, some of them followed by bytes, and
//! answers each with one line, in their order; so many requests are on their way at once, and thousands of small files
//! need no more connections than one large file.
//!
//! With many hosts, those that have everything may send it on ([`relays`], `relay`): they have bytes written to the hidden
//! parts on another host, and all else is as before.

mod again;
pub(crate) mod board;
pub(crate) mod dest;
pub(crate) mod journal;
pub(crate) mod listing;
pub(crate) mod name;
pub(crate) mod pull;
pub(crate) mod push;
mod relay;
pub(crate) mod relays;
pub(crate) mod report;
mod script;
pub(crate) mod spread;
mod time;
pub(crate) mod tree;
mod wire;

pub(crate) use board::{Board, End};
pub(crate) use relays::Relays;
pub(crate) use tree::{Entry, Source, What};
