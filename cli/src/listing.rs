//! The names in a directory, as they are now, also where other hosts make them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self as sys, Advice, Mode, OFlags};

/// Lists a directory afresh. Names that are no UTF-8 are left out.
///
/// A fresh opendir makes an NFS client look again. That alone is not enough on NFSv3, where a name that was made in the
/// same tick of the server's clock as the change before may stay invisible to a client that listed in between; so what
/// the client keeps is dropped first. See docs/protocol.md, "Ground rules".
///
/// # Errors
///
/// Those of opening and reading it.
pub(crate) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    names_in(&sys::open(dir, flags, Mode::empty())?)
}

/// The same, of a directory that is held open.
///
/// # Errors
///
/// Those of reading it.
pub(crate) fn names_in(dir: &OwnedFd) -> io::Result<Vec<String>> {
    // Where that cannot be asked for, nothing is kept.
    let _ = sys::fadvise(dir, 0, None, Advice::DontNeed);
    let mut names = Vec::new();
    for entry in sys::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_str().ok();
        names.extend(
            name.filter(|name| !matches!(*name, "." | ".."))
                .map(str::to_owned),
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_listed() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a", ".b", "c d"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let mut listed = names(place.path()).unwrap();
        listed.sort_unstable();
        assert_eq!(listed, [".b", "a", "c d"]);
        let missing = names(&place.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
