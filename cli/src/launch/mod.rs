//! Starting workers elsewhere.

pub(crate) mod ssh;
