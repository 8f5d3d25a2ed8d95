//! Hosts as people name many of them at once.

mod fold;
pub(crate) mod range;

pub(crate) use fold::fold;
pub(crate) use range::expand;
