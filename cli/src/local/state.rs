//! What is kept of a service while it runs: one file for each port, which only its user can read.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flockwork::app::exit::{Failed, NOT_OK};
use serde::{Deserialize, Serialize};

use crate::sweep::shown;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) pid: u32,
    /// Who knows it may stop the service; others on this machine can reach its port too.
    pub(crate) token: String,
    pub(crate) store: Option<PathBuf>,
}

/// Where the files are: on this machine, and the user's own.
#[derive(Debug, Clone)]
pub(crate) struct States(PathBuf);

impl States {
    /// Finds the directory, and makes it if need be.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or belongs to another user.
    pub(crate) fn open() -> Result<States, Failed> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        // A home may be shared by several machines.
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let dir = match (variable("XDG_RUNTIME_DIR"), variable("HOME")) {
            (Some(dir), _) => PathBuf::from(dir).join("flockwork-local"),
            (None, Some(home)) => PathBuf::from(home).join(format!(".cache/flockwork-local-{host}")),
            (None, None) => {
                let text = "neither XDG_RUNTIME_DIR nor HOME says where to note the services";
                return Err(Failed::usage(text, "set HOME"));
            }
        };
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir);
        let owned = made.and_then(|()| Ok(std::fs::symlink_metadata(&dir)?.uid()));
        match owned {
            Ok(uid) if uid == rustix::process::geteuid().as_raw() => Ok(States(dir)),
            Ok(_) => Err(failed(&dir, &"it belongs to another user")),
            Err(error) => Err(failed(&dir, &error)),
        }
    }

    /// Notes a service.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn put(&self, service: &Service) -> Result<(), Failed> {
        let path = self.path(service.port);
        // What a service that was killed has left is replaced: the port is ours now.
        let _ = std::fs::remove_file(&path);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(&serde_json::to_vec(service)?)
        };
        write().map_err(|error| failed(&path, &error))
    }

    /// Returns the services that were noted, in the order of their ports.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<Service>, Failed> {
        let names = crate::listing::names(&self.0).map_err(|error| failed(&self.0, &error))?;
        let ports = names
            .iter()
            .filter_map(|name| name.strip_suffix(".json")?.parse::<u16>().ok());
        let mut services: Vec<_> = ports.filter_map(|port| self.get(port)).collect();
        services.sort_by_key(|service| service.port);
        Ok(services)
    }

    /// Forgets a service; the last one takes the directory with it.
    pub(crate) fn remove(&self, port: u16) {
        let _ = std::fs::remove_file(self.path(port));
        self.tidy();
    }

    /// Removes the directory if nothing is in it.
    pub(crate) fn tidy(&self) {
        let _ = std::fs::remove_dir(&self.0);
    }

    fn get(&self, port: u16) -> Option<Service> {
        let mut text = Vec::new();
        let file = std::fs::File::open(self.path(port)).ok()?;
        file.take(64 << 10).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text)
            .ok()
            .filter(|service: &Service| service.port == port)
    }

    fn path(&self, port: u16) -> PathBuf {
        self.0.join(format!("{port}.json"))
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failed {
    let text = format!("cannot note services in {}: {error}", shown::path(path));
    Failed::new(NOT_OK, text, None)
}
