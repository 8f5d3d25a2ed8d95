//! Times: how long a sync takes, how fine mtimes are, how far the file server's clock is off.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use flockwork::app::times::short;

use super::finding::Finding;
use super::held::{Held, look, now, touch};

/// How often a sync is measured; the median counts.
const LOOKS: usize = 5;
/// From here on a sync is slow.
const SLOW_SYNC: Duration = Duration::from_millis(200);
/// From here on a clock is off.
pub(super) const OFF: f64 = 1.0;

/// Measures all of it, in a directory that is ours alone.
pub(super) fn measure(dir: &Held) -> Vec<Finding> {
    vec![fsync(dir), granularity(dir), server(dir)]
}

fn fsync(dir: &Held) -> Finding {
    const CHECK: &str = "fsync";
    let measured = || -> io::Result<(Duration, Duration)> {
        let mut file = dir.create("synced")?;
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        for number in 0..LOOKS {
            file.write_all(&[b'x'; 4096])?;
            let begun = Instant::now();
            file.sync_all()?;
            files.push(begun.elapsed());
            drop(dir.create(&format!("name{number}"))?);
            let begun = Instant::now();
            dir.sync()?;
            dirs.push(begun.elapsed());
        }
        Ok((median(files), median(dirs)))
    };
    match measured() {
        Ok((file, names)) => {
            let text = format!(
                "fsync: {} for a file, {} for a directory",
                short(file),
                short(names)
            );
            let finding = match file.max(names) > SLOW_SYNC {
                true => Finding::warn(CHECK, format!("{text}; each outcome waits for both")),
                false => Finding::ok(CHECK, text),
            };
            finding
                .with("file_seconds", file.as_secs_f64())
                .with("directory_seconds", names.as_secs_f64())
        }
        Err(error) => {
            let text = format!("fsync: {error}; use --durability process, which asks for no sync of names");
            Finding::warn(CHECK, text)
        }
    }
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

/// The smallest step between two mtimes that differ.
fn granularity(dir: &Held) -> Finding {
    const CHECK: &str = "mtime";
    // File systems that know seconds only, or two seconds, need as long to show it.
    const LONGEST: Duration = Duration::from_millis(4_500);
    let measured = || -> io::Result<Option<Duration>> {
        let file = dir.create("stepped")?;
        let (begun, mut steps) = (Instant::now(), Vec::new());
        touch(&file)?;
        let mut last = look(&file)?.mtime;
        while steps.len() < LOOKS && begun.elapsed() < LONGEST {
            touch(&file)?;
            let this = look(&file)?.mtime;
            if this != last {
                steps.push(this.abs_diff(last));
            } else {
                std::thread::sleep(Duration::from_micros(500));
            }
            last = this;
        }
        Ok(steps.into_iter().min().map(Duration::from_nanos))
    };
    match measured() {
        Ok(Some(step)) => {
            let text = match step < Duration::from_micros(100) {
                true => "touching: every touch gives another mtime".to_owned(),
                false => format!("touching: the mtime moves in steps of {}", short(step)),
            };
            Finding::ok(CHECK, text).with("step_seconds", step.as_secs_f64())
        }
        Ok(None) => Finding::fail(
            CHECK,
            "touching: the mtime does not move, so nobody's sign of life is seen",
        ),
        Err(error) => Finding::fail(CHECK, format!("touching: {error}; nobody's sign of life is seen")),
    }
}

/// Returns how far this host's clock is ahead of the file server's, in nanoseconds.
///
/// An mtime is the time of the server's last tick, so of many looks the least offset is the nearest.
pub(super) fn offset(file: &File) -> io::Result<i64> {
    const LONGEST: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    let mut least = i64::MAX;
    while least == i64::MAX || begun.elapsed() < LONGEST {
        let before = now();
        touch(file)?;
        let after = now();
        least = least.min(before / 2 + after / 2 - look(file)?.mtime);
        std::thread::sleep(Duration::from_micros(700));
    }
    Ok(least)
}

fn server(dir: &Held) -> Finding {
    const CHECK: &str = "clock";
    match dir.create("clock").and_then(|file| offset(&file)) {
        Ok(offset) => {
            let seconds = seconds(offset);
            let text = format!("clock: this host {} the file server", ahead(seconds));
            let finding = match seconds.abs() > OFF {
                true => Finding::warn(
                    CHECK,
                    format!("{text}; leases go by the server's, so work is not harmed"),
                ),
                false => Finding::ok(CHECK, text),
            };
            finding.with("ahead_seconds", seconds)
        }
        Err(error) => Finding::warn(CHECK, format!("clock: {error}")),
    }
}

pub(super) fn seconds(nanos: i64) -> f64 {
    (nanos as f64 / 1e6).round() / 1e3
}

/// Writes an offset for `this host ... the file server`.
fn ahead(seconds: f64) -> String {
    let length = short(Duration::from_secs_f64(seconds.abs()));
    match seconds {
        // What the steps of an mtime may hide.
        seconds if seconds.abs() < 0.02 => "agrees with".to_owned(),
        seconds if seconds > 0.0 => format!("is {length} ahead of"),
        _ => format!("is {length} behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_told_in_words() {
        assert_eq!(ahead(seconds(7_400_000_000)), "is 7.4s ahead of");
        assert_eq!(ahead(seconds(-61_000_000_000)), "is 1m01s behind");
        assert_eq!(ahead(seconds(4_000_000)), "agrees with");
    }

    #[test]
    fn a_local_file_system_has_this_hosts_clock() {
        let place = tempfile::tempdir().unwrap();
        let dir = Held::open(place.path()).unwrap();
        let offset = offset(&dir.create("x").unwrap()).unwrap();
        assert!(offset.abs() < 500_000_000, "{offset}");
    }
}
