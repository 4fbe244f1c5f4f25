//! A message's size, and the shares of relay and services.

use super::problem::Problem;

/// Digits behind the point that count. More say less than a byte of anything that fits into memory.
const MAX_FRACTION_DIGITS: usize = 9;

/// Bytes of `150KiB`, `1.5 KB`, `1500 B`: white space before and within, a point or a comma, units in any case
/// but for the `i`.
pub(super) fn bytes(text: &str) -> Result<u64, Problem> {
    parse_bytes(text).ok_or_else(|| Problem::MessageSize(text.to_owned()))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')?);
    let factor: u64 = match unit.trim_start() {
        "B" | "b" => 1,
        "KB" | "Kb" | "kB" | "kb" => 1000,
        "KiB" | "Kib" | "kiB" | "kib" => 1024,
        _ => return None,
    };
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    if fraction.contains(['.', ',']) {
        return None;
    }
    let fraction = fraction.get(..MAX_FRACTION_DIGITS).unwrap_or(fraction);
    let scale = fraction.bytes().fold(1, |scale, _| scale * 10);
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? * factor / scale };
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(part)
}

/// Percentages for relay and for services of `60:40`.
pub(super) fn shares(text: &str) -> Result<(u8, u8), Problem> {
    let share = |text: &str| text.parse::<u8>().ok();
    let shares = text.split_once(':').and_then(|(relay, service)| Some((share(relay)?, share(service)?)));
    let (relay, service) = shares.ok_or_else(|| Problem::Ratio(text.to_owned()))?;
    match u16::from(relay) + u16::from(service) {
        100 => Ok((relay, service)),
        total => Err(Problem::RatioTotal(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        let cases = [
            ("150KiB", 153_600),
            ("150 kib", 153_600),
            ("  1KB", 1000),
            ("1500 B", 1500),
            ("1500b", 1500),
            ("1.5KiB", 1536),
            ("1,5KB", 1500),
            ("2.KB", 2000),
            ("0.9999999999999B", 0),
            ("1024KiB", 1 << 20),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let too_large = "99999999999999999999B";
        for text in
            ["", "150", "KiB", ".5KiB", "1iB", "1MB", "1KIB", "1KiB ", "-1KB", "1.2.3B", "1 2B", too_large]
        {
            assert_eq!(bytes(text), Err(Problem::MessageSize(text.to_owned())));
        }
    }

    #[test]
    fn shares_make_a_hundred() {
        assert_eq!(shares("60:40"), Ok((60, 40)));
        assert_eq!(shares("0:100"), Ok((0, 100)));
        assert_eq!(shares("60:60"), Err(Problem::RatioTotal(120)));
        for text in ["", "60", "a:b", "60:40:0", "-1:101", "256:1"] {
            assert_eq!(shares(text), Err(Problem::Ratio(text.to_owned())));
        }
    }
}
