//! flock(2), never waiting. The only file that names fs2.

use std::fs::File;
use std::io;

use rustix::io::Errno;

use crate::fs::Flock;

/// Asks for the exclusive lock on a file that is open for writing.
///
/// fs2 is called by its full path: since Rust 1.89 a method call would silently pick the standard library's.
pub(super) fn try_lock(file: &File) -> io::Result<Flock> {
    answer(fs2::FileExt::try_lock_exclusive(file))
}

fn answer(result: io::Result<()>) -> io::Result<Flock> {
    let error = match result {
        Ok(()) => return Ok(Flock::Held),
        Err(error) => error,
    };
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        // CIFS says EACCES where others say EWOULDBLOCK.
        Some(Errno::WOULDBLOCK | Errno::ACCESS) => Ok(Flock::Busy),
        Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::BADF) => {
            Ok(Flock::Unsupported)
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_every_file_system_has_a_meaning() {
        let of = |errno: Errno| answer(Err(io::Error::from_raw_os_error(errno.raw_os_error())));
        assert_eq!(of(Errno::WOULDBLOCK).unwrap(), Flock::Busy);
        assert_eq!(of(Errno::ACCESS).unwrap(), Flock::Busy);
        for errno in [
            Errno::NOLCK,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::INVAL,
            Errno::BADF,
        ] {
            assert_eq!(of(errno).unwrap(), Flock::Unsupported, "{errno:?}");
        }
        assert!(of(Errno::IO).is_err());
        assert_eq!(answer(Ok(())).unwrap(), Flock::Held);
    }
}
