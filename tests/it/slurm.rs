//! The submit files for Slurm have the form that `sbatch` reads, and start what they say.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The options that the files may use, in Slurm's own spelling.
const OPTIONS: &[&str] = &[
    "array",
    "chdir",
    "cpus-per-task",
    "job-name",
    "mem",
    "open-mode",
    "output",
    "requeue",
    "signal",
    "time",
];
/// The files, the program that is started, and what task 0 and the others are started as.
const FILES: [(&str, &str, &str, &str); 2] = [
    (
        "factor.sbatch",
        "factor",
        "master STORE/factor.flock STORE/numbers.txt",
        "worker STORE/factor.flock --idle-exit 30m",
    ),
    (
        "sweep.sbatch",
        "flockwork",
        "wait STORE/sweep.flock --collect STORE/results.csv",
        "worker STORE/sweep.flock --idle-exit 30m",
    ),
];

/// Reads the lines of `#SBATCH`: options with their values. Says what is wrong.
fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    if !text.starts_with("#!") {
        return Err("sbatch wants a script with `#!`".to_owned());
    }
    let mut options = Vec::new();
    let mut begun = false;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("#SBATCH ") else {
            // What follows the first command is not read.
            begun |= !line.is_empty() && !line.starts_with('#');
            continue;
        };
        if begun {
            return Err(format!("{line}: it follows a command"));
        }
        for word in rest.split_whitespace() {
            let option = word.strip_prefix("--").ok_or(format!("{word}: no option"))?;
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            if !OPTIONS.contains(&name) {
                return Err(format!("unknown option {name}"));
            }
            if value.contains('$') {
                return Err(format!("{word}: no variable is known there"));
            }
            if options.iter().any(|(known, _)| known == name) {
                return Err(format!("{name} stands there twice"));
            }
            options.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(options)
}

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("slurm").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_submit_files_are_well_formed() {
    for (name, ..) in FILES {
        let options = parse(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let value = |wanted: &str| {
            let found = options.iter().find(|(name, _)| name == wanted);
            found
                .unwrap_or_else(|| panic!("{name}: no --{wanted}"))
                .1
                .as_str()
        };
        assert_eq!(
            (value("array"), value("requeue"), value("open-mode")),
            ("0-3", "", "append")
        );
        // Another signal than the one that only tells what runs.
        assert_eq!(value("signal"), "B:USR2@120");
        assert!(value("output").starts_with("/proj/you/logs/"), "{name}");
        assert_eq!(value("chdir"), "/proj/you");
    }
}

#[test]
fn the_check_can_fail() {
    for (text, what) in [
        ("#SBATCH --array=1\n", "wants a script"),
        ("#!/bin/sh\n#SBATCH --aray=1\n", "unknown option aray"),
        ("#!/bin/sh\n#SBATCH --mem=1 --mem=2\n", "twice"),
        ("#!/bin/sh\n#SBATCH --chdir=$dir\n", "no variable"),
        ("#!/bin/sh\ntrue\n#SBATCH --mem=1\n", "follows a command"),
        ("#!/bin/sh\n#SBATCH mem=1\n", "no option"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn each_task_starts_what_the_file_says() {
    for (name, program, first, other) in FILES {
        // A program that only says what it was started as, and that it took the script's place.
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().display().to_string();
        let fake = place.path().join(program);
        std::fs::write(&fake, "#!/bin/sh\necho $$ \"$@\"\n").unwrap();
        std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
        let script = place.path().join(name);
        std::fs::write(
            &script,
            text(name).replace("dir=/proj/you\n", &format!("dir={dir}\n")),
        )
        .unwrap();
        for (task, expected) in [("0", first), ("1", other), ("3", other)] {
            let mut command = Command::new("sh");
            let child = command
                .arg(&script)
                .env("SLURM_ARRAY_TASK_ID", task)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let pid = child.id();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let expected = format!("{pid} {}\n", expected.replace("STORE", &dir));
            assert_eq!(said, expected, "{name}: without exec no signal would reach it");
        }
    }
}

/// Our verbs must understand what the file gives them.
#[cfg(feature = "cli")]
#[test]
fn the_program_understands_the_arguments() {
    let place = tempfile::tempdir().unwrap();
    let (_, _, first, other) = FILES[0];
    for (line, expected) in [(first, 1), (other, 4)] {
        let line = line
            .replace("STORE/numbers.txt", "no-such-file")
            .replace("STORE", "no/such/dir");
        let mut command = crate::app::factor();
        command
            .current_dir(&place)
            .args(line.replace("30m", "0s").split(' '));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Exit code 2 would be a usage error.
        assert_eq!(output.status.code(), Some(expected), "{line}: {said}");
    }
}
