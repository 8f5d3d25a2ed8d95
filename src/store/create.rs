//! Making and opening a store.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{FORMAT, SMALL_FILE, Store};
use crate::clock::{Random, wall_millis};
use crate::config::{Sharing, StoreConfig};
use crate::error::{BoxError, Error, ErrorKind, IoContext, Result, io_error};
use crate::fs::{DirRef, Flock, os};
use crate::layout::{self, JOURNAL, LOGS, ROUNDS, SCRATCH, STORE_FILE, WORKERS};

/// How an outcome gets its final name; found out when the store is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PublishBy {
    /// link(2): the first outcome wins, on every file system that has hard links.
    Link,
    /// renameat2(2) with RENAME_NOREPLACE, where there are no hard links (CIFS).
    Rename,
}

/// What `store.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoreFile {
    pub(crate) format: u32,
    pub(crate) id: String,
    /// Milliseconds since 1970, for people.
    pub(crate) created: u64,
    pub(crate) publish: PublishBy,
    pub(crate) settings: StoreConfig,
}

/// The part that every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl Store {
    /// Makes a store; its parent directory must be there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyThere`] if there is a store or another file, or a directory with other files;
    /// [`ErrorKind::Setting`] if a setting makes no sense; [`ErrorKind::Unsupported`] if the file system has
    /// neither hard links nor a rename that never replaces; [`ErrorKind::Io`] otherwise.
    pub fn create(path: impl AsRef<Path>, config: &StoreConfig) -> Result<Store> {
        let path = path.as_ref();
        let (store, created) = create(path, config)?;
        if created {
            Ok(store)
        } else {
            let hint = format!("use `Store::open`, or remove {} first", path.display());
            Err(Error::new(ErrorKind::AlreadyThere, "there is already a store at")
                .at(path)
                .with_hint(hint))
        }
    }

    /// Opens a store, or makes it; a store that is there keeps the settings it was made with.
    ///
    /// # Errors
    ///
    /// As for [`Store::create`] and [`Store::open`].
    pub fn open_or_create(path: impl AsRef<Path>, config: &StoreConfig) -> Result<Store> {
        let path = path.as_ref();
        match Store::open(path) {
            // A directory without `store.json` may be a store whose maker died: make the rest of it.
            Err(error)
                if matches!(error.kind(), ErrorKind::Missing | ErrorKind::NotAStore)
                    && may_become_store(path) =>
            {
                create(path, config).map(|(store, _)| store)
            }
            answer => answer,
        }
    }

    /// Makes or opens a store on a simulated disk.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn on(root: DirRef, config: &StoreConfig) -> Result<Store> {
        let path = root.path().to_owned();
        settle_in(&path, root, config).map(|(store, _)| store)
    }

    /// Opens a store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`] if nothing is there; [`ErrorKind::NotAStore`] if it is no store;
    /// [`ErrorKind::NewerFormat`] if a newer version made it; [`ErrorKind::Damaged`] if `store.json` does not hold
    /// what it should; [`ErrorKind::Io`] otherwise.
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        // The modes of new files stand in store.json, so the directory is opened twice.
        let root = open_root(path, Sharing::Private)?;
        let file = read_store_file(&root)?;
        let root = match file.settings.sharing {
            Sharing::Private => root,
            sharing => open_root(path, sharing)?,
        };
        Store::new(path.to_owned(), root, file)
    }
}

fn open_root(path: &Path, sharing: Sharing) -> Result<DirRef> {
    os::open(path, sharing).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Error::new(ErrorKind::Missing, "there is no store at")
            .at(path)
            .with_hint("check the path; a master makes the store, or `Store::create`"),
        io::ErrorKind::NotADirectory => not_a_store(path, "it is not a directory"),
        _ => io_error("cannot open the store", path, cause),
    })
}

fn not_a_store(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::NotAStore, "this is not a store:")
        .at(path)
        .because(why)
        .with_hint("a store is a directory with a file `store.json`; check the path")
}

fn read_store_file(root: &DirRef) -> Result<StoreFile> {
    let path = root.path().join(STORE_FILE);
    let mut bytes = Vec::new();
    match root.read(STORE_FILE, SMALL_FILE, &mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_a_store(root.path(), "it has no file `store.json`"));
        }
        Err(error) => return Err(io_error("cannot read", &path, error)),
    }
    StoreFile::parse(&bytes, root.path())
}

impl StoreFile {
    /// Reads what `store.json` holds, of the store at this path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NewerFormat`]; [`ErrorKind::Damaged`], also if its settings make no sense.
    pub(crate) fn parse(bytes: &[u8], root: &Path) -> Result<StoreFile> {
        let damaged = |why: BoxError| {
            Error::new(ErrorKind::Damaged, "this is not what a store is described by:")
                .at(root.join(STORE_FILE))
                .because(why)
                .with_hint(
                    "restore the file from a backup, or write it anew after the example in docs/protocol.md",
                )
        };
        let any: AnyFormat = serde_json::from_slice(bytes).map_err(|error| damaged(error.into()))?;
        if any.format > FORMAT {
            let step = format!(
                "the store has format {}, but this program knows only up to format {FORMAT}:",
                any.format
            );
            return Err(Error::new(ErrorKind::NewerFormat, step)
                .at(root)
                .with_hint("build the program with a newer version of flockwork"));
        }
        let file: StoreFile = serde_json::from_slice(bytes).map_err(|error| damaged(error.into()))?;
        match file.settings.problem() {
            Some(problem) => Err(damaged(problem.into())),
            None => Ok(file),
        }
    }
}

/// Says whether there is nothing at the path, or only what an unfinished store has.
fn may_become_store(path: &Path) -> bool {
    let Ok(root) = os::open(path, Sharing::Private) else {
        return !path.exists();
    };
    contents(&root).is_ok_and(|contents| contents != Contents::Others)
}

/// What a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// A store.
    Store,
    /// Nothing, or only what an unfinished store has.
    Unfinished,
    /// Files that are not ours.
    Others,
}

/// Looks by one listing: between two looks another maker may finish the store.
fn contents(root: &DirRef) -> io::Result<Contents> {
    let (mut store, mut others) = (false, false);
    root.list(&mut |name| {
        store |= name == STORE_FILE;
        others |= ![ROUNDS, WORKERS, JOURNAL, LOGS, SCRATCH].contains(&name) && !layout::is_temporary(name);
    })?;
    Ok(match (store, others) {
        (true, _) => Contents::Store,
        (false, false) => Contents::Unfinished,
        (false, true) => Contents::Others,
    })
}

fn create(path: &Path, config: &StoreConfig) -> Result<(Store, bool)> {
    if let Some(problem) = config.problem() {
        return Err(Error::new(ErrorKind::Setting, problem));
    }
    match os::make_dir(path, config.sharing) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(
                io_error("cannot make the store", path, error).with_hint("make its parent directory first")
            );
        }
        Err(error) => return Err(io_error("cannot make the store", path, error)),
    }
    settle_in(path, open_root(path, config.sharing)?, config)
}

/// Makes a store in a directory that is held, or takes the one that is there; says whether it was made.
fn settle_in(path: &Path, root: DirRef, config: &StoreConfig) -> Result<(Store, bool)> {
    let contents = contents(&root).during("cannot list", path)?;
    if contents == Contents::Others {
        return Err(Error::new(ErrorKind::AlreadyThere, "there are other files in")
            .at(path)
            .with_hint("name a directory that is empty or not there yet"));
    }
    let (file, created) = if contents == Contents::Store {
        (read_store_file(&root)?, false)
    } else {
        furnish(&root, config).during("cannot make the store", path)?;
        let publish = probe(&root).during("cannot try out the file system of", path)?;
        let publish = publish.ok_or_else(|| unsupported(path))?;
        let file = StoreFile {
            format: FORMAT,
            id: new_token(),
            created: wall_millis(),
            publish,
            settings: config.clone(),
        };
        settle(&root, file)?
    };
    Ok((Store::new(path.to_owned(), root, file)?, created))
}

fn unsupported(path: &Path) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the file system can publish no outcome safely:",
    )
    .at(path)
    .because("it has neither hard links nor a rename that never replaces")
    .with_hint("put the store on another file system")
}

fn furnish(root: &DirRef, config: &StoreConfig) -> io::Result<()> {
    for name in [ROUNDS, WORKERS, JOURNAL, LOGS, SCRATCH] {
        match root.make_dir(name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    if config.durability == crate::config::Durability::Power {
        root.sync()
    } else {
        Ok(())
    }
}

/// Tries what the file system can do, with files of our own.
fn probe(root: &DirRef) -> io::Result<Option<PublishBy>> {
    let token = new_token();
    let (name, other) = (
        layout::temporary_name("probe", &token),
        layout::temporary_name("link", &token),
    );
    let tried = try_out(root, &name, &other);
    // Best effort: a private file that stays is ignored.
    let _ = (root.unlink(&other), root.unlink(&name));
    tried
}

fn try_out(root: &DirRef, name: &str, other: &str) -> io::Result<Option<PublishBy>> {
    let file = root.create(name)?;
    // The answer is not kept: each attempt says for itself whether it holds a flock.
    let _: io::Result<Flock> = file.try_lock();
    let linked = file.link(other);
    match file.fresh()?.links {
        // Whatever was answered.
        2 => return Ok(Some(PublishBy::Link)),
        0 => return Err(Errno::STALE.into()),
        _ => {}
    }
    if has(linked)? {
        // Two files and not two names of one: no outcome can be published so.
        root.unlink(other)?;
    }
    Ok(has(root.rename_new(name, other))?.then_some(PublishBy::Rename))
}

/// Says whether the file system has a call. What is found out here holds as long as the store is there, so any other
/// error is one.
fn has(answer: io::Result<()>) -> io::Result<bool> {
    /// What some drivers say for EOPNOTSUPP; it is not meant for users.
    const NOT_SUPPORTED_IN_THE_KERNEL: i32 = 524;
    let Err(error) = answer else {
        return Ok(true);
    };
    match error.raw_os_error() {
        Some(NOT_SUPPORTED_IN_THE_KERNEL) => Ok(false),
        Some(errno)
            if [
                Errno::PERM,
                Errno::OPNOTSUPP,
                Errno::NOSYS,
                Errno::INVAL,
                Errno::MLINK,
            ]
            .contains(&Errno::from_raw_os_error(errno)) =>
        {
            Ok(false)
        }
        _ => Err(error),
    }
}

/// Puts `store.json` into place; of several makers the first wins, and the others take what it wrote.
fn settle(root: &DirRef, file: StoreFile) -> Result<(StoreFile, bool)> {
    let path = root.path().join(STORE_FILE);
    let mut bytes = serde_json::to_vec_pretty(&file).map_err(|cause| {
        Error::new(ErrorKind::Setting, "cannot write the settings as JSON").because(cause)
    })?;
    bytes.push(b'\n');
    let temporary = layout::temporary_name("store", &file.id);
    let made = (|| {
        let handle = root.create(&temporary)?;
        handle.write_at(0, &bytes)?;
        handle.sync_data()?;
        match file.publish {
            PublishBy::Link => handle.link(STORE_FILE),
            PublishBy::Rename => root.rename_new(&temporary, STORE_FILE),
        }
    })();
    // Best effort: after a rename it is gone, and a left-over is ignored and cleaned.
    let _ = root.unlink(&temporary);
    match made {
        Ok(()) => {
            root.sync().during("cannot sync", root.path())?;
            Ok((file, true))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((read_store_file(root)?, false)),
        Err(error) => Err(io_error("cannot make", &path, error)),
    }
}

/// A random name of 16 hexadecimal digits.
pub(super) fn new_token() -> String {
    format!("{:016x}", Random::new().next())
}
