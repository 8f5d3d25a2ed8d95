//! The executor, run here by the shells that there are.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;

const SHELLS: [&str; 3] = ["sh", "dash", "bash"];

/// Runs the executor with this on its stdin until it ends; returns stdout, stderr, and how long it took.
fn executed(shell: &str, heartbeat: &str, input: Stdio, words: &[&str]) -> Option<(String, String)> {
    let mut command = Command::new(shell);
    command.args([
        "-c",
        &one_line(EXECUTOR),
        "flockwork",
        "T",
        heartbeat,
        "1",
        "",
        "",
        "n1",
        "",
    ]);
    let ran = command.args(words).stdin(input).output().ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some((text(ran.stdout), text(ran.stderr)))
}

/// A stdin that stays open for a while.
fn open_stdin(script: &str) -> (Stdio, std::process::Child) {
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    (child.stdout.take().unwrap().into(), child)
}

#[test]
fn its_words_frame_what_the_command_writes() {
    let mut tried = 0;
    for shell in SHELLS {
        let (stdin, mut child) = open_stdin("exec sleep 1000");
        let words = ["sh", "-c", "printf out; printf err >&2; exit 255"];
        if let Some((out, err)) = executed(shell, "1", stdin, &words) {
            assert_eq!(out, "\x1eT hello\nout\x1eT end\n", "{shell}");
            let begins = err.starts_with("\x1eT hello\n") && err.contains("\x1eT begin ");
            assert!(
                begins && err.ends_with("\x1eT end 255\n") && err.contains("err"),
                "{shell}: {err:?}"
            );
            tried += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(tried > 0);
}

#[test]
fn signs_of_life_come_while_it_runs() {
    let (stdin, mut child) = open_stdin("exec sleep 1000");
    // It runs until two have come, at most.
    let (_, err) = executed("sh", "1", stdin, &["sleep", "3"]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(err.matches("\x1eT beat\n").count() >= 1, "{err:?}");
}

#[test]
fn the_end_of_the_connection_stops_all_of_it() {
    for shell in SHELLS {
        // The child ignores TERM, and its parent does not.
        let words = [
            "sh",
            "-c",
            "(trap '' TERM; echo $$ >&2; exec sleep 987) & exec sleep 986",
        ];
        let begun = Instant::now();
        if let Some((_, err)) = executed(shell, "0", Stdio::null(), &words) {
            assert!(err.ends_with("\x1eT end 143\n"), "{shell}: {err:?}");
            let pid = err.lines().find_map(|line| line.parse::<u32>().ok());
            // TERM may come before the child has said anything.
            if let Some(pid) = pid {
                let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                assert!(!line.contains("987"), "{shell}: {line}");
            }
            assert!(begun.elapsed().as_secs() < 100);
        }
    }
}

#[test]
fn the_word_stop_stops_and_the_command_gets_its_words_as_they_are() {
    let (stdin, mut child) = open_stdin("echo stop; exec sleep 1000");
    let (_, err) = executed("sh", "0", stdin, &["sleep", "1000"]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(err.ends_with("\x1eT end 143\n"), "{err:?}");

    let (stdin, mut child) = open_stdin("exec sleep 1000");
    let (out, _) = executed(
        "sh",
        "0",
        stdin,
        &["printf", "%s\\n", "a b", "$(id)", "-x", "it's"],
    )
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(out, "\x1eT hello\na b\n$(id)\n-x\nit's\n\x1eT end\n");
}

#[test]
fn it_is_one_line_without_comments() {
    let line = one_line(EXECUTOR);
    assert!(!line.contains('\n') && !line.contains('#'), "{line}");
    assert!(line.contains("setsid") && line.ends_with("exit 0"), "{line}");
}
