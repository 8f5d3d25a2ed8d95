//! Situations that the exploration has to come by: without them an invariant that holds would say little.

use stateright::Property;

use crate::actions::Protocol;
use crate::disk::{Ino, Mark};
use crate::names::Names;
use crate::state::{Handed, State, Step, Verdict, Worker};

pub(crate) const SECOND_PUBLISHES: &str = "attempt 2 is published";
pub(crate) const THIRD_PUBLISHES: &str = "attempt 3 is published";
pub(crate) const TWO_RUN: &str = "two attempts of an input run";
pub(crate) const TWIN_DISCARDED: &str = "a twin is discarded";
pub(crate) const LOST_YET_FIRST: &str = "an attempt marked lost lives and is first";
pub(crate) const BACK_BY_RELIST: &str = "the second listing shows an output";
pub(crate) const UNFLOCKED: &str = "a claimer finds a prober on its lock";
pub(crate) const REPLY_LOST: &str = "a worker finds its own output after an error";
pub(crate) const FRESH_PUBLISHED: &str = "a late worker publishes a fresh file, its lock was removed";
pub(crate) const FRESH_CLEANED: &str = "a fresh file comes after cleaning";
pub(crate) const LATE_CLEANED: &str = "a late worker finds its input cleaned";
pub(crate) const OUTPUT_AGAIN: &str = "an output appears again after cleaning";
pub(crate) const HIDDEN_NAME: &str = "cleaning waits for a hidden name";
pub(crate) const DIR_REMOVED: &str = "the directory is removed";
pub(crate) const FAILED: &str = "an input has failed";
pub(crate) const LATE_AFTER_FAILURE: &str = "an output comes after a failure was handed over";

pub(crate) const FINAL: &str = "an input has failed before its limit";
pub(crate) const CANCELLED_YET_FIRST: &str = "a cancelled attempt is published";
pub(crate) const CANCELLED_TOO_LATE: &str = "a claimer finds that its input was cancelled";
pub(crate) const RETRIED: &str = "an input that had failed for good is published";

/// All of them.
pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        sometimes(SECOND_PUBLISHES, |p, s| published(p, s, 2)),
        sometimes(THIRD_PUBLISHES, |p, s| published(p, s, 3)),
        sometimes(TWO_RUN, |_, s| s.workers.iter().filter(|w| w.runs()).count() > 1),
        sometimes(TWIN_DISCARDED, |_, s| closes(s, Verdict::Twin)),
        sometimes(LOST_YET_FIRST, |_, s| {
            any(s, |w| {
                w.step == Step::Link && marked_lost(s, w) && output(s, w).is_none()
            })
        }),
        sometimes(BACK_BY_RELIST, |_, s| {
            any(s, |w| w.step == Step::Relist && output(s, w).is_some())
        }),
        sometimes(UNFLOCKED, |_, s| any(s, |w| w.step == Step::Header && !w.locked)),
        sometimes(REPLY_LOST, |_, s| {
            any(s, |w| {
                let out = output(s, w);
                w.step == Step::Look && out.is_some() && out == w.fd
            })
        }),
        sometimes(FRESH_PUBLISHED, |_, s| {
            any(s, |w| w.step == Step::DropTmp(Verdict::Accepted))
        }),
        sometimes(FRESH_CLEANED, |_, s| {
            any(s, |w| w.step == Step::DropTmp(Verdict::Cleaned))
        }),
        sometimes(LATE_CLEANED, |_, s| closes(s, Verdict::Cleaned)),
        sometimes(OUTPUT_AGAIN, |p, s| {
            let again = |u: usize| s.files[u].out.is_some() && s.files[u].out != s.ghost.first[u];
            s.done && p.inputs().any(again)
        }),
        sometimes(HIDDEN_NAME, |_, s| s.done && any(s, |w| w.hidden)),
        sometimes(DIR_REMOVED, |_, s| !s.dir),
        sometimes(FAILED, |p, s| p.inputs().any(|u| p.names(s, u) == Names::Failed)),
        sometimes(LATE_AFTER_FAILURE, |_, s| late_after_failure(s)),
        sometimes(FINAL, |p, s| {
            let failed = |u: usize| p.names(s, u) == Names::Failed;
            p.inputs().any(failed) && s.ghost.bad_faults < p.0.limit
        }),
        sometimes(CANCELLED_YET_FIRST, |_, s| {
            any(s, |w| {
                let marks = || s.files[usize::from(w.u)].marks(w.k);
                w.step == Step::Close(Verdict::Accepted) && marks().has(Mark::Final)
            })
        }),
        sometimes(CANCELLED_TOO_LATE, |p, s| {
            any(s, |w| {
                w.step == Step::Relist && p.is_final(&s.files[usize::from(w.u)])
            })
        }),
        sometimes(RETRIED, |_, s| {
            let granted = |w: &Worker| w.k > s.files[usize::from(w.u)].again();
            let was_final = |w: &Worker| s.files[usize::from(w.u)].again() > 0 && s.ghost.finals > 0;
            any(s, |w| {
                w.step == Step::Close(Verdict::Accepted) && granted(w) && was_final(w)
            })
        }),
    ]
}

/// True when a worker's output is accepted for an input that was handed over as failed.
pub(crate) fn late_after_failure(s: &State) -> bool {
    any(s, |w| {
        let handed = s.ghost.handed[usize::from(w.u)];
        w.step == Step::Close(Verdict::Accepted) && handed == Handed::Failure
    })
}

fn sometimes(name: &'static str, holds: fn(&Protocol, &State) -> bool) -> Property<Protocol> {
    Property::sometimes(name, holds)
}

fn any(s: &State, test: impl Fn(&Worker) -> bool) -> bool {
    s.workers.iter().any(test)
}

fn closes(s: &State, verdict: Verdict) -> bool {
    any(s, |w| w.step == Step::Close(verdict))
}

fn output(s: &State, w: &Worker) -> Option<Ino> {
    s.files[usize::from(w.u)].out
}

fn marked_lost(s: &State, w: &Worker) -> bool {
    s.files[usize::from(w.u)].marks(w.k).has(Mark::Lost)
}

fn published(p: &Protocol, s: &State, k: u8) -> bool {
    p.inputs().any(|u| {
        let files = &s.files[u];
        files.out.is_some() && files.out == files.lock(k)
    })
}
