//! Guards on real processes.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A token that no other test has, also in another process.
fn token() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{count:016x}", std::process::id())
}

/// A command, ended with the test.
struct Sleeper(Child);

impl std::ops::Deref for Sleeper {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl std::ops::DerefMut for Sleeper {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = rustix::process::kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

fn sleeper(tokens: &str, script: &str) -> Sleeper {
    let child = Command::new("/bin/sh")
        .args(["-c", script])
        .env(TOKENS, tokens)
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Sleeper(child)
}

fn is_killed(child: &mut Child) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.signal() == Some(9);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// The first line that it writes.
fn line(child: &mut Child) -> String {
    let mut text = String::new();
    let out = child.stdout.as_mut().unwrap();
    io::BufRead::read_line(&mut io::BufReader::new(out), &mut text).unwrap();
    text.trim().to_owned()
}

#[test]
fn it_kills_its_own_with_their_groups_and_nobody_else() {
    let (token, other) = (token(), token());
    let mut ours = sleeper(&token, "echo; exec sleep 600");
    let mut nested = sleeper(&format!("{other}:{token}"), "echo; exec sleep 600");
    let mut theirs = sleeper(&other, "echo; exec sleep 600");
    // A member of our group that has thrown away its variables.
    let mut bare = sleeper(&token, "env -i sleep 600 & echo $!; wait");
    // One whose name holds the token, and one whose other variable does.
    let mut alike = sleeper("", &format!("echo; X={TOKENS}={token} exec sleep 600"));
    for child in [&mut ours, &mut nested, &mut theirs, &mut alike] {
        line(child);
    }
    let stray: i32 = line(&mut bare).parse().unwrap();
    assert_eq!(stand(io::empty(), &token), 0);
    assert!(is_killed(&mut ours) && is_killed(&mut nested) && is_killed(&mut bare));
    let gone = || Stat::of(Path::new("/proc"), Pid::from_raw(stray).unwrap()).is_none_or(|it| it.is_zombie);
    let until = Instant::now() + Duration::from_secs(20);
    while !gone() {
        assert!(Instant::now() < until, "a member of the group is left");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!end_all(Path::new("/proc"), &token));
    for mut child in [theirs, alike] {
        assert_eq!(child.try_wait().unwrap(), None);
    }
}

#[test]
fn a_process_that_joined_anothers_group_dies_alone() {
    let token = token();
    // With job control each background process has a group; without it it is in that of its parent.
    let mut shell = sleeper(
        "",
        &format!("{TOKENS}={token} sleep 600 & echo $!; wait; echo still here"),
    );
    let mut out = io::BufReader::new(shell.stdout.take().unwrap());
    let mut text = String::new();
    io::BufRead::read_line(&mut out, &mut text).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !end_all(Path::new("/proc"), &token) {
        assert!(Instant::now() < until, "it was not found");
    }
    text.clear();
    io::BufRead::read_line(&mut out, &mut text).unwrap();
    assert_eq!(text, "still here\n");
    assert!(shell.wait().unwrap().success());
}

#[test]
fn names_of_programs_do_not_confuse_it() {
    let rest = "S 10 4321 4321 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2 3";
    let expected = Some(Stat {
        is_zombie: false,
        group: 4321,
        started: 987_654,
    });
    for name in ["sleep", "a b", ") R 1 2 3 (", "((("] {
        assert_eq!(Stat::parse(&format!("77 ({name}) {rest}")), expected, "{name}");
    }
    assert_eq!(Stat::parse("77 (x"), None);
}

#[test]
fn after_good_order_it_leaves_and_after_the_workers_death_it_kills() {
    let token = token();
    let mut command = sleeper(&token, "echo; exec sleep 600");
    line(&mut command);
    assert_eq!(stand(WELL, &token), 0);
    assert_eq!(command.try_wait().unwrap(), None);
    // Not even then for something that is no token.
    assert_eq!(stand(io::empty(), ""), 2);
    assert_eq!(stand(io::empty(), "no-token-but-long-enough"), 2);
    assert_eq!(command.try_wait().unwrap(), None);
    assert_eq!(stand(io::empty(), &token), 0);
    assert!(is_killed(&mut command));
}

/// A program that stands in for the guard: it tells its arguments, and what it reads.
fn stand_in(place: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;

    let path = place.join("stand-in");
    let script = "#!/bin/sh\nls /proc/self/fd >$0.fds\npwd >$0.pwd\necho \"$@\" >$0.new\nmv $0.new $0.args\n\
                  cat >$0.read\necho >$0.ended\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn wait_for(path: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < until, "{} is not there", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn it_stays_through_term_and_hears_how_its_worker_ends() {
    let place = tempfile::tempdir().unwrap();
    let program = stand_in(place.path());
    let file = |kind: &str| program.with_extension(kind);
    for (in_order, heard) in [(true, "."), (false, "")] {
        let guard = Guard::start_as(&program).unwrap();
        assert_eq!(wait_for(&file("args")), format!("guard {}\n", guard.token));
        assert!(guard.token.len() == 32 && guard.tokens().ends_with(&guard.token));
        assert_eq!(wait_for(&file("pwd")), "/\n");
        let pid = Pid::from_child(&guard.child);
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            rustix::process::kill_process_group(pid, signal).unwrap();
        }
        match in_order {
            true => guard.end(),
            false => drop(guard),
        }
        wait_for(&file("ended"));
        assert_eq!(wait_for(&file("read")), heard);
        for kind in ["args", "ended", "read"] {
            std::fs::remove_file(file(kind)).unwrap();
        }
    }
}
