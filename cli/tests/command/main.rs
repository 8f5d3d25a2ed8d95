//! The command `flockwork` as its users see it: real processes on a real directory.

/// A command that fails, hangs, or must not be tried again.
mod failing;
/// A disk that is full while results are collected.
mod full;
/// Workers as guests of a batch engine: its jobs, its signals, its time limits.
mod guest;
/// Defaults from `flockwork.toml`, completions, pages and help.
mod habits;
/// Values that a shell, a table or a terminal would take amiss.
mod hostile;
/// The same on many hosts, over a pretended ssh.
mod hosts;
/// What a command is given, where it runs, and what becomes of its output.
mod inside;
/// From a table to its results, at once and with each verb apart.
mod journey;
/// Workers that engines, or this host, are to start.
mod launch;
/// Workers on hosts that ssh reaches: one that is none, for hosts that are directories.
mod launch_ssh;
/// Services on ports of this machine.
mod local;
/// What people get wrong: the text, the exit code, and nothing that was made.
mod mistakes;
/// Signs of life through the file system.
mod ping;
/// Running the command, waiting for it, and reading what it says.
mod place;
/// The verbs that read, on a store that has ended and on one that runs.
mod reading;
/// Kills, of workers, of masters and of `run`.
mod recovery;
/// New attempts, cancelling, pauses and stops.
mod steering;
/// The forms in which parameters are given.
mod tables;
/// Kills at random and the proof, on a store of its own.
mod torture;
/// Files to many hosts and back, by an ssh that has no network.
mod transfer;
