//! Shows how far a run is: a bar on a terminal, a line each 10 s elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::board::Board;
use super::local::Total;
use super::screen::Screen;
use crate::store::Store;
use crate::wait::{Waker, lock};

/// What runs is counted this often at most, and in at most a twentieth of the time.
const COUNT: Duration = Duration::from_secs(2);
const COUNT_SHARE: u32 = 20;

/// The thread that shows progress.
#[derive(Debug)]
pub(super) struct Progress {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    waker: Waker,
}

impl Progress {
    /// Begins to show; without a thread to do it, nothing is shown.
    pub(super) fn start(
        store: &Store,
        board: &Arc<Mutex<Board>>,
        screen: &Screen,
        total: Option<Arc<Total>>,
    ) -> Progress {
        let shared = Arc::new(Shared::default());
        let (store, board, screen) = (store.clone(), Arc::clone(board), screen.clone());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("flockwork-progress".into())
            .spawn(move || show(&store, &board, &screen, total.as_deref(), &theirs));
        Progress {
            shared,
            thread: thread.ok(),
        }
    }

    /// Ends it, and takes the bar away.
    pub(super) fn end(mut self, screen: &Screen) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.waker.wake();
        if let Some(thread) = self.thread.take() {
            // If it panicked there is nothing to show, and that is all.
            let _ = thread.join();
        }
        screen.clear();
    }
}

fn show(store: &Store, board: &Mutex<Board>, screen: &Screen, total: Option<&Total>, shared: &Shared) {
    let mut next_count = Instant::now();
    let mut next_line = Instant::now() + screen.every();
    loop {
        let seen = shared.waker.seen();
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        shared
            .waker
            .wait(seen, screen.every().min(Duration::from_secs(1)));
        let now = Instant::now();
        lock(board).sample(now);
        if now < next_line || lock(board).tasks() == 0 || shared.ended.load(Ordering::SeqCst) {
            continue;
        }
        next_line = now + screen.every();
        if now >= next_count {
            // Trouble with figures never stops a run.
            let running = store.status().ok().map(|status| status.running());
            lock(board).running = running;
            if let Some(total) = total {
                let total = total();
                lock(board).set_total(total);
            }
            next_count = now + COUNT.max(now.elapsed() * COUNT_SHARE);
        }
        if screen.has_bar() {
            let (position, length, text) = {
                let board = lock(board);
                (board.collected(), board.tasks(), board.beside_bar(now))
            };
            screen.draw(position, length, text);
        } else {
            let line = lock(board).line(now);
            screen.line(&line);
        }
    }
}
