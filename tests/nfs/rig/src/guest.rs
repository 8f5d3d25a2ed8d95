//! One guest: started, told what to do, cut off, suspended, killed.

use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};

use crate::Result;
use crate::hub::Hub;
use crate::image::Image;
use crate::job::Job;

/// A loaded machine boots a guest slowly.
const BOOT: Duration = Duration::from_secs(120);
/// Scripts without a limit of their own.
const SCRIPT: Duration = Duration::from_secs(120);
/// Where clients have the server's export.
pub(crate) const MOUNT_POINT: &str = "/mnt/nfs";

/// What a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Exports a directory of its disk.
    Server,
    /// Mounts it.
    Client,
    /// Has a disk, and no network.
    Disk,
}

/// A machine of its own: a kernel, a clock, a host name, and a directory `/host` that it shares with this machine.
#[derive(Debug)]
pub struct Guest {
    pub(crate) name: String,
    /// The last byte of its addresses.
    pub(crate) id: u8,
    pub(crate) role: Role,
    pub(crate) image: Image,
    pub(crate) hub: Hub,
    /// The directory of the rig: `/host` in every guest.
    pub(crate) shared: PathBuf,
    pub(crate) disk: Option<PathBuf>,
    pub(crate) memory_mib: u32,
    pub(crate) lease: Duration,
    pub(crate) runs: Option<Running>,
    pub(crate) jobs: u64,
}

/// A guest that runs.
#[derive(Debug)]
pub(crate) struct Running {
    kernel: Child,
    control: UnixStream,
    alive: Arc<AtomicBool>,
}

/// Between the moment when descriptors can be inherited and the start of the guest that is meant to inherit them no
/// other guest may start.
static STARTING: Mutex<()> = Mutex::new(());

impl Guest {
    /// Returns its host name: `server`, `c1`, `c2`, ...
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Boots it, and waits until it takes scripts. A server that is started again has a real grace period.
    ///
    /// # Errors
    ///
    /// If it does not come up; the text has the end of its console.
    pub fn start(&mut self) -> Result<()> {
        let place = self.shared.join(&self.name);
        let is_first = !place.exists();
        fs::create_dir_all(&place)?;
        let _ = fs::remove_file(place.join("up"));
        let (wire, guest_wire) = UnixDatagram::pair()?;
        for end in [&wire, &guest_wire] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, 1 << 20)?;
        }
        let (control, guest_control) = UnixStream::pair()?;
        let console = place.join("console");
        let log = fs::OpenOptions::new().create(true).append(true).open(&console)?;
        let mut kernel = Command::new(&self.image.kernel);
        kernel.args(self.parameters(is_first, &guest_wire, &guest_control));
        kernel
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let kernel = {
            let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
            for end in [guest_wire.as_fd(), guest_control.as_fd()] {
                rustix::io::fcntl_setfd(end, FdFlags::empty())?;
            }
            let started = kernel.spawn();
            // Our copies of the guest's ends go before anybody else can inherit them.
            drop((guest_wire, guest_control));
            started?
        };
        self.runs = Some(Running {
            kernel,
            control,
            alive: Arc::new(AtomicBool::new(true)),
        });
        self.hub.plug(self.id, wire)?;
        self.wait_until_up(&place.join("up"), &console)
    }

    fn parameters(&self, is_first: bool, wire: &UnixDatagram, control: &UnixStream) -> Vec<String> {
        let role = match self.role {
            Role::Server => "server",
            Role::Client => "client",
            Role::Disk => "disk",
        };
        let (id, shared) = (self.id, self.shared.display());
        let mut parameters = vec![
            format!("mem={}M", self.memory_mib),
            format!("initrd={}", self.image.root.display()),
            "rdinit=/init quiet con=null con0=null,fd:1 ssl=null selinux=0".into(),
            format!("ssl0=fd:{}", control.as_raw_fd()),
            format!(
                "vec0:transport=fd,fd={},mac=52:54:00:09:00:{id:02x}",
                wire.as_raw_fd()
            ),
            format!("umid={}.uml uml_dir={shared}/", self.name),
            format!(
                "rig_id={id} rig_name={} rig_role={role} rig_dir={shared}",
                self.name
            ),
            format!(
                "rig_lease={} rig_fresh={}",
                self.lease.as_secs(),
                u8::from(is_first)
            ),
        ];
        parameters.extend(self.disk.iter().map(|disk| format!("ubd0={}", disk.display())));
        // A parameter is a word; those that were written together are taken apart.
        parameters
            .iter()
            .flat_map(|words| words.split(' '))
            .map(str::to_owned)
            .collect()
    }

    fn wait_until_up(&mut self, up: &Path, console: &Path) -> Result<()> {
        let begun = Instant::now();
        loop {
            if up.exists() {
                return Ok(());
            }
            let ended = match &mut self.runs {
                Some(running) => running.kernel.try_wait()?.is_some(),
                None => true,
            };
            if ended || begun.elapsed() > BOOT {
                self.kill()?;
                let said = fs::read(console).unwrap_or_default();
                let said = String::from_utf8_lossy(&said[said.len().saturating_sub(3000)..]).into_owned();
                return Err(format!("{} did not come up\n{said}", self.name).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts a shell script in it.
    ///
    /// # Errors
    ///
    /// If the guest does not run.
    pub fn spawn(&mut self, script: &str) -> Result<Job> {
        let Some(running) = &mut self.runs else {
            return Err(format!("{} does not run", self.name).into());
        };
        self.jobs += 1;
        let stem = self.shared.join(&self.name).join(self.jobs.to_string());
        fs::write(stem.with_extension("sh"), format!("{script}\n"))?;
        running.control.write_all(format!("{}\n", self.jobs).as_bytes())?;
        Ok(Job {
            title: format!("{}: {script:?}", self.name),
            stem,
            guest_runs: Arc::clone(&running.alive),
        })
    }

    /// Runs a shell script in it, and returns what it has said.
    ///
    /// # Errors
    ///
    /// If it fails, or takes longer than two minutes.
    pub fn run(&mut self, script: &str) -> Result<String> {
        self.spawn(script)?.finish(SCRIPT)
    }

    /// Mounts the server's export at `/mnt/nfs`, with a version (`3`, `4.0`, `4.1`, `4.2`) and further options.
    ///
    /// # Errors
    ///
    /// If that fails three times in a row.
    pub fn mount(&mut self, version: &str, options: &str) -> Result<()> {
        self.mount_at(MOUNT_POINT, version, options)
    }

    /// As [`mount`](Guest::mount), elsewhere.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn mount_at(&mut self, point: &str, version: &str, options: &str) -> Result<()> {
        let source = if version.starts_with('3') {
            "server:/export"
        } else {
            "server:/"
        };
        let comma = if options.is_empty() { "" } else { "," };
        self.run(&format!(
            "mkdir -p {point}; for i in 1 2 3; do mount.nfs {source} {point} -o vers={version}{comma}{options} && exit 0; \
             sleep 1; done; exit 1"
        ))?;
        Ok(())
    }

    /// Cuts it off from the network, or joins it again. It is not told: its packets vanish.
    pub fn set_cut_off(&self, cut_off: bool) {
        self.hub.set_cut(self.id, cut_off);
    }

    /// Suspends the whole machine: its clock stands still, and jumps when it is resumed.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn suspend(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Resumes it.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.runs.as_ref().ok_or("the guest does not run")?;
        Ok(rustix::process::kill_process(
            Pid::from_child(&running.kernel),
            signal,
        )?)
    }

    /// Cuts its power. It can be [started](Guest::start) again, with its disk as it was.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.runs.take() else {
            return Ok(());
        };
        self.hub.unplug(self.id);
        match rustix::process::kill_process_group(Pid::from_child(&running.kernel), Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        running.kernel.wait()?;
        running.alive.store(false, Ordering::SeqCst);
        let _ = running.control.shutdown(Shutdown::Both);
        // The kernel's own directory, which it leaves when it is killed, would keep it from starting again.
        let _ = fs::remove_dir_all(self.shared.join(format!("{}.uml", self.name)));
        Ok(())
    }

    /// Says whether it runs.
    pub fn is_running(&self) -> bool {
        self.runs.is_some()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
