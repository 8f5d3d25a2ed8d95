//! What each verb does.

mod audit;
mod drive;
mod master;
mod reclaim;
mod run;
mod status;
mod stop;
mod worker;

pub use audit::audit;
pub(super) use master::master;
pub use reclaim::reclaim;
pub(super) use run::run;
pub(super) use status::status;
pub use stop::stop;
pub(super) use worker::worker;
