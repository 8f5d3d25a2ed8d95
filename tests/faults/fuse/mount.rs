//! Mounting, and unmounting whatever happens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fuser::{BackgroundSession, Config, MountOption, Session};

use super::calls::Faulty;
use super::chance::Chance;

/// Says why nothing can be mounted here, if so.
pub(crate) fn missing() -> Option<String> {
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse");
    opened.err().map(|error| format!("/dev/fuse: {error}"))
}

/// A mounted file system, gone at the end.
#[derive(Debug)]
pub(crate) struct Mount {
    at: PathBuf,
    session: Option<BackgroundSession>,
}

impl Mount {
    /// Mounts the directory `below` at `at`.
    pub(crate) fn new(below: &Path, at: &Path, chance: Chance) -> Result<Mount, String> {
        // Each file that the kernel knows is held open here.
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).map_err(|error| error.to_string())?;
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("flockwork-faults".into()),
            MountOption::DefaultPermissions,
        ];
        config.n_threads = Some(4);
        let told = |error: std::io::Error| format!("cannot mount at {}: {error}", at.display());
        let faulty = Faulty::of(below, chance).map_err(told)?;
        let session = Session::new(faulty, at, &config)
            .and_then(Session::spawn)
            .map_err(told)?;
        Ok(Mount {
            at: at.to_owned(),
            session: Some(session),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, for processes of a failed test may still have files open there. Nobody waits for the threads: they end
        // when the last of these is closed, and answer until then.
        let mut umount = Command::new("umount");
        let umount = umount.arg("--lazy").arg(&self.at).stderr(Stdio::null());
        let _ = umount.status();
        std::mem::forget(self.session.take());
    }
}
