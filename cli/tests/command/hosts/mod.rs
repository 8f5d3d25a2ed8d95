//! The same on many hosts, over a pretended ssh that runs all of it here, in a directory of its own for each host.

/// How a command ends there when it does not end by itself.
mod ending;
/// The verbs beside `run`, and who is meant.
mod others;
/// A command, its files and its output.
mod run;
/// Who is there.
mod status;

use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Running, Said};

/// A host's directory may hold: `fails`, what ssh says before it ends with 255; `hangs`, and it never connects; `spoils`,
/// which changes what is copied; `cut`, at which the connection ends.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
host=$2; shift 2
mkdir -p "$HOSTS/$host/home"; cd "$HOSTS/$host" || exit 255
[ ! -e fails ] || { cat fails >&2; exit 255; }
export HOME="$PWD/home" TMPDIR="$PWD"
echo $$ >pid
[ ! -e hangs ] || exec sleep 1000
echo 'Welcome, this is no output of the command.'
cd home
[ ! -e ../spoils ] || exec sh -c "tr a b | $*"
[ -e ../cuts ] || exec sh -c "$*"
exec 3<&0
sh -c "$*" <&3 3<&- &
until [ -e ../cut ]; do sleep 0.02; done
echo 'Connection to host closed by remote host.' >&2
exit 255
"#;

struct Hosts(Place);

impl Hosts {
    fn new() -> Hosts {
        let place = Place::new();
        place.write_program("ssh", SSH);
        Hosts(place)
    }

    /// Puts a file beside the home of a host.
    fn has(&self, host: &str, name: &str, text: &str) {
        std::fs::create_dir_all(self.0.path(&format!("hosts/{host}/home"))).unwrap();
        self.0.write(&format!("hosts/{host}/{name}"), text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(&[&["hosts"], arguments].concat());
        command
            .env("HOSTS", self.0.path("hosts"))
            .env("FLOCKWORK_SSH", self.0.path("ssh"));
        command
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Said {
        self.start(arguments).end()
    }

    fn read(&self, name: &str) -> String {
        self.0.read(name)
    }

    fn pid(&self, name: &str) -> u32 {
        self.0.wait_for_file(name).trim().parse().unwrap()
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_slice(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.text(), said.err))
}

/// The lines in order, for hosts end in any.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
