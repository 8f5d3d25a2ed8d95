//! Which tasks a list shows: by state, and by parameters.

use flockwork::TaskState;
use flockwork::app::exit::Failed;

use super::glob;
use crate::args::StateArg;
use crate::nearest::nearest;
use crate::sweep::shown;
use crate::task::Bytes;

/// Which tasks are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    /// Empty: all.
    states: Vec<StateArg>,
    /// Columns and patterns, which must all match.
    matching: Vec<(usize, String)>,
}

impl Selection {
    /// Reads `NAME=PATTERN`; the names are those of the columns.
    ///
    /// # Errors
    ///
    /// A usage error for what is not of that form, and for a name that is no column.
    pub(crate) fn new(
        states: &[StateArg],
        matching: &[String],
        columns: &[String],
    ) -> Result<Selection, Failed> {
        let matching = matching.iter().map(|text| {
            let (name, pattern) = text.split_once('=').ok_or_else(|| {
                Failed::usage(
                    format!("{} is no NAME=PATTERN", shown::words([text])),
                    "write a parameter and a pattern, such as 'alpha=0.9*'",
                )
            })?;
            let column = columns.iter().position(|column| column == name);
            Ok((column.ok_or_else(|| unknown(name, columns))?, pattern.to_owned()))
        });
        Ok(Selection {
            states: states.to_vec(),
            matching: matching.collect::<Result<_, Failed>>()?,
        })
    }

    /// Says whether a task with such names may be wanted.
    pub(crate) fn may_want(&self, state: TaskState) -> bool {
        let mut wanted = self.states.iter();
        self.states.is_empty()
            || wanted.any(|wanted| match wanted {
                StateArg::Waiting => matches!(state, TaskState::Waiting { .. }),
                StateArg::Running | StateArg::Stale => matches!(state, TaskState::Running { .. }),
                StateArg::Ok => state == TaskState::Ok,
                StateArg::Failed => matches!(state, TaskState::Failed { .. }),
            })
    }

    /// Says whether a task in this state is wanted, as far as that goes by its state.
    pub(crate) fn wants(&self, state: TaskState, stale: bool) -> bool {
        let told_apart = matches!(state, TaskState::Running { .. }) && !self.states.is_empty();
        let of_kind = if stale { StateArg::Stale } else { StateArg::Running };
        self.may_want(state) && (!told_apart || self.states.contains(&of_kind))
    }

    /// Says whether parameters are needed to decide.
    pub(crate) fn asks_for_values(&self) -> bool {
        !self.matching.is_empty()
    }

    /// Says whether a task with these parameters is wanted.
    pub(crate) fn wants_values(&self, values: &[Bytes]) -> bool {
        let value = |column: usize| values.get(column).map(Bytes::text).unwrap_or_default();
        self.matching
            .iter()
            .all(|(column, pattern)| glob::matches(pattern, &value(*column)))
    }
}

fn unknown(name: &str, columns: &[String]) -> Failed {
    if columns.is_empty() {
        return Failed::usage(
            "the tasks of this store have no parameters that are known here",
            "leave --match out",
        );
    }
    let names: Vec<_> = columns.iter().map(|column| shown::plain(column)).collect();
    let hint = match nearest(name, columns.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", shown::plain(near)),
        None => format!("the parameters are {}", names.join(", ")),
    };
    Failed::usage(format!("no parameter is named {}", shown::words([name])), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<String> {
        vec!["alpha".into(), "beta".into()]
    }

    fn refused(text: &str, columns: &[String]) -> String {
        Selection::new(&[], &[text.to_owned()], columns)
            .unwrap_err()
            .text()
    }

    #[test]
    fn all_patterns_must_match_the_whole_value() {
        let selection = Selection::new(&[], &["alpha=0.9*".into(), "beta=[12]".into()], &columns()).unwrap();
        let wants = |alpha: &str, beta: &str| selection.wants_values(&[alpha.into(), beta.into()]);
        assert!(wants("0.95", "1"));
        assert!(!wants("0.95", "12") && !wants("0.8", "1"));
    }

    #[test]
    fn stale_is_another_state_than_running() {
        let of = |states: &[StateArg]| Selection::new(states, &[], &[]).unwrap();
        let running = TaskState::Running { attempt: 1 };
        assert!(of(&[]).wants(running, true) && of(&[]).wants(running, false));
        assert!(
            of(&[StateArg::Running]).wants(running, false) && !of(&[StateArg::Running]).wants(running, true)
        );
        assert!(
            of(&[StateArg::Stale]).wants(running, true)
                && !of(&[StateArg::Stale]).wants(TaskState::Ok, false)
        );
    }

    #[test]
    fn a_name_that_is_no_column_is_told_with_the_nearest() {
        insta::assert_snapshot!(refused("alhpa=1", &columns()), @r"
        error: no parameter is named alhpa
        hint: did you mean alpha?
        ");
        insta::assert_snapshot!(refused("x\x1b[2J=1", &columns()), @r"
        error: no parameter is named 'x\x1b[2J'
        hint: the parameters are alpha, beta
        ");
        insta::assert_snapshot!(refused("alpha", &columns()), @r"
        error: alpha is no NAME=PATTERN
        hint: write a parameter and a pattern, such as 'alpha=0.9*'
        ");
        insta::assert_snapshot!(refused("alpha=1", &[]), @r"
        error: the tasks of this store have no parameters that are known here
        hint: leave --match out
        ");
    }
}
