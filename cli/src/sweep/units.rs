//! Sizes as people write them.

/// Reads a size such as `4G`, `512M`, `1.5GiB` or `800000`, in bytes. Units are powers of 1,024, with or without `i`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`{}` is no size; write it as 512M, 4G or 1.5GiB",
            super::shown::plain(text)
        )
    };
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return Err(wrong()),
    };
    let factor = 1_u64 << (10 * power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    match bytes < u64::MAX as f64 {
        true => Ok(bytes as u64),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("1k", 1 << 10),
            ("512M", 512 << 20),
            ("4G", 4 << 30),
            ("4GB", 4 << 30),
            ("1.5GiB", 3 << 29),
            ("2 TiB", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "G",
            "-1",
            "1.2.3M",
            "4X",
            "99999999999T",
            "1e99",
            "4 G B",
            "nan",
            ".",
        ] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
    }
}
