//! Many hosts at once, reached by the system's ssh.

pub(crate) mod fan;
mod fold;
pub(crate) mod list;
pub(crate) mod ping;
pub(crate) mod process;
pub(crate) mod range;
pub(crate) mod run;
pub(crate) mod ssh;
pub(crate) mod sum;
pub(crate) mod transfer;
pub(crate) mod trouble;

pub(crate) use fold::fold;
pub(crate) use list::Host;
pub(crate) use range::expand;
pub(crate) use ssh::Ssh;
pub(crate) use trouble::Trouble;
