//! Names of files: as they travel, which of them may become paths here, and names of parts; pure.

use crate::hosts::sum::Sum;

/// The longest name of a file.
const LONGEST: usize = 255;
/// The longest path that is taken from a host.
const LONGEST_PATH: usize = 4096;
/// The most directories below each other.
const DEEPEST: usize = 200;

/// Writes a name so that it is one word on a line: bytes that a shell, `read` or a terminal could take amiss become
/// `\0` and three octal digits, as `printf %b` reads them.
pub(crate) fn encode(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(*byte)),
            b'.' | b'_' | b'/' | b'+' | b',' | b'=' | b'@' | b'%' | b':' | b'-' => {
                text.push(char::from(*byte));
            }
            byte => text.push_str(&format!("\\0{byte:03o}")),
        }
    }
    text
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let digits = [bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?];
                let octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
                let digits = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|digits| octal && digits.starts_with('0'))?;
                name.push(u8::from_str_radix(&digits[1..], 8).ok()?);
            }
            byte => name.push(byte),
        }
    }
    Some(name)
}

/// Reads a name as a host writes it: `=NAME` as it is, or `x` and hexadecimal digits.
pub(crate) fn heard(text: &str) -> Option<Vec<u8>> {
    if let Some(plain) = text.strip_prefix('=') {
        return Some(plain.as_bytes().to_vec());
    }
    let digits = text.strip_prefix('x')?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [_, _] => std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok()),
        _ => None,
    });
    pairs.collect()
}

/// Splits a path that came from outside into its names, if it stays below where it begins.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn parts(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if path.len() > LONGEST_PATH {
        return Err("the path is too long");
    }
    if path.starts_with(b"/") {
        return Err("the path is absolute");
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    if parts.len() > DEEPEST {
        return Err("the path is too deep");
    }
    for part in &parts {
        match *part {
            b"" | b"." => return Err("the path has an empty part"),
            b".." => return Err("the path leads outside"),
            part if part.len() > LONGEST => return Err("the name is too long"),
            part if part.contains(&0) => return Err("the name has a zero byte"),
            _ => {}
        }
    }
    Ok(parts)
}

/// Says whether a link that stands so many directories below the top stays below the top, whatever else stands there.
///
/// A `..` is taken only at its beginning, where it leaves directories that are known to be no links.
pub(crate) fn stays_inside(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let (mut up, mut named) = (0, false);
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b".." if named => return false,
            b".." => up += 1,
            b"" | b"." => {}
            _ => named = true,
        }
    }
    up <= depth
}

/// Splits a path into the directory above and the last name: `a/b/c` is `a/b` and `c`.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Joins a directory, which may be empty, and a name.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir.is_empty() {
        true => name.to_vec(),
        false => [dir, b"/", name].concat(),
    }
}

/// Returns the hidden name under which a file grows: only the same file, with the same content, goes on with it.
pub(crate) fn part(name: &[u8], size: u64, mtime: i64, sum: &Sum) -> Vec<u8> {
    let mark = Sum::of(&[name, format!("/{size}/{mtime}/{sum}").as_bytes()].concat()).short();
    let tail = format!(".fw-{mark}.part");
    let room = LONGEST - tail.len() - 1;
    let mut part = vec![b'.'];
    part.extend_from_slice(&name[..name.len().min(room)]);
    part.extend_from_slice(tail.as_bytes());
    part
}

/// Returns a path as people read it, on one line.
pub(crate) fn shown(path: &[u8]) -> String {
    crate::output::escape(&String::from_utf8_lossy(path)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::random::Random;

    /// Names of bytes that are most often special ones.
    fn hostile(random: &mut Random) -> Vec<u8> {
        const BYTES: &[u8] = b"/..\\\n\0 '\"-~$`*?x\xff\xc3\x1b\r\t%=7";
        let length = random.below(12);
        (0..length)
            .map(|_| BYTES[random.below(BYTES.len() as u64) as usize])
            .collect()
    }

    #[test]
    fn names_travel_unchanged() {
        let mut random = Random::new(7);
        for _ in 0..20_000 {
            let name = hostile(&mut random);
            let word = encode(&name);
            assert!(
                word.bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"'\"$`*?".contains(&byte)),
                "{word}"
            );
            assert_eq!(decode(&word), Some(name.clone()));
            let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(heard(&format!("x{hex}")), Some(name));
        }
        for bad in ["\\", "\\0", "\\099", "\\0400", "\\1234"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        for bad in ["", "x1", "x+1", "y00", "xzz"] {
            assert_eq!(heard(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_path_from_outside_leaves_its_place() {
        let mut random = Random::new(8);
        let mut taken = 0;
        for _ in 0..50_000 {
            let path = hostile(&mut random);
            if let Ok(parts) = parts(&path) {
                taken += 1;
                assert!(!path.starts_with(b"/") && !path.contains(&0));
                for part in parts {
                    assert!(!part.is_empty() && part != b".." && part != b"." && !part.contains(&b'/'));
                }
            }
        }
        assert!(taken > 1_000, "{taken}");
        for bad in [
            &b"../../x"[..],
            b"/etc/passwd",
            b"a/../b",
            b"",
            b"a//b",
            b"a/",
            b"./a",
            b"a\0b",
            &[b'a'; 256],
        ] {
            assert!(parts(bad).is_err(), "{}", shown(bad));
        }
        assert_eq!(parts(b"a/.. /...").unwrap(), [&b"a"[..], b".. ", b"..."]);
    }

    #[test]
    fn links_stay_inside_or_are_refused() {
        for (target, depth, inside) in [
            (&b"x"[..], 0, true),
            (b"../x", 1, true),
            (b"../x", 0, false),
            (b"../../x", 1, false),
            (b"/etc/passwd", 3, false),
            // `x` may be a link to `.` itself.
            (b"x/../y", 5, false),
            (b"./../x/", 1, true),
            (b"", 1, false),
        ] {
            assert_eq!(stays_inside(target, depth), inside, "{} {depth}", shown(target));
        }
    }

    #[test]
    fn a_part_belongs_to_one_content_and_its_name_is_never_too_long() {
        let sum = Sum::of(b"x");
        let name = part(b"a.txt", 3, 5, &sum);
        assert!(name.starts_with(b".a.txt.fw-") && name.ends_with(b".part"));
        for other in [
            part(b"b.txt", 3, 5, &sum),
            part(b"a.txt", 4, 5, &sum),
            part(b"a.txt", 3, 6, &sum),
            part(b"a.txt", 3, 5, &Sum::of(b"y")),
        ] {
            assert_ne!(name, other);
        }
        assert_eq!(part(&[b'n'; 255], 0, 0, &sum).len(), 255);
    }
}
