//! The Ethernet of the guests: a thread for each that passes its frames on.

use std::collections::{HashMap, HashSet};
use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::SendFlags;

use crate::Result;

/// Larger than every frame.
const FRAME: usize = 66_000;

/// Passes frames between guests; those of a guest that is cut off vanish, without any notice.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    wires: Arc<Mutex<Wires>>,
}

#[derive(Debug, Default)]
struct Wires {
    /// By the last byte of a guest's address.
    ports: HashMap<u8, Arc<UnixDatagram>>,
    cut: HashSet<u8>,
}

impl Hub {
    /// Takes one end of a guest's wire.
    pub(crate) fn plug(&self, guest: u8, port: UnixDatagram) -> Result<()> {
        let port = Arc::new(port);
        self.lock().ports.insert(guest, Arc::clone(&port));
        let hub = self.clone();
        std::thread::Builder::new()
            .name(format!("wire {guest}"))
            .spawn(move || hub.pass_on(guest, &port))?;
        Ok(())
    }

    /// The guest is gone.
    pub(crate) fn unplug(&self, guest: u8) {
        if let Some(port) = self.lock().ports.remove(&guest) {
            // Its thread may wait for a frame.
            let _ = port.shutdown(Shutdown::Both);
        }
    }

    /// Cuts a guest off, or joins it again.
    pub(crate) fn set_cut(&self, guest: u8, cut: bool) {
        match cut {
            true => self.lock().cut.insert(guest),
            false => self.lock().cut.remove(&guest),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, from: u8, port: &UnixDatagram) {
        let mut buffer = vec![0; FRAME];
        // A frame begins with the address it is for; a wire that was shut down gives empty ones.
        while let Ok(length) = port.recv(&mut buffer) {
            let frame = &buffer[..length];
            if length == 0 {
                return;
            }
            if length < 14 {
                continue;
            }
            let to_all = frame[0] & 1 == 1;
            for receiver in self.receivers(from, to_all, frame[5]) {
                // A guest that does not keep up loses frames, as it would on a real wire.
                let _ = rustix::net::send(&*receiver, frame, SendFlags::DONTWAIT);
            }
        }
    }

    fn receivers(&self, from: u8, to_all: bool, to: u8) -> Vec<Arc<UnixDatagram>> {
        let wires = self.lock();
        if wires.cut.contains(&from) {
            return Vec::new();
        }
        let ports = wires.ports.iter();
        ports
            .filter(|(guest, _)| **guest != from && (to_all || **guest == to) && !wires.cut.contains(guest))
            .map(|(_, port)| Arc::clone(port))
            .collect()
    }
}
