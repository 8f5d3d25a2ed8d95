//! Files that are right, files that are wrong, and what counts before what.

use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::args::{By, HostsVerb, LaunchBy, LocalVerb};

fn applied(file: &str) -> Result<(Command, Vec<Applied>), Failed> {
    apply(&crate::args::command(), &file::read(file)?)
}

fn matches(file: &str, line: &[&str]) -> (Vec<Applied>, ArgMatches) {
    let line = std::iter::once(&"flockwork").chain(line).map(Into::into);
    let (applied, matches) = matched(&crate::args::command(), &file::read(file).unwrap(), line)
        .unwrap()
        .unwrap();
    (applied, matches)
}

fn cli(file: &str, line: &[&str]) -> Cli {
    Cli::from_arg_matches(&matches(file, line).1).unwrap()
}

fn wrong(file: &str) -> String {
    let failed = applied(file).unwrap_err();
    assert_eq!(failed.code(), 2);
    failed.text()
}

const GOOD: &str = "\
[all]
store = 'x.flock'
color = \"never\"
idle-exit = '1h'

[run]
workers = 4
retries = 3
tail = 0.1
quiet = true
env = ['PATH', 'HOME']
idle-exit = '2h'
";

#[test]
fn what_is_typed_counts_before_the_file_and_a_verb_before_all() {
    let typed = cli(GOOD, &["run", "--workers", "2", "y.flock"]);
    let Verb::Run(run) = typed.verb else {
        panic!("{typed:?}")
    };
    assert_eq!((run.workers, run.quiet), (Some(2), true));
    assert_eq!(run.place.store.as_deref(), Some(Path::new("y.flock")));
    assert_eq!(run.work.worker.idle_exit.as_secs(), 7_200);
    assert_eq!(typed.color, crate::args::Color::Never);
    let untyped = cli(GOOD, &["worker"]);
    let Verb::Worker(worker) = untyped.verb else {
        panic!("{untyped:?}")
    };
    assert_eq!(worker.place.store.as_deref(), Some(Path::new("x.flock")));
    assert_eq!(
        (worker.work.worker.idle_exit.as_secs(), worker.quiet),
        (3_600, false)
    );
}

#[test]
fn a_flag_can_be_taken_back() {
    for (line, quiet) in [
        (&["run", "--quiet=false"][..], false),
        (&["run", "-q"], true),
        (&["run", "-qw2"], true),
        (&["run"], true),
    ] {
        let Verb::Run(run) = cli(GOOD, line).verb else {
            panic!("{line:?}")
        };
        assert_eq!(run.quiet, quiet, "{line:?}");
    }
}

const NESTED: &str = "\
[all]
fanout = 3
quiet = true

[hosts]
hosts = 'hosts.txt'
fanout = 5
connect-timeout = '4s'

[hosts.cp]
fanout = 7
retries = 9

[hosts.distribute]
by = 'size'
nodes = 'n[1-3]'

[local.start]
ports = 'ports.txt'

[launch.slurm]
workers = 50
time = '2h'
";

fn hosts_verb(line: &[&str]) -> HostsVerb {
    match cli(NESTED, &[&["hosts"], line].concat()).verb {
        Verb::Hosts(args) => args.verb,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_verb_of_a_verb_counts_before_its_group_and_the_group_before_all() {
    let HostsVerb::Cp(cp) = hosts_verb(&["cp", "a", ":b"]) else {
        panic!("no cp")
    };
    assert_eq!((cp.ssh.fanout, cp.moving.retries, cp.moving.quiet), (7, 9, true));
    assert_eq!(cp.ssh.connect_timeout.as_secs(), 4);
    let HostsVerb::Run(run) = hosts_verb(&["run", "--", "true"]) else {
        panic!("no run")
    };
    assert_eq!((run.ssh.fanout, run.hosts.hosts), (5, vec!["hosts.txt".into()]));
    let HostsVerb::Run(run) = hosts_verb(&["run", "--fanout", "2", "--", "true"]) else {
        panic!("no run")
    };
    assert_eq!(run.ssh.fanout, 2);
    let Verb::Launch(launch) = cli(NESTED, &["launch", "slurm", "s.flock", "-w", "3"]).verb else {
        panic!("no launch")
    };
    let LaunchBy::Slurm(slurm) = launch.by else {
        panic!("no slurm")
    };
    assert_eq!(
        (slurm.common.workers, slurm.job.time.unwrap().as_secs()),
        (3, 7_200)
    );
    let Verb::Launch(launch) = cli(GOOD, &["launch", "local"]).verb else {
        panic!("no launch")
    };
    let LaunchBy::Local(local) = launch.by else {
        panic!("no local")
    };
    assert_eq!(local.common.place.store.as_deref(), Some(Path::new("x.flock")));
}

#[test]
fn what_must_be_given_may_stand_in_the_file() {
    let HostsVerb::Distribute(distribute) = hosts_verb(&["distribute", "dir", "name"]) else {
        panic!("no distribute")
    };
    assert_eq!(distribute.by, By::Size);
    let Verb::Local(local) = cli(NESTED, &["local", "start"]).verb else {
        panic!("no local")
    };
    let LocalVerb::Start(start) = local.verb else {
        panic!("no start")
    };
    assert_eq!(start.ports, Path::new("ports.txt"));
}

/// Somebody who types one host, below a file with a list of hosts, means this host and not the list too.
#[test]
fn who_types_hosts_means_these_and_none_of_the_file() {
    let HostsVerb::Run(run) = hosts_verb(&["run", "-n", "n7", "--", "reboot"]) else {
        panic!("no run")
    };
    assert_eq!(
        (run.hosts.nodes, run.hosts.hosts),
        (vec!["n7".to_owned()], vec![])
    );
    assert_eq!(run.ssh.fanout, 5);
    // A table for one verb counts before that of all, whichever of the two it has.
    let HostsVerb::Distribute(distribute) = hosts_verb(&["distribute", "dir", "name"]) else {
        panic!("no distribute")
    };
    assert_eq!(
        (distribute.hosts.nodes, distribute.hosts.hosts),
        (vec!["n[1-3]".to_owned()], vec![])
    );
    // Both in one table are both meant.
    let both = "[hosts]\nnodes = 'n1'\nhosts = 'more.txt'";
    let Verb::Hosts(args) = cli(both, &["hosts", "status"]).verb else {
        panic!("no hosts")
    };
    let HostsVerb::Status(status) = args.verb else {
        panic!("no status")
    };
    assert_eq!((status.hosts.nodes.len(), status.hosts.hosts.len()), (1, 1));
}

#[test]
fn the_parser_stays_sound() {
    applied(GOOD).unwrap().0.debug_assert();
    applied(NESTED).unwrap().0.debug_assert();
}

#[test]
fn verbs_that_change_something_tell_what_they_took() {
    let told = |line: &[&str]| {
        let (applied, matches) = matches(GOOD, line);
        note(&matches, &applied)
    };
    assert_snapshot!(told(&["run", "--workers", "2", "--quiet=false"]).unwrap(), @"note: settings from flockwork.toml: store=x.flock retries=3 tail=0.1 env=PATH,HOME idle-exit=2h");
    assert_eq!(told(&["status"]), None);
    let (applied, matches) = matches("[run]\nworkers = 4", &["run", "-w", "2"]);
    assert_eq!(note(&matches, &applied), None);
}

#[test]
fn verbs_of_verbs_tell_what_they_took_too() {
    let told = |line: &[&str]| {
        let (applied, matches) = matches(NESTED, line);
        note(&matches, &applied).unwrap_or_default()
    };
    assert_snapshot!(told(&["hosts", "cp", "a", ":b", "--retries", "1"]), @"note: settings from flockwork.toml: quiet=true hosts=hosts.txt connect-timeout=4s fanout=7");
    assert_snapshot!(told(&["hosts", "distribute", "a", "b"]), @"note: settings from flockwork.toml: quiet=true fanout=5 connect-timeout=4s by=size nodes=n[1-3]");
    assert_snapshot!(told(&["hosts", "status", "-n", "n1"]), @"note: settings from flockwork.toml: fanout=5 connect-timeout=4s");
    assert_snapshot!(told(&["launch", "slurm", "s.flock"]), @"note: settings from flockwork.toml: workers=50 time=2h");
    assert_snapshot!(told(&["local", "start"]), @"note: settings from flockwork.toml: ports=ports.txt");
    let (applied, matches) = matches("[local.ping]\ntimeout = '1s'", &["local", "ping"]);
    assert_eq!(note(&matches, &applied), None);
}

#[test]
fn wrong_entries_of_verbs_of_verbs_are_named() {
    assert_snapshot!(wrong("[hosts.run]\n\nfanuot = 4"), @r"
    error: flockwork.toml:3: [hosts.run] fanuot: `hosts run` has no such flag
    hint: did you mean `fanout`?
    ");
    assert_snapshot!(wrong("[hosts.rum]\nfanout = 4"), @r"
    error: flockwork.toml:2: [hosts.rum] fanout: `hosts` has no verb `rum`
    hint: did you mean `run`?
    ");
    assert_snapshot!(wrong("[hosts]\nworkers = 4"), @r"
    error: flockwork.toml:2: [hosts] workers: no verb of `hosts` has such a flag
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork hosts --help`
    ");
    assert_snapshot!(wrong("[hosts]\nretries = 1000"), @r"
    error: flockwork.toml:2: [hosts] retries = 1000: for `hosts cp`: 1000 is not in 0..=100
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork hosts --help`
    ");
    assert_snapshot!(wrong("[hosts.cp]\nretries = 1000"), @r"
    error: flockwork.toml:2: [hosts.cp] retries = 1000: 1000 is not in 0..=100
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork hosts cp --help`
    ");
    assert_snapshot!(wrong("[run.env]\nPATH = '/bin'"), @r"
    error: flockwork.toml:2: [run.env] PATH: `run` has no verbs of its own
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[all.run]\nworkers = 4"), @r"
    error: flockwork.toml:2: [all.run] workers: [all] has no tables of its own
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork VERB --help`
    ");
    assert_snapshot!(wrong("[host.run]\nfanout = 4"), @r"
    error: flockwork.toml:2: [host.run] fanout: no verb is named `host`
    hint: did you mean `hosts`?
    ");
    assert_snapshot!(wrong("[hosts.run.\"a\\u001b[2J\"]\nx = 1"), @r"
    error: flockwork.toml:2: [hosts.run.a\x1b[2J] x: `hosts run` has no verbs of its own
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork hosts run --help`
    ");
    assert_snapshot!(wrong("[launch.slurm]\nworkers = 'many'"), @r"
    error: flockwork.toml:2: [launch.slurm] workers = many: invalid digit found in string
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork launch slurm --help`
    ");
}

#[test]
fn wrong_entries_are_named_with_file_line_and_key() {
    assert_snapshot!(wrong("[run]\n\nworker = 4"), @r"
    error: flockwork.toml:3: [run] worker: `run` has no such flag
    hint: did you mean `workers`?
    ");
    assert_snapshot!(wrong("[rum]\nworkers = 4"), @r"
    error: flockwork.toml:2: [rum] workers: no verb is named `rum`
    hint: did you mean `run`?
    ");
    assert_snapshot!(wrong("[run]\nworkers = 'many'"), @r"
    error: flockwork.toml:2: [run] workers = many: invalid digit found in string
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[run]\nworkers = true"), @r"
    error: flockwork.toml:2: [run] workers = true: it needs a value, in quotes or a number
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[run]\nworkers = [1, 2]"), @r"
    error: flockwork.toml:2: [run] workers = 1,2: it takes one value, not a list
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[run]\nquiet = 'yes'"), @r"
    error: flockwork.toml:2: [run] quiet = yes: it is a flag without a value: true or false
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("[all]\ncolor = 'blue'"), @r"
    error: flockwork.toml:2: [all] color = blue: it is one of auto, always, never
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork VERB --help`
    ");
    assert_snapshot!(wrong("[run]\ntimeout = 1979-05-27"), @r"
    error: flockwork.toml:2: [run] timeout: a value is a text in quotes, a number, true, false, or a list of texts and numbers
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
    assert_snapshot!(wrong("workers = 4"), @r"
    error: flockwork.toml:1: workers stands outside of a table
    hint: put it below [all], or below the name of a verb such as [run]
    ");
    assert_snapshot!(wrong("[run]\nworkers = "), @r"
    error: flockwork.toml:2: string values must be quoted, expected literal string
    hint: see toml.io for how it is written
    ");
    assert_snapshot!(wrong("[all]\nno-such-thing = 1"), @r"
    error: flockwork.toml:2: [all] no-such-thing: no verb has such a flag
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork VERB --help`
    ");
    assert_snapshot!(wrong("[run]\n\"a\\u001b[2J\" = 1"), @r"
    error: flockwork.toml:2: [run] a\x1b[2J: `run` has no such flag
    hint: keys are long flags without `--`, in a table for each verb or in [all]; see `flockwork run --help`
    ");
}

#[test]
fn what_is_hidden_or_no_setting_is_no_key() {
    for file in [
        "[worker]\nparent = 1",
        "[guard]\ntoken = 'x'",
        "[run]\nhelp = true",
        "[all]\nversion = true",
    ] {
        assert!(applied(file).is_err(), "{file}");
    }
}
