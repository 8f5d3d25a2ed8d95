//! The steps of a worker from `link` to its verdict, with all the answers that `link` can give.

use crate::actions::Protocol;
use crate::disk::Ino;
use crate::setup::Flaw;
use crate::state::{State, Step, Verdict};
use crate::worker::Answer;

impl Protocol {
    /// The next system call of worker `w`, which is publishing.
    pub(crate) fn publish_step(&self, state: &mut State, w: usize) {
        let worker = state.workers[w];
        let u = usize::from(worker.u);
        match worker.step {
            Step::Link => {
                let Some(fd) = worker.fd else { return };
                let answer = self.link(state, w, fd);
                self.linked(state, w, answer);
            }
            Step::Look => self.look(state, w),
            Step::AskInput => {
                if state.dir && state.files[u].input {
                    state.workers[w].step = Step::MakeTmp;
                } else {
                    self.conclude(state, w, Verdict::Cleaned);
                }
            }
            Step::MakeTmp => {
                if !state.dir {
                    return self.conclude(state, w, Verdict::Cleaned);
                }
                let ino = state.new_inode();
                state.workers[w].tmp = Some(ino);
                state.workers[w].tmp_named = true;
                state.workers[w].step = Step::WriteTmp;
            }
            Step::WriteTmp => {
                let Some(tmp) = worker.tmp else { return };
                state.inode_mut(tmp).whole = true;
                state.workers[w].step = if self.0.power {
                    Step::SyncTmp
                } else {
                    Step::LinkTmp
                };
            }
            Step::SyncTmp => {
                let Some(tmp) = worker.tmp else { return };
                state.inode_mut(tmp).synced = true;
                state.workers[w].step = Step::LinkTmp;
            }
            Step::LinkTmp => {
                let Some(tmp) = worker.tmp else { return };
                let answer = self.link(state, w, tmp);
                self.linked_tmp(state, w, answer);
            }
            Step::LookTmp => self.look_tmp(state, w),
            Step::Confirm(verdict) => {
                // Inputs are the first that is cleaned and outputs the last: with the input still there, `U.out`
                // was never freed, so whoever is there was first.
                let holds = state.dir && state.files[u].input;
                let verdict = if holds { verdict } else { Verdict::Cleaned };
                if worker.tmp.is_some() {
                    state.workers[w].step = Step::DropTmp(verdict);
                } else {
                    self.report(state, w, verdict);
                }
            }
            Step::DropTmp(verdict) => {
                state.workers[w].tmp_named = false;
                self.report(state, w, verdict);
            }
            _ => self.flawed_step(state, w),
        }
    }

    /// Goes on by the answer of `link` with the lock file.
    pub(crate) fn linked(&self, state: &mut State, w: usize, answer: Answer) {
        match answer {
            Answer::Done => self.report(state, w, Verdict::Accepted),
            Answer::Exists if self.0.flawed(Flaw::ExistMeansTwin) => {
                self.conclude(state, w, Verdict::Twin);
            }
            Answer::Unknown if self.0.flawed(Flaw::FreshAfterIoError) => {
                state.workers[w].step = Step::MakeTmp;
            }
            Answer::Exists | Answer::Unknown => state.workers[w].step = Step::Look,
            Answer::Gone => self.lost_its_name(state, w),
        }
    }

    /// Goes on by the answer of `link` with the fresh file.
    pub(crate) fn linked_tmp(&self, state: &mut State, w: usize, answer: Answer) {
        state.workers[w].step = match answer {
            Answer::Done if self.0.flawed(Flaw::FreshWithoutInput) => Step::DropTmp(Verdict::Accepted),
            Answer::Done => Step::Confirm(Verdict::Accepted),
            Answer::Exists | Answer::Unknown => Step::LookTmp,
            // Only the cleaner removes a fresh file.
            Answer::Gone => Step::DropTmp(Verdict::Cleaned),
        };
    }

    /// Looks whose file is at `U.out`, by the token in its header.
    fn look(&self, state: &mut State, w: usize) {
        let worker = state.workers[w];
        let files = &state.files[usize::from(worker.u)];
        match files.out {
            Some(out) => {
                let mine = self.is_mine(state, w, out);
                let verdict = if mine { Verdict::Accepted } else { Verdict::Twin };
                if self.0.flawed(Flaw::LookWithoutInput) {
                    self.report(state, w, verdict);
                } else {
                    state.workers[w].step = Step::Confirm(verdict);
                }
            }
            None if worker.hidden || worker.fd.is_some_and(|fd| state.links(fd) > 0) => {
                state.workers[w].step = Step::Link;
            }
            None => self.lost_its_name(state, w),
        }
    }

    fn look_tmp(&self, state: &mut State, w: usize) {
        let worker = state.workers[w];
        state.workers[w].step = match state.files[usize::from(worker.u)].out {
            Some(out) if self.0.flawed(Flaw::FreshAfterIoError) && worker.tmp != Some(out) => {
                Step::DropTmp(Verdict::Twin)
            }
            Some(out) if worker.wrote(out) => Step::Confirm(Verdict::Accepted),
            Some(_) => Step::Confirm(Verdict::Twin),
            None => Step::LinkTmp,
        };
    }

    fn is_mine(&self, state: &State, w: usize, out: Ino) -> bool {
        let worker = state.workers[w];
        if self.0.flawed(Flaw::LinkCountOnly) {
            let links = |fd| state.links(fd) + usize::from(worker.hidden);
            return worker.fd.is_some_and(|fd| links(fd) == 2);
        }
        worker.wrote(out)
    }

    /// The lock file has no name: a person removed it, or the input was cleaned.
    fn lost_its_name(&self, state: &mut State, w: usize) {
        state.workers[w].step = if self.0.flawed(Flaw::FreshWithoutInput) {
            Step::MakeTmp
        } else {
            Step::AskInput
        };
    }

    /// An accepted output has to stay before anybody is told of it.
    fn report(&self, state: &mut State, w: usize, verdict: Verdict) {
        let syncs = self.0.power && !self.0.flawed(Flaw::AcceptBeforeSync);
        if syncs && verdict == Verdict::Accepted {
            state.workers[w].step = Step::SyncDir(verdict);
        } else {
            self.conclude(state, w, verdict);
        }
    }

    /// The steps that only a flawed protocol has.
    fn flawed_step(&self, state: &mut State, w: usize) {
        let worker = state.workers[w];
        let (u, k) = (usize::from(worker.u), worker.k);
        let at_path = state.files[u].lock(k);
        match worker.step {
            Step::CheckPath if at_path == worker.fd && state.files[u].out.is_none() => {
                state.workers[w].step = Step::Rename;
            }
            Step::CheckPath => self.conclude(state, w, Verdict::Ended),
            Step::Rename => {
                let Some(moved) = at_path else {
                    return self.conclude(state, w, Verdict::Ended);
                };
                let overwrites = state.files[u].out.is_some_and(|out| out != moved);
                state.ghost.trespassed |= overwrites || worker.fd != Some(moved);
                state.files[u].out = Some(moved);
                *state.files[u].lock_mut(k) = None;
                state.ghost.first[u].get_or_insert(moved);
                self.conclude(state, w, Verdict::Accepted);
            }
            Step::Unlink => {
                state.ghost.trespassed |= at_path.is_some() && at_path != worker.fd;
                *state.files[u].lock_mut(k) = None;
                self.conclude(state, w, Verdict::Ended);
            }
            step => unreachable!("{step:?} is not a flawed step"),
        }
    }
}
