//! Names: what is read prints as it was, so nothing outside of the grammar is accepted; and what listings say.

use crate::layout::{self, Entry, RoundEntry};
use crate::name::{Attempt, Stem, TaskId, WorkerId};
use crate::store::{Span, by_groups, by_header, listed, shard_state};

/// Names, one on each line.
pub fn name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for name in text.split('\n') {
        check_name(name);
    }
    check_listing(&text);
}

fn check_name(name: &str) {
    let mut printed = Vec::new();
    if let Some(entry) = Entry::parse(name) {
        printed.push(match entry.attempt {
            Some(attempt) => layout::attempt_name(&entry.stem.to_string(), attempt, entry.kind),
            None => layout::plain_name(entry.stem, entry.kind),
        });
    }
    if let Some(entry) = RoundEntry::parse(name) {
        printed.push(match entry {
            RoundEntry::Shard(shard) => layout::shard_name(shard),
            RoundEntry::Done(shard) => layout::done_name(shard),
            RoundEntry::Complete => layout::ROUND_FILE.to_owned(),
        });
    }
    if let Some(round) = layout::parse_round(name) {
        printed.push(layout::round_name(round));
    }
    if let Some((attempt, kind)) = layout::parse_master(name) {
        assert_ne!(attempt, Attempt(0));
        printed.push(layout::attempt_name(layout::MASTER, attempt, kind));
    }
    if let Some(worker) = WorkerId::parse(name) {
        printed.push(worker.to_string());
    }
    for again in printed {
        assert_eq!(again, name);
        assert!(!name.contains(['/', '\0']) && name != "." && name != "..");
        assert!(
            !layout::is_temporary(name),
            "what is private is never read as ours"
        );
    }
    // A task is typed with or without its zeros.
    if let Ok(task) = name.parse::<TaskId>() {
        assert_eq!(task.to_string().parse(), Ok(task));
        assert!(name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/'));
    }
    let host = WorkerId::new(name, u32::MAX, u32::MAX);
    assert_eq!(WorkerId::parse(host.as_str()), Some(host));
}

/// Reads the names as those of one shard, with a done file or without: its tasks are in order, each once.
fn check_listing(text: &str) {
    let mut entries: Vec<Entry> = text.split('\n').filter_map(Entry::parse).collect();
    let first = entries.iter().map(|entry| entry.stem.0).min().unwrap_or(0);
    let state = shard_state(&mut entries, 3);
    check_spans(&listed(&state, |_| 2));
    let groups: Vec<(Stem, u64)> = state
        .inputs
        .iter()
        .step_by(2)
        // A done file that holds tasks beyond its shard is damaged.
        .filter(|input| input.stem.0 < u64::MAX)
        .map(|input| (input.stem, 1))
        .collect();
    for end in [first, first.saturating_add(1024), u64::MAX] {
        for archived in [0, 1, 1023, u64::MAX] {
            check_spans(&by_header(first, end, archived, &state).unwrap_or_default());
        }
        check_spans(&by_groups(end, &groups, &state));
    }
}

fn check_spans(spans: &[Span]) {
    let mut next = 0;
    for span in spans {
        assert!(span.first >= next, "{spans:?}");
        let end = span.first.checked_add(span.tasks);
        assert!(end.is_some(), "{spans:?}");
        next = end.unwrap_or(u64::MAX);
    }
}
