//! The system's ssh: how it is called, one connection for several steps, and what its end means.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flockwork::app::exit::{Failed, NOT_OK};
use tempfile::TempDir;

use super::Host;
use super::process::{Ended, Heard, Talk};
use super::trouble::{SSH_FAILED, Trouble, Why, last_line};
use crate::args::SshFlags;
use crate::signals::Caught;
use crate::words;

/// A connection that carries nothing is asked for a sign of life so often, and given up after as many times.
const ALIVE_EVERY: u64 = 5;
const ALIVE_TIMES: u64 = 3;
/// A shared connection stays so long after its last use.
const PERSIST: Duration = Duration::from_secs(60);
/// The first line of what runs there: from then on ssh has done its part.
pub(crate) const HELLO: &str = "flockwork-hello";

/// How hosts are reached.
#[derive(Debug)]
pub(crate) struct Ssh {
    program: OsString,
    options: Vec<OsString>,
    connect_timeout: Duration,
    /// How often a connection that carries nothing is asked for a sign of life, in seconds, and how many times.
    alive: (u64, u64),
    /// Where the sockets of shared connections are. A socket's path has at most 107 bytes, so it is short.
    sockets: Option<TempDir>,
    /// Once a signal has come, nothing is begun and nothing is waited for.
    caught: Option<Caught>,
}

/// What came of a script that was run on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its lines on stdout.
    pub(crate) lines: Vec<String>,
    /// Its exit status, as a shell has it.
    pub(crate) status: i32,
    /// The end of its stderr.
    pub(crate) stderr: String,
}

/// Where a host is, as another machine can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) user: Option<String>,
    /// Its name or its address.
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Answer {
    /// Returns the last line of stderr, fit to be shown.
    pub(crate) fn last_words(&self) -> String {
        last_line(&self.stderr)
    }
}

impl Ssh {
    /// Gets ready; `shared` says that each host is reached several times, over one connection.
    ///
    /// # Errors
    ///
    /// If the directory for shared connections cannot be made.
    pub(crate) fn new(flags: &SshFlags, shared: bool) -> Result<Ssh, Failed> {
        let mut options: Vec<OsString> = Vec::new();
        if let Some(config) = &flags.ssh_config {
            options.extend(["-F".into(), config.into()]);
        }
        // The first value that ssh is given counts, so what the user types comes first.
        for option in &flags.ssh_option {
            options.extend(["-o".into(), option.into()]);
        }
        let seconds = flags.connect_timeout.as_secs().max(1);
        for option in [
            // Nobody is there to answer a question.
            "BatchMode=yes".to_owned(),
            format!("ConnectTimeout={seconds}"),
            "LogLevel=ERROR".to_owned(),
            "ForwardX11=no".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            "RequestTTY=no".to_owned(),
        ] {
            options.extend(["-o".into(), option.into()]);
        }
        let sockets = match shared {
            true => Some(sockets()?),
            false => None,
        };
        if let Some(sockets) = &sockets {
            let mut path: OsString = "ControlPath=".into();
            path.push(sockets.path().join("%C"));
            options.extend(["-o".into(), "ControlMaster=auto".into(), "-o".into(), path]);
            let persist = format!("ControlPersist={}", PERSIST.as_secs());
            options.extend(["-o".into(), persist.into()]);
        }
        Ok(Ssh {
            program: flags.ssh.clone(),
            options,
            connect_timeout: flags.connect_timeout,
            alive: (ALIVE_EVERY, ALIVE_TIMES),
            sockets,
            caught: None,
        })
    }

    /// Has a signal cut all conversations short.
    pub(crate) fn heeding(mut self, caught: &Caught) -> Ssh {
        self.caught = Some(caught.clone());
        self
    }

    /// Says whether a signal has cut all conversations short.
    pub(crate) fn is_cut(&self) -> bool {
        self.caught.as_ref().is_some_and(|caught| caught.code().is_some())
    }

    /// Gives up a connection that has fallen silent only after so long, and not after 15 s.
    pub(crate) fn patient(mut self, silence: Duration) -> Ssh {
        self.alive = ((silence.as_secs() / ALIVE_TIMES).max(1), ALIVE_TIMES);
        self
    }

    /// Returns how long it may take until a shell runs there: connecting has its own limit; after it come keys, and a
    /// shell that reads its files.
    pub(crate) fn reach(&self) -> Duration {
        self.connect_timeout * 2 + Duration::from_secs(5)
    }

    /// Returns the command that runs a script on a host, by a plain `sh` whatever the user's shell is. The script is one
    /// line; `arguments` are its `$1` and so on, and no shell reads them.
    pub(crate) fn command(&self, host: &Host, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options).args(self.place(host));
        command
            .arg("--")
            .arg(&host.address)
            .arg(remote(script, arguments));
        command
    }

    /// Returns the limit of time for connecting.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    fn place(&self, host: &Host) -> Vec<OsString> {
        let (every, times) = self.alive;
        let mut words: Vec<OsString> = Vec::new();
        for option in [
            format!("ServerAliveInterval={every}"),
            format!("ServerAliveCountMax={times}"),
        ] {
            words.extend(["-o".into(), option.into()]);
        }
        if let Some(user) = &host.user {
            words.extend(["-l".into(), user.into()]);
        }
        if let Some(port) = host.port {
            words.extend(["-p".into(), port.to_string().into()]);
        }
        words
    }

    /// Starts a script on a host and waits until it runs: what it then writes to stdout can be heard.
    ///
    /// # Errors
    ///
    /// Why the host could not be reached, or why nothing can be run there.
    pub(crate) fn talk(&self, host: &Host, script: &str, arguments: &[&str]) -> Result<Talk, Trouble> {
        self.talk_until(host, script, arguments, Instant::now() + self.reach())
    }

    /// Does as [`Ssh::talk`], and gives up then.
    ///
    /// # Errors
    ///
    /// As of [`Ssh::talk`].
    pub(crate) fn talk_until(
        &self,
        host: &Host,
        script: &str,
        arguments: &[&str],
        until: Instant,
    ) -> Result<Talk, Trouble> {
        if self.is_cut() {
            return Err(Trouble::new(Why::Interrupted, ""));
        }
        let script = format!("echo {HELLO}; {script}");
        let talk = Talk::start(self.command(host, &script, arguments)).map_err(|error| {
            let program = self.program.to_string_lossy();
            Trouble::new(
                Why::Here,
                format!("cannot start {}: {error}", words::tame(&program, 80)),
            )
        })?;
        let mut talk = talk.heeding(self.caught.clone());
        loop {
            match talk.hear(until) {
                Heard::Line(line) if line == HELLO => return Ok(talk),
                // What the shell's own files write.
                Heard::Line(_) => {}
                Heard::End => break,
                Heard::Silence if talk.is_cut() => return Err(Trouble::new(Why::Interrupted, "")),
                Heard::Silence => {
                    talk.hush();
                    return Err(Trouble::no_shell());
                }
            }
        }
        let ended = talk.end(until);
        Err(match code(&ended) {
            Some(SSH_FAILED) => Trouble::of_ssh(&ended.stderr),
            None => Trouble::no_shell(),
            Some(status) => Trouble::of_shell(status, &ended.stderr),
        })
    }

    /// Runs a script on a host to its end.
    ///
    /// # Errors
    ///
    /// Why the host could not be reached or the connection broke, and if it took longer than the limit.
    pub(crate) fn run(
        &self,
        host: &Host,
        script: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Answer, Trouble> {
        let mut talk = self.talk(host, script, arguments)?;
        talk.hush();
        finish(talk, limit)
    }

    /// Returns where ssh's configuration says that a host is; what it does not know stays as it is written.
    pub(crate) fn resolved(&self, host: &Host, until: Instant) -> Place {
        let mut command = Command::new(&self.program);
        command
            .args(&self.options)
            .args(self.place(host))
            .args(["-G", "--"])
            .arg(&host.address);
        let mut place = Place {
            user: host.user.clone(),
            name: host.address.clone(),
            port: host.port.unwrap_or(22),
        };
        let Ok(talk) = Talk::start(command) else {
            return place;
        };
        while let Heard::Line(line) = talk.hear(until) {
            match line.split_once(' ') {
                Some(("hostname", value)) if !value.starts_with('-') => place.name = value.to_owned(),
                Some(("user", value)) if !value.starts_with('-') => place.user = Some(value.to_owned()),
                Some(("port", value)) => place.port = value.parse().unwrap_or(place.port),
                _ => {}
            }
        }
        place
    }

    /// Ends the shared connections to these hosts.
    pub(crate) fn close(&self, hosts: &[Host]) {
        let Some(sockets) = &self.sockets else { return };
        let is_empty = std::fs::read_dir(sockets.path()).map_or(true, |mut names| names.next().is_none());
        if is_empty {
            return;
        }
        for host in hosts {
            let mut command = Command::new(&self.program);
            command.args(&self.options).args(self.place(host));
            command.args(["-O", "exit", "--"]).arg(&host.address);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // What stays ends by itself after a minute.
            let _ = command.status();
        }
    }
}

/// Hears the rest of a script, to its end.
///
/// # Errors
///
/// As of [`Ssh::run`].
pub(crate) fn finish(talk: Talk, limit: Duration) -> Result<Answer, Trouble> {
    let until = Instant::now() + limit;
    let mut lines = Vec::new();
    loop {
        match talk.hear(until) {
            Heard::Line(line) => lines.push(line),
            Heard::End => break,
            Heard::Silence => {
                let limit = flockwork::app::times::short(limit);
                return Err(Trouble::new(Why::Timeout, format!("not done after {limit}")));
            }
        }
    }
    let ended = talk.end(until.max(Instant::now() + Duration::from_secs(1)));
    match code(&ended) {
        Some(SSH_FAILED) | None => Err(Trouble::of_ssh(&ended.stderr)),
        Some(status) => Ok(Answer {
            lines,
            status,
            stderr: ended.stderr,
        }),
    }
}

fn code(ended: &Ended) -> Option<i32> {
    ended.status?.code()
}

/// Returns what the user's shell there is given, which may be no POSIX shell.
pub(crate) fn remote(script: &str, arguments: &[&str]) -> String {
    let mut line = format!("exec /bin/sh -c {} flockwork", quoted(script));
    for argument in arguments {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    line
}

/// Quotes a word so that sh, csh and fish read it alike: csh looks for `!` between quotes too, and fish for `\`.
fn quoted(word: &str) -> String {
    let mut text = String::from("'");
    for letter in word.chars() {
        match letter {
            '\'' | '\\' | '!' => text.extend(["'\\", letter.encode_utf8(&mut [0; 4]), "'"]),
            letter => text.push(letter),
        }
    }
    text + "'"
}

fn sockets() -> Result<TempDir, Failed> {
    let made = |dir: &Path| tempfile::Builder::new().prefix("fw-").tempdir_in(dir);
    // The user's own directory first, if it is short enough for a socket's path.
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| dir.len() <= 24);
    let own = own.and_then(|dir| made(Path::new(&dir)).ok());
    own.map_or_else(|| made(Path::new("/tmp")), Ok).map_err(|error| {
        let text = format!("cannot make a directory for connections in /tmp: {error}");
        Failed::new(NOT_OK, text, None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_the_script_whatever_they_hold() {
        let arguments = ["a b", "it's", "$(id)", "-x", "`x`;\"", "", "a\\", "\\!'"];
        let script = "printf '%s\\n' \"$#\" \"$@\"";
        let told = Command::new("sh")
            .args(["-c", &remote(script, &arguments)])
            .output()
            .unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert_eq!(told, "8\na b\nit's\n$(id)\n-x\n`x`;\"\n\na\\\n\\!'\n");
    }

    /// An "ssh" that has no network: it runs what it was to run there, or fails as ssh does.
    fn fake(place: &Path, body: &str) -> Ssh {
        use std::os::unix::fs::PermissionsExt;

        let path = place.join("ssh");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let flags = SshFlags {
            ssh: path.into(),
            ssh_config: None,
            ssh_option: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            fanout: 1,
        };
        Ssh::new(&flags, false).unwrap()
    }

    const RUN: &str = "while [ \"$1\" != -- ]; do shift; done; shift 2; exec sh -c \"$*\"";

    #[test]
    fn what_ends_there_is_told_from_ssh_that_fails() {
        let place = tempfile::tempdir().unwrap();
        let host = Host::read("n1").unwrap();
        let minute = Duration::from_secs(60);
        let ssh = fake(place.path(), &format!("echo welcome; {RUN}"));
        let answer = ssh
            .run(&host, "echo \"$1\"; echo bad >&2; exit 3", &["x y"], minute)
            .unwrap();
        assert_eq!((answer.lines, answer.status), (vec!["x y".to_owned()], 3));
        assert_eq!(answer.stderr, "bad\n");
        let ssh = fake(
            place.path(),
            "echo 'ssh: connect to host n1 port 22: Connection refused' >&2; exit 255",
        );
        assert_eq!(ssh.run(&host, "true", &[], minute).unwrap_err().why, Why::Refused);
        let ssh = fake(place.path(), "echo 'This account is not available.' >&2; exit 1");
        let trouble = ssh.run(&host, "true", &[], minute).unwrap_err();
        assert_eq!(trouble.why, Why::There);
        assert!(trouble.text().contains("not available"), "{}", trouble.text());
    }
}
