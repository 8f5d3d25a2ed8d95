//! Hosts that are directories, and an `ssh` that runs things in them and fails as it is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{Place, Running, Said};

/// The name of a host, without which nothing is run; then what is to go wrong there, each in a file beside its directory.
/// `far-` is for connections that another host makes, and `then` is run there from the second connection on.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do if [ "$1" = -G ]; then exit 0; fi; shift; done
host=$2; shift 2; line=$*; at=$HOSTS/$host; HOME=$at; export HOME
cd "$at" 2>/dev/null || { echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255; }
echo >>"$at.connections"
if [ -n "$FROM" ]; then
  if [ -f "$at.far-refused" ]; then cat "$at.far-refused" >&2; exit 255; fi
  if [ -d "$at.far-bin" ]; then PATH=$at.far-bin:$PATH; fi
  if [ -f "$at.far-cut" ]; then stdbuf -o0 head -c "$(cat "$at.far-cut")" | sh -c "$line"; exit 255; fi
  if [ -f "$at.far-spoil" ]; then sed -u s/NEEDLE/needle/ | sh -c "$line"; exit 0; fi
  if [ -f "$at.far-count" ]; then tee "$at.far-count" | sh -c "$line"; exit 0; fi
elif [ -f "$at.then" ] && [ "$(wc -l <"$at.connections")" -gt 1 ]; then . "$at.then"; fi
FROM=$host; export FROM
if [ -f "$at.answers" ]; then cat "$at.answers"; exec cat >/dev/null; fi
if [ -f "$at.shell" ]; then line="exec $(cat "$at.shell") ${line#exec /bin/sh}"; fi
if [ -d "$at.bin" ]; then PATH=$at.bin:$PATH; fi
if [ -f "$at.full" ]; then trap '' XFSZ; ulimit -f "$(cat "$at.full")"; fi
if [ -f "$at.cut" ]; then bytes=$(cat "$at.cut"); rm "$at.cut"; stdbuf -o0 head -c "$bytes" | sh -c "$line"; exit 255; fi
if [ -f "$at.cut-back" ]; then bytes=$(cat "$at.cut-back"); sh -c "$line" | { stdbuf -o0 head -c "$bytes"; kill $$; }; fi
if [ -f "$at.stuck" ]; then bytes=$(cat "$at.stuck"); { stdbuf -o0 head -c "$bytes"; echo $$ >"$at.is-stuck"
  while kill -0 $$ && [ -d "$at" ]; do sleep 0.05; done; } 2>/dev/null | { sh -c "$line"; echo over >"$at.is-over"; }; exit 0; fi
if [ -f "$at.stuck-back" ] && [ "$(wc -c <"$at.connections")" -gt 1 ]; then bytes=$(cat "$at.stuck-back"); sh -c "$line" | { stdbuf -o0 head -c "$bytes"; echo $$ >"$at.is-stuck"
  while kill -0 $$ && [ -d "$at" ]; do sleep 0.05; done; } 2>/dev/null; exit 0; fi
if [ -f "$at.spoil" ]; then sed -u s/NEEDLE/needle/ | sh -c "$line"; exit 0; fi
if [ -f "$at.spoil-once" ]; then rm "$at.spoil-once"; sed -u s/NEEDLE/needle/ | sh -c "$line"; exit 0; fi
if [ -f "$at.tells" ]; then sh -c "$line"; echo >>"$at.ended"; exit 0; fi
if [ -f "$at.count" ]; then tee "$at.count" | sh -c "$line"; exit 0; fi
exec sh -c "$line"
"#;

/// Some hosts, `n1` and so on, and a directory here.
pub(super) struct Site {
    pub(super) place: Place,
    hosts: usize,
}

impl Site {
    pub(super) fn new(hosts: usize) -> Site {
        let place = Place::new();
        place.write_program("ssh", SSH);
        for number in 1..=hosts {
            std::fs::create_dir_all(place.path(&format!("hosts/n{number}"))).unwrap();
        }
        Site { place, hosts }
    }

    /// A path here.
    pub(super) fn here(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// A path on a host.
    pub(super) fn there(&self, host: usize, name: &str) -> PathBuf {
        self.place.path(&format!("hosts/n{host}/{name}"))
    }

    /// Has something go wrong on a host.
    pub(super) fn fault(&self, host: usize, fault: &str, what: &str) {
        self.place.write(&format!("hosts/n{host}.{fault}"), what);
    }

    pub(super) fn mend(&self, host: usize, fault: &str) {
        std::fs::remove_file(self.here(&format!("hosts/n{host}.{fault}"))).unwrap();
    }

    /// Waits until nothing moves any more from or to a host with the fault `stuck` or `stuck-back`; returns the process of
    /// its ssh.
    #[track_caller]
    pub(super) fn wait_until_stuck(&self, host: usize) -> u32 {
        let pid = self.place.wait_for_file(&format!("hosts/n{host}.is-stuck"));
        pid.trim().parse().unwrap()
    }

    /// How many connections there were to a host.
    pub(super) fn connections(&self, host: usize) -> usize {
        let path = self.here(&format!("hosts/n{host}.connections"));
        std::fs::read(path).map_or(0, |bytes| bytes.len())
    }

    pub(super) fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let all = format!("n[1-{}]", self.hosts);
        let words = [&["hosts", verb, "-n", &all], arguments].concat();
        let mut command = self.place.command(&words);
        // Hosts that reach others find the same ssh.
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.here("").display());
        command
            .env("PATH", path)
            .env_remove("FROM")
            .env("HOSTS", self.here("hosts"))
            .env("FLOCKWORK_SSH", self.here("ssh"));
        command
    }

    /// Runs `hosts VERB -n n[1-N] ...` to its end.
    #[track_caller]
    pub(super) fn run(&self, verb: &str, arguments: &[&str]) -> Said {
        Running::start(self.command(verb, arguments)).end()
    }

    #[track_caller]
    pub(super) fn ok(&self, verb: &str, arguments: &[&str]) -> Said {
        let said = self.run(verb, arguments);
        assert_eq!(said.code, 0, "{arguments:?}\n{}", said.err);
        said
    }

    /// Runs it, and it must end with 1.
    #[track_caller]
    pub(super) fn fails(&self, verb: &str, arguments: &[&str]) -> String {
        let said = self.run(verb, arguments);
        assert_eq!(said.code, 1, "{arguments:?}\n{}", said.err);
        said.err
    }
}

/// Everything below a directory: the path, and what is to be the same elsewhere. Times are to the second.
pub(super) fn tree(top: &Path) -> Vec<(PathBuf, String)> {
    use std::os::unix::fs::MetadataExt;

    let mut found = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let seen = path
            .symlink_metadata()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let what = if seen.is_symlink() {
            format!("link to {:?}", std::fs::read_link(&path).unwrap())
        } else if seen.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            format!("directory {:o} {}", seen.mode() & 0o777, seen.mtime())
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let sum = crc32(&bytes);
            format!(
                "file {:o} {} {} {sum:08x}",
                seen.mode() & 0o777,
                seen.mtime(),
                bytes.len()
            )
        };
        found.push((path.strip_prefix(top).unwrap().to_owned(), what));
    }
    found.sort();
    found
}

fn crc32(bytes: &[u8]) -> u32 {
    let table = |mut value: u32| {
        for _ in 0..8 {
            value = if value & 1 == 1 {
                0xedb8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
        }
        value
    };
    let table: Vec<u32> = (0..256).map(table).collect();
    !bytes.iter().fold(!0, |sum, byte| {
        table[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8)
    })
}

/// Bytes that no checksum takes for others, and that hold the needle.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes: Vec<u8> = (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let at = length / 2;
    if length > 20 {
        bytes[at..at + 8].copy_from_slice(b"\nNEEDLE\n");
    }
    bytes
}

/// Names in a directory that end like a part.
pub(super) fn parts(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(".part"))
        .collect()
}
