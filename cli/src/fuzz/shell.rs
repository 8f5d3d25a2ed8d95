//! How many words and operators a shell sees in a text; written after POSIX, and not after our own check.

/// Returns how many words and operators there are, and whether a quote is left open.
pub(super) fn words(text: &[u8]) -> (usize, bool) {
    let (mut count, mut in_word, mut at) = (0, false, 0);
    while let Some(byte) = text.get(at) {
        let rest = &text[at..];
        let is_blank = b" \t\n".contains(byte);
        let is_operator = b";&|()<>".contains(byte);
        let begins_comment = *byte == b'#' && !in_word;
        let taken = match byte {
            // A line that goes on in the next.
            b'\\' if rest.get(1) == Some(&b'\n') => Some(2),
            b'\\' => Some(2),
            b'\'' => rest[1..]
                .iter()
                .position(|byte| *byte == b'\'')
                .map(|end| end + 2),
            b'"' => double(rest),
            _ if begins_comment => Some(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
            _ => Some(1),
        };
        let Some(taken) = taken else { return (count, true) };
        let goes_on = rest.starts_with(b"\\\n");
        if !is_blank && !is_operator && !begins_comment && !goes_on {
            count += usize::from(!in_word);
            in_word = true;
        } else if !goes_on {
            count += usize::from(is_operator);
            in_word = false;
        }
        at += taken;
    }
    (count, false)
}

/// The length of what stands in double quotes, quotes included; `None`: they are not closed.
fn double(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
