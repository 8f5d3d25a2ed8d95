//! `doctor`: what can this directory do, and what is wrong with it?

use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Ended, Failed, NOT_OK, OK};
use flockwork::app::{Screen, named};

use crate::args::DoctorArgs;
use crate::doctor::{self, Finding, Verdict};
use crate::output::write_all;

/// Runs the verb; returns the exit code: 0 unless something fails.
///
/// # Errors
///
/// If there is no such directory, or stdout cannot be written.
pub(crate) fn doctor(args: &DoctorArgs) -> Ended {
    let dir = directory(args.dir.as_deref())?;
    let lines = doctor::as_lines(args.format);
    let tell = |findings: &[Finding]| match lines {
        true => write_all(&findings.iter().map(Finding::line).collect::<String>()),
        false => Ok(()),
    };
    let mut findings = doctor::examine(&dir);
    tell(&findings)?;
    let screen = Screen::plain();
    let start = format!("flockwork doctor {} --peer", dir.display());
    if args.peer {
        let on_wait = || screen.line(&format!("waiting for another host; start there: {start}"));
        let by_two = doctor::peer::examine(&dir, args.timeout, on_wait);
        tell(&by_two)?;
        findings.extend(by_two);
    } else if lines {
        screen.line(&format!(
            "hint: what two hosts see of each other is told by `{start}`, on both at the same time"
        ));
    }
    if !lines {
        doctor::table(&dir.to_string_lossy(), &findings).print(args.format)?;
    }
    Ok(match doctor::worst(&findings) {
        Verdict::Fail => NOT_OK,
        Verdict::Ok | Verdict::Warn => OK,
    })
}

/// Returns the directory that is meant: a store by habit, else the current directory.
fn directory(named_dir: Option<&Path>) -> Result<PathBuf, Failed> {
    let dir = match named_dir {
        Some(dir) => dir.to_owned(),
        None => named(None).unwrap_or_else(|_| ".".into()),
    };
    match std::fs::metadata(&dir) {
        Ok(meta) if meta.is_dir() => Ok(dir),
        Ok(_) => Err(Failed::usage(
            format!("{} is no directory", dir.display()),
            "name a store, or the directory where one is to be",
        )),
        Err(error) => Err(Failed::new(
            BAD_STORE,
            format!("cannot look at {}: {error}", dir.display()),
            Some("check the path; on this host the file system may not be mounted".into()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_directory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(directory(Some(file.path())).unwrap_err().code(), 2);
        assert_eq!(
            directory(Some(Path::new("/no/such/place"))).unwrap_err().code(),
            BAD_STORE
        );
        assert_eq!(directory(Some(Path::new("/"))).unwrap(), Path::new("/"));
    }
}
