//! What a host says it has, and what of it may come here; pure.

use std::collections::HashSet;

use super::name;

/// The most files of one host.
pub(super) const MOST: usize = 2_000_000;

/// Something that a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Which of the sources it belongs to.
    pub(crate) source: usize,
    /// Its path below the destination.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir { mode: u32, mtime: i64 },
    File { mode: u32, mtime: i64, size: u64 },
    Link { target: Vec<u8> },
}

/// A line that is taken, or a path with the reason why it is not.
pub(crate) type Read = Result<Listed, (Vec<u8>, String)>;

/// Reads a line `e KIND MODE MTIME SIZE PATH TARGET`, about something below `base`.
pub(super) fn read(line: &str, source: usize, base: &[u8]) -> Option<Read> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["e", kind, mode, mtime, size, path, target] = words[..] else {
        return None;
    };
    let path = name::heard(path)?;
    let path = path.strip_prefix(b"./").unwrap_or(&path).to_vec();
    let no = |reason: &str| Some(Err((path.clone(), reason.to_owned())));
    let parts = match name::parts(&path) {
        Ok(parts) => parts,
        Err(reason) => return no(&format!("refused: {reason}")),
    };
    if parts.first() != Some(&base) {
        return no("refused: it was not asked for");
    }
    let depth = parts.len() - 1;
    let mode = u32::from_str_radix(mode, 8).ok()? & 0o777;
    let mtime = mtime.parse().ok()?;
    let kind = match kind {
        "d" => Kind::Dir { mode, mtime },
        "f" => Kind::File {
            mode,
            mtime,
            size: size.parse().ok()?,
        },
        "l" => {
            let target = name::heard(target)?;
            if !name::stays_inside(&target, depth) {
                return no(&format!(
                    "refused: the link leads outside, to {}",
                    name::shown(&target)
                ));
            }
            Kind::Link { target }
        }
        _ => return no("left out: it is neither a file, a directory nor a link"),
    };
    Some(Ok(Listed { source, path, kind }))
}

/// Takes out what has been named before: a host that names a path twice would have us write it twice.
pub(super) fn once(listed: Vec<Read>) -> Vec<Read> {
    let mut seen = HashSet::new();
    let mut once = Vec::with_capacity(listed.len());
    for read in listed {
        match &read {
            Ok(entry) if !seen.insert(entry.path.clone()) => {
                once.push(Err((
                    entry.path.clone(),
                    "refused: it was named twice".to_owned(),
                )));
            }
            _ => once.push(read),
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::random::Random;

    fn path_of(line: &str) -> Result<String, String> {
        match read(line, 0, b"out").unwrap() {
            Ok(listed) => Ok(name::shown(&listed.path)),
            Err((_, reason)) => Err(reason),
        }
    }

    #[test]
    fn what_was_asked_for_is_taken_and_nothing_else() {
        assert_eq!(path_of("e f 644 5 10 =./out/a.txt ="), Ok("out/a.txt".into()));
        assert_eq!(path_of("e d 755 5 10 =./out ="), Ok("out".into()));
        assert_eq!(path_of("e l 777 5 10 =./out/l =a.txt"), Ok("out/l".into()));
        for bad in [
            "e f 644 5 10 =../../x =",
            "e f 644 5 10 =/etc/passwd =",
            "e f 644 5 10 =./out/../../x =",
            "e f 644 5 10 =./.ssh/authorized_keys =",
            "e f 644 5 10 =./outer/x =",
            "e l 777 5 10 =./out/l =/etc",
            "e l 777 5 10 =./out/l =../../x",
            "e o 644 5 10 =./out/pipe =",
        ] {
            assert!(path_of(bad).is_err(), "{bad}");
        }
        for torn in [
            "e f 644 5 10 =./out",
            "",
            "1 end",
            "e f 9 5 10 =./out =",
            "e f 644 5 x =./out =",
        ] {
            assert_eq!(read(torn, 0, b"out"), None, "{torn}");
        }
        let twice = vec![read("e d 755 5 1 =./out =", 0, b"out").unwrap(); 2];
        let twice = once(twice);
        assert!(twice[0].is_ok() && twice[1].is_err());
    }

    #[test]
    fn no_line_gives_a_path_outside() {
        let mut random = Random::new(3);
        let words = [
            "e",
            "f",
            "l",
            "d",
            "644",
            "5",
            "-1",
            "=",
            "=./out",
            "=./out/..",
            "x2e2e",
            "=..",
            "/",
            " ",
        ];
        let mut taken = 0;
        for _ in 0..100_000 {
            let line: Vec<&str> = std::iter::once("e")
                .chain((0..6).filter_map(|_| random.pick(&words).copied()))
                .collect();
            if let Some(Ok(listed)) = read(&line.join(" "), 0, b"out") {
                taken += 1;
                assert!(listed.path == b"out" || listed.path.starts_with(b"out/"));
                assert!(name::parts(&listed.path).is_ok());
            }
        }
        assert!(taken > 10, "{taken}");
    }
}
