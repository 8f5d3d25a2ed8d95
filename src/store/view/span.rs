//! Which tasks of a shard are where, and in what state: a listing and a done file, merged; pure.

use super::states::TaskState;
use crate::name::{Attempt, Stem};
use crate::store::state::{InputState, ShardState, State};

/// Where the files of some tasks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the done file.
    Archived,
    /// In an input file of the shard's directory.
    Listed(InputState),
}

/// Tasks that follow each other, are in one place, and in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) tasks: u64,
    pub(crate) place: Place,
}

impl Span {
    pub(crate) fn state(&self) -> TaskState {
        match self.place {
            Place::Archived => TaskState::Ok,
            Place::Listed(input) => state_of(input.state),
        }
    }
}

/// What the state of an input file says of its tasks.
pub(crate) fn state_of(state: State) -> TaskState {
    match state {
        State::Done => TaskState::Ok,
        State::Free { next, .. } => TaskState::Waiting {
            attempts: next.0.saturating_sub(Attempt::FIRST.0),
        },
        State::Running { attempt } => TaskState::Running { attempt: attempt.0 },
        State::Failed { last, .. } => TaskState::Failed { attempts: last.0 },
    }
}

/// The input files of a shard without a done file; `count` is asked where the names do not tell how many tasks.
pub(crate) fn listed(state: &ShardState, mut count: impl FnMut(Stem) -> u64) -> Vec<Span> {
    let spans = state.inputs.iter().enumerate().map(|(position, input)| Span {
        first: input.stem.0,
        // The largest number may have been planted, and none follows it.
        tasks: state
            .tasks_of(position)
            .unwrap_or_else(|| count(input.stem))
            .min(u64::MAX - input.stem.0),
        place: Place::Listed(*input),
    });
    spans.collect()
}

/// Merges a listing with what the header of the done file says, as far as that is enough.
///
/// An input file that is beside the done file is not in it unless it has an outcome too. So if the tasks that the done
/// file lacks are as many as there are input files beside it, each of these holds one.
pub(crate) fn by_header(first: u64, end: u64, archived: u64, state: &ShardState) -> Option<Vec<Span>> {
    if state.inputs.iter().any(|input| input.state == State::Done) {
        return None;
    }
    let missing = end.checked_sub(first)?.checked_sub(archived)?;
    let sizes = match state.inputs.len() as u64 {
        0 if missing == 0 => 0,
        1 if missing > 0 => missing,
        files if files == missing => 1,
        _ => return None,
    };
    let mut spans = Vec::new();
    let mut next = first;
    for input in &state.inputs {
        let gap = input.stem.0.checked_sub(next)?;
        push_archived(&mut spans, next, gap);
        spans.push(Span {
            first: input.stem.0,
            tasks: sizes,
            place: Place::Listed(*input),
        });
        next = input.stem.0.checked_add(sizes)?;
    }
    push_archived(&mut spans, next, end.checked_sub(next)?);
    Some(spans)
}

/// Merges a listing with the input files of the done file: their stems and how many tasks each has, in order.
///
/// Together they are all input files of the shard, so each ends where the next begins.
pub(crate) fn by_groups(end: u64, groups: &[(Stem, u64)], state: &ShardState) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut groups = groups.iter().peekable();
    let mut inputs = state.inputs.iter().peekable();
    loop {
        let group = groups.peek().map(|(stem, _)| *stem);
        let input = inputs.peek().map(|input| input.stem);
        match (group, input) {
            (None, None) => return spans,
            (Some(group), input) if input.is_none_or(|input| group <= input) => {
                let Some((stem, tasks)) = groups.next() else {
                    return spans;
                };
                push_archived(&mut spans, stem.0, *tasks);
                // It is still there until it is cleaned; the done file counts.
                inputs.next_if(|input| input.stem == *stem);
            }
            _ => {
                let Some(input) = inputs.next() else { return spans };
                let after = [group, inputs.peek().map(|input| input.stem)];
                let after = after.into_iter().flatten().map(|stem| stem.0).min();
                spans.push(Span {
                    first: input.stem.0,
                    tasks: after.unwrap_or(end).saturating_sub(input.stem.0),
                    place: Place::Listed(*input),
                });
            }
        }
    }
}

/// Adds tasks of the done file, to the span before if they follow it.
fn push_archived(spans: &mut Vec<Span>, first: u64, tasks: u64) {
    if tasks == 0 {
        return;
    }
    match spans.last_mut() {
        Some(last) if last.place == Place::Archived && last.first.checked_add(last.tasks) == Some(first) => {
            last.tasks = last.tasks.saturating_add(tasks);
        }
        _ => spans.push(Span {
            first,
            tasks,
            place: Place::Archived,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Entry;
    use crate::store::state::shard_state;

    fn state(names: &str) -> ShardState {
        let mut entries: Vec<Entry> = names
            .split_whitespace()
            .map(|name| {
                let (number, rest) = name.split_once('.').unwrap();
                Entry::parse(&format!("{:07}.{rest}", number.parse::<u64>().unwrap())).unwrap()
            })
            .collect();
        shard_state(&mut entries, 3)
    }

    fn shown(spans: &[Span]) -> String {
        let one = |span: &Span| {
            let place = if span.place == Place::Archived { "a" } else { "l" };
            format!("{}+{}{place}", span.first, span.tasks)
        };
        spans.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_a_done_file_each_input_file_is_a_span_up_to_the_next() {
        let spans = listed(&state("10.in 14.in 14.1.lock 18.in 18.out 20.end"), |_| 99);
        assert_eq!(shown(&spans), "10+4l 14+4l 18+2l");
        let states: Vec<_> = spans.iter().map(Span::state).collect();
        assert_eq!(
            states,
            [
                TaskState::Waiting { attempts: 0 },
                TaskState::Running { attempt: 1 },
                TaskState::Ok
            ]
        );
        assert_eq!(shown(&listed(&state("10.in 14.in"), |_| 99)), "10+4l 14+99l");
    }

    #[test]
    fn the_header_is_enough_for_a_cleaned_shard_with_single_failed_tasks() {
        let failed = "12.in 12.1.fail 12.2.fail 12.3.fail 15.in 15.1.lost 20.end";
        let spans = by_header(10, 20, 8, &state(failed)).unwrap();
        assert_eq!(shown(&spans), "10+2a 12+1l 13+2a 15+1l 16+4a");
        assert_eq!(spans[1].state(), TaskState::Failed { attempts: 3 });
        assert_eq!(spans[3].state(), TaskState::Waiting { attempts: 1 });
        assert_eq!(shown(&by_header(10, 20, 10, &state("20.end")).unwrap()), "10+10a");
        // A single batch that failed holds all that is missing.
        assert_eq!(
            shown(&by_header(10, 20, 6, &state("10.in 20.end")).unwrap()),
            "10+4l 14+6a"
        );
    }

    #[test]
    fn the_header_is_not_enough_where_names_leave_a_doubt() {
        // Being cleaned; two batches; a done file that was replaced since; counts that contradict each other.
        let doubtful = [
            ("10.in 10.out 20.end", 10),
            ("10.in 14.in 20.end", 5),
            ("10.in 20.end", 10),
            ("20.end", 9),
            ("20.end", 11),
            ("19.in 20.end", 5),
        ];
        for (names, archived) in doubtful {
            assert_eq!(by_header(10, 20, archived, &state(names)), None, "{names}");
        }
        assert_eq!(by_header(20, 10, 0, &state("")), None);
    }

    #[test]
    fn the_groups_of_a_done_file_count_before_what_is_listed() {
        let groups = [(Stem(10), 2), (Stem(12), 2), (Stem(16), 2)];
        let spans = by_groups(
            20,
            &groups,
            &state("12.in 12.1.lock 14.in 18.in 18.1.lock 20.end"),
        );
        assert_eq!(shown(&spans), "10+4a 14+2l 16+2a 18+2l");
        assert_eq!(shown(&by_groups(20, &groups, &state(""))), "10+4a 16+2a");
        assert_eq!(shown(&by_groups(20, &[], &state("10.in 20.end"))), "10+10l");
    }
}
