//! A place for one test: ssh hosts that share a directory, and a head from which commands are given.
//!
//! `rig/hosts.sh` makes them; its first lines say what a host has of its own. Files that are shared have the same path in
//! the test, on the head and on the hosts.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use crate::wait::{LONG, wait_until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/engines/rig/hosts.sh");

/// How a host differs from the others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Knob {
    /// Shows a key that is not the known one.
    OtherKey,
    /// Does not know the job user's key.
    NoLogin,
    /// Nobody listens.
    NoSshd,
    /// `/usr/local/bin` is empty.
    NoBinary,
    /// The home is one directory for all hosts with this knob.
    SharedHome,
    /// The job user has a key for the other hosts there, and knows theirs.
    Peers,
    /// The home is a small file system, and it is full.
    FullHome,
}

/// Hosts `h1` to `hK` and a head; all ends when this is dropped, or when the test's process dies.
#[derive(Debug)]
pub(crate) struct Site {
    dir: PathBuf,
    keeper: Child,
    /// The keeper lives as long as this is open.
    hold: Option<ChildStdin>,
}

impl Site {
    /// So many hosts with the command `flockwork`; or says why there can be none here.
    pub(crate) fn new(hosts: usize) -> Option<Site> {
        Site::with(hosts, &[])
    }

    /// The same, and some hosts are special: `("h2", Knob::FullHome)`.
    pub(crate) fn with(hosts: usize, knobs: &[(&str, Knob)]) -> Option<Site> {
        if let Some(why) = missing() {
            println!("skipped: {why}");
            return None;
        }
        // Not below /tmp: some engines give their jobs a private one.
        let dir = tempfile::Builder::new()
            .prefix("flockwork-site-")
            .tempdir_in("/var/tmp")
            .unwrap()
            .keep();
        let log = File::create(dir.join("keeper.log")).unwrap();
        let knobs = knobs.iter().map(|(host, knob)| {
            let knob = format!("{knob:?}").to_lowercase();
            format!("{host}:{knob}")
        });
        let mut keeper = Command::new("bash")
            .args([SCRIPT, "keep"])
            .arg(&dir)
            .arg(hosts.to_string())
            .args(knobs)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // A signal for all of the test's processes is not for the keeper: it tidies up after them.
            .process_group(0)
            .spawn()
            .unwrap();
        let hold = keeper.stdin.take();
        let mut site = Site { dir, keeper, hold };
        wait_until("the site", LONG, || {
            if let Some(status) = site.keeper.try_wait().unwrap() {
                panic!("no site, {status}: {}", site.log());
            }
            site.dir.join("pid").exists()
        });
        site.install(Path::new(env!("CARGO_BIN_EXE_flockwork")));
        Some(site)
    }

    /// The directory that all hosts and the head see. It belongs to the job user.
    pub(crate) fn shared(&self) -> PathBuf {
        self.dir.join("shared")
    }

    /// For `ssh -F` on the head. A plain `ssh h1` works there as well.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    /// Everything of the site: keys, consoles of hosts, their disks (`h1/home`, `h1/tmp`).
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts a program where all hosts have it on their PATH, in `/usr/local/bin`.
    pub(crate) fn install(&self, program: &Path) {
        let name = program.file_name().unwrap();
        let part = self.dir.join("program.part");
        fs::copy(program, &part).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&part, self.dir.join("bin").join(name)).unwrap();
    }

    /// A command on the head, as the job user, in the shared directory.
    ///
    /// Signals for the child reach no further than `nsenter`; use [`Site::start_command`] where that matters.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.on("head", program)
    }

    /// The same on a host, without ssh.
    pub(crate) fn on(&self, place: &str, program: &str) -> Command {
        let mut command = self.rig("exec", &[place]);
        command.arg(program);
        command
    }

    /// The same as root.
    pub(crate) fn as_root(&self, place: &str, program: &str) -> Command {
        let mut command = self.rig("root", &[place]);
        command.arg(program);
        command
    }

    /// A shell script on the head or on a host, as the job user; gives what it printed, and panics if it fails.
    #[track_caller]
    pub(crate) fn sh(&self, place: &str, script: &str) -> String {
        ok(self.on(place, "bash").args(["-euc", script]))
    }

    /// Starts a command that this site has made.
    pub(crate) fn start_command(&self, command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }

    /// Pulls the cable: processes live on.
    #[track_caller]
    pub(crate) fn cut(&self, host: &str) {
        ok(&mut self.rig("cut", &[host]));
    }

    /// Puts the cable in again.
    #[track_caller]
    pub(crate) fn heal(&self, host: &str) {
        ok(&mut self.rig("heal", &[host]));
    }

    /// Takes a host's power: nobody is told.
    #[track_caller]
    pub(crate) fn kill(&self, host: &str) {
        ok(&mut self.rig("kill", &[host]));
    }

    /// Gives a host its power again.
    #[track_caller]
    pub(crate) fn start(&self, host: &str) {
        ok(&mut self.rig("start", &[host]));
    }

    /// Stops every process of a host.
    #[track_caller]
    pub(crate) fn freeze(&self, host: &str) {
        ok(&mut self.rig("freeze", &[host]));
    }

    /// Lets them go on.
    #[track_caller]
    pub(crate) fn thaw(&self, host: &str) {
        ok(&mut self.rig("thaw", &[host]));
    }

    fn rig(&self, verb: &str, words: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.args([SCRIPT, verb]).arg(&self.dir).args(words);
        command.stdin(Stdio::null());
        // Settings of a person who runs this must not change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FLOCKWORK_") {
                command.env_remove(name);
            }
        }
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("keeper.log")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.hold.take());
        // It also removes the files.
        if let Err(error) = self.keeper.wait() {
            println!("the keeper of {}: {error}", self.dir.display());
        }
    }
}

/// A command that runs on the head or on a host.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// The process itself, as the machine numbers it.
    pub(crate) fn pid(&self) -> u32 {
        wait_until("the command to begin", LONG, || real_pid(self.0.id()))
    }

    /// Sends it a signal: `INT`, `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        ok(Command::new("kill").args([format!("-{signal}"), self.pid().to_string()]));
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Output {
        self.0.wait_with_output().unwrap()
    }
}

/// Follows the processes that only led into namespaces; none while it is on its way.
fn real_pid(mut pid: u32) -> Option<u32> {
    loop {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        match name.trim() {
            "nsenter" => {
                let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
                pid = children.trim().parse().ok()?;
            }
            // Our own script and its last step, before they become the command.
            "bash" | "setpriv" | "sh" if is_on_its_way(pid) => return None,
            _ => return Some(pid),
        }
    }
}

fn is_on_its_way(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    words.contains("hosts.sh") || words.contains("setpriv") || words.contains("cd \"$0\" && exec")
}

/// Runs a command, and gives what it printed; panics with everything that it said if it fails.
#[track_caller]
pub(crate) fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}{err}",
        output.status
    );
    out.into_owned()
}

/// Why there can be no site here.
pub(crate) fn missing() -> Option<String> {
    if std::env::var_os("FLOCKWORK_TEST_ENGINES").is_none() {
        return Some("FLOCKWORK_TEST_ENGINES is not set, so no engines are brought up".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make hosts".to_owned());
    }
    let programs = [
        "/usr/sbin/sshd",
        "ssh",
        "ssh-keygen",
        "ip",
        "nsenter",
        "setpriv",
        "unshare",
    ];
    if let Some(why) = lacks(&programs) {
        return Some(why);
    }
    // Containers often refuse it even to root.
    let probe = [
        "--mount",
        "--pid",
        "--net",
        "--uts",
        "--ipc",
        "--fork",
        "--mount-proc",
    ];
    let output = Command::new("unshare").args(probe).arg("true").output().unwrap();
    if output.status.success() {
        None
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Some(format!("no namespaces can be made here: {}", said.trim()))
    }
}

/// Says which of these programs is not installed.
pub(crate) fn lacks(programs: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin".into(), "/sbin".into()]);
    let lacking = programs
        .iter()
        .find(|program| !places.iter().any(|place| place.join(program).is_file()))?;
    Some(format!("{lacking} is not installed"))
}
