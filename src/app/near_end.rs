//! What is done once when a worker sees its end coming: by its limit, or because it was told to stop.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::store::Store;
use crate::wait::lock;

/// Called once, in a thread of its own: somebody else may be asked to take the worker's place.
pub type OnNearEnd = Box<dyn FnOnce(&Store) + Send>;

/// Between two looks whether it has returned.
const LOOK: Duration = Duration::from_millis(10);

/// Whoever sees the end coming first has it called; clones call the same one.
#[derive(Clone, Default)]
pub(super) struct NearEnd(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hook: Option<OnNearEnd>,
    store: Option<Store>,
    thread: Option<JoinHandle<()>>,
}

impl NearEnd {
    pub(super) fn new(hook: Option<OnNearEnd>) -> NearEnd {
        NearEnd(Arc::new(Mutex::new(State {
            hook,
            ..State::default()
        })))
    }

    /// Says which store it is; before that nothing is called, for nothing has begun.
    pub(super) fn set_store(&self, store: &Store) {
        lock(&self.0).store = Some(store.clone());
    }

    /// Calls it, unless that was done before. It never keeps the caller.
    pub(super) fn call(&self) {
        let mut state = lock(&self.0);
        let Some(store) = state.store.clone() else { return };
        let Some(hook) = state.hook.take() else { return };
        let thread = std::thread::Builder::new().name("flockwork-near-end".into());
        // Without a thread there is no room for what it would do either.
        state.thread = thread.spawn(move || hook(&store)).ok();
    }

    /// Waits until it has returned, if it was called, but no longer than this.
    pub(super) fn wait(&self, most: Duration) {
        let end = Instant::now() + most;
        let thread = lock(&self.0).thread.take();
        while thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < end {
            std::thread::park_timeout(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::config::StoreConfig;

    #[test]
    fn it_is_called_once_and_not_before_there_is_a_store() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(place.path().join("s.flock"), &StoreConfig::default()).unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let near = NearEnd::new(Some(Box::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        })));
        near.call();
        near.set_store(&store);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        near.call();
        near.call();
        near.wait(Duration::from_secs(60));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn one_that_hangs_is_not_waited_for_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(place.path().join("s.flock"), &StoreConfig::default()).unwrap();
        let near = NearEnd::new(Some(Box::new(|_| std::thread::park())));
        near.set_store(&store);
        near.call();
        near.wait(Duration::from_millis(20));
    }
}
