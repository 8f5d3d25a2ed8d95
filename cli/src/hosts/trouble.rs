//! Why a host could not be worked with, from what ssh says; pure.

use crate::words;

/// The status with which ssh ends when it failed itself.
pub(crate) const SSH_FAILED: i32 = 255;
/// The longest line of ssh that is shown.
const LONGEST: usize = 160;

/// What went wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// No address belongs to the name.
    Unknown,
    NoRoute,
    Refused,
    /// Nothing answered in time.
    Timeout,
    NotAuthorised,
    /// The host has another key than the known one.
    KeyChanged,
    /// The host's key is not known.
    KeyUnknown,
    /// The connection broke, or never came to be for another reason.
    Lost,
    /// The host was reached, and a step failed there.
    There,
    /// Something here failed, such as the program ssh itself.
    Here,
    /// A signal here cut it short.
    Interrupted,
}

impl Why {
    /// Returns a word for programs.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Why::Unknown => "unknown-host",
            Why::NoRoute => "no-route",
            Why::Refused => "refused",
            Why::Timeout => "timeout",
            Why::NotAuthorised => "not-authorised",
            Why::KeyChanged => "host-key-changed",
            Why::KeyUnknown => "host-key-unknown",
            Why::Lost => "connection-lost",
            Why::There => "failed-there",
            Why::Here => "failed-here",
            Why::Interrupted => "interrupted",
        }
    }

    /// Returns it for people, without what ssh says.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Why::Unknown => "the name is not known",
            Why::NoRoute => "no route to the host",
            Why::Refused => "the connection is refused: no sshd there",
            Why::Timeout => "no answer in time",
            Why::NotAuthorised => "not authorised",
            Why::KeyChanged => "the host's key has changed",
            Why::KeyUnknown => "the host's key is not known",
            Why::Lost => "the connection broke",
            Why::There => "failed there",
            Why::Here => "failed here",
            Why::Interrupted => "interrupted",
        }
    }

    /// Returns what a person can do about it.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self {
            Why::NotAuthorised => {
                Some("`ssh HOST true` must work without a question: put your key there, or into an agent")
            }
            Why::KeyUnknown => Some("log in once by hand, or give -o StrictHostKeyChecking=accept-new"),
            Why::KeyChanged => {
                Some("if the host was set up anew: ssh-keygen -R HOST; if not, somebody may listen")
            }
            Why::Unknown => Some("check the spelling, or give it a HostName in ~/.ssh/config"),
            _ => None,
        }
    }
}

/// What went wrong with a host, and the words of whoever said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) why: Why,
    pub(crate) detail: String,
}

impl Trouble {
    pub(crate) fn new(why: Why, detail: impl Into<String>) -> Trouble {
        Trouble {
            why,
            detail: detail.into(),
        }
    }

    /// A step failed on the host, which says why.
    pub(crate) fn there(detail: impl Into<String>) -> Trouble {
        Trouble::new(Why::There, detail)
    }

    /// Reads what ssh said when it ended with [`SSH_FAILED`].
    pub(crate) fn of_ssh(stderr: &str) -> Trouble {
        let has = |words: &str| stderr.contains(words);
        let why = if has("IDENTIFICATION HAS CHANGED") {
            Why::KeyChanged
        } else if has("Host key verification failed") || has("No ED25519 host key is known") {
            Why::KeyUnknown
        } else if has("Permission denied (") || has("Too many authentication failures") {
            Why::NotAuthorised
        } else if has("Could not resolve hostname") {
            Why::Unknown
        } else if has("No route to host") || has("Network is unreachable") {
            Why::NoRoute
        } else if has("Connection refused") {
            Why::Refused
        } else if has("timed out") {
            Why::Timeout
        } else {
            Why::Lost
        };
        // The warning about a changed key is long, and its last line says the least.
        match why {
            Why::KeyChanged => Trouble::new(why, ""),
            _ => Trouble::new(why, last_line(stderr)),
        }
    }

    /// The login worked, and then nothing came.
    pub(crate) fn no_shell() -> Trouble {
        Trouble::new(Why::Timeout, "connected, but no shell answers")
    }

    /// The user's shell there has ended with this status before it ran anything.
    pub(crate) fn of_shell(status: i32, stderr: &str) -> Trouble {
        let said = last_line(stderr);
        Trouble::there(format!("its shell runs no commands: exit {status} {said:?}"))
    }

    /// Returns it in one line.
    pub(crate) fn text(&self) -> String {
        match (self.why, self.detail.as_str()) {
            (why, "") => why.text().to_owned(),
            (Why::There, detail) => detail.to_owned(),
            (why, detail) => format!("{} ({detail})", why.text()),
        }
    }

    /// Returns it with `HOST` for the host's name, so that it is the same for hosts that failed alike.
    pub(crate) fn text_of_any(&self, address: &str) -> String {
        anywhere(&self.text(), address)
    }
}

/// Puts `HOST` for a name of a host, where it stands as a word.
fn anywhere(text: &str, address: &str) -> String {
    let is_outside = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || "-_.".contains(c));
    let mut told = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(address) {
        let (before, after) = (&rest[..at], &rest[at + address.len()..]);
        let is_word = is_outside(before.chars().next_back().or(told.chars().next_back()))
            && is_outside(after.chars().next());
        told.push_str(before);
        told.push_str(if is_word { "HOST" } else { address });
        rest = after;
    }
    told + rest
}

/// Returns the last line that is not blank, fit to be shown.
pub(crate) fn last_line(said: &str) -> String {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    words::tame(last.unwrap_or_default(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_replaced_where_it_is_a_word() {
        let told = anywhere("n1: connect to n1 port 22, n10, an1, n1", "n1");
        assert_eq!(told, "HOST: connect to HOST port 22, n10, an1, HOST");
    }

    #[test]
    fn what_ssh_says_is_understood() {
        for (said, why) in [
            (
                "ssh: connect to host h1 port 22: Connection refused\n",
                Why::Refused,
            ),
            (
                "ssh: connect to host h1 port 22: No route to host\n",
                Why::NoRoute,
            ),
            (
                "ssh: connect to host h1 port 22: Connection timed out\r\n",
                Why::Timeout,
            ),
            ("Connection timed out during banner exchange\n", Why::Timeout),
            (
                "ssh: Could not resolve hostname nix: Name or service not known\n",
                Why::Unknown,
            ),
            (
                "fw@10.0.0.1: Permission denied (publickey).\n",
                Why::NotAuthorised,
            ),
            (
                "No ED25519 host key is known for h1 and you have requested strict checking.\nHost key verification failed.\n",
                Why::KeyUnknown,
            ),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n",
                Why::KeyChanged,
            ),
            ("Connection closed by 10.0.0.1 port 22\n", Why::Lost),
            ("", Why::Lost),
        ] {
            assert_eq!(Trouble::of_ssh(said).why, why, "{said}");
        }
        let trouble = Trouble::of_ssh("debug\nfw@h1: Permission denied (publickey).\n\n");
        assert_eq!(
            trouble.text(),
            "not authorised (fw@h1: Permission denied (publickey).)"
        );
    }
}
