//! The real disk: platform code, and nothing but that.

#[cfg(not(target_os = "linux"))]
compile_error!("flockwork knows the system calls of Linux only, so far");

mod dir;
mod file;
mod lock;
mod process;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) use process::{host_name, is_alive, this_process};

use super::DirRef;
use crate::config::Sharing;

/// Modes of new files and directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Modes {
    file: rustix::fs::RawMode,
    dir: rustix::fs::RawMode,
    /// Whether a mode must be set once more, because a umask may have taken bits away.
    beyond_umask: bool,
}

impl From<Sharing> for Modes {
    fn from(sharing: Sharing) -> Modes {
        match sharing {
            Sharing::Private => Modes {
                file: 0o600,
                dir: 0o700,
                beyond_umask: false,
            },
            Sharing::Group => Modes {
                file: 0o660,
                dir: 0o2770,
                beyond_umask: true,
            },
        }
    }
}

/// Opens a directory by its path; this is where a store's own path may lead through symbolic links.
pub(crate) fn open(path: &Path, sharing: Sharing) -> io::Result<DirRef> {
    Ok(Arc::new(dir::OsDir::open(path, sharing.into())?))
}

/// Makes a directory by its path, with the modes of the store.
pub(crate) fn make_dir(path: &Path, sharing: Sharing) -> io::Result<()> {
    dir::make_dir_at(rustix::fs::CWD, path, sharing.into())
}
