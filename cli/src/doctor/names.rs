//! Names: is a taken name refused, is a file linked and renamed as it should be?

use std::io::{self, ErrorKind, Write};

use super::finding::{Finding, Verdict};
use super::held::{Held, look};

/// Tries all steps on names, in a directory that is ours alone.
pub(super) fn try_out(dir: &Held) -> Vec<Finding> {
    let link = hard_link(dir);
    let no_replace = no_replace(dir, link.verdict == Verdict::Ok);
    vec![creation(dir), link, descriptor_link(dir), rename(dir), no_replace]
}

/// What a step should do on a name that is taken.
fn is_refused(answer: io::Result<impl Sized>) -> Result<(), String> {
    match answer {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!("a taken name gives {error}")),
        Ok(_) => Err("a taken name is not refused".into()),
    }
}

fn told(error: io::Error) -> String {
    error.to_string()
}

fn creation(dir: &Held) -> Finding {
    let tried = || {
        drop(dir.create("taken").map_err(told)?);
        is_refused(dir.create("taken"))
    };
    match tried() {
        Ok(()) => Finding::ok(
            "exclusive-creation",
            "exclusive creation: a taken name is refused",
        ),
        Err(why) => Finding::fail(
            "exclusive-creation",
            format!("exclusive creation: {why}; a store needs it"),
        ),
    }
}

fn hard_link(dir: &Held) -> Finding {
    const CHECK: &str = "hard-link";
    let tried = || {
        let file = dir.create("one").map_err(told)?;
        dir.link("one", "two").map_err(told)?;
        is_refused(dir.link("one", "two"))?;
        match look(&file).map_err(told)?.links {
            2 => Ok(()),
            links => Err(format!("a file with two names counts {links}")),
        }
    };
    match tried() {
        Ok(()) => Finding::ok(
            CHECK,
            "hard links: a taken name is refused, two names are counted",
        ),
        Err(why) => Finding::warn(CHECK, format!("hard links: {why}; stores rename instead")),
    }
}

fn descriptor_link(dir: &Held) -> Finding {
    const CHECK: &str = "descriptor-link";
    let tried = || {
        let file = dir.create("open").map_err(told)?;
        dir.link_file(&file, "linked").map_err(told)?;
        is_refused(dir.link_file(&file, "linked"))
    };
    match tried() {
        Ok(()) => Finding::ok(CHECK, "linking an open file (/proc/self/fd) works"),
        Err(why) => {
            let instead = "stores link by name, or rename";
            Finding::warn(
                CHECK,
                format!("linking an open file (/proc/self/fd): {why}; {instead}"),
            )
        }
    }
}

fn rename(dir: &Held) -> Finding {
    let tried = || {
        let mut new = dir.create("new").map_err(told)?;
        new.write_all(b"new").map_err(told)?;
        drop(new);
        drop(dir.create("old").map_err(told)?);
        dir.rename("new", "old").map_err(told)?;
        match (dir.get("old").map_err(told)?.as_str(), dir.has("new")) {
            ("new", false) => {}
            _ => return Err("the file has not moved".to_owned()),
        }
        // A shard must not replace another.
        for name in ["first", "second"] {
            dir.make_dir(name).map_err(told)?;
            let inner = dir.open_dir(name).map_err(told)?;
            drop(inner.create("file").map_err(told)?);
        }
        match dir.rename("first", "second") {
            Ok(()) => Err("a directory replaces one that is not empty".to_owned()),
            Err(_) => Ok(()),
        }
    };
    match tried() {
        Ok(()) => Finding::ok(
            "rename",
            "rename: a file replaces another, no directory one that is not empty",
        ),
        Err(why) => Finding::fail("rename", format!("rename: {why}; a store needs it")),
    }
}

fn no_replace(dir: &Held, has_links: bool) -> Finding {
    const CHECK: &str = "no-replace";
    let tried = || {
        drop(dir.create("here").map_err(told)?);
        drop(dir.create("there").map_err(told)?);
        is_refused(dir.rename_new("here", "there"))?;
        dir.rename_new("here", "free").map_err(told)
    };
    match (tried(), has_links) {
        (Ok(()), _) => Finding::ok(CHECK, "rename without replacing: a taken name is refused"),
        (Err(why), true) => Finding::ok(
            CHECK,
            format!("no rename without replacing ({why}); links do instead"),
        ),
        (Err(why), false) => {
            let text = format!(
                "neither links nor a rename without replacing ({why}): no outcome could be published"
            );
            Finding::fail(CHECK, text)
        }
    }
}
