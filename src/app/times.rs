//! Durations and times of day, as people write and read them.

use std::time::Duration;

/// Reads a duration such as `250ms`, `90s`, `10m` or `1h30m`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let example = "write it with a unit, such as 250ms, 90s, 10m or 1h30m";
    let signed: jiff::SignedDuration = text.parse().map_err(|_| example.to_owned())?;
    Duration::try_from(signed).map_err(|_| format!("a duration is not negative; {example}"))
}

/// Reads `LEAST..GREATEST`, or one duration that is both.
pub fn parse_range(text: &str) -> Result<(Duration, Duration), String> {
    let (least, greatest) = match text.split_once("..") {
        Some((least, greatest)) => (parse(least)?, parse(greatest)?),
        None => (parse(text)?, parse(text)?),
    };
    if least > greatest {
        return Err("the first duration is the least: write LEAST..GREATEST, such as 1s..60s".into());
    }
    Ok((least, greatest))
}

/// Writes a duration so that [`parse`] reads it back.
pub fn exact(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", duration.as_millis()),
        _ => format!("{}ns", duration.as_nanos()),
    }
}

/// Writes a duration for people, short: `340us`, `12ms`, `0.3s`, `12.5s`, `4m36s`, `1h05m`, `3d04h`.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 if duration.as_millis() == 0 => format!("{}us", duration.as_micros()),
        0 if duration.as_millis() < 100 => format!("{}ms", duration.as_millis()),
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Returns the time of day here, as `18:37:31`.
pub fn time_of_day() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// Returns the time of day that comes after `wait`: `18:42`, with the date if that is another day.
pub fn time_after(wait: Duration) -> String {
    let now = jiff::Zoned::now();
    match now.checked_add(wait) {
        Ok(then) if then.date() == now.date() => then.strftime("%H:%M").to_string(),
        Ok(then) => then.strftime("%m-%dT%H:%M").to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
            ("1.5s", 1_500),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "90", "-3s", "3s ago", "fast", "10 parsecs"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(parse_range("1s..60s"), Ok((second, minute)));
        assert_eq!(parse_range("1s"), Ok((second, second)));
        assert!(parse_range("2s..1s").is_err());
    }

    #[test]
    fn what_is_written_exactly_is_read_back() {
        for duration in [
            0,
            1,
            999,
            1_500_000,
            250_000_000,
            1_000_000_000,
            5_400_000_000_000,
        ] {
            let duration = Duration::from_nanos(duration);
            assert_eq!(parse(&exact(duration)), Ok(duration));
        }
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(short(Duration::from_micros(340)), "340us");
        for (millis, text) in [
            (0, "0s"),
            (12, "12ms"),
            (300, "0.3s"),
            (12_480, "12.5s"),
            (276_000, "4m36s"),
            (3_900_000, "1h05m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(short(Duration::from_millis(millis)), text);
        }
    }
}
