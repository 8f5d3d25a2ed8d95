//! Launching workers: by batch engines, and in the background of this host.
//!
//! Each launch is a record in the store, written before anything is started ([`records`]). What is asked for
//! ([`request`]) and the text that an engine gets ([`text`]) are pure. [`submit`] and [`local`] start workers,
//! [`ask`] and [`stop`] look after them, [`replace`] goes on when a worker's time is up.

pub(crate) mod ask;
mod cap;
mod engine;
pub(crate) mod local;
pub(crate) mod place;
mod process;
pub(crate) mod records;
pub(crate) mod replace;
pub(crate) mod request;
mod run;
pub(crate) mod seen;
pub(crate) mod ssh;
pub(crate) mod stop;
pub(crate) mod submit;
pub(crate) mod text;

pub(crate) use engine::Engine;
