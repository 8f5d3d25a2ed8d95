//! `hosts mkdir`: a directory on each host, and where it was made.

use std::time::Duration;

use flockwork::app::exit::{Ended, Failed, NO_WORKER, NOT_OK, OK};

use crate::args::HostsMkdirArgs;
use crate::hosts::{Host, Ssh, Trouble, fan, list};
use crate::output::{Cell, Column, Kind, Table};
use crate::words;

/// `$1` the parent, `$2` the name. Its last line is a word and a path, or a word alone.
const MAKE: &str = "if [ -d \"$1\" ]; then :; elif [ -e \"$1\" ]; then echo 'no-directory'; exit 0; \
    else echo 'missing'; exit 0; fi; cd \"$1\" && d=$(pwd -P) || { echo 'denied'; exit 0; }; \
    case $d in /) ;; *) d=$d/;; esac; \
    if mkdir \"./$2\"; then echo \"made $d$2\"; elif [ -d \"./$2\" ]; then echo \"there $d$2\"; \
    elif [ -e \"./$2\" ] || [ -h \"./$2\" ]; then echo \"taken $d$2\"; else echo 'failed'; fi";
/// Until it must be made.
const LIMIT: Duration = Duration::from_secs(60);

/// What has come of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    state: &'static str,
    path: Option<String>,
    reason: String,
}

/// Runs the verb.
///
/// # Errors
///
/// If the name is none, no hosts are named, or stdout cannot be written.
pub(crate) fn mkdir(args: &HostsMkdirArgs) -> Ended {
    check(&args.parent, &args.name)?;
    let hosts = list::read(&args.hosts)?;
    let ssh = Ssh::new(&args.ssh, false)?;
    // `cd -` and `test -x` would take it for something else.
    let parent = match args.parent.starts_with('-') {
        true => format!("./{}", args.parent),
        false => args.parent.clone(),
    };
    let made = fan::each(
        &hosts,
        args.ssh.fanout as usize,
        |host| make(&ssh, host, &parent, &args.name),
        |_, _| (),
    );
    let columns = ["host", "state", "path", "reason"].map(Column::left).to_vec();
    let mut table = Table::new("hosts-mkdir", "hosts", columns);
    for (host, made) in hosts.iter().zip(&made) {
        let kind = if made.state == "made" {
            Kind::Ok
        } else {
            Kind::Failed
        };
        table.row(vec![
            host.name.clone().into(),
            Cell::from(made.state).of_kind(kind),
            made.path.clone().map_or_else(Cell::default, Cell::from),
            made.reason.clone().into(),
        ]);
    }
    let count = |state: &str| made.iter().filter(|made| made.state == state).count();
    let well = count("made");
    table.about("made", well as u64);
    table.note(Some(format!("made on {well} of {} hosts", hosts.len())));
    table.print(args.format)?;
    Ok(match well {
        well if well == hosts.len() => OK,
        _ if count("unreached") == hosts.len() => NO_WORKER,
        _ => NOT_OK,
    })
}

fn check(parent: &str, name: &str) -> Result<(), Failed> {
    if parent.is_empty() {
        return Err(Failed::usage("no parent is named", "write . for the user's home"));
    }
    if name.is_empty() || name.contains('/') || name == "." || name == ".." || name.contains(char::is_control)
    {
        let name = words::tame(name, 80);
        return Err(Failed::usage(
            format!("`{name}` is not the name of one new directory"),
            "PARENT is where it is made, and NAME has no slash: hosts mkdir -n HOSTS /scratch sweep",
        ));
    }
    Ok(())
}

fn make(ssh: &Ssh, host: &Host, parent: &str, name: &str) -> Made {
    match ssh.run(host, MAKE, &[parent, name], LIMIT) {
        Ok(answer) => {
            let said = answer.lines.last().map_or("", String::as_str);
            understood(said, parent, &answer.last_words())
        }
        Err(trouble) => failed("unreached", &trouble),
    }
}

fn failed(state: &'static str, trouble: &Trouble) -> Made {
    Made {
        state,
        path: None,
        reason: trouble.text(),
    }
}

/// Reads the answer of a host.
fn understood(said: &str, parent: &str, error: &str) -> Made {
    let (word, path) = said.split_once(' ').unwrap_or((said, ""));
    let (state, reason) = match word {
        "made" => ("made", String::new()),
        "there" => ("exists", "the directory is there already".to_owned()),
        "taken" => ("exists", "something is there that is no directory".to_owned()),
        "missing" => ("failed", format!("the parent {parent} is missing")),
        "no-directory" => ("failed", format!("the parent {parent} is no directory")),
        "denied" => (
            "failed",
            format!("the parent {parent} cannot be entered: {error}"),
        ),
        _ => ("failed", error.to_owned()),
    };
    Made {
        state,
        path: (!path.is_empty()).then(|| path.to_owned()),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_name() {
        for name in ["", ".", "..", "a/b", "/a", "a\nb"] {
            assert!(check("/tmp", name).is_err(), "{name:?}");
        }
        for name in ["a", "-p", "a b", "...", "$(id)"] {
            assert!(check("/tmp", name).is_ok(), "{name:?}");
        }
        assert!(check("", "a").is_err());
    }
}
