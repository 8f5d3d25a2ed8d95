//! Times of files as `touch -t` reads them; pure.

const DAY: i64 = 86_400;

/// Returns `CCYYMMDDhhmm.SS` in UTC, or `-` for years that `touch` may not know.
pub(super) fn stamp(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    if !(0..2_932_896).contains(&days) {
        return "-".to_owned();
    }
    // Years that begin in March, so that a leap day is the last of its year: Howard Hinnant, "chrono-compatible
    // low-level date algorithms", civil_from_days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}.{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (seconds, text) in [
            (0, "197001010000.00"),
            (951_782_399, "200002282359.59"),
            (951_782_400, "200002290000.00"),
            (1_709_251_199, "202402292359.59"),
            (1_764_113_690, "202511252334.50"),
            (4_107_542_400, "210003010000.00"),
            (-1, "-"),
            (i64::MAX, "-"),
        ] {
            assert_eq!(stamp(seconds), text, "{seconds}");
        }
    }
}
