//! Ranges of numbers: `1..100`, `100..1`, `1..100..5`, `0..1..0.1`, `001..100`.
//!
//! They are counted in whole numbers of the smallest decimal, so nothing drifts. Numbers are written without zeros at
//! the end: 0, 0.1, ... 1. If an end of a range of whole numbers begins with a zero, all are written as wide.

/// A range, both ends included if a step meets the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    first: i128,
    step: i128,
    pub(super) count: u64,
    /// How many decimals the whole numbers stand for.
    decimals: u32,
    width: usize,
}

/// The most digits of a number; far below what would overflow.
const DIGITS: usize = 30;

/// A number as it is written: 1.50 is 150 with two decimals.
#[derive(Debug, Clone, Copy)]
struct Number {
    whole: i128,
    decimals: u32,
}

impl Range {
    /// Reads a range; `None`: the text is something else.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a text that begins as a range.
    pub(super) fn parse(text: &str) -> Result<Option<Range>, String> {
        let Some((first, rest)) = text.split_once("..") else {
            return Ok(None);
        };
        let numeric =
            first.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-' || letter == '.');
        if !numeric || first.parse::<f64>().is_err() {
            return Ok(None);
        }
        let (last, step) = match rest.split_once("..") {
            Some((last, step)) => (last, Some(step)),
            None => (rest, None),
        };
        let read =
            |text: &str| Number::parse(text).ok_or(format!("`{text}` is no number that a range can have"));
        let (from, to) = (read(first)?, read(last)?);
        let by = match step {
            Some(step) => read(step)?,
            None if from.decimals + to.decimals > 0 => {
                return Err(format!("decimals need a step, such as {first}..{last}..0.1"));
            }
            None => Number {
                whole: 1,
                decimals: 0,
            },
        };
        let decimals = from.decimals.max(to.decimals).max(by.decimals);
        let scaled = |number: Number| {
            let factor = 10_i128.checked_pow(decimals - number.decimals);
            factor
                .and_then(|factor| number.whole.checked_mul(factor))
                .ok_or("the numbers have too many digits")
        };
        let (from, to, by) = (scaled(from)?, scaled(to)?, scaled(by)?);
        let distance = to.checked_sub(from).ok_or("the range is too long")?;
        if by == 0 {
            return Err("the step is 0".to_owned());
        }
        if by < 0 && distance > 0 {
            return Err(format!("the step is negative, but {first} is less than {last}"));
        }
        // Down needs no sign: 10..1..3 and 10..1..-3 are the same.
        let step = if distance < 0 { -by.abs() } else { by.abs() };
        let count = u64::try_from(distance / step)
            .ok()
            .and_then(|steps| steps.checked_add(1));
        let padded = |text: &str| {
            text.trim_start_matches('-').len() > 1 && text.trim_start_matches('-').starts_with('0')
        };
        let width = match decimals == 0 && (padded(first) || padded(last)) {
            true => first.len().max(last.len()),
            false => 0,
        };
        Ok(Some(Range {
            first: from,
            step,
            count: count.ok_or("the range is too long")?,
            decimals,
            width,
        }))
    }

    /// Returns the number at a place, from 0.
    pub(super) fn get(&self, place: u64) -> String {
        let number = self.first + self.step * i128::from(place);
        let digits = number.unsigned_abs().to_string();
        let sign = if number < 0 { "-" } else { "" };
        let decimals = self.decimals as usize;
        if decimals == 0 {
            return format!(
                "{sign}{digits:0>width$}",
                width = self.width.saturating_sub(sign.len())
            );
        }
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, part) = digits.split_at(digits.len() - decimals);
        match part.trim_end_matches('0') {
            "" => format!("{sign}{whole}"),
            part => format!("{sign}{whole}.{part}"),
        }
    }
}

impl Number {
    fn parse(text: &str) -> Option<Number> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        let bare = digits.strip_prefix('-').unwrap_or(&digits);
        let only_digits = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        if !only_digits || bare.len() > DIGITS || (text.contains('.') && part.is_empty()) {
            return None;
        }
        Some(Number {
            whole: digits.parse().ok()?,
            decimals: u32::try_from(part.len()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> String {
        let range = Range::parse(text).unwrap().unwrap();
        (0..range.count)
            .map(|place| range.get(place))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn ranges_include_both_ends_and_do_not_drift() {
        for (text, is) in [
            ("1..4", "1 2 3 4"),
            ("4..1", "4 3 2 1"),
            ("-1..1", "-1 0 1"),
            ("7..7", "7"),
            ("1..10..4", "1 5 9"),
            ("10..1..4", "10 6 2"),
            ("10..1..-4", "10 6 2"),
            ("0..1..0.1", "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"),
            ("0.3..0..0.1", "0.3 0.2 0.1 0"),
            ("-0.05..0.05..0.05", "-0.05 0 0.05"),
            ("1.50..2.0..0.25", "1.5 1.75 2"),
            ("08..11", "08 09 10 11"),
            ("-01..01", "-01 000 001"),
        ] {
            assert_eq!(all(text), is, "{text}");
        }
        let long = Range::parse("0..1000000000000").unwrap().unwrap();
        assert_eq!(
            (long.count, long.get(999_999_999_999)),
            (1_000_000_000_001, "999999999999".to_owned())
        );
    }

    #[test]
    fn other_texts_are_no_ranges() {
        for text in ["a..b", "../file", "1", "1.5", "", "-", "..", "x1..2"] {
            assert_eq!(Range::parse(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_begins_as_a_range_must_be_one() {
        for text in [
            "1..",
            "1..x",
            "1..2..",
            "1..10..0",
            "1..10..-1",
            "0..1.5",
            "1e3..2e3",
            "1..2..3..4",
            "-170141183460469231731687303715884105728..1",
            "0..99999999999999999999999999999",
            "0..1..0.0000000000000000000000000000001",
        ] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
    }
}
