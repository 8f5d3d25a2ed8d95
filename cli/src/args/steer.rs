//! Flags of the verbs that change what is going on.

use std::time::Duration;

use clap::Args;
use flockwork::app::{Place, times};

use super::read::Format;

/// Which tasks are meant.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which tasks")]
pub(crate) struct SelectFlags {
    /// These tasks, by number, and ranges: `377,401..410`
    #[arg(short, long, value_name = "TASKS", value_delimiter = ',')]
    pub(crate) task: Vec<String>,
    /// Tasks whose parameter matches: `alpha=0.9*`; several must all match
    #[arg(short, long = "match", value_name = "NAME=PATTERN")]
    pub(crate) matching: Vec<String>,
}

/// What `retry` is given.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) select: SelectFlags,
    /// A setting for these attempts: `timeout=10m`, `timeout=none`, `mem=8G`
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// How to write what was done on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// What `cancel` is given.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) select: SelectFlags,
    /// All tasks that have not ended
    #[arg(long)]
    pub(crate) all: bool,
    /// Why; it is shown with the task
    #[arg(long, value_name = "TEXT", default_value = "a person cancelled it")]
    pub(crate) why: String,
}

/// What `pause` is given.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Why; it is shown by `status`
    #[arg(long, value_name = "TEXT", default_value = "a person asked for it")]
    pub(crate) why: String,
}

/// What `resume` is given.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) place: Place,
}

/// What `clean` is given.
#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Remove without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Only what was not touched for so long
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = times::parse)]
    pub(crate) older: Duration,
    /// Also journals, and the outputs that attempts of dead workers have left
    #[arg(long)]
    pub(crate) all: bool,
}
