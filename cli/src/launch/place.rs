//! What can be known before anything is started: whether jobs will see the store, and the engine's command is there.

use std::path::{Path, PathBuf};

use flockwork::app::exit::{Failed, NO_WORKER, NOT_OK, USAGE};

use super::Engine;
use super::request::Request;
use crate::doctor::{kinds, mount};
use crate::sweep::shown;

/// Places that are a host's own, or a job's.
const PRIVATE: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Returns the path of this command.
///
/// # Errors
///
/// If it is gone: it was built anew, or removed, while it ran.
pub(crate) fn own_program() -> Result<PathBuf, Failed> {
    let wrong = |text: String| {
        Failed::new(
            NOT_OK,
            text,
            Some("type the command again, by its full path".to_owned()),
        )
    };
    let path = std::env::current_exe()
        .map_err(|error| wrong(format!("cannot tell the path of this command: {error}")))?;
    match path.exists() {
        true => Ok(path),
        false => Err(wrong(format!(
            "this command is no longer at {}",
            shown::path(&path)
        ))),
    }
}

/// Returns a path as text: submit files and records are text.
///
/// # Errors
///
/// If it is no UTF-8.
pub(crate) fn text(what: &str, path: &Path) -> Result<String, Failed> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        let text = format!(
            "{what} {} is no UTF-8, and cannot stand in a submit file",
            shown::path(path)
        );
        Failed::new(
            USAGE,
            text,
            Some("use a path with plain letters; a link to the place will do".to_owned()),
        )
    })
}

/// Returns what a person should know before jobs are submitted.
///
/// # Errors
///
/// If jobs would not see the store or the program, unless that is `forced`.
pub(crate) fn check(engine: Engine, asked: &Request, forced: bool) -> Result<Vec<String>, Failed> {
    let mut warnings = Vec::new();
    let things = [("the store", &asked.store), ("the program", &asked.program)];
    for (what, path) in things {
        let Some(place) = private(Path::new(path)) else {
            continue;
        };
        let text = format!("{what} {} lies under {place}", shown::plain(path));
        match engine {
            Engine::Condor if !forced => {
                let text = format!("{text}, and each HTCondor job has a private {place}: none would see it");
                let hint = "put it into a directory that all machines mount; --force submits all the same";
                return Err(Failed::usage(text, hint));
            }
            Engine::Condor => warnings.push(format!("{text}, and HTCondor jobs may have a private one")),
            _ => warnings.push(format!("{text}, which is a directory of this host alone")),
        }
    }
    if private(Path::new(&asked.store)).is_none()
        && let Ok(mount) = mount::of(Path::new(&asked.store))
        && kinds::is_local(&mount)
    {
        warnings.push(format!(
            "the store lies on {} ({}), which other hosts see only if it is exported to them",
            shown::plain(&mount.fs_type),
            shown::plain(&mount.point),
        ));
    }
    Ok(warnings)
}

/// Returns which of the private places a path lies in, itself or by links.
fn private(path: &Path) -> Option<&'static str> {
    let real = path.canonicalize();
    let under =
        |place: &&&str| path.starts_with(place) || real.as_ref().is_ok_and(|real| real.starts_with(place));
    PRIVATE.iter().find(under).copied()
}

/// Checks that the engine's command is there.
///
/// # Errors
///
/// With exit code 7, for no worker could be started.
pub(crate) fn find_command(engine: Engine) -> Result<(), Failed> {
    let Some(command) = engine.submits_with() else {
        return Ok(());
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).any(|dir| is_program(&dir.join(command))) {
        true => Ok(()),
        false => Err(Failed::new(
            NO_WORKER,
            format!(
                "{command} is not on the PATH: {} cannot be reached from here",
                engine.title()
            ),
            Some("on a host that has it, submit what --print writes".to_owned()),
        )),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::request::tests::request;

    #[test]
    fn private_places_are_refused_where_no_job_would_see_them() {
        let place = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
        let store = place.path().join("x.flock");
        std::fs::create_dir(&store).unwrap();
        let at = |store: &Path| Request {
            store: store.to_str().unwrap().to_owned(),
            ..request(1)
        };
        let failed = check(Engine::Condor, &at(&store), false).unwrap_err();
        assert!(
            failed.text().contains("private /tmp: none would see it"),
            "{}",
            failed.text()
        );
        assert!(failed.text().contains("--force"), "{}", failed.text());
        assert_eq!(check(Engine::Condor, &at(&store), true).unwrap().len(), 1);
        let warnings = check(Engine::Slurm, &at(&store), false).unwrap();
        assert!(
            warnings[0].contains("which is a directory of this host alone"),
            "{warnings:?}"
        );
        // Also the program, and also by a link.
        let asked = Request {
            program: "/dev/shm/flockwork".to_owned(),
            ..request(1)
        };
        assert!(check(Engine::Condor, &asked, false).is_err());
        assert_eq!(private(Path::new("/tmpfoo/x")), None);
        let home = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/..").unwrap();
        let link = home.path().join("link.flock");
        std::os::unix::fs::symlink(&store, &link).unwrap();
        assert_eq!(private(&link), Some("/tmp"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
        assert!(
            text("the store's path", path)
                .unwrap_err()
                .text()
                .contains("is no UTF-8")
        );
    }
}
