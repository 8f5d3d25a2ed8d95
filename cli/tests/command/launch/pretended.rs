//! Engines that are scripts: what they are given is kept, and they fail as they are told.

use std::process::Command;

use serde_json::Value;

use super::GATED;
use crate::place::{Place, Running, STORE, Said};

/// Engines of a test: scripts that come first on the PATH. Each submission gets the next number, and what was read is
/// kept in `engine/NUMBER.COMMAND`; `engine/queue/NUMBER` says that a job is in the queue; the file `engine/broken` has
/// the last word of an engine that refuses everything.
pub(super) struct Engines(pub(super) Place);

const SUBMIT: &str = r#"#!/bin/sh
dir=$(dirname "$0")/../engine
if [ -e "$dir/broken" ]; then cat "$dir/broken" >&2; exit 1; fi
number=48213
until mkdir "$dir/$number" 2>/dev/null; do number=$((number + 1)); done
cat > "$dir/$number/read"
echo "$@" > "$dir/$number/words"
env > "$dir/$number/env"
touch "$dir/queue/$number"
name=$(basename "$0")
case $name in
sbatch) echo $number ;;
condor_submit) echo "$number.0 - $number.1" ;;
qsub) echo "$number.1-2:1" ;;
esac
"#;

const ASK: &str = r#"#!/bin/sh
dir=$(dirname "$0")/../engine
[ -e "$dir/broken" ] && { cat "$dir/broken" >&2; exit 1; }
[ -e "$dir/hangs" ] && exec sleep 1000
for number in $(ls "$dir/queue"); do
  case $(basename "$0") in
  squeue) echo "${number}_1|RUNNING|None"; echo "${number}_2|PENDING|Resources" ;;
  condor_q) echo "$number 2 undefined"; echo "$number 5 no such directory" ;;
  qstat) echo " $number 0.5 x ana r 11/25/2026 23:00:00 all.q@n 1 1"; echo " $number 0.5 x ana qw 11/25/2026 23:00:00 1 2-5:1" ;;
  esac
done
"#;

const END: &str = r#"#!/bin/sh
dir=$(dirname "$0")/../engine
echo "$(basename "$0") $@" >> "$dir/ended"
rm "$dir/queue/$1" 2>/dev/null || { echo "no such job $1" >&2; exit 1; }
"#;

impl Engines {
    pub(super) fn new() -> Engines {
        let place = Place::new();
        for dir in ["bin", "engine", "engine/queue"] {
            std::fs::create_dir(place.path(dir)).unwrap();
        }
        let engines = Engines(place);
        for (names, script) in [
            (["sbatch", "condor_submit", "qsub"], SUBMIT),
            (["squeue", "condor_q", "qstat"], ASK),
            (["scancel", "condor_rm", "qdel"], END),
        ] {
            names.iter().for_each(|name| engines.script(name, script));
        }
        engines
            .0
            .ok(&["submit", STORE, "--sweep", "a=1", "--", "sh", "-c", GATED]);
        engines
    }

    pub(super) fn script(&self, name: &str, text: &str) {
        self.0.write_program(&format!("bin/{name}"), text);
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(words);
        let rest = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{rest}", self.0.path("bin").display()));
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Said {
        Running::start(self.command(words)).end()
    }

    #[track_caller]
    pub(super) fn ok(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}\n{}", said.err);
        said
    }

    #[track_caller]
    pub(super) fn json(&self, words: &[&str]) -> Value {
        let said = self.run(&[words, &["--format", "json"]].concat());
        serde_json::from_slice(&said.out).unwrap_or_else(|error| panic!("{words:?}: {error}: {}", said.err))
    }

    pub(super) fn record(&self, number: u64) -> Value {
        let text = self.0.read(&format!("{STORE}/launch/{number:06}.json"));
        serde_json::from_str(&text).unwrap()
    }

    /// Workers of all records.
    pub(super) fn launched(&self) -> u64 {
        let names = crate::place::names(&self.0.path(STORE).join("launch"));
        let records = names.iter().filter(|name| name.ends_with(".json"));
        let numbers = records.map(|name| name.trim_end_matches(".json").parse().unwrap());
        numbers
            .map(|number| self.record(number)["asked"]["workers"].as_u64().unwrap())
            .sum()
    }
}
