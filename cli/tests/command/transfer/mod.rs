//! `hosts cp` and `hosts distribute`.

/// From hosts: what they may not do to us.
mod collecting;
/// Each file to one host.
mod distributing;
/// Signals here.
mod interrupted;
/// From host to host.
mod relaying;
/// To hosts, and what can go wrong on the way.
mod sending;
mod site;
