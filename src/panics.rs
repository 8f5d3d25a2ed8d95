//! Catching panics of users' code, with the place where they happened.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::outcome::{Failure, FailureKind};

thread_local! {
    /// `Some` while this thread runs a task: the place of its panic goes there.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls `work`; a panic becomes a failure with its message and place.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    note_places();
    PLACE.with_borrow_mut(|place| *place = Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(work));
    let place = PLACE
        .with_borrow_mut(Option::take)
        .filter(|place| !place.is_empty());
    result.map_err(|panic| Failure {
        place,
        ..Failure::new(FailureKind::Panic, message(&*panic))
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".into())
}

/// Only the hook is told the place; the hook that was there is called as before.
fn note_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Not in a thread that is ending.
            let _ = PLACE.try_with(|place| {
                if let (Ok(mut place), Some(location)) = (place.try_borrow_mut(), info.location())
                    && place.is_some()
                {
                    *place = Some(location.to_string());
                }
            });
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_with_message_and_place() {
        let failure = caught(|| -> u32 { panic!("no luck with {}", 7) }).unwrap_err();
        assert_eq!(failure.message, "no luck with 7");
        assert!(
            failure
                .place
                .as_deref()
                .is_some_and(|place| place.contains("panics.rs:")),
            "{failure}"
        );
        assert_eq!(caught(|| 7), Ok(7));
        let odd = caught(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(odd.message, "a panic without a text");
    }
}
