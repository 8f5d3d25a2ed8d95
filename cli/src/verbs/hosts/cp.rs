//! `hosts cp`: files to many hosts, or from them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{Ended, Failed, NOT_OK};

use crate::args::CpArgs;
use crate::hosts::transfer::board::Outcome;
use crate::hosts::transfer::dest::Dest;
use crate::hosts::transfer::listing::{Kind, Read};
use crate::hosts::transfer::pull::Pull;
use crate::hosts::transfer::push::Push;
use crate::hosts::transfer::relays::Failure;
use crate::hosts::transfer::report::{Did, Report};
use crate::hosts::transfer::{Board, Entry, Relays, What, name, tree};
use crate::hosts::{Host, Ssh, Trouble, fan, list};
use crate::signals::Caught;
use crate::sweep::shown;

/// As many names that two hosts have are told.
const NAMED: usize = 5;

/// Copies; the side that begins with a colon is on the hosts.
pub(crate) fn cp(args: &CpArgs) -> Ended {
    let dest = there(&args.dest);
    let sources: Vec<_> = args.sources.iter().map(|source| there(source)).collect();
    match (
        dest,
        sources.iter().all(Option::is_some),
        sources.iter().any(Option::is_some),
    ) {
        (Some(dest), _, false) => send(args, &dest),
        (None, true, _) => collect(args, sources.into_iter().flatten().collect()),
        (Some(_), ..) => Err(sides("both sides are on the hosts")),
        (None, _, true) => Err(sides("some sources are on the hosts and some are here")),
        (None, ..) => Err(sides("neither side is on the hosts")),
    }
}

fn sides(text: &str) -> Failed {
    Failed::usage(
        text,
        "exactly one side begins with a colon: cp -n HOSTS FILE... :DIR, or cp -n HOSTS :FILE... DIR",
    )
}

/// Returns the path of a word that means the hosts: `:PATH`, or `:all/PATH`; empty for the home there.
fn there(word: &OsStr) -> Option<Vec<u8>> {
    let path = word.as_bytes().strip_prefix(b":")?;
    let path = match path {
        b"all" | b"~" => b"",
        path => [&b"all/"[..], b"~/"]
            .iter()
            .find_map(|home| path.strip_prefix(*home))
            .unwrap_or(path),
    };
    Some(path.to_vec())
}

fn send(args: &CpArgs, dest: &[u8]) -> Ended {
    if args.divide {
        return Err(Failed::usage(
            "--divide is for collecting, and files are sent here",
            "leave it out",
        ));
    }
    let hosts = list::read(&args.hosts)?;
    let sources: Vec<PathBuf> = args.sources.iter().map(PathBuf::from).collect();
    let entries = tree::walk(&sources, &Board::reading(args.moving.quiet))?;
    let entries: Vec<&Entry> = entries.iter().collect();
    // Until here a signal ends it at once: nothing is begun.
    let caught = super::listen()?;
    let ssh = Ssh::new(&args.ssh, false)?.heeding(&caught);
    let board = Board::new(args.moving.quiet, "");
    let files = entries
        .iter()
        .filter(|entry| !matches!(entry.what, What::Dir { .. }));
    let bytes: u64 = entries.iter().map(|entry| entry.size()).sum();
    let many = hosts.len() as u64;
    board.expect(files.count() as u64 * many, bytes * many);
    let relays = args.tree.then(Relays::new);
    let push = Push {
        ssh: &ssh,
        dest,
        durable: false,
        stall: args.moving.stall,
        retries: args.moving.retries,
        board: &board,
        relays: relays.as_ref(),
    };
    let outcomes = fan::each(
        &hosts,
        args.ssh.fanout as usize,
        |host| push.send(host, &entries, |_, _| ()),
        |_, _| (),
    );
    let not_sent_on = relays.map(Relays::failures).unwrap_or_default();
    tell(args, &hosts, outcomes, &board, &caught, not_sent_on)
}

fn collect(args: &CpArgs, sources: Vec<Vec<u8>>) -> Ended {
    if args.tree {
        return Err(Failed::usage(
            "--tree is for sending, and files are collected here",
            "leave it out",
        ));
    }
    let hosts = list::read(&args.hosts)?;
    let sources = sources
        .iter()
        .map(|source| dir_and_name(source))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(host) = hosts.iter().find(|host| args.divide && !is_name(&host.name)) {
        return Err(Failed::usage(
            format!("no directory can be called {}", shown::plain(&host.name)),
            "give the host a name in ssh's configuration",
        ));
    }
    let caught = super::listen()?;
    let ssh = Ssh::new(&args.ssh, false)?.heeding(&caught);
    let board = Board::new(args.moving.quiet, "");
    let pull = Pull {
        ssh: &ssh,
        sources: &sources,
        stall: args.moving.stall,
        retries: args.moving.retries,
        board: &board,
    };
    let fanout = args.ssh.fanout as usize;
    let lists = fan::each(&hosts, fanout, |host| pull.list(host), |_, _| ());
    if !args.divide {
        refuse_clashes(&hosts, &lists)?;
    }
    let dest = open(Path::new(&args.dest))?;
    for entry in lists.iter().flatten().flatten().flatten() {
        match entry.kind {
            Kind::File { size, .. } => board.expect(1, size),
            Kind::Link { .. } => board.expect(1, 0),
            Kind::Dir { .. } => {}
        }
    }
    let listed: Vec<(&Host, &Result<Vec<Read>, Trouble>)> = hosts.iter().zip(&lists).collect();
    let fetch = |(host, list): &(&Host, &Result<Vec<Read>, Trouble>)| match list {
        Err(trouble) => Outcome {
            trouble: Some(trouble.clone()),
            ..Outcome::default()
        },
        Ok(list) if !args.divide => pull.fetch(host, list, &dest),
        Ok(list) => match dest.below(host.name.as_bytes()) {
            Ok(dest) => pull.fetch(host, list, &dest),
            Err(error) => Outcome {
                trouble: Some(Trouble::new(
                    crate::hosts::trouble::Why::Here,
                    format!("its directory cannot be made: {error}"),
                )),
                ..Outcome::default()
            },
        },
    };
    let outcomes = fan::each(&listed, fanout, fetch, |_, _| ());
    tell(args, &hosts, outcomes, &board, &caught, Vec::new())
}

fn is_name(host: &str) -> bool {
    name::parts(host.as_bytes()).is_ok_and(|parts| parts.len() == 1)
}

fn open(path: &Path) -> Result<Dest, Failed> {
    Dest::open(path).map_err(|error| {
        let text = format!("cannot make the directory {}: {error}", shown::path(path));
        Failed::new(NOT_OK, text, None)
    })
}

fn tell(
    args: &CpArgs,
    hosts: &[Host],
    outcomes: Vec<Outcome>,
    board: &Board,
    caught: &Caught,
    not_sent_on: Vec<Failure>,
) -> Ended {
    board.end();
    let report = Report {
        hosts: hosts.iter().zip(outcomes).collect(),
        did: Did::Copy,
        not_sent_on,
    };
    report.tell(args.moving.format, caught)
}

/// Splits a path there into the directory, `.` for the home, and the name that it will have here.
fn dir_and_name(source: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Failed> {
    let mut path = source;
    while path.len() > 1 && path.ends_with(b"/") {
        path = &path[..path.len() - 1];
    }
    let (mut dir, last) = name::split(path);
    if path.starts_with(b"/") && dir.is_empty() {
        dir = b"/";
    } else if dir.is_empty() {
        dir = b".";
    }
    if name::parts(last).is_err() {
        let shown = name::shown(source);
        return Err(Failed::usage(
            format!("the source :{shown} does not end with a name"),
            "name a file or a directory there, such as :out or :/scratch/out",
        ));
    }
    Ok((dir.to_vec(), last.to_vec()))
}

/// Refuses names that two hosts have, or two sources: one would be written over the other.
fn refuse_clashes(hosts: &[Host], lists: &[Result<Vec<Read>, Trouble>]) -> Result<(), Failed> {
    let mut owners: HashMap<&[u8], (&Host, usize)> = HashMap::new();
    let mut clashes = Vec::new();
    for (host, list) in hosts.iter().zip(lists) {
        for entry in list.iter().flatten().flatten() {
            if matches!(entry.kind, Kind::Dir { .. }) {
                continue;
            }
            if let Some((other, _)) = owners.insert(&entry.path, (host, entry.source)) {
                clashes.push(format!(
                    "{} is on {} and on {}",
                    name::shown(&entry.path),
                    other.name,
                    host.name
                ));
            }
        }
    }
    if clashes.is_empty() {
        return Ok(());
    }
    let more = match clashes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    clashes.truncate(NAMED);
    Err(Failed::new(
        NOT_OK,
        format!("nothing was fetched: {}{more}", clashes.join("; ")),
        Some("give --divide: each host's files come into a directory of their own".to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_means_the_hosts() {
        let path = |word: &str| there(OsStr::new(word)).map(|path| String::from_utf8(path).unwrap());
        for (word, expected) in [
            (":/scratch/x", Some("/scratch/x")),
            (":x", Some("x")),
            (":", Some("")),
            (":all/x", Some("x")),
            (":all//x", Some("/x")),
            (":all/", Some("")),
            (":all", Some("")),
            (":~/x", Some("x")),
            (":allx", Some("allx")),
            (":./all/x", Some("./all/x")),
            ("all/x", None),
            ("./:x", None),
        ] {
            assert_eq!(path(word).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn a_source_there_has_a_directory_and_a_name() {
        let split = |path: &str| {
            let (dir, name) = dir_and_name(path.as_bytes()).ok()?;
            Some((String::from_utf8(dir).ok()?, String::from_utf8(name).ok()?))
        };
        let some = |dir: &str, name: &str| Some((dir.to_owned(), name.to_owned()));
        assert_eq!(split("/a/b/"), some("/a", "b"));
        assert_eq!(split("/a"), some("/", "a"));
        assert_eq!(split("a"), some(".", "a"));
        for bad in ["", "/", "..", "a/..", "."] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
