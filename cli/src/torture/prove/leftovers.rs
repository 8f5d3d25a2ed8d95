//! What is in a store at the end of a run beyond what belongs there.

use std::io;
use std::path::{Path, PathBuf};

/// Lists it.
pub(super) fn of(store: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    look(store, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn look(dir: &Path, above: &mut Vec<String>, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        above.push(entry.file_name().to_string_lossy().into_owned());
        let parts: Vec<&str> = above.iter().map(String::as_str).collect();
        if !belongs(&parts) {
            found.push(entry.path());
        } else if entry.file_type()?.is_dir() && parts[0] != "torture" {
            look(&entry.path(), above, found)?;
        }
        above.pop();
    }
    Ok(())
}

fn belongs(parts: &[&str]) -> bool {
    match parts {
        ["store.json" | "stop" | "rounds" | "workers" | "journal" | "scratch" | "logs" | "torture"] => true,
        [name] => name.starts_with("master."),
        // Killed workers leave their files there; `status` shows them as lost.
        ["workers" | "journal" | "rounds", _] => true,
        ["rounds", _, name] => *name == "round.json" || name.ends_with(".done"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_needed_is_found() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        for name in [
            "store.json",
            "stop",
            "master.3.lock",
            "rounds/000000/round.json",
            "rounds/000000/0000000.done",
            "workers/w",
            "journal/w",
            "torture/parts/p",
        ] {
            make(name);
        }
        assert_eq!(of(place.path()).unwrap(), [""; 0].map(PathBuf::from));
        let mut left = vec![
            make("core"),
            make("rounds/000000/.0000048.done.x.tmp"),
            make("scratch/x"),
        ];
        make("rounds/000000/0000048/0000048.in");
        left.push(place.path().join("rounds/000000/0000048"));
        let mut found = of(place.path()).unwrap();
        left.sort();
        found.sort();
        assert_eq!(found, left);
    }
}
