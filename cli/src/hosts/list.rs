//! Which hosts are meant: words, files, and what is left out.
//!
//! | written | means |
//! |---|---|
//! | `node01` | a name that ssh knows: of the network, or from its configuration |
//! | `ana@node01` | as another user |
//! | `ana@node01:2222` | behind a user, the number is the port |
//! | `node01:8` | without a user, the number is how many slots a worker has there |
//! | `node01:2222:8`, `ana@node01:22:8` | both |
//!
//! An address of IPv6 needs a name in ssh's configuration.

use std::path::Path;

use flockwork::app::exit::Failed;

use super::expand;
use crate::args::HostFlags;
use crate::sweep::shown;

/// The most hosts at once.
const MOST: usize = 4_096;
/// A machine with more slots than this is a port that was written at the wrong place.
const MOST_SLOTS: u32 = 1_024;
/// The largest file of hosts, in bytes.
const LARGEST: u64 = 4 << 20;

/// A host as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// What ssh is asked for and people are shown: `ana@node01`, with `:2222` if there is a port.
    pub(crate) name: String,
    pub(crate) user: Option<String>,
    pub(crate) address: String,
    pub(crate) port: Option<u16>,
    /// How many slots a worker has there.
    pub(crate) slots: Option<u32>,
}

impl Host {
    /// Reads one name, which has been expanded.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn read(word: &str) -> Result<Host, String> {
        let (user, rest) = match word.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, word),
        };
        let mut parts = rest.split(':');
        let address = parts.next().unwrap_or_default();
        let (port, slots) = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => (None, None),
            (Some(number), None, _) if user.is_some() => (Some(port(number)?), None),
            (Some(number), None, _) => (None, Some(slots(number)?)),
            (Some(first), Some(second), None) => (Some(port(first)?), Some(slots(second)?)),
            _ => return Err("has too many colons: write host:PORT:SLOTS at most".to_owned()),
        };
        if address.is_empty() || address.starts_with(['-', '.']) {
            return Err("names no host: names of hosts begin with a letter or a digit".to_owned());
        }
        if user.is_some_and(|user| user.is_empty() || user.starts_with('-') || user.contains(':')) {
            return Err("has no user's name in front of the @".to_owned());
        }
        let mut name = user.map(|user| format!("{user}@")).unwrap_or_default();
        name.push_str(address);
        if let Some(port) = port {
            name.push_str(&format!(":{port}"));
        }
        Ok(Host {
            name,
            user: user.map(str::to_owned),
            address: address.to_owned(),
            port,
            slots,
        })
    }

    /// Says whether `-x` means this host: with its user and port, or by its address alone.
    fn is_meant_by(&self, word: &str) -> bool {
        word == self.name || word == self.address
    }
}

fn port(number: &str) -> Result<u16, String> {
    number
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("has `{number}` where a port from 1 to 65535 is expected"))
}

fn slots(number: &str) -> Result<u32, String> {
    let slots = number
        .parse()
        .ok()
        .filter(|slots| (1..=MOST_SLOTS).contains(slots));
    slots.ok_or_else(|| {
        format!(
            "has `{number}` where slots from 1 to {MOST_SLOTS} are expected; a port is written USER@HOST:PORT or \
             HOST:PORT:SLOTS"
        )
    })
}

/// Returns the hosts that were named, each once, in their order.
///
/// # Errors
///
/// A usage error that says where: the word and its column, or the file and its line.
pub(crate) fn read(flags: &HostFlags) -> Result<Vec<Host>, Failed> {
    let mut hosts = Vec::new();
    for word in &flags.nodes {
        match word.strip_prefix('@') {
            Some(file) => from_file(Path::new(file), &mut hosts)?,
            None => from_word(word, &mut hosts)?,
        }
    }
    for file in &flags.hosts {
        from_file(file, &mut hosts)?;
    }
    for word in &flags.exclude {
        let mut out = Vec::new();
        match word.strip_prefix('@') {
            Some(file) => from_file(Path::new(file), &mut out)?,
            None => from_word(word, &mut out)?,
        }
        hosts.retain(|host| !out.iter().any(|out| host.is_meant_by(&out.name)));
    }
    if hosts.is_empty() {
        let (text, hint) = match flags.nodes.is_empty() && flags.hosts.is_empty() {
            true => (
                "no hosts are named",
                "write -n node[01-64], -n @FILE or --hosts FILE",
            ),
            false => ("no host is left", "look at the files and at what -x leaves out"),
        };
        return Err(Failed::usage(text, hint));
    }
    if hosts.len() > MOST {
        let text = format!("{} hosts are named, and {MOST} can be", hosts.len());
        return Err(Failed::usage(text, "name fewer at once"));
    }
    Ok(hosts)
}

fn from_word(word: &str, hosts: &mut Vec<Host>) -> Result<(), Failed> {
    for name in expand(word)? {
        let host = Host::read(&name).map_err(|what| {
            Failed::usage(
                format!("the host `{}` {what}", shown::plain(&name)),
                "write node01, ana@node01:2222 or node01:8",
            )
        })?;
        add(host, hosts)?;
    }
    Ok(())
}

fn from_file(path: &Path, hosts: &mut Vec<Host>) -> Result<(), Failed> {
    for (number, line) in text_of(path)?.lines().enumerate() {
        // No name has a `#`.
        let words = line.split('#').next().unwrap_or_default();
        for word in words.split_whitespace() {
            from_word(word, hosts).map_err(|error| {
                let hint = "one host or range a line; `#` begins a comment";
                let place = format!("{}, line {}", shown::path(path), number + 1);
                Failed::usage(format!("{place}: {error}"), hint)
            })?;
        }
    }
    Ok(())
}

fn text_of(path: &Path) -> Result<String, Failed> {
    use std::io::Read;
    let failed = |error: &dyn std::fmt::Display| {
        let text = format!("cannot read the hosts in {}: {error}", shown::path(path));
        Failed::usage(text, "write one host a line; `#` begins a comment")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    let size = read.map_err(|error| failed(&error))? as u64;
    if size > LARGEST {
        return Err(failed(&"it is larger than 4 MiB"));
    }
    Ok(text)
}

/// A host that is named twice is there once; two different numbers of slots are a mistake.
fn add(host: Host, hosts: &mut Vec<Host>) -> Result<(), Failed> {
    let Some(known) = hosts.iter_mut().find(|known| known.name == host.name) else {
        hosts.push(host);
        return Ok(());
    };
    match (known.slots, host.slots) {
        (Some(known), Some(new)) if known != new => Err(Failed::usage(
            format!("{} is named with {known} slots and with {new}", host.name),
            "name it once",
        )),
        (None, slots) => {
            known.slots = slots;
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(nodes: &[&str], exclude: &[&str]) -> HostFlags {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        HostFlags {
            nodes: owned(nodes),
            hosts: Vec::new(),
            exclude: owned(exclude),
        }
    }

    fn names(flags: &HostFlags) -> Vec<String> {
        read(flags).unwrap().into_iter().map(|host| host.name).collect()
    }

    #[test]
    fn numbers_are_ports_behind_a_user_and_slots_elsewhere() {
        let told = |word| {
            let host = Host::read(word).unwrap();
            (host.name, host.user, host.port, host.slots)
        };
        let ana = || Some("ana".to_owned());
        assert_eq!(told("n1"), ("n1".into(), None, None, None));
        assert_eq!(told("ana@n1:22"), ("ana@n1:22".into(), ana(), Some(22), None));
        assert_eq!(told("n1:8"), ("n1".into(), None, None, Some(8)));
        assert_eq!(told("n1:2222:8"), ("n1:2222".into(), None, Some(2222), Some(8)));
        assert_eq!(
            told("ana@n1:22:8"),
            ("ana@n1:22".into(), ana(), Some(22), Some(8))
        );
        for bad in [
            "n1:2222", "n1:0", "a@n1:0", "a@n1:x", "n1:1:2:3", ".x", "@n1", ":8",
        ] {
            assert!(Host::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_host_is_there_once_and_some_are_left_out() {
        assert_eq!(names(&flags(&["n[1-3],n2", "n9"], &["n3,x"])), ["n1", "n2", "n9"]);
        assert_eq!(names(&flags(&["ana@n[1-2]:2222"], &["n2"])), ["ana@n1:2222"]);
        let text = read(&flags(&["n1"], &["n[1-2]"])).unwrap_err().text();
        assert!(text.contains("no host is left"), "{text}");
        assert!(read(&flags(&["n1:2,n1:3"], &[])).is_err());
        assert!(read(&flags(&["-oProxyCommand=x"], &[])).is_err());
    }

    #[test]
    fn a_file_is_read_and_its_mistakes_are_named_with_the_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hosts.txt");
        std::fs::write(&path, "# all\nn[1-2]:4 # two\n\n  ana@n3:2222\n").unwrap();
        let word = format!("@{}", path.display());
        let hosts = read(&flags(&[&word], &[])).unwrap();
        let slots: Vec<_> = hosts
            .iter()
            .map(|host| (host.name.as_str(), host.slots))
            .collect();
        assert_eq!(slots, [("n1", Some(4)), ("n2", Some(4)), ("ana@n3:2222", None)]);
        std::fs::write(&path, "n1\nn[2-\n").unwrap();
        let text = read(&flags(&[&word], &[])).unwrap_err().text();
        assert!(
            text.contains("hosts.txt, line 2") && text.contains("column 5"),
            "{text}"
        );
    }
}
