//! `wait`: until all tasks have ended, wherever they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flockwork::app::exit::{Ended, Failed};
use flockwork::app::{self, Screen, absolute, times};
use flockwork::{How, Stop, Store};

use super::collect;
use super::conduct::Conduct;
use crate::args::WaitArgs;
use crate::sweep::rows::Rows;

/// `wait --timeout` has passed.
const TIMEOUT_PASSED: u8 = 6;

/// Runs the verb.
pub(crate) fn wait(args: WaitArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    args.collect.as_deref().map_or(Ok(()), collect::check_place)?;
    let store = Store::open(&path)?;
    let sweep = super::sweep_of(&store)?;
    let screen = Screen::with_bar();
    let stop = Stop::new();
    let passed = Arc::new(AtomicBool::new(false));
    if let Some(timeout) = args.timeout {
        let (stop, passed) = (stop.clone(), Arc::clone(&passed));
        let body = move || {
            std::thread::sleep(timeout);
            passed.store(true, Ordering::SeqCst);
            stop.request(How::Now);
        };
        let thread = std::thread::Builder::new().name("flockwork-timeout".into());
        thread
            .spawn(body)
            .map_err(|error| Failed::new(1, format!("cannot start a thread: {error}"), None))?;
    }
    // Who only waits obeys a request to stop; but one that ended an earlier run says nothing when all is done.
    let status = store.status()?;
    let all = Rows::open(store.path()).total()?;
    let has_ended = status.ok() + status.failed() >= all.max(status.tasks());
    let conduct = Conduct {
        store: &store,
        sweep: &sweep,
        screen: &screen,
        workers: None,
        stop,
        withdraw_stop: has_ended,
        quiet: false,
        output: args.collect.as_deref().map(|file| (absolute(file), args.how)),
    };
    let ended = conduct.run()?;
    if passed.load(Ordering::SeqCst) && ended == app::exit::STOPPED {
        let timeout = times::short(args.timeout.unwrap_or_default());
        screen.line(&format!("waited {timeout}; the workers go on"));
        return Ok(TIMEOUT_PASSED);
    }
    Ok(ended)
}
