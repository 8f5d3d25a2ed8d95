//! The same steps on the real disk and on the simulated one have the same answers.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::SimDisk;
use crate::clock::Random;
use crate::config::Sharing;
use crate::fs::{DirRef, File, FileRef, os};

/// Held directories and open files, by the names that a script gives them.
struct Seat {
    dirs: BTreeMap<String, DirRef>,
    files: BTreeMap<String, FileRef>,
}

impl Seat {
    fn new(root: DirRef) -> Seat {
        Seat {
            dirs: BTreeMap::from([("/".to_owned(), root)]),
            files: BTreeMap::new(),
        }
    }

    /// Makes the step that a line tells and returns the answer as text.
    fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match self.dirs.get(words[1]).cloned() {
            Some(dir) => self.ask_dir(&dir, &words),
            None => self.ask_file(&words),
        }
    }

    fn ask_dir(&mut self, dir: &DirRef, words: &[&str]) -> String {
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let (name, other) = (word(2), word(3));
        match words[0] {
            "open_dir" => told(dir.open_dir(name), |inner| {
                self.dirs.insert(other.to_owned(), inner);
                "ok".into()
            }),
            "make_dir" => done(dir.make_dir(name)),
            "remove_dir" => done(dir.remove_dir(name)),
            "create" => self.keep(other, dir.create(name)),
            "open_read" => self.keep(other, dir.open_read(name)),
            "open_write" => self.keep(other, dir.open_write(name)),
            "exists" => told(dir.exists(name), |is_there| is_there.to_string()),
            "rename" => done(dir.rename(name, other)),
            "rename_new" => done(dir.rename_new(name, other)),
            "unlink" => done(dir.unlink(name)),
            // Its first step is another crate's, and that wraps errors: only their kinds are the same.
            "replace" => told(
                dir.replace(name, other.as_bytes(), word(4) == "sync")
                    .map_err(kind_only),
                |()| "ok".into(),
            ),
            "sync" => done(dir.sync()),
            "sync_all" => done(dir.sync_all()),
            "read" => {
                let mut buffer = b"before ".to_vec();
                told(dir.read(name, 20, &mut buffer), |()| text(&buffer))
            }
            "list" => {
                let mut names = Vec::new();
                let result = dir.list(&mut |name| names.push(name.to_owned()));
                names.sort();
                told(result, |()| format!("{names:?}"))
            }
            verb => panic!("no such verb: {verb}"),
        }
    }

    fn ask_file(&mut self, words: &[&str]) -> String {
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        if words[0] == "close" {
            return self.files.remove(words[1]).is_some().to_string();
        }
        let Some(file) = self.files.get(words[1]) else {
            return "not open".into();
        };
        let mut buffer = Vec::new();
        match words[0] {
            "write" => done(file.write_at(word(2).parse().unwrap(), word(3).as_bytes())),
            "read" => told(file.read(20, &mut buffer), |()| text(&buffer)),
            "read_at" => {
                let mut part = [0; 3];
                let read = file.read_at(word(2).parse().unwrap(), &mut part);
                told(read, |read| text(&part[..read]))
            }
            "sync" => done(file.sync_data()),
            "touch" => done(file.touch()),
            "fresh" if is_dir(&**file) => "a directory".into(),
            "fresh" => told(file.fresh(), |stat| {
                format!("{} bytes, {} links", stat.len, stat.links)
            }),
            "lock" => told(file.try_lock(), |flock| format!("{flock:?}")),
            "link" => done(file.link(word(2))),
            verb => panic!("no such verb: {verb}"),
        }
    }

    fn keep(&mut self, handle: &str, file: io::Result<FileRef>) -> String {
        told(file, |file| {
            self.files.insert(handle.to_owned(), file);
            "ok".into()
        })
    }
}

fn done(result: io::Result<()>) -> String {
    told(result, |()| "ok".into())
}

fn told<T>(result: io::Result<T>, text: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => text(value),
        // XFS and others say EEXIST.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => "taken".into(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => "taken".into(),
        Err(error) => format!("{:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

fn kind_only(error: io::Error) -> io::Error {
    error.kind().into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a directory's size and links are differs between file systems.
fn is_dir(file: &dyn File) -> bool {
    file.read(0, &mut Vec::new())
        .is_err_and(|error| error.kind() == io::ErrorKind::IsADirectory)
}

/// Makes the steps on both disks and compares answer by answer; returns the answers.
fn compare(script: &[String], what: &str) -> Vec<String> {
    let temp = tempfile::tempdir().unwrap();
    let mut real = Seat::new(os::open(temp.path(), Sharing::Private).unwrap());
    let mut sim = Seat::new(SimDisk::new().process("a").root());
    let mut answers = Vec::new();
    for (step, line) in script.iter().enumerate() {
        let (mut expected, answer) = (real.answer(line), sim.answer(line));
        // A process that another test starts has our descriptors, and so our locks, until it calls exec.
        let start = Instant::now();
        while line.starts_with("lock") && expected != answer && start.elapsed() < Duration::from_secs(2) {
            expected = real.answer(line);
        }
        let before = script[..step].join("\n");
        assert_eq!(
            answer, expected,
            "{what}: the simulated and the real answer to `{line}`, after\n{before}"
        );
        answers.push(answer);
    }
    answers
}

/// Steps and, behind `=`, the answers that both disks must have.
const SCRIPT: &str = "
    create / a f = ok
    create / a g = taken
    write f 2 llo = ok
    write f 0 he = ok
    read f = hello
    read / a = before hello
    read_at f 0 = hel
    read_at f 3 = lo
    read_at f 5 =
    read_at f 99 =
    touch f = ok
    sync f = ok
    fresh f = 5 bytes, 1 links
    write f 0 more_than_twenty_bytes = ok
    read / a = FileTooLarge None

    lock f = Held
    lock f = Held
    open_write / a probe = ok
    lock probe = Busy
    read probe = Uncategorized Some(9)
    read_at probe 0 = Uncategorized Some(9)
    open_read / a reader = ok
    lock reader = Busy
    write reader 0 x = Uncategorized Some(9)
    touch reader = ok
    close f = true
    lock probe = Held
    unlink / a = ok
    lock reader = Busy
    close probe = true
    lock reader = Held

    create / b f = ok
    link f out = ok
    link f out = taken
    fresh f = 0 bytes, 2 links
    rename / b out = ok
    list / = [\"b\", \"out\"]
    unlink / b = ok
    unlink / out = ok
    fresh f = 0 bytes, 0 links
    write f 0 x = ok
    create / b other = ok
    link f b = taken
    link f out = NotFound Some(2)
    exists / out = false
    link other out = ok
    rename_new / b out = taken
    rename_new / b b = taken
    rename_new / none out = NotFound Some(2)
    rename_new / b c = ok
    exists / c = true

    create / d f = ok
    replace / d new sync = ok
    replace / e new nosync = ok
    fresh f = 0 bytes, 0 links
    rename / d e = ok
    rename / d e = NotFound Some(2)
    read / e = before new
    unlink / e = ok
    unlink / e = NotFound Some(2)

    make_dir / dir = ok
    make_dir / dir = taken
    make_dir / full = ok
    open_dir / full full = ok
    create full x f = ok
    rename / dir full = taken
    rename_new / dir full = taken
    remove_dir / full = taken
    rename / full dir = ok
    list full = [\"x\"]
    open_dir / dir dir = ok
    list dir = [\"x\"]
    link f y = ok
    exists dir y = true
    rename / c dir = IsADirectory Some(21)
    rename / dir c = NotADirectory Some(20)
    replace / dir new sync = IsADirectory None
    unlink / dir = IsADirectory Some(21)
    remove_dir / c = NotADirectory Some(20)
    open_dir / c dir = NotADirectory Some(20)
    open_write / dir g = IsADirectory Some(21)
    open_read / dir g = ok
    read g = IsADirectory Some(21)
    read_at g 0 = IsADirectory Some(21)
    link g h = PermissionDenied Some(1)
    read / dir = IsADirectory Some(21)
    sync / = ok
    sync_all / = ok

    unlink dir x = ok
    unlink dir y = ok
    remove_dir / dir = ok
    list dir = NotFound Some(2)
    exists dir x = false
    create dir x f = NotFound Some(2)
    make_dir dir x = NotFound Some(2)
    replace dir x new sync = NotFound None
    link f x = NotFound Some(2)
    sync dir = ok
    list / = [\"c\", \"out\"]

    create / .. f = InvalidInput Some(22)
    create / a/b f = InvalidInput Some(22)
    rename / c .. = InvalidInput Some(22)
    unlink / . = InvalidInput Some(22)
    replace / .. new nosync = InvalidInput None
    list / = [\"c\", \"out\"]
";

#[test]
fn each_answer_is_that_of_the_real_disk() {
    let lines = SCRIPT.lines().map(str::trim).filter(|line| !line.is_empty());
    let (steps, expected): (Vec<String>, Vec<String>) = lines
        .map(|line| line.split_once(" =").unwrap())
        .map(|(step, answer)| (step.into(), answer.trim_start().into()))
        .unzip();
    let answers = compare(&steps, "the script");
    for ((step, answer), expected) in steps.iter().zip(&answers).zip(&expected) {
        assert_eq!(answer, expected, "{step}");
    }
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let long = "x".repeat(256);
    let answers = compare(
        &[format!("create / {long} f"), format!("exists / {}", &long[1..])],
        "long names",
    );
    assert_eq!(answers, ["InvalidFilename Some(36)", "false"]);
}

#[test]
fn random_steps_are_answered_as_by_the_real_disk() {
    for seed in 0..60u64 {
        let mut random = Random::seeded((2 * seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let script: Vec<String> = (0..120).map(|_| random_step(&mut random)).collect();
        compare(&script, &format!("seed {seed}"));
    }
}

/// Few names and handles, so that they meet often.
fn random_step(random: &mut Random) -> String {
    const VERBS: [(&str, &str); 25] = [
        ("open_dir", "dnd"),
        ("open_dir", "dnd"),
        ("make_dir", "dn"),
        ("make_dir", "dn"),
        ("remove_dir", "dn"),
        ("create", "dnf"),
        ("create", "dnf"),
        ("open_read", "dnf"),
        ("open_write", "dnf"),
        ("exists", "dn"),
        ("rename", "dnn"),
        ("rename", "dnn"),
        ("rename_new", "dnn"),
        ("unlink", "dn"),
        ("replace", "dnw"),
        ("read", "dn"),
        ("list", "d"),
        ("write", "fow"),
        ("read", "f"),
        ("touch", "f"),
        ("fresh", "f"),
        ("lock", "f"),
        ("link", "fn"),
        ("link", "fn"),
        ("close", "f"),
    ];
    let (verb, kinds) = VERBS[random.below(VERBS.len())];
    let mut line = verb.to_owned();
    for kind in kinds.chars() {
        let from: &[&str] = match kind {
            'd' => &["/", "/", "D1", "D2"],
            'n' => &["a", "b", "c", "d"],
            'f' => &["F1", "F2", "F3"],
            'o' => &["0", "3", "9"],
            _ => &["x", "five5", "more_than_twenty_bytes"],
        };
        line.push(' ');
        line.push_str(from[random.below(from.len())]);
    }
    line
}
