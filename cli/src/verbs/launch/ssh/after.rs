//! `launch ssh --status` and `--stop`: asking after workers, and sending them away.

use flockwork::Store;
use flockwork::app::Screen;
use flockwork::app::exit::{Ended, Failed, NOT_OK, OK};

use super::{columns, row, tell_failed};
use crate::args::LaunchSshArgs;
use crate::hosts::{self, Host, Ssh, Trouble, fan};
use crate::launch::Engine;
use crate::launch::records::{Launches, Reached};
use crate::launch::ssh::platform::is_copy;
use crate::launch::ssh::{Found, remove, status, stop};
use crate::output::Table;

/// `--status` and `--stop`: what became of the workers of all launches, or of those on the hosts that are named.
pub(super) fn after(args: &LaunchSshArgs, store: &Store, path: &str) -> Ended {
    let workers = workers(args, store)?;
    let screen = Screen::plain();
    if workers.is_empty() {
        screen.line("no worker was launched over ssh there");
        return Ok(OK);
    }
    let ssh = Ssh::new(&args.ssh, true)?;
    let found = fan::each(
        &workers,
        args.ssh.fanout as usize,
        |(host, note)| match args.stop {
            true => stop(&ssh, host, note.pid, path, args.wait),
            false => status(&ssh, host, note.pid, path),
        },
        |_, _| (),
    );
    let mut table = Table::new("launch.ssh", "hosts", columns());
    for ((host, note), found) in workers.iter().zip(&found) {
        let (state, why) = match found {
            Ok(found) => (found.word(), None),
            Err(trouble) => ("unknown", Some(trouble)),
        };
        table.row(row(&host.name, state, Some(note.pid), why));
    }
    table.print(args.format)?;
    let mut is_ok = found
        .iter()
        .all(|found| matches!(found, Ok(found) if *found != Found::Stays));
    if args.remove_program {
        is_ok &= remove_programs(args, &screen, &ssh, &workers, &found);
    }
    let named: Vec<_> = workers.into_iter().map(|(host, _)| host).collect();
    ssh.close(&named);
    Ok(if is_ok { OK } else { NOT_OK })
}

/// Returns the workers of all launches, or of those on the hosts that are named; with `--stop`, none of a launch that is
/// stopped as a whole is replaced any more.
fn workers(args: &LaunchSshArgs, store: &Store) -> Result<Vec<(Host, Reached)>, Failed> {
    let asked = match args.hosts.nodes.is_empty() && args.hosts.hosts.is_empty() {
        true => None,
        false => Some(hosts::list::read(&args.hosts)?),
    };
    let launches = Launches::of(store.path());
    let mut workers = Vec::new();
    for launch in launches
        .all()?
        .into_iter()
        .filter(|launch| launch.record.engine == Engine::Ssh)
    {
        let number = launch.record.number;
        if args.stop && asked.is_none() {
            launches.stop(number)?;
        }
        for reached in launch.came.reached {
            // Names are checked again: whoever can write the store could have written them.
            let host = Host::read(&reached.host).map_err(|what| {
                Failed::new(NOT_OK, format!("launch {number}: a host's name {what}"), None)
            })?;
            if asked
                .as_ref()
                .is_none_or(|asked| asked.iter().any(|it| it.name == host.name))
            {
                workers.push((host, reached));
            }
        }
    }
    Ok(workers)
}

/// Removes the copies on hosts whose workers have left; says whether all are gone.
fn remove_programs(
    args: &LaunchSshArgs,
    screen: &Screen,
    ssh: &Ssh,
    workers: &[(Host, Reached)],
    found: &[Result<Found, Trouble>],
) -> bool {
    // Homes may be shared, so a worker elsewhere may use the same file.
    let is_used = |(_, note): &(Host, Reached)| {
        let mut all = workers.iter().zip(found);
        all.any(|((_, theirs), found)| {
            theirs.program == note.program && matches!(found, Ok(Found::Up | Found::Stays))
        })
    };
    // Copies lie where launches put them; a program that was found in its own place is the user's.
    let copies: Vec<_> = workers
        .iter()
        .filter(|(_, note)| is_copy(&note.program))
        .filter(|worker| !is_used(worker))
        .collect();
    let removed = fan::each(
        &copies,
        args.ssh.fanout as usize,
        |(host, note)| remove(ssh, host, &note.program),
        |(host, _), result| match result {
            Ok(true) => {}
            Ok(false) => screen.line(&format!("note: {}: the program is still used", host.name)),
            Err(trouble) => tell_failed(screen, host, trouble),
        },
    );
    removed.iter().all(|removed| matches!(removed, Ok(true)))
}
