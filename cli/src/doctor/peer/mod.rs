//! The tests that need two hosts: both run the same command, and each prints what came out.

mod excludes;
mod meeting;
mod races;
mod seen;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use self::meeting::{During, Lobby, Pair, Trouble};
use super::clock;
use super::finding::Finding;
use super::locks::{self, Flock};

/// Waits for another host, and does the tests with it.
pub(crate) fn examine(dir: &Path, limit: Duration, on_wait: impl FnOnce()) -> Vec<Finding> {
    with(dir, &own_name(), limit, on_wait, locks::try_lock)
}

fn with(
    dir: &Path,
    me: &str,
    limit: Duration,
    on_wait: impl FnOnce(),
    ask: impl Fn(&File) -> io::Result<Flock>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let done = Lobby::enter(dir, me).and_then(|lobby| {
        on_wait();
        // All of ours is removed when the lobby is left, at the end or after an error.
        let pair = lobby.wait(limit)?;
        all(&pair, ask, &mut findings)?;
        pair.part()
    });
    if let Err(trouble) = done {
        findings.push(Finding::fail("peer", trouble.to_string()));
    }
    findings
}

fn all(
    pair: &Pair,
    ask: impl Fn(&File) -> io::Result<Flock>,
    findings: &mut Vec<Finding>,
) -> Result<(), Trouble> {
    let (own_host, own_boot) = (host(), boot());
    let said = pair.exchange("host", &format!("{own_host}\n{own_boot}"))?;
    let (other_host, other_boot) = said.split_once('\n').unwrap_or((&said, ""));
    findings.push(met(other_host, own_boot == other_boot));
    let probe = pair
        .dir
        .create(&format!("{}.clock", pair.me))
        .during("make a file")?;
    let offset = clock::offset(&probe).during("measure the clock")?;
    drop(probe);
    let theirs = pair.exchange("clock", &offset.to_string())?;
    findings.push(clocks(offset, theirs.parse().unwrap_or(0), other_host));
    findings.extend(excludes::run(pair, ask)?);
    findings.push(races::run(pair, races::Race::Create, offset)?);
    findings.push(races::run(pair, races::Race::Link, offset)?);
    findings.extend(seen::names(pair, offset)?);
    findings.push(seen::touches(pair, offset)?);
    Ok(())
}

fn met(other: &str, same: bool) -> Finding {
    let finding = match same {
        false => Finding::ok("peer", format!("the other host is {other}")),
        true => {
            let text = "the other process runs on this host too: that says nothing of two hosts";
            Finding::warn("peer", text)
        }
    };
    finding.with("host", other).with("same_host", same)
}

fn clocks(ours: i64, theirs: i64, other: &str) -> Finding {
    const CHECK: &str = "peer-clock";
    let (ours, theirs) = (clock::seconds(ours), clock::seconds(theirs));
    let text = format!("clocks against the file server: this host {ours:+.2} s, {other} {theirs:+.2} s");
    let finding = match (ours - theirs).abs() > clock::OFF {
        true => Finding::warn(
            CHECK,
            format!("{text}; leases go by the server's, so work is not harmed"),
        ),
        false => Finding::ok(CHECK, text),
    };
    finding
        .with("ahead_seconds", ours)
        .with("other_ahead_seconds", theirs)
}

/// Returns the name of this host.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Tells one running kernel from every other.
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.unwrap_or_default().trim().to_owned()
}

/// Returns a name that no other process has, fit for a file's name.
pub(crate) fn own_name() -> String {
    let host = host();
    let fit = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let host: String = host.chars().map(fit).take(40).collect();
    let random = super::held::now().unsigned_abs() % 1_000_000_007;
    format!("{host}-{}-{random:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, worst};
    use super::*;

    /// Both sides, as two threads; a flock excludes between descriptors, so it does here.
    fn both(ask: fn(&File) -> io::Result<Flock>) -> [Vec<Finding>; 2] {
        let place = tempfile::tempdir().unwrap();
        let side = |me| with(place.path(), me, Duration::from_secs(30), || {}, ask);
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(|| side("b"));
            [side("a"), other.join().unwrap()]
        });
        assert_eq!(
            std::fs::read_dir(place.path()).unwrap().count(),
            0,
            "something is left behind"
        );
        both
    }

    fn lines(findings: &[Finding]) -> String {
        findings.iter().map(Finding::line).collect()
    }

    #[test]
    fn two_of_one_file_system_pass_all_tests_and_know_that_they_are_one_host() {
        for findings in both(locks::try_lock) {
            let lines = lines(&findings);
            assert_ne!(worst(&findings), Verdict::Fail, "{lines}");
            let warned = findings.iter().filter(|finding| finding.verdict == Verdict::Warn);
            let warned: Vec<&str> = warned.map(|finding| finding.check).collect();
            assert_eq!(warned, ["peer"], "{lines}");
            let all = "peer peer-clock peer-flock peer-flock peer-creation peer-link peer-listing peer-stat peer-touch";
            let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
            assert_eq!(checks.join(" "), all);
        }
    }

    #[test]
    fn a_flock_that_does_not_exclude_is_a_failure_on_both_sides() {
        for findings in both(|_| Ok(Flock::Taken)) {
            let lines = lines(&findings);
            let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail);
            let failed: Vec<&str> = failed.map(|finding| finding.check).collect();
            assert_eq!(failed, ["peer-flock", "peer-flock"], "{lines}");
        }
    }

    #[test]
    fn whoever_waits_in_vain_fails() {
        let place = tempfile::tempdir().unwrap();
        let findings = examine(place.path(), Duration::from_millis(30), || {});
        assert_eq!(worst(&findings), Verdict::Fail);
        assert!(
            findings[0].text.contains("start the same command there"),
            "{findings:?}"
        );
    }
}
