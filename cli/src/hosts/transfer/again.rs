//! When a connection is made again, and for what.

use std::time::{Duration, Instant};

use super::End;
use crate::hosts::trouble::Why;
use crate::hosts::{Ssh, Trouble};

/// How long it rests before it tries again; the second time twice as long, and so on.
const REST: Duration = Duration::from_millis(500);
/// How often it is looked whether a signal has come.
const SIGNAL: Duration = Duration::from_millis(50);

/// Runs sessions until each file has its end, or until it is no use; returns what went wrong at last.
pub(super) fn until_done(
    ssh: &Ssh,
    retries: u32,
    ends: &mut [Option<End>],
    mut session: impl FnMut(&mut [Option<End>]) -> Result<(), Trouble>,
) -> Option<Trouble> {
    let mut tried = 0;
    loop {
        let trouble = session(ends).err();
        let may_help = trouble.as_ref().is_none_or(|trouble| passes(trouble.why));
        let is_missing = ends.iter().any(|end| matches!(end, None | Some(End::Differs)));
        if tried >= retries || !may_help || !(is_missing || trouble.is_some()) {
            return trouble;
        }
        tried += 1;
        for end in ends.iter_mut().filter(|end| matches!(end, Some(End::Differs))) {
            *end = None;
        }
        rest(ssh, tried);
    }
}

/// Rests before the next try; a signal cuts it short.
pub(super) fn rest(ssh: &Ssh, tried: u32) {
    let until = Instant::now() + REST * tried;
    while Instant::now() < until && !ssh.is_cut() {
        std::thread::sleep(SIGNAL);
    }
}

/// Says whether it may be better the next time.
pub(super) fn passes(why: Why) -> bool {
    matches!(why, Why::Lost | Why::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::SshFlags;
    use crate::signals::Caught;

    fn ssh() -> Ssh {
        let flags = SshFlags {
            ssh: "ssh".into(),
            ssh_config: None,
            ssh_option: Vec::new(),
            connect_timeout: Duration::from_secs(1),
            fanout: 1,
        };
        Ssh::new(&flags, false).unwrap()
    }

    #[test]
    fn a_signal_ends_the_rest_and_nothing_is_tried_again() {
        let caught = Caught::default();
        let ssh = ssh().heeding(&caught);
        let mut tries = 0;
        let trouble = until_done(&ssh, 100, &mut [None], |_| {
            tries += 1;
            match ssh.is_cut() {
                true => Err(Trouble::new(Why::Interrupted, "")),
                false => {
                    caught.catch(15);
                    Err(Trouble::new(Why::Lost, ""))
                }
            }
        });
        assert_eq!((tries, trouble.unwrap().why), (2, Why::Interrupted));
    }

    #[test]
    fn only_what_may_get_better_is_tried_again() {
        let count = |retries, why: Why| {
            let (mut tries, mut ends) = (0, [None]);
            let trouble = until_done(&ssh(), retries, &mut ends, |_| {
                tries += 1;
                Err(Trouble::new(why, ""))
            });
            assert_eq!(trouble.unwrap().why, why);
            tries
        };
        assert_eq!(count(1, Why::Lost), 2);
        assert_eq!(count(0, Why::Lost), 1);
        assert_eq!(count(3, Why::KeyChanged), 1);
    }

    #[test]
    fn a_wrong_checksum_is_tried_again_and_a_full_disk_is_not() {
        let mut ends = [Some(End::Done), None, None];
        let mut tries = 0;
        let trouble = until_done(&ssh(), 2, &mut ends, |ends| {
            tries += 1;
            assert_eq!(ends[0], Some(End::Done));
            ends[1] = Some(if tries == 1 { End::Differs } else { End::Done });
            ends[2] = Some(End::No("full".to_owned()));
            Ok(())
        });
        assert_eq!((tries, trouble), (2, None));
        assert_eq!(ends[1], Some(End::Done));
    }
}
