//! The file of ports: one a line, `#` begins a comment.

use std::path::Path;

use flockwork::app::exit::Failed;

use crate::sweep::shown;

/// Ports below are the system's.
const LEAST: u16 = 1024;
/// The most services at once.
const MOST: usize = 1_024;
/// The largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads the ports of a file.
///
/// # Errors
///
/// A usage error with the line.
pub(crate) fn read(path: &Path) -> Result<Vec<u16>, Failed> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.map_err(|error| {
        let text = format!("cannot read the ports in {}: {error}", shown::path(path));
        Failed::usage(text, HINT)
    })?;
    parse(&text)
        .map_err(|(line, what)| Failed::usage(format!("{}, line {line}: {what}", shown::path(path)), HINT))
}

const HINT: &str = "write one port a line, from 1024 to 65535; `#` begins a comment";

fn parse(text: &str) -> Result<Vec<u16>, (usize, String)> {
    let mut ports = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        let failed = |what: &str| {
            (
                number + 1,
                format!("`{}` {what}", shown::plain(&shown::cut(word, 40))),
            )
        };
        let port: u16 = word.parse().map_err(|_| failed("is no port"))?;
        if port < LEAST {
            return Err(failed("is a port of the system: they begin above 1023"));
        }
        if ports.contains(&port) {
            return Err(failed("is there twice"));
        }
        if ports.len() == MOST {
            return Err(failed("is one port too many: 1,024 can be"));
        }
        ports.push(port);
    }
    match ports.is_empty() {
        true => Err((text.lines().count().max(1), "no port is named".to_owned())),
        false => Ok(ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_mistakes_have_their_line() {
        assert_eq!(parse("# all\n 8001 # one\n\n8002\n"), Ok(vec![8001, 8002]));
        for (text, line, what) in [
            ("8001\n1023\n", 2, "above 1023"),
            ("8001\n8001\n", 2, "twice"),
            ("x", 1, "no port"),
            ("70000", 1, "no port"),
            ("8001 8002", 1, "no port"),
            ("# none\n", 1, "no port is named"),
        ] {
            let (at, told) = parse(text).unwrap_err();
            assert!(at == line && told.contains(what), "{text:?}: {at}: {told}");
        }
    }
}
