//! One file for each verb.

mod completions;
mod doctor;
mod man;

pub(crate) use completions::completions;
pub(crate) use doctor::doctor;
pub(crate) use man::man;
