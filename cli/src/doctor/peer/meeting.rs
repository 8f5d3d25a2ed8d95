//! Two processes find each other by files, and talk by files.
//!
//! New names are only ever looked for in fresh listings: `stat` may deny them for a minute on NFS. What is said is
//! put into place in two stages, so a name that is seen can be read.
//!
//! ```text
//! .flockwork-doctor/
//!   ME.hello           touched while its owner waits
//!   ME+OTHER.pair      ME would do the tests with OTHER
//!   FIRST+SECOND.test/ all files of the tests; FIRST is the smaller name, and makes and removes it
//!     ME.STEP          what ME says at a step
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::doctor::held::{Held, look, touch};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the other may need for a step: asking for a lock may block for a minute after a server's start.
const PATIENCE: Duration = Duration::from_secs(90);
/// Ends what is said: without it, it is not all there yet.
const END: &str = "\n.\n";
/// What is older was left by a process that was killed.
const OLD: i64 = 3_600_000_000_000;

/// Why the tests came to no end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A step that should work did not.
    Io(String, io::Error),
    /// Nobody was there in this time.
    Alone(Duration),
    /// The other fell silent at this step.
    Silent(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Io(step, error) => write!(f, "cannot {step}: {error}"),
            Trouble::Alone(waited) => {
                let waited = flockwork::app::times::short(*waited);
                write!(
                    f,
                    "no other host came within {waited}; start the same command there"
                )
            }
            Trouble::Silent(step) => write!(f, "the other host fell silent (at the step `{step}`)"),
        }
    }
}

/// Adds the step to an error.
pub(super) trait During<T> {
    fn during(self, step: &str) -> Result<T, Trouble>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, step: &str) -> Result<T, Trouble> {
        self.map_err(|error| Trouble::Io(step.to_owned(), error))
    }
}

/// Our presence in a directory; leaving removes what is ours.
#[derive(Debug)]
pub(super) struct Lobby {
    above: Held,
    here: Held,
    me: String,
    /// Closed before its name is removed: NFS keeps open files under another name.
    hello: Option<File>,
}

/// Two who do the tests together.
#[derive(Debug)]
pub(super) struct Pair {
    /// Where all files of the tests are.
    pub(super) dir: Held,
    pub(super) me: String,
    pub(super) other: String,
    /// Ours is the smaller name: somebody must begin.
    pub(super) first: bool,
}

impl Lobby {
    /// Enters it, as `me`, which must be fit for a file's name.
    pub(super) fn enter(dir: &Path, me: &str) -> Result<Lobby, Trouble> {
        let above = Held::open(dir).during("open the directory")?;
        match above.make_dir(crate::doctor::OURS) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            answer => answer.during("make a directory there")?,
        }
        // A symbolic link that somebody has planted is refused.
        let here = above
            .open_dir(crate::doctor::OURS)
            .during("open .flockwork-doctor there")?;
        let hello = here.create(&format!("{me}.hello")).during("make a file there")?;
        let me = me.to_owned();
        let lobby = Lobby {
            above,
            here,
            me,
            hello: Some(hello),
        };
        lobby.remove_old();
        Ok(lobby)
    }

    /// Waits until somebody else is there too.
    pub(super) fn wait(&self, limit: Duration) -> Result<Pair, Trouble> {
        let begun = Instant::now();
        let mut signs: BTreeMap<String, i64> = BTreeMap::new();
        let mut chosen: Option<String> = None;
        while begun.elapsed() < limit {
            self.hello.as_ref().map_or(Ok(()), touch).during("touch a file")?;
            let names = self.here.list().during("list the directory")?;
            let pair = |one: &str, other: &str| format!("{one}+{other}.pair");
            if let Some(other) = &chosen {
                if names.contains(&pair(other, &self.me)) {
                    return self.pair(other.clone());
                }
            } else if let Some(other) = self.somebody(&names, &mut signs) {
                self.here.put(&pair(&self.me, &other), "").during("make a file")?;
                chosen = Some(other);
                continue;
            }
            std::thread::sleep(PAUSE);
        }
        Err(Trouble::Alone(limit))
    }

    /// Returns who else gives signs of life: a file alone may have been left by the dead.
    fn somebody(&self, names: &[String], signs: &mut BTreeMap<String, i64>) -> Option<String> {
        let mut others: Vec<&str> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".hello"))
            .collect();
        others.sort_unstable();
        let others = others.into_iter().filter(|other| *other != self.me);
        let mut alive = others.filter(|other| {
            let file = self.here.open_read(&format!("{other}.hello"));
            let Ok(sign) = file.and_then(|file| look(&file)) else {
                return false;
            };
            let before = signs.insert((*other).to_owned(), sign.mtime);
            before.is_some_and(|before| before != sign.mtime)
        });
        alive.next().map(str::to_owned)
    }

    fn pair(&self, other: String) -> Result<Pair, Trouble> {
        let first = self.me < other;
        let name = test_dir(&self.me, &other);
        if first {
            self.here.make_dir(&name).during("make a directory")?;
        }
        until(PATIENCE, || Ok(self.here.list()?.contains(&name).then_some(())))
            .during("list the directory")?
            .ok_or_else(|| Trouble::Silent("begin".into()))?;
        let dir = self.here.open_dir(&name).during("open a directory")?;
        let me = self.me.clone();
        Ok(Pair {
            dir,
            me,
            other,
            first,
        })
    }

    /// Removes what processes have left that were killed.
    fn remove_old(&self) {
        let Some(Ok(now)) = self.hello.as_ref().map(look) else {
            return;
        };
        for name in self.here.list().unwrap_or_default() {
            let file = self.here.open_read(&name).and_then(|file| look(&file));
            if file.is_ok_and(|file| now.mtime - file.mtime > OLD) {
                self.here.remove_all(&name);
                let _ = self.here.unlink(&name);
            }
        }
    }
}

impl Drop for Lobby {
    fn drop(&mut self) {
        self.hello = None;
        // What cannot be removed is told by a later `doctor`.
        for name in self.here.list().unwrap_or_default() {
            if name == format!("{}.hello", self.me) || name.starts_with(&format!("{}+", self.me)) {
                match name.ends_with(".test") {
                    true => self.here.remove_all(&name),
                    false => drop(self.here.unlink(&name)),
                }
            }
        }
        // The last who leaves succeeds.
        let _ = self.above.remove_dir(crate::doctor::OURS);
    }
}

fn test_dir(one: &str, other: &str) -> String {
    format!("{}+{}.test", one.min(other), one.max(other))
}

impl Pair {
    /// Says something at a step; each step has a name of its own.
    pub(super) fn say(&self, step: &str, text: &str) -> Result<(), Trouble> {
        let name = format!("{}.{step}", self.me);
        self.dir.put(&name, &format!("{text}{END}")).during("make a file")
    }

    /// Waits for what the other says at a step.
    pub(super) fn hear(&self, step: &str) -> Result<String, Trouble> {
        let name = format!("{}.{step}", self.other);
        let said = until(PATIENCE, || {
            let names = self.dir.list()?;
            Ok(match names.contains(&name) {
                // Seen on NFS 4.2 (Linux 6.1): a file is empty for a moment after its name has come.
                true => self
                    .dir
                    .get(&name)?
                    .strip_suffix(END)
                    .map(|text| Some(text.to_owned())),
                // What we have said is gone too: the other has given up, and removed everything.
                false => names.is_empty().then_some(None),
            })
        });
        let said = said.during("hear the other")?.flatten();
        said.ok_or_else(|| Trouble::Silent(step.to_owned()))
    }

    /// Says something, and waits for what the other says at the same step.
    pub(super) fn exchange(&self, step: &str, text: &str) -> Result<String, Trouble> {
        self.say(step, text)?;
        self.hear(step)
    }
}

impl Pair {
    /// Ends it: the first removes the files, so the second says when it needs them no more.
    pub(super) fn part(self) -> Result<(), Trouble> {
        match self.first {
            true => self.hear("bye").map(drop),
            false => self.say("bye", ""),
        }
    }
}

/// Looks again and again, until something is there or the time is over.
pub(super) fn until<T>(
    limit: Duration,
    mut look: impl FnMut() -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let begun = Instant::now();
    loop {
        match look()? {
            None if begun.elapsed() < limit => std::thread::sleep(PAUSE),
            found => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_alone_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let lobby = Lobby::enter(place.path(), "a").unwrap();
        let alone = lobby.wait(Duration::from_millis(40)).unwrap_err();
        assert!(matches!(alone, Trouble::Alone(_)), "{alone}");
        drop(lobby);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_dead_have_left_is_nobody() {
        let place = tempfile::tempdir().unwrap();
        let lobby = Lobby::enter(place.path(), "b").unwrap();
        lobby.here.create("a.hello").unwrap();
        assert!(lobby.wait(Duration::from_millis(60)).is_err());
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), place.path().join(crate::doctor::OURS)).unwrap();
        assert!(Lobby::enter(place.path(), "a").is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn two_meet_and_talk_and_leave_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let talk = |me: &str| {
            let lobby = Lobby::enter(place.path(), me).unwrap();
            let pair = lobby.wait(Duration::from_secs(20)).unwrap();
            let heard = pair.exchange("name", me).unwrap();
            let first = pair.first;
            pair.part().unwrap();
            (heard, first)
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| talk("b"));
            (talk("a"), other.join().unwrap())
        });
        assert_eq!((one, other), (("b".into(), true), ("a".into(), false)));
    }

    #[test]
    fn a_peer_that_gives_up_is_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let wait = |me: &str| {
            let lobby = Lobby::enter(place.path(), me).unwrap();
            let pair = lobby.wait(Duration::from_secs(20)).unwrap();
            pair.exchange("met", "").unwrap();
            if pair.first {
                // It leaves without a word, as after an error; but the other has heard all until here.
                pair.hear("got").unwrap();
                return None;
            }
            pair.say("got", "").unwrap();
            Some(pair.hear("more").unwrap_err().to_string())
        };
        let other = std::thread::scope(|scope| {
            let other = scope.spawn(|| wait("b"));
            assert_eq!(wait("a"), None);
            other.join().unwrap()
        });
        assert!(other.unwrap().contains("fell silent"));
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    }
}
