//! When a connection is made again, and for what.

use std::time::Duration;

use super::End;
use crate::hosts::Trouble;
use crate::hosts::trouble::Why;

/// How long it rests before it tries again; the second time twice as long, and so on.
const REST: Duration = Duration::from_millis(500);

/// Runs sessions until each file has its end, or until it is no use; returns what went wrong at last.
pub(super) fn until_done(
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
        rest(tried);
    }
}

/// Rests before the next try.
pub(super) fn rest(tried: u32) {
    std::thread::sleep(REST * tried);
}

/// Says whether it may be better the next time.
pub(super) fn passes(why: Why) -> bool {
    matches!(why, Why::Lost | Why::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_get_better_is_tried_again() {
        let count = |retries, why: Why| {
            let (mut tries, mut ends) = (0, [None]);
            let trouble = until_done(retries, &mut ends, |_| {
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
        let trouble = until_done(2, &mut ends, |ends| {
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
