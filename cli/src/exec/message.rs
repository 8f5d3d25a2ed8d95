//! One line that says why an attempt failed; failures with the same line have the same cause.

use std::time::Duration;

use crate::task::{Captured, Exit};

/// The most characters of a line of stderr.
const LONGEST: usize = 120;

/// Says how a command ended, with the last line that it wrote to stderr.
pub(super) fn of_exit(exit: Exit, stderr: &Captured) -> String {
    let how = match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("killed by signal {signal}{}", signal_name(signal)),
        Exit::NotStarted => "not started".to_owned(),
    };
    match last_line(stderr) {
        Some(line) => format!("{how} \"{line}\""),
        None => how,
    }
}

/// Returns the last line that is not empty, safe to be shown.
fn last_line(stream: &Captured) -> Option<String> {
    [&stream.tail, &stream.head].into_iter().find_map(|bytes| {
        let mut lines = bytes.0.rsplit(|byte| matches!(byte, b'\n' | b'\r'));
        let line = lines.find(|line| !line.trim_ascii().is_empty())?;
        Some(on_one_line(line.trim_ascii()))
    })
}

/// Returns bytes as text that is short, on one line and harmless to a terminal.
pub(super) fn on_one_line(bytes: &[u8]) -> String {
    // No character takes more than four bytes.
    let bytes = &bytes[..bytes.len().min(4 * (LONGEST + 1))];
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            line.push('…');
            break;
        }
        // Marks that turn the direction of writing can make a line look like another.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c.is_control() || turns {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// Says what is behind a number, as ` (KILL)`; nothing for one that has no name.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (HUP)",
        2 => " (INT)",
        3 => " (QUIT)",
        4 => " (ILL)",
        5 => " (TRAP)",
        6 => " (ABRT)",
        7 => " (BUS)",
        8 => " (FPE)",
        9 => " (KILL)",
        10 => " (USR1)",
        11 => " (SEGV)",
        12 => " (USR2)",
        13 => " (PIPE)",
        14 => " (ALRM)",
        15 => " (TERM)",
        24 => " (XCPU)",
        25 => " (XFSZ)",
        31 => " (SYS)",
        _ => "",
    }
}

/// Writes a duration as people give it: `4m`, `1h30m`, `1s500ms`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 3_600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let text: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stderr(text: impl Into<Vec<u8>>) -> Captured {
        let head: Vec<u8> = text.into();
        let total = head.len() as u64;
        Captured {
            head: head.into(),
            total,
            ..Captured::default()
        }
    }

    #[test]
    fn a_failure_is_named_by_its_exit_and_its_last_line() {
        let singular = stderr("step 13\nstep 14: singular matrix\n \n\n");
        for (exit, stderr, text) in [
            (Exit::Code(3), &singular, "exit 3 \"step 14: singular matrix\""),
            (Exit::Code(3), &stderr(""), "exit 3"),
            (Exit::Signal(9), &stderr("\n"), "killed by signal 9 (KILL)"),
            (Exit::Signal(40), &stderr(""), "killed by signal 40"),
            (Exit::Code(1), &stderr("10 %\r20 %\r"), "exit 1 \"20 %\""),
        ] {
            assert_eq!(of_exit(exit, stderr), text);
        }
    }

    #[test]
    fn nothing_in_a_line_can_steer_a_terminal() {
        let line = on_one_line(b"\x1b[2Jgone \xff\x07 \xe2\x80\xaeabc\tx");
        assert_eq!(line, "\\u{1b}[2Jgone \u{fffd}\\u{7} \\u{202e}abc\\tx");
    }

    #[test]
    fn a_long_line_is_cut_and_marked() {
        let line = on_one_line("ä".repeat(1_000).as_bytes());
        assert_eq!(line, format!("{}…", "ä".repeat(120)));
        assert_eq!(on_one_line("x".repeat(120).as_bytes()), "x".repeat(120));
    }

    #[test]
    fn durations_read_as_they_were_typed() {
        for (millis, text) in [
            (240_000, "4m"),
            (5_400_000, "1h30m"),
            (1_500, "1s500ms"),
            (0, "0s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
