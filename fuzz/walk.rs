//! Walks the corpus of a target, and mutations of it, through the target's body: what every `cargo test` looks for.
//!
//! It is a part of the tests of both crates. The mutations are the same each time; cargo-fuzz looks further.

use std::fs;
use std::path::{Path, PathBuf};

/// How many mutations are tried for each target.
const MUTATIONS: u64 = 3_000;
/// Inputs do not grow beyond this.
const LONGEST: usize = 1 << 14;

/// Runs the body on each file of `fuzz/corpus/TARGET`, and on mutations of them.
pub(crate) fn walk(target: &str, body: fn(&[u8])) {
    let corpus = corpus(target);
    for (name, bytes) in &corpus {
        run(body, bytes, &format!("{name} of the corpus of {target}"));
    }
    let inputs: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    for number in 0..MUTATIONS {
        let bytes = mutated(&inputs, number);
        run(body, &bytes, &format!("mutation {number} for {target}"));
    }
}

/// Reads the corpus, in the order of its names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = [here.join("fuzz/corpus"), here.join("../fuzz/corpus")]
        .into_iter()
        .map(|folder| folder.join(target))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| panic!("fuzz/corpus/{target} is missing"));
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(
        !paths.is_empty(),
        "{} is empty, so nothing would be tried",
        folder.display()
    );
    paths
        .into_iter()
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect()
}

/// Runs the body; if it panics, says on what.
fn run(body: fn(&[u8]), bytes: &[u8], what: &str) {
    struct Told<'a>(&'a [u8], &'a str);

    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let bytes = self.0.escape_ascii();
                eprintln!(
                    "the input, {}, to be kept in the corpus when it is mended:\nb\"{bytes}\"",
                    self.1
                );
            }
        }
    }

    let told = Told(bytes, what);
    body(bytes);
    drop(told);
}

/// Makes the mutation with this number: one to four changes of a file of the corpus.
fn mutated(corpus: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        change(&mut bytes, corpus, &mut random);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = at + random.below((bytes.len() - at).min(64) + 1);
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            drop(bytes.splice(to..to, piece));
        }
        5 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let until = from + random.below(other.len() - from + 1);
            drop(bytes.splice(at..end, other[from..until].iter().copied()));
        }
        6 => number(bytes, at, random),
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            drop(bytes.splice(at..at, word.bytes()));
        }
    }
}

/// Writes a number at an edge over what is there: as bytes, or in place of digits.
fn number(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let number = EDGES[random.below(EDGES.len())];
    let digits = bytes[at..]
        .iter()
        .position(u8::is_ascii_digit)
        .map(|first| at + first);
    match digits {
        Some(first) if random.below(2) == 0 => {
            let count = bytes[first..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            drop(bytes.splice(first..first + count, number.to_string().into_bytes()));
        }
        _ => {
            let width = [1, 2, 4, 8][random.below(4)];
            let end = (at + width).min(bytes.len());
            drop(bytes.splice(at..end, number.to_le_bytes().into_iter().take(width)));
        }
    }
}

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    10,
    255,
    1 << 16,
    1 << 31,
    u32::MAX as u64 - 1,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// What the grammars of this project are made of.
const WORDS: [&str; 24] = [
    "\n", "\r\n", "\t", "|", ",", "..", "/", "{", "}", "{{", "}}", "[", "]", "\"", "'", "\\", "\0", "-", ".",
    "#", "null", "1e999", "\u{feff}", "\u{202e}",
];

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
