//! A place for one test: the rig, mounted, with a store and with what its processes noted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use flockwork_rig::{Guest, Image, Job, Plan, Rig};

use crate::program::{Act, MasterOrder, Order, Role};

/// Long enough for a loaded machine; a test that hangs still ends, and says at what.
pub(crate) const LONG: Duration = Duration::from_secs(240);
/// The lease of the server: how long it keeps the locks of a silent client.
pub(crate) const SERVER_LEASE: Duration = Duration::from_secs(10);
const CLIENTS: u8 = 3;

/// So many tests run at once, each with guests of its own: most of a test is waiting for leases to end.
const RIGS: usize = 2;

/// The guests, booted once for all tests of this process. They end with it.
static RIGS_HERE: Mutex<Rigs> = Mutex::new(Rigs {
    idle: Vec::new(),
    taken: 0,
});
static GIVEN_BACK: Condvar = Condvar::new();

struct Rigs {
    idle: Vec<Rig>,
    taken: usize,
}

/// A rig that one test has. `None`: it is not booted yet.
struct Loan(Option<Rig>);

impl Loan {
    /// Waits until there is one for this test.
    fn take() -> Loan {
        let rigs = RIGS_HERE.lock().unwrap();
        let mut rigs = GIVEN_BACK.wait_while(rigs, |rigs| rigs.taken >= RIGS).unwrap();
        rigs.taken += 1;
        Loan(rigs.idle.pop())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // A test that panicked may have left guests that are dead, suspended or cut off: they end here.
        let rig = self.0.take().filter(|_| !thread::panicking());
        let mut rigs = RIGS_HERE.lock().unwrap_or_else(PoisonError::into_inner);
        rigs.idle.extend(rig);
        rigs.taken -= 1;
        GIVEN_BACK.notify_one();
    }
}

/// The rig with a fresh mount, and a directory on it for one test.
pub(crate) struct Site {
    rig: Loan,
    /// The directory, as clients see it.
    dir: String,
    /// Where processes note what they did, on this machine.
    notes: PathBuf,
    notes_in_guest: PathBuf,
    started: u32,
}

impl Site {
    /// Takes a rig and mounts it anew everywhere; nothing if there is none here, after it was said why.
    pub(crate) fn take(test: &str, version: &str, options: &str) -> Option<Site> {
        if !has_guests() {
            return None;
        }
        let mut rig = Loan::take();
        let begun = Instant::now();
        let guests = rig.0.get_or_insert_with(boot);
        for client in guests.clients() {
            if !client.is_running() {
                client.start().unwrap();
            }
            client
                .run("grep -q ' /mnt/nfs ' /proc/mounts && umount -f /mnt/nfs; true")
                .unwrap();
        }
        guests.mount(version, options).unwrap();
        println!(
            "{test}: NFS {version} {options} is mounted after {:?}",
            begun.elapsed()
        );
        let name = format!("{test}-{version}-{options}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let notes = guests.shared().join("notes").join(&name);
        fs::create_dir_all(&notes).unwrap();
        guests.client(0).run(&format!("mkdir /mnt/nfs/{name}")).unwrap();
        Some(Site {
            rig,
            dir: format!("/mnt/nfs/{name}"),
            notes_in_guest: PathBuf::from("/host/notes").join(&name),
            notes,
            started: 0,
        })
    }

    pub(crate) fn rig(&mut self) -> &mut Rig {
        self.rig.0.as_mut().unwrap()
    }

    pub(crate) fn client(&mut self, number: usize) -> &mut Guest {
        self.rig().client(number)
    }

    /// The store, as clients see it.
    pub(crate) fn store(&self) -> String {
        format!("{}/x.flock", self.dir)
    }

    /// The directory of this test, as clients see it.
    pub(crate) fn dir(&self) -> &str {
        &self.dir
    }

    /// Starts a master on a client.
    pub(crate) fn start_master(&mut self, client: usize, order: MasterOrder) -> Process {
        self.start(client, Role::Master(order), Some((50, 500)))
    }

    /// Starts a worker on a client, which looks often.
    pub(crate) fn start_worker(&mut self, client: usize) -> Process {
        let role = Role::Worker {
            slots: 1,
            idle_exit: 600,
        };
        self.start(client, role, Some((100, 1000)))
    }

    /// Starts a process on a client, with the library's own intervals if there are none.
    pub(crate) fn start(&mut self, client: usize, role: Role, poll: Option<(u64, u64)>) -> Process {
        self.started += 1;
        let kind = role.name();
        let name = format!("{kind}{}", self.started);
        let order = Order {
            role,
            store: PathBuf::from(self.store()),
            notes: self.notes_in_guest.clone(),
            name: name.clone(),
            poll,
        };
        let script = order.script();
        let job = self.client(client).spawn(&script).unwrap();
        Process { name, job }
    }

    /// Runs the command `flockwork` on a client.
    pub(crate) fn flockwork(&mut self, client: usize, words: &str) -> String {
        self.client(client).run(&format!("flockwork {words}")).unwrap()
    }

    /// Checks every invariant that can be seen from outside, on a client, and that so many tasks are ok.
    #[track_caller]
    pub(crate) fn audit(&mut self, client: usize, tasks: u64) {
        let text = self.flockwork(client, &format!("audit {} --format json", self.store()));
        let audit: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(audit["ok"], tasks, "{text}");
        assert_eq!(audit["open"], 0, "{text}");
        assert_eq!(audit["violations"], serde_json::json!([]), "{text}");
    }

    /// Opens the gate for all tasks that wait.
    pub(crate) fn open_gate(&self) {
        fs::write(self.notes.join("gate"), "").unwrap();
    }

    /// Opens the gate for the tasks of one process.
    pub(crate) fn open_gate_of(&self, process: &Process) {
        fs::write(self.notes.join(format!("gate.{}", process.name)), "").unwrap();
    }

    /// What a process noted: a line for each beginning and end of a task, and for each event that is no everyday one.
    pub(crate) fn notes(&self, process: &Process) -> String {
        fs::read_to_string(self.notes.join(&process.name)).unwrap_or_default()
    }

    /// The lines of all processes that begin so.
    pub(crate) fn lines(&self, beginning: &str) -> Vec<String> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.notes).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            found.extend(
                text.lines()
                    .filter(|line| line.starts_with(beginning))
                    .map(str::to_owned),
            );
        }
        found
    }

    /// How often each task was begun.
    pub(crate) fn executions(&self) -> BTreeMap<String, usize> {
        let mut executions = BTreeMap::new();
        for line in self.lines("begin ") {
            let task = line.split(' ').nth(1).unwrap().to_owned();
            *executions.entry(task).or_default() += 1;
        }
        executions
    }

    /// Waits until a process has noted a line that contains this, and returns it.
    #[track_caller]
    pub(crate) fn wait_noted(&self, process: &Process, text: &str, limit: Duration) -> String {
        let begun = Instant::now();
        loop {
            let notes = self.notes(process);
            if let Some(line) = notes.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let said = process.job.text();
            assert!(
                begun.elapsed() < limit && process.job.status().is_none(),
                "{}: waited {:?} for {text:?}; noted\n{notes}\nsaid\n{said}",
                process.name,
                begun.elapsed()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until all inputs of the first round are in the store.
    #[track_caller]
    pub(crate) fn wait_for_inputs(&mut self, client: usize) {
        let script = format!(
            "n=0; until ls {}/rounds/000000 2>/dev/null | grep -q round.json; do n=$((n+1)); [ $n -lt 2400 ] || exit 1; \
             sleep 0.1; done",
            self.store()
        );
        self.client(client).spawn(&script).unwrap().finish(LONG).unwrap();
    }
}

/// Says whether there are guests here, and why not.
pub(crate) fn has_guests() -> bool {
    let why = match std::env::var_os("FLOCKWORK_TEST_NFS") {
        None => Some("FLOCKWORK_TEST_NFS is not set, so no guests are booted".to_owned()),
        Some(_) => Image::missing(),
    };
    if let Some(why) = &why {
        println!("skipped: {why}");
    }
    why.is_none()
}

/// Says whether tests run too that show little more than others do: CI has no time for them.
pub(crate) fn runs_all() -> bool {
    let all = std::env::var("FLOCKWORK_TEST_NFS").is_ok_and(|which| which == "all");
    if !all {
        println!("skipped: this one runs with FLOCKWORK_TEST_NFS=all");
    }
    all
}

fn boot() -> Rig {
    let plan = Plan::default()
        .clients(CLIENTS)
        .lease(SERVER_LEASE)
        // Small enough to be filled.
        .disk_mib(256)
        .program(std::env::current_exe().unwrap(), "scenarios")
        .program(env!("CARGO_BIN_EXE_flockwork"), "flockwork");
    Rig::start(&plan).unwrap()
}

/// A master or a worker in a guest.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) job: Job,
}

impl Process {
    /// Waits for its good end, and returns what it has said at last.
    #[track_caller]
    pub(crate) fn good_end(&self) -> String {
        match self.job.finish(LONG) {
            Ok(text) => text.lines().filter(|line| line.contains(" ok=")).collect(),
            Err(error) => panic!("{}: {error}", self.name),
        }
    }
}

/// So many tasks in one round that do this; in shards of 256.
pub(crate) fn tasks(tasks: u64, act: Act) -> MasterOrder {
    MasterOrder {
        rounds: 1,
        tasks,
        batch: 1,
        shard: 256,
        lease: None,
        process_only: false,
        act,
    }
}
