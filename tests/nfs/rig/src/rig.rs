//! A server and its clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::guest::{Guest, Role};
use crate::hub::Hub;
use crate::image::{self, Image};

/// Of a rig's directory; the process that made it comes next.
const PREFIX: &str = "flockwork-rig-";

/// What a rig is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    clients: u8,
    lease: Duration,
    memory_mib: u32,
    disk_mib: u64,
    programs: Vec<(PathBuf, String)>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            clients: 2,
            lease: Duration::from_secs(10),
            memory_mib: 192,
            disk_mib: 1024,
            programs: Vec::new(),
        }
    }
}

impl Plan {
    /// How many clients there are; 2 by default, at most 30.
    pub fn clients(mut self, clients: u8) -> Plan {
        self.clients = clients.min(30);
        self
    }

    /// The lease of the NFSv4 server, and its grace period after a restart; 10 s by default, and 90 s on a real one.
    pub fn lease(mut self, lease: Duration) -> Plan {
        self.lease = lease;
        self
    }

    /// The memory of each guest; 192 MiB by default.
    pub fn memory_mib(mut self, memory: u32) -> Plan {
        self.memory_mib = memory;
        self
    }

    /// The size of the server's disk, of which only what is written takes space; 1 GiB by default.
    pub fn disk_mib(mut self, disk: u64) -> Plan {
        self.disk_mib = disk;
        self
    }

    /// Puts a program on the path of all guests, under this name.
    pub fn program(mut self, path: impl Into<PathBuf>, name: &str) -> Plan {
        self.programs.push((path.into(), name.to_owned()));
        self
    }
}

/// An NFS server and its clients, all on one wire.
#[derive(Debug)]
pub struct Rig {
    server: Guest,
    clients: Vec<Guest>,
    // Removed last, when no guest writes there any more.
    shared: tempfile::TempDir,
}

impl Rig {
    /// Boots a server and its clients.
    ///
    /// # Errors
    ///
    /// If there is no [image](Image::get), or a guest does not come up.
    pub fn start(plan: &Plan) -> Result<Rig> {
        let image = Image::get()?;
        remove_left_over();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let shared = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        put_programs(&plan.programs, shared.path())?;
        let hub = Hub::default();
        let guest = |name: String, id: u8, role: Role| Guest {
            name,
            id,
            role,
            image: image.clone(),
            hub: hub.clone(),
            shared: shared.path().to_owned(),
            disk: None,
            memory_mib: plan.memory_mib,
            lease: plan.lease,
            runs: None,
            jobs: 0,
        };
        let mut server = guest("server".into(), 1, Role::Server);
        server.disk = Some(new_disk(&shared.path().join("server.disk"), plan.disk_mib)?);
        let clients = (1..=plan.clients).map(|number| guest(format!("c{number}"), number + 1, Role::Client));
        let mut rig = Rig {
            server,
            clients: clients.collect(),
            shared,
        };
        let all = std::iter::once(&mut rig.server).chain(&mut rig.clients);
        at_once(all, Guest::start)?;
        Ok(rig)
    }

    /// Returns the server.
    pub fn server(&mut self) -> &mut Guest {
        &mut self.server
    }

    /// Returns a client, counted from 0.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn client(&mut self, number: usize) -> &mut Guest {
        &mut self.clients[number]
    }

    /// Returns all clients.
    pub fn clients(&mut self) -> &mut [Guest] {
        &mut self.clients
    }

    /// Mounts the export on all clients, as [`Guest::mount`] does.
    ///
    /// # Errors
    ///
    /// If a client cannot.
    pub fn mount(&mut self, version: &str, options: &str) -> Result<()> {
        at_once(&mut self.clients, |client| client.mount(version, options))?;
        // The server gives no locks in the grace period of its lockd, which is three seconds at the first start.
        let first = self.clients.first_mut().ok_or("a rig without clients")?;
        first.run(
            "n=0; : >/mnt/nfs/.grace; until flock -n /mnt/nfs/.grace true; do n=$((n+1)); [ $n -lt 300 ] || exit 1; \
             sleep 0.1; done; rm /mnt/nfs/.grace",
        )?;
        Ok(())
    }

    /// Unmounts it everywhere.
    ///
    /// # Errors
    ///
    /// If somebody still uses it.
    pub fn unmount(&mut self) -> Result<()> {
        at_once(&mut self.clients, |client| {
            client.run("umount /mnt/nfs").map(drop)
        })
    }

    /// Returns the directory of this machine that all guests have as `/host`.
    pub fn shared(&self) -> &Path {
        self.shared.path()
    }
}

impl Guest {
    /// Boots a machine with a new disk and without a network, for cutting its power. The disk is `/dev/ubda`, without a file
    /// system; `shared` is its `/host`, and `programs` are on its path.
    ///
    /// # Errors
    ///
    /// If there is no [image](Image::get), or it does not come up.
    pub fn with_disk(shared: &Path, disk_mib: u64, programs: &[(PathBuf, String)]) -> Result<Guest> {
        put_programs(programs, shared)?;
        let mut guest = Guest {
            name: "disk".into(),
            id: 1,
            role: Role::Disk,
            image: Image::get()?,
            hub: Hub::default(),
            shared: shared.to_owned(),
            disk: Some(new_disk(&shared.join("disk.image"), disk_mib)?),
            memory_mib: 256,
            lease: Duration::from_secs(10),
            runs: None,
            jobs: 0,
        };
        guest.start()?;
        Ok(guest)
    }
}

/// Does the same with many guests at the same time; the first error is told.
fn at_once<'a>(
    guests: impl IntoIterator<Item = &'a mut Guest>,
    step: impl Fn(&mut Guest) -> Result<()> + Sync,
) -> Result<()> {
    let step = &step;
    std::thread::scope(|scope| {
        let threads: Vec<_> = guests
            .into_iter()
            .map(|guest| scope.spawn(move || step(guest)))
            .collect();
        let answers = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a thread of the rig panicked".into()))
        });
        // All are waited for.
        answers.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Removes what rigs have left whose processes were killed. Their guests have ended with them.
fn remove_left_over() {
    for entry in fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .filter_map(std::result::Result::ok)
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let is_gone = process.is_some_and(|process| !Path::new("/proc").join(process).exists());
        if is_gone {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A file full of nothing, of which nothing is stored.
fn new_disk(path: &Path, mib: u64) -> Result<PathBuf> {
    fs::File::create(path)?.set_len(mib << 20)?;
    Ok(path.to_owned())
}

/// Puts programs where guests look for them, and beside them the libraries that the image has not.
fn put_programs(programs: &[(PathBuf, String)], shared: &Path) -> Result<()> {
    let place = shared.join("job");
    for (program, name) in programs {
        image::put(program, &place.join(name))?;
        for library in image::needed(program, "")? {
            let file = library
                .file_name()
                .ok_or("a library without a name")?
                .to_string_lossy()
                .into_owned();
            // These two are the image's own, and must fit each other.
            if !file.starts_with("ld-linux") && !file.starts_with("libc.so") {
                image::put(&library, &place.join(".lib").join(&file))?;
            }
        }
    }
    Ok(())
}
