//! The same work for many hosts, so many at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// Does something for each item, `at_once` at a time, and tells each end as it comes; returns what came of each, in the
/// order of the items.
pub(crate) fn each<I: Sync, T: Send>(
    items: &[I],
    at_once: usize,
    work: impl Fn(&I) -> T + Sync,
    mut ended: impl FnMut(&I, &T),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let mut done: Vec<Option<T>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let (sender, ends) = channel();
        for _ in 0..at_once.clamp(1, items.len().max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = items.get(place) else { return };
                    // The one who listens outlives us.
                    let _ = sender.send((place, work(item)));
                }
            });
        }
        drop(sender);
        for (place, result) in ends {
            ended(&items[place], &result);
            done[place] = Some(result);
        }
    });
    // A thread that panics has made the scope panic too, so nothing is missing here.
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_not_too_many_run_at_once() {
        let items: Vec<u64> = (0..50).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut told = 0;
        let work = |item: &u64| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            item * 2
        };
        let doubled = each(&items, 7, work, |_, _| told += 1);
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(told, 50);
        assert!(most.load(Ordering::SeqCst) <= 7);
        assert!(each(&[] as &[u64], 7, work, |_, _| ()).is_empty());
    }
}
