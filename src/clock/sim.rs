//! Simulated time for the tests of one thread: whoever waits lets it pass, and others act meanwhile.

use std::cell::RefCell;
use std::time::Duration;

/// So many waits without an end mean that nothing happens any more.
const MOST_WAITS: u32 = 20_000;
/// Even the shortest wait takes a moment, so that a loop with a deadline ends.
const SHORTEST: Duration = Duration::from_millis(1);

/// What a right wall clock shows beyond the time since boot.
const WALL: Duration = Duration::from_secs(1_699_000_000);

thread_local! {
    static TIME: RefCell<Option<Time>> = const { RefCell::new(None) };
}

struct Time {
    generation: u64,
    now: Duration,
    /// What the wall clock shows beyond that.
    wall: Duration,
    waits: u32,
    seeds: u64,
    meanwhile: Option<Meanwhile>,
}

/// As long as this lives, or until the next begins, time in this thread is simulated.
#[derive(Debug)]
pub(crate) struct SimTime {
    generation: u64,
}

impl SimTime {
    pub(crate) fn begin() -> SimTime {
        let generation = TIME.with(|cell| cell.borrow().as_ref().map_or(0, |time| time.generation + 1));
        let time = Time {
            generation,
            now: Duration::from_secs(1_000_000),
            wall: WALL,
            waits: 0,
            seeds: 0,
            meanwhile: None,
        };
        // Something that was planned and never happened may still hold the time before.
        let before = TIME.with(|cell| cell.borrow_mut().replace(time));
        drop(before);
        SimTime { generation }
    }
}

impl Drop for SimTime {
    fn drop(&mut self) {
        // A test that failed may leave this to the end of its thread, when there is no time any more.
        let ended = TIME.try_with(|cell| {
            cell.borrow_mut()
                .take_if(|time| time.generation == self.generation)
        });
        drop(ended);
    }
}

/// Says whether time is simulated in this thread; then nothing may start another.
pub(crate) fn is_on() -> bool {
    TIME.with(|cell| cell.borrow().is_some())
}

/// Lets time pass.
pub(crate) fn advance(duration: Duration) {
    with(|time| time.now += duration);
}

/// Sets the wall clock wrong by so many seconds; other clocks go on as before.
pub(crate) fn set_wall_wrong_by(seconds: i64) {
    let by = Duration::from_secs(seconds.unsigned_abs());
    with(|time| {
        time.wall = if seconds < 0 { WALL - by } else { WALL + by };
    });
}

pub(super) fn wall_millis() -> Option<u64> {
    let wall = with(|time| time.now + time.wall)?;
    u64::try_from(wall.as_millis()).ok()
}

/// What others do while somebody waits.
pub(crate) type Meanwhile = Box<dyn FnMut()>;

/// Sets what others do during each wait from now on; during that, waits only let time pass.
///
/// Returns what was set before. It may hold the time itself, so it must not be dropped in here.
pub(crate) fn set_meanwhile(act: Option<Meanwhile>) -> Option<Meanwhile> {
    with(|time| std::mem::replace(&mut time.meanwhile, act)).flatten()
}

pub(super) fn now() -> Option<Duration> {
    with(|time| time.now)
}

/// Returns the next seed, so that every run of a test takes the same turns.
pub(super) fn seed() -> Option<u64> {
    with(|time| {
        time.seeds += 1;
        time.seeds.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

pub(super) fn pause(duration: Duration) -> bool {
    wait(duration, || false).is_some()
}

/// Waits in simulated time; says whether `is_woken` came true, or nothing if time is real.
pub(crate) fn wait(limit: Duration, is_woken: impl Fn() -> bool) -> Option<bool> {
    let meanwhile = with(|time| {
        time.waits += 1;
        assert!(
            time.waits < MOST_WAITS,
            "nothing happens any more: {MOST_WAITS} waits"
        );
        time.meanwhile.take()
    })?;
    if let Some(mut act) = meanwhile {
        act();
        drop(set_meanwhile(Some(act)));
    }
    let woken = is_woken();
    advance(if woken { SHORTEST } else { limit.max(SHORTEST) });
    Some(woken)
}

fn with<T>(act: impl FnOnce(&mut Time) -> T) -> Option<T> {
    TIME.try_with(|cell| cell.borrow_mut().as_mut().map(act))
        .ok()
        .flatten()
}
