//! Starting services: the ports are taken here, so it is known at once which are free.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use flockwork::app::exit::{Failed, NOT_OK};

use super::state::{Service, States};
use crate::token::token;

/// Starts the service of a port.
///
/// # Errors
///
/// A text: the port is taken, or the process cannot be started.
pub(crate) fn start(
    states: &States,
    port: u16,
    store: Option<&Path>,
    log: Option<&Path>,
    flags: &[String],
) -> Result<Service, Failed> {
    let fail = |what: String| Failed::new(NOT_OK, format!("port {port}: {what}"), None);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => fail("it is taken".to_owned()),
        _ => fail(error.to_string()),
    })?;
    let token = token().map_err(|error| fail(format!("no random number: {error}")))?;
    let program = std::env::current_exe().map_err(|error| fail(error.to_string()))?;
    let mut command = Command::new(program);
    command.args(["local-service", &port.to_string()]);
    if let Some(store) = store {
        command.arg("--store").arg(store);
    }
    // Not on the command line, where everybody can read it.
    command.env("FLOCKWORK_LOCAL_TOKEN", &token);
    command.arg("--").args(flags);
    let said = || match log {
        Some(log) => std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)
            .map(Stdio::from),
        None => Ok(Stdio::null()),
    };
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    command.stdout(said().map_err(|error| fail(error.to_string()))?);
    command.stderr(said().map_err(|error| fail(error.to_string()))?);
    let child = command.spawn().map_err(|error| fail(error.to_string()))?;
    let service = Service {
        port,
        pid: child.id(),
        token,
        store: store.map(Path::to_owned),
    };
    states.put(&service)?;
    Ok(service)
}
