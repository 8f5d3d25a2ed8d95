//! After how long does one host see what the other has done?

use std::io;
use std::time::{Duration, Instant};

use flockwork::app::times::short;

use super::meeting::{During, Pair, Trouble, until};
use crate::doctor::finding::Finding;
use crate::doctor::held::{Held, look, now, touch};

/// What is not seen by then is not waited for.
const LONGEST: Duration = Duration::from_secs(15);
/// Between two listings.
const LISTING_PAUSE: Duration = Duration::from_millis(100);
/// From here on workers notice each other late.
const LATE: Duration = Duration::from_secs(5);

/// Measures how long a new name takes, by listing and by stat; `offset`: our clock is so far ahead of the server's.
pub(super) fn names(pair: &Pair, offset: i64) -> Result<Vec<Finding>, Trouble> {
    // Each way of looking has directories of its own, for a listing may refresh what stat remembers, and so may a
    // change of ours.
    let [our_listed, listed] = dirs(pair, "listed")?;
    let [our_asked, asked] = dirs(pair, "asked")?;
    let name = "new";
    // Now both know that the other's name is not there, and a cache may remember that.
    let _ = asked.has(name);
    listed.list().during("list a directory")?;
    pair.exchange("names.ready", "")?;
    drop(our_listed.create(name).during("make a file")?);
    drop(our_asked.create(name).during("make a file")?);
    let (mut by_listing, mut by_stat) = (None, None);
    let begun = Instant::now();
    while begun.elapsed() < LONGEST && (by_listing.is_none() || by_stat.is_none()) {
        if by_listing.is_none()
            && listed
                .list()
                .during("list a directory")?
                .iter()
                .any(|own| own == name)
        {
            by_listing = Some(now());
        }
        if by_stat.is_none() && asked.has(name) {
            by_stat = Some(now());
        }
        std::thread::sleep(LISTING_PAUSE);
    }
    // When it was made stands in the file, by the server's clock.
    let made = match by_listing {
        Some(_) => Some(mtime(&listed, name).during("look at a file")?),
        None => None,
    };
    let delay = |seen: Option<i64>| Some(since(seen?, offset, made?));
    let findings = vec![listing(delay(by_listing)), stat(delay(by_stat))];
    pair.exchange("names.done", "")?;
    Ok(findings)
}

/// Measures how long a touch takes to be seen, by opening and asking.
pub(super) fn touches(pair: &Pair, offset: i64) -> Result<Finding, Trouble> {
    let (ours, theirs) = (format!("{}.touched", pair.me), format!("{}.touched", pair.other));
    let file = pair.dir.create(&ours).during("make a file")?;
    pair.exchange("touches.made", "")?;
    let before = mtime(&pair.dir, &theirs).during("look at a file")?;
    pair.exchange("touches.ready", "")?;
    // More than the coarsest step of an mtime that is usual.
    std::thread::sleep(Duration::from_millis(50));
    touch(&file).during("touch a file")?;
    let seen = until(LONGEST, || {
        let after = mtime(&pair.dir, &theirs)?;
        Ok((after != before).then(|| (now(), after)))
    });
    let seen = seen.during("look at a file")?;
    pair.exchange("touches.done", "")?;
    Ok(touched(seen.map(|(seen, made)| since(seen, offset, made))))
}

/// Makes a directory, and returns it and the other's.
fn dirs(pair: &Pair, name: &str) -> Result<[Held; 2], Trouble> {
    let names = [&pair.me, &pair.other].map(|who| format!("{name}-of-{who}"));
    pair.dir.make_dir(&names[0]).during("make a directory")?;
    pair.exchange(name, "")?;
    let open = |name: &str| pair.dir.open_dir(name).during("open a directory");
    Ok([open(&names[0])?, open(&names[1])?])
}

fn mtime(dir: &Held, name: &str) -> io::Result<i64> {
    Ok(look(&dir.open_read(name)?)?.mtime)
}

/// How long after `made`, by the server's clock, something was seen, by ours.
fn since(seen: i64, offset: i64, made: i64) -> Duration {
    Duration::from_nanos(u64::try_from(seen - offset - made).unwrap_or(0))
}

fn figure(finding: Finding, delay: Option<Duration>) -> Finding {
    finding.with("seconds", delay.map(|delay| delay.as_secs_f64()))
}

fn in_words(delay: Option<Duration>) -> String {
    match delay {
        Some(delay) => format!("after {}", short(delay)),
        None => format!("not within {} s", LONGEST.as_secs()),
    }
}

fn is_late(delay: Option<Duration>) -> bool {
    delay.is_none_or(|delay| delay > LATE)
}

fn listing(delay: Option<Duration>) -> Finding {
    const CHECK: &str = "peer-listing";
    let text = format!(
        "a new name of the other host, by listing: seen {}",
        in_words(delay)
    );
    let finding = match is_late(delay) {
        true => Finding::warn(
            CHECK,
            format!("{text}: results stay right, but all wait for it; is it mounted `nocto`?"),
        ),
        false => Finding::ok(CHECK, text),
    };
    figure(finding, delay)
}

fn stat(delay: Option<Duration>) -> Finding {
    let text = format!("a new name of the other host, by stat: seen {}", in_words(delay));
    let remark = match is_late(delay) {
        true => " (stores go by listings; your own programs may not)",
        false => "",
    };
    figure(Finding::ok("peer-stat", text + remark), delay)
}

fn touched(delay: Option<Duration>) -> Finding {
    const CHECK: &str = "peer-touch";
    let text = format!("a sign of life of the other host: seen {}", in_words(delay));
    let finding = match is_late(delay) {
        true => Finding::warn(
            CHECK,
            format!("{text}: living workers may be taken for dead; set a longer --lease"),
        ),
        false => Finding::ok(CHECK, text),
    };
    figure(finding, delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn what_is_late_or_not_seen_is_told() {
        let second = Some(Duration::from_secs(1));
        let nine = Some(Duration::from_secs(9));
        let verdicts =
            |of: fn(Option<Duration>) -> Finding| [second, nine, None].map(|delay| of(delay).verdict);
        assert_eq!(verdicts(listing), [Verdict::Ok, Verdict::Warn, Verdict::Warn]);
        assert_eq!(verdicts(touched), [Verdict::Ok, Verdict::Warn, Verdict::Warn]);
        // Stores do not depend on it.
        assert_eq!(verdicts(stat), [Verdict::Ok; 3]);
        assert!(listing(None).text.contains("not within 15 s"));
    }

    #[test]
    fn delays_are_measured_by_the_servers_clock() {
        // Our clock is 1000 s ahead; it was made at 5 s and seen at 7 s by the server's.
        let second = 1_000_000_000;
        assert_eq!(
            since(1_007 * second, 1_000 * second, 5 * second),
            Duration::from_secs(2)
        );
        // The steps of an mtime may make it seem to be seen before it was made.
        assert_eq!(since(4 * second, 0, 5 * second), Duration::ZERO);
    }
}
