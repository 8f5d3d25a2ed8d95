//! The submit files for HTCondor have the form that `condor_submit` reads.
//!
//! To `condor_submit` a mistyped command is only a warning, so the commands are checked against a list here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The commands that the file may use, in HTCondor's own spelling, and our own macros.
const COMMANDS: &[&str] = &[
    "arguments",
    "batch_name",
    "error",
    "executable",
    "initialdir",
    "job_max_vacate_time",
    "kill_sig",
    "log",
    "output",
    "request_cpus",
    "request_memory",
    "should_transfer_files",
    "universe",
];
const MACROS: &[&str] = &["dir", "program", "numbers", "results", "store", "logs"];
/// The files, the role of the first job, and the program that is started.
const FILES: [(&str, &str, &str); 2] = [
    ("factor.sub", "master", "factor"),
    ("sweep.sub", "wait", "flockwork"),
];
/// Macros that HTCondor and the queue statement bring.
const GIVEN: &[&str] = &["Cluster", "Process", "role", "more"];

#[derive(Debug, Default, PartialEq)]
struct Submit {
    settings: BTreeMap<String, String>,
    /// The variables of the queue statement.
    variables: Vec<String>,
    /// A value for each variable, for each job.
    jobs: Vec<Vec<String>>,
}

/// Reads a submit file; says which line is wrong.
fn parse(text: &str) -> Result<Submit, String> {
    let mut submit = Submit::default();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !submit.jobs.is_empty() {
            return Err(format!("line {number}: something follows the queue statement"));
        }
        if let Some(queue) = line.strip_prefix("queue ") {
            let variables = queue
                .strip_suffix("from (")
                .ok_or(format!("line {number}: expected `queue VARIABLES from (`"))?;
            submit.variables = variables.split(',').map(|word| word.trim().to_owned()).collect();
            loop {
                let (number, line) = lines.next().ok_or("the queue statement has no end")?;
                if line.trim() == ")" {
                    break;
                }
                // The last variable takes the rest of the line.
                let values: Vec<_> = line
                    .trim()
                    .splitn(submit.variables.len(), ',')
                    .map(|word| word.trim().to_owned())
                    .collect();
                if values.len() != submit.variables.len() {
                    return Err(format!("line {number}: {} values", values.len()));
                }
                submit.jobs.push(values);
            }
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or(format!("line {number}: not `key = value`: {line}"))?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if !COMMANDS.contains(&key.as_str()) && !MACROS.contains(&key.as_str()) {
            return Err(format!("line {number}: unknown command {key:?}"));
        }
        if submit.settings.insert(key.clone(), value).is_some() {
            return Err(format!("line {number}: {key} stands there twice"));
        }
    }
    Ok(submit)
}

/// The macros that a text uses.
fn used(text: &str) -> Vec<&str> {
    let parts = text.split("$(").skip(1);
    parts
        .map(|part| part.split(')').next().unwrap_or_default())
        .collect()
}

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("condor").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_submit_files_are_well_formed() {
    for (name, first, program) in FILES {
        is_well_formed(&parse(&text(name)).unwrap(), first, program);
    }
}

fn is_well_formed(submit: &Submit, first: &str, program: &str) {
    for (key, value) in &submit.settings {
        for name in used(value) {
            let known = submit.settings.contains_key(name) || GIVEN.contains(&name);
            assert!(known, "{key}: $({name}) is not defined");
        }
    }
    assert_eq!(submit.settings["executable"], "$(program)");
    assert_eq!(submit.settings["program"], format!("$(dir)/{program}"));
    assert_eq!(submit.settings["arguments"], "$(role) $(store) $(more)");
    assert_eq!(submit.settings["should_transfer_files"], "NO");
    let vacate: u32 = submit.settings["job_max_vacate_time"].parse().unwrap();
    assert!(vacate > 10, "shorter than the workers' grace");
    // A private /tmp would hide the store from the other jobs.
    assert!(!submit.settings["dir"].starts_with("/tmp") && !submit.settings["dir"].starts_with("/var/tmp"));
    assert_eq!(submit.variables, ["role", "more"]);
    let roles: Vec<_> = submit.jobs.iter().map(|job| job[0].as_str()).collect();
    assert_eq!(roles, [first, "worker", "worker", "worker"]);
}

#[test]
fn the_check_can_fail() {
    for (text, what) in [
        (
            "universal = vanilla\nqueue role from (\n)\n",
            "unknown command \"universal\"",
        ),
        ("universe vanilla\n", "not `key = value`"),
        ("log = a\nlog = b\n", "twice"),
        ("queue role, more from (\n  master\n)\n", "1 values"),
        ("queue role, more from (\n  a, b\n", "no end"),
        ("queue 3\n", "expected `queue VARIABLES from (`"),
        ("queue role, more from (\n  a, b\n)\nlog = x\n", "follows"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(what), "{text:?}: {error}");
    }
}

/// Our verbs must understand what the file gives them.
#[cfg(feature = "cli")]
#[test]
fn the_program_understands_the_arguments() {
    let submit = parse(&text("factor.sub")).unwrap();
    let place = tempfile::tempdir().unwrap();
    for job in &submit.jobs {
        let more = job[1].replace("$(numbers)", "no-such-file").replace("30m", "0s");
        let mut command = crate::app::factor();
        command
            .current_dir(&place)
            .arg(&job[0])
            .arg("no/such/dir/x.flock");
        let output = command.args(more.split_whitespace()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Exit code 2 would be a usage error.
        let expected = if job[0] == "master" { 1 } else { 4 };
        assert_eq!(output.status.code(), Some(expected), "{job:?}: {said}");
    }
}

#[test]
fn condor_submit_takes_the_files_without_a_warning() {
    for (name, _, program) in FILES {
        if let Err(error) = is_taken(name, program) {
            println!("skipped: condor_submit cannot be started here: {error}");
            return;
        }
    }
}

fn is_taken(name: &str, program: &str) -> std::io::Result<()> {
    // It looks for the program and for the directory of the logs.
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().display().to_string();
    std::fs::create_dir(place.path().join("logs")).unwrap();
    std::fs::write(place.path().join(program), "#!/bin/false\n").unwrap();
    let submit = place.path().join(name);
    std::fs::write(
        &submit,
        text(name).replace("= /proj/you\n", &format!("= {dir}\n")),
    )
    .unwrap();
    let mut command = Command::new("condor_submit");
    let output = command.args(["-dry-run", "-"]).arg(&submit).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && !said.contains("WARNING"), "{said}");
    let store = name.replace(".sub", ".flock");
    assert_eq!(
        said.matches(&format!("Args=\"worker {dir}/{store} --idle-exit 30m\""))
            .count(),
        3,
        "{said}"
    );
    Ok(())
}
