//! A stop file that was there before the worker.

use std::time::Duration;

use super::WorkerConfig;
use crate::clock::Moment;
use crate::error::{IoContext, Result};
use crate::store::Store;

/// An older stop file than the worker may be about to be removed by a master that starts too.
const OLD_STOP: Duration = Duration::from_secs(60);

/// A stop file that was there before the worker may belong to a run that is just being taken up again.
///
/// Says whether it is gone after a while.
pub(super) fn wait_for_old_stop(config: &WorkerConfig, store: &Store) -> Result<bool> {
    let now = Moment::now();
    let mut patience = OLD_STOP.min(config.idle_exit);
    if let Some((began, left)) = config.ends {
        // At its limit it is of no use to that run either.
        patience = patience.min(began.plus(left).since(now));
    }
    let end = now.plus(patience);
    let (look, _) = config.poll_for(store);
    loop {
        let seen = config.stop.waker().seen();
        if store
            .stop_file()
            .during("cannot look for the stop file in", store.root().path())?
            .is_none()
        {
            return Ok(true);
        }
        let left = end.since(Moment::now());
        if left.is_zero() || config.stop.requested().is_some() {
            return Ok(false);
        }
        config.stop.waker().wait(seen, left.min(look));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::sim::{self, SimTime};
    use crate::config::StoreConfig;
    use crate::fs::sim::SimDisk;
    use crate::wait::How;

    /// For how long a worker waits at a store that was stopped before, and whether it goes on then.
    fn waits(withdrawn: Option<u64>, set: impl FnOnce(WorkerConfig) -> WorkerConfig) -> (Duration, bool) {
        let _time = SimTime::begin();
        let root = SimDisk::new().process("a").root();
        let store = Store::on(root, &StoreConfig::default()).unwrap();
        store.stop(How::Finish, "enough").unwrap();
        let (begun, other) = (Moment::now(), store.clone());
        sim::set_meanwhile(Some(Box::new(move || {
            if withdrawn.is_some_and(|at| Moment::now().since(begun) >= seconds(at)) {
                other.withdraw_stop().unwrap();
            }
        })));
        let goes_on = wait_for_old_stop(&set(WorkerConfig::default()), &store).unwrap();
        let waited = Moment::now().since(begun);
        drop(sim::set_meanwhile(None));
        (waited, goes_on)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn an_old_stop_is_waited_for_a_minute_but_not_beyond_the_workers_own_end() {
        assert_eq!(waits(None, |config| config), (seconds(60), false));
        assert_eq!(
            waits(None, |config| config.idle_exit(seconds(3))),
            (seconds(3), false)
        );
        assert_eq!(
            waits(None, |config| config.ends_in(seconds(10))),
            (seconds(10), false)
        );
        assert_eq!(
            waits(None, |config| config.ends_in(seconds(3600))),
            (seconds(60), false)
        );
        assert_eq!(
            waits(None, |config| config.ends_in(seconds(0))),
            (seconds(0), false)
        );
        // What is left counts, not what it was given.
        let late = |config: WorkerConfig| {
            let config = config.ends_in(seconds(10));
            sim::advance(seconds(4));
            config
        };
        assert_eq!(waits(None, late), (seconds(10), false));
        // A master that starts meanwhile withdraws it.
        let (waited, goes_on) = waits(Some(5), |config| config.ends_in(seconds(10)));
        assert!(
            goes_on && waited >= seconds(5) && waited < seconds(6),
            "{waited:?}"
        );
    }
}
