//! `hosts distribute`: each file of a directory to exactly one host.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flockwork::app::exit::{Ended, Failed, NOT_OK};

use crate::args::{By, DistributeArgs};
use crate::hosts::transfer::board::Outcome;
use crate::hosts::transfer::journal::{Begin, Journal, Past};
use crate::hosts::transfer::push::Push;
use crate::hosts::transfer::report::{Did, Report};
use crate::hosts::transfer::spread::{Rule, Sized, spread};
use crate::hosts::transfer::{Board, End, Entry, Source, What, name};
use crate::hosts::{Host, Ssh, fan, list};
use crate::output::count;
use crate::sweep::shown;

/// The journal's name in the directory.
const JOURNAL: &str = ".flockwork-distribute.jsonl";
/// As many names are told.
const NAMED: usize = 5;

/// A file of the directory.
#[derive(Debug)]
struct Found {
    name: Vec<u8>,
    path: PathBuf,
    size: u64,
    mtime: i64,
}

/// Distributes.
pub(crate) fn distribute(args: &DistributeArgs) -> Ended {
    let hosts = list::read(&args.hosts)?;
    let path = args.journal.clone().unwrap_or_else(|| args.dir.join(JOURNAL));
    let (files, others) = files(&args.dir, &path)?;
    if !others.is_empty() {
        eprintln!(
            "left out: {} in {} that are no files: {}",
            count(others.len() as u64),
            shown::path(&args.dir),
            some(&others)
        );
    }
    let past = Past::read(&path)?;
    let dest = args.name.as_bytes();
    let begin = Begin {
        hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        dest: name::encode(dest),
    };
    compare(&past, &begin, &path)?;
    let chosen = choose(args, &files, &hosts, &past)?;
    let new = files.iter().zip(&chosen);
    let new = new.map(|(file, host)| (file.name.as_slice(), hosts[*host].name.as_str()));
    let new = new.filter(|(name, host)| past.hosts.get(*name).is_none_or(|known| known != host));
    let journal = Mutex::new((Journal::begin(&path, begin, new)?, None));
    let work = read(args, &files, &chosen, &hosts, &past);
    // Until here a signal ends it at once: nothing is sent, and the journal is read whatever its last line is.
    let caught = super::listen()?;
    let ssh = Ssh::new(&args.ssh, false)?.heeding(&caught);
    let board = Board::new(args.moving.quiet, "Transferred ");
    for share in &work {
        let bytes = share.entries.iter().map(Entry::size).sum();
        board.expect(share.entries.len() as u64, bytes);
    }
    let push = Push {
        ssh: &ssh,
        dest,
        durable: true,
        stall: args.moving.stall,
        retries: args.moving.retries,
        board: &board,
        relays: None,
    };
    let send = |share: &Share<'_>| send(&push, &journal, args.moves, share);
    let outcomes = fan::each(&work, args.ssh.fanout as usize, send, |_, _| ());
    board.end();
    let report = Report {
        hosts: hosts.iter().zip(outcomes).collect(),
        did: Did::Distribute,
        not_sent_on: Vec::new(),
    };
    let ended = report.tell(args.moving.format, &caught)?;
    let (_, failed) = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failed {
        None => Ok(ended),
        Some(error) => {
            let text = format!("cannot write the journal {}: {error}", shown::path(&path));
            let hint = "what has arrived since is sent again, or found to be there".to_owned();
            Err(Failed::new(NOT_OK, text, Some(hint)))
        }
    }
}

/// Sends its files to a host, and notes what has arrived.
fn send(push: &Push<'_>, journal: &Noted, moves: bool, share: &Share<'_>) -> Outcome {
    let entries: Vec<&Entry> = share.entries.iter().collect();
    let mut lost = Vec::new();
    let mut outcome = match entries.is_empty() {
        true => Outcome::default(),
        false => push.send(share.host, &entries, |number, end| {
            let (entry, What::File(source)) = (entries[number], &entries[number].what) else {
                return;
            };
            if end.is_ok()
                && let Err(error) = arrived(journal, moves, share.host, entry, source)
            {
                lost.push((entry.path.clone(), error));
            }
        }),
    };
    for (path, error) in lost {
        outcome.fail(path, format!("it has arrived, and stays here: {error}"));
    }
    for (path, reason) in &share.unread {
        outcome.add(path.clone(), End::No(reason.clone()));
    }
    outcome.add_same(share.done);
    outcome
}

/// The journal, and the first error of writing it: from then on nothing is deleted.
type Noted = Mutex<(Journal, Option<io::Error>)>;

/// Notes that a file has its name there and its checksum was read back; then, if it is moved, deletes it here.
fn arrived(journal: &Noted, moves: bool, host: &Host, entry: &Entry, source: &Source) -> io::Result<()> {
    {
        let mut noted = journal.lock().unwrap_or_else(PoisonError::into_inner);
        let (journal, failed) = &mut *noted;
        if failed.is_none() {
            *failed = journal.done(&entry.path, &host.name, source).err();
        }
        if failed.is_some() {
            return Err(io::Error::other("the journal cannot be written"));
        }
    }
    if moves {
        // What has changed since it was sent is not what has arrived.
        source.open()?;
        std::fs::remove_file(&source.path)?;
    }
    Ok(())
}

/// What one host gets.
struct Share<'a> {
    host: &'a Host,
    entries: Vec<Entry>,
    /// What cannot be read here, and why.
    unread: Vec<(Vec<u8>, String)>,
    /// How many files an earlier run has brought there.
    done: u64,
}

/// Makes the checksums of what is to be sent.
fn read<'a>(
    args: &DistributeArgs,
    files: &[Found],
    chosen: &[usize],
    hosts: &'a [Host],
    past: &Past,
) -> Vec<Share<'a>> {
    let mut shares: Vec<Share<'a>> = hosts
        .iter()
        .map(|host| Share {
            host,
            entries: Vec::new(),
            unread: Vec::new(),
            done: 0,
        })
        .collect();
    let mut open: Vec<(&Found, usize)> = Vec::new();
    for (file, host) in files.iter().zip(chosen) {
        // What is to be deleted is looked at again there.
        match !args.moves && past.is_done(&file.name, &hosts[*host].name, file.size, file.mtime) {
            true => shares[*host].done += 1,
            false => open.push((file, *host)),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let board = Board::reading(args.moving.quiet);
    for (file, _) in &open {
        board.expect(1, file.size);
    }
    let read = |(file, _): &(&Found, usize)| Source::read(&file.path, &board);
    let read = fan::each(&open, cores, read, |_, _| ());
    board.end();
    for ((file, host), source) in open.into_iter().zip(read) {
        let path = file.name.clone();
        match source {
            Ok(source) => shares[host].entries.push(Entry {
                path,
                what: What::File(source),
            }),
            Err(error) => shares[host]
                .unread
                .push((path, format!("cannot read it here: {error}"))),
        }
    }
    shares
}

/// Returns the first of some names, and how many more there are.
fn some(names: &[impl AsRef<[u8]>]) -> String {
    let first: Vec<_> = names
        .iter()
        .take(NAMED)
        .map(|name| name::shown(name.as_ref()))
        .collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{}, and {} more", first.join(", "), count(more as u64)),
    }
}

/// Returns the files of a directory but the journal, and the names of the other things in it.
fn files(dir: &Path, journal: &Path) -> Result<(Vec<Found>, Vec<Vec<u8>>), Failed> {
    let failed = |error: io::Error| {
        Failed::usage(
            format!("cannot list {}: {error}", shown::path(dir)),
            "name the directory whose files are distributed",
        )
    };
    let own = std::fs::canonicalize(journal).ok();
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, seen) = (entry.path(), entry.metadata().map_err(failed)?);
        let is_own = own.is_some() && std::fs::canonicalize(&path).ok() == own;
        if is_own || entry.file_name() == JOURNAL {
            continue;
        }
        match seen.is_file() {
            true => files.push(Found {
                name: entry.file_name().into_vec(),
                path,
                size: seen.len(),
                mtime: seen.mtime(),
            }),
            false => others.push(entry.file_name().into_vec()),
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    others.sort_unstable();
    Ok((files, others))
}

/// Refuses the journal of another distribution, and tells of hosts that have changed.
fn compare(past: &Past, begin: &Begin, path: &Path) -> Result<(), Failed> {
    let Some(last) = &past.begin else {
        return Ok(());
    };
    if last.dest != begin.dest {
        let text = format!(
            "{} belongs to a distribution into {}, and this one goes into {}",
            shown::path(path),
            last.dest,
            begin.dest
        );
        return Err(Failed::usage(text, "give this one a --journal of its own"));
    }
    if last.hosts != begin.hosts {
        let missing = last.hosts.iter().filter(|host| !begin.hosts.contains(host));
        let new = begin.hosts.iter().filter(|host| !last.hosts.contains(host));
        eprintln!(
            "the list of hosts has changed: {} new, {} gone. Files stay with their hosts; those of hosts that are gone, \
             and new files, are distributed over the hosts of now",
            new.count(),
            missing.count()
        );
    }
    Ok(())
}

/// Returns the place of each file's host: the one that it was given before, if that is still named.
fn choose(args: &DistributeArgs, files: &[Found], hosts: &[Host], past: &Past) -> Result<Vec<usize>, Failed> {
    let places: HashMap<&str, usize> = hosts.iter().map(|host| host.name.as_str()).zip(0..).collect();
    let known = |file: &Found| places.get(past.hosts.get(&file.name)?.as_str()).copied();
    let mut loads = vec![(0, 0); hosts.len()];
    // What was moved is there too.
    for done in past.done.values() {
        if let Some(place) = places.get(done.host.as_str()) {
            loads[*place].0 += done.size;
            loads[*place].1 += 1;
        }
    }
    for file in files.iter().filter(|file| !past.done.contains_key(&file.name)) {
        if let Some(place) = known(file) {
            loads[place].0 += file.size;
            loads[place].1 += 1;
        }
    }
    let rule = match args.by {
        By::Random => Rule::Chance(args.seed),
        By::Index => Rule::Index,
        By::Size => Rule::Size,
    };
    let new = files.iter().filter(|file| known(file).is_none());
    let new: Vec<Sized<'_>> = new.map(|file| (file.name.as_slice(), file.size)).collect();
    let mut chosen = spread(&new, &loads, rule).map_err(|without| {
        Failed::usage(
            format!("no number stands behind the last `_` in {}", some(&without)),
            "nothing was sent; rename them, or choose --by size or --by random",
        )
    })?;
    chosen.reverse();
    let chosen = files
        .iter()
        .map(|file| known(file).or_else(|| chosen.pop()).unwrap_or(0));
    Ok(chosen.collect())
}
