//! What the names of an input mean, from one listing.

use crate::actions::Protocol;
use crate::disk::{Files, MAX_ATTEMPTS, Mark, Marks};
use crate::setup::Flaw;
use crate::state::State;

/// What a listing says about an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// `U.out` is there, or `U.in` is not.
    Done,
    /// Attempt `k` may be claimed.
    Free { k: u8 },
    /// An attempt runs, or is to be given up first.
    Running,
    /// The failure limit is reached and every attempt is over.
    Failed,
}

impl Protocol {
    /// What a fresh listing says about input `u`.
    pub(crate) fn names(&self, state: &State, u: usize) -> Names {
        self.names_of(&state.files[u])
    }

    /// Decides by names alone, as every worker does.
    pub(crate) fn names_of(&self, files: &Files) -> Names {
        if files.out.is_some() || !files.input {
            return Names::Done;
        }
        let Some(highest) = files.attempts().next_back() else {
            return Names::Free { k: 1 };
        };
        let counts = files.attempts().filter(|&k| k > files.again());
        let bad_ends: u8 = counts.map(|k| self.bad_ends(files.marks(k))).sum();
        let at_work = files.attempts().any(|k| !files.marks(k).ended());
        if !files.marks(highest).any() {
            Names::Running
        } else if bad_ends < self.0.limit && !self.is_final(files) {
            let k = highest + 1;
            assert!(usize::from(k) <= MAX_ATTEMPTS, "no room for attempt {k}");
            Names::Free { k }
        } else if at_work && !self.0.flawed(Flaw::FailDespiteSlow) {
            // A slow attempt was not given up: it may well end with an output.
            Names::Running
        } else {
            Names::Failed
        }
    }

    /// True when an attempt was to be the last, and no new ones were granted after it.
    pub(crate) fn is_final(&self, files: &Files) -> bool {
        let mut counts = files.attempts().filter(|&k| k > files.again());
        !self.0.flawed(Flaw::IgnoreFinal) && counts.any(|k| files.marks(k).has(Mark::Final))
    }

    /// How much an attempt counts towards the failure limit.
    ///
    /// An attempt can have several markers. A worker that has made its marker closes the lock file; a prober that
    /// read the header before finds the flock free then, and adds `lost`. So it is attempts that are counted and not
    /// markers, and `back` outweighs `lost`.
    fn bad_ends(&self, marks: Marks) -> u8 {
        let (fail, lost) = (marks.has(Mark::Fail), marks.has(Mark::Lost));
        match self.0.flaw {
            Some(Flaw::CountMarkers) => u8::from(fail) + u8::from(lost),
            Some(Flaw::LostOutweighsBack) => u8::from(fail || lost),
            _ => u8::from(fail || lost && !marks.has(Mark::Back)),
        }
    }
}
