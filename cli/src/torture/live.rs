//! The shards that are being worked on, as a stranger finds them: by listings alone.

use std::io;
use std::path::{Path, PathBuf};

use super::setup::names;

/// A round that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) number: u32,
    path: PathBuf,
}

/// Lists the rounds, in order.
pub(super) fn rounds(store: &Path) -> io::Result<Vec<Round>> {
    let dir = store.join("rounds");
    let names = names(&dir)?;
    let numbered = names.into_iter().filter_map(|name| {
        let number = name.parse().ok()?;
        Some(Round {
            number,
            path: dir.join(name),
        })
    });
    let mut rounds: Vec<Round> = numbered.collect();
    rounds.sort_by_key(|round| round.number);
    Ok(rounds)
}

impl Round {
    /// Returns the files of its shards whose names end so; `None` if it has no shard.
    ///
    /// What is cleaned meanwhile is left out.
    pub(super) fn files(&self, ending: &str) -> io::Result<Option<Vec<PathBuf>>> {
        let is_shard = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
        let shards: Vec<String> = names(&self.path)?.into_iter().filter(is_shard).collect();
        if shards.is_empty() {
            return Ok(None);
        }
        let mut files = Vec::new();
        for shard in shards.iter().map(|shard| self.path.join(shard)) {
            let names = match names(&shard) {
                Err(error) if is_gone(&error) => continue,
                names => names?,
            };
            files.extend(
                names
                    .iter()
                    .filter(|name| name.ends_with(ending))
                    .map(|name| shard.join(name)),
            );
        }
        Ok(Some(files))
    }
}

/// Says whether a file is not there (any more).
pub(super) fn is_gone(error: &io::Error) -> bool {
    let stale = rustix::io::Errno::STALE.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_shards_are_found() {
        let place = tempfile::tempdir().unwrap();
        let round = place.path().join("rounds/000003");
        for shard in ["0000000", ".0000048.x.tmp", "0000096"] {
            std::fs::create_dir_all(round.join(shard)).unwrap();
            std::fs::write(round.join(shard).join("0000001.out"), "").unwrap();
            std::fs::write(round.join(shard).join("0000001.in"), "").unwrap();
        }
        std::fs::write(round.join("0000144.done"), "").unwrap();
        std::fs::create_dir(place.path().join("rounds/000001")).unwrap();
        let rounds = rounds(place.path()).unwrap();
        let numbers: Vec<u32> = rounds.iter().map(|round| round.number).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(rounds[0].files(".out").unwrap(), None);
        let found = rounds[1].files(".out").unwrap().unwrap();
        let expected = ["0000000/0000001.out", "0000096/0000001.out"].map(|name| round.join(name));
        assert_eq!(found, expected);
    }
}
