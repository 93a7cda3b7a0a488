//! Sizes as people read them.

/// Bytes as Heroku prints a slug's size: `48.2M`, `578.1M`, `12K`.
pub fn slug_size(bytes: u64) -> String {
    let kib = bytes.div_ceil(1024);
    if kib < 1024 { format!("{kib}K") } else { format!("{}M", tenths(bytes, 1 << 20)) }
}

/// Bytes with a unit, as a receipt prints them: `512B`, `132kB`, `1.1MB`, `2.0GB`.
pub fn human(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{}kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{}MB", tenths(bytes, 1_000_000)),
        _ => format!("{}GB", tenths(bytes, 1_000_000_000)),
    }
}

/// A count with thousands marked: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 file`, `2 files`.
pub fn files(number: u64) -> String {
    format!("{} file{}", count(number), if number == 1 { "" } else { "s" })
}

fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_heroku_prints_them() {
        assert_eq!(slug_size(50_600_000), "48.2M");
        assert_eq!(slug_size(12_000), "12K");
        assert_eq!(slug_size(0), "0K");
        assert_eq!(human(999), "999B");
        assert_eq!(human(132_000), "132kB");
        assert_eq!(human(1_150_000), "1.1MB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(files(1), "1 file");
    }
}
