//! Checks that what `docs/limits.md` says where a limit stands is there.

use std::fs;
use std::path::Path;

use crate::source::{is_word, mask};

/// Looks in the last column of the page's tables for files, and behind each for the names that it declares.
pub(crate) fn limits(root: &Path, page: &str) -> Vec<String> {
    let Ok(text) = fs::read_to_string(root.join(page)) else {
        return vec![format!("{page}:1: the page is missing")];
    };
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let mut find = |what: String| findings.push(format!("{page}:{}: {what}", number + 1));
        let cell = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let mut file: Option<(&str, String)> = None;
        for quoted in cell.split('`').skip(1).step_by(2) {
            if quoted.ends_with(".rs") {
                file = fs::read_to_string(root.join(quoted))
                    .ok()
                    .map(|text| (quoted, mask(&text)));
                if file.is_none() {
                    find(format!("`{quoted}`: no such file"));
                }
            } else if let Some((name, text)) = &file
                && !declares(text, quoted)
            {
                find(format!("`{quoted}`: not in {name}"));
            }
        }
    }
    findings
}

/// Says whether a text declares this constant, function, type or field.
fn declares(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        let declared = ["const ", "fn ", "struct "]
            .iter()
            .any(|word| before.ends_with(word));
        whole && (declared || after.starts_with(':') && !after.starts_with("::"))
    })
}
