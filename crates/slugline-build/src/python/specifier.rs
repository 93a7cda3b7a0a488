//! Ranges of Python versions as `requires-python` writes them: `>=3.10,<4`, `~=3.11`, `==3.12.*`.

use super::version::Version;

/// Whether a version is in a range; `None` where the range is of a kind that is not read here, and
/// the package client has the last word.
pub(crate) fn contains(range: &str, version: Version) -> Option<bool> {
    let found = [version.major, version.minor, version.patch?];
    let parts = range.split(',').map(str::trim).filter(|part| !part.is_empty());
    let verdicts: Option<Vec<bool>> = parts.map(|part| clause(part, found)).collect();
    verdicts.map(|verdicts| verdicts.into_iter().all(|fits| fits))
}

fn clause(text: &str, found: [u32; 3]) -> Option<bool> {
    let end = text.find(|c: char| !"<>=!~".contains(c))?;
    let (operator, rest) = text.split_at(end);
    let (rest, any) = match rest.trim().strip_suffix(".*") {
        Some(rest) => (rest, true),
        None => (rest.trim(), false),
    };
    let numbers: Option<Vec<u32>> = rest.split('.').map(|part| part.parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= 3)?;
    let mut wanted = [0; 3];
    wanted[..numbers.len()].copy_from_slice(&numbers);
    let same_start = |length: usize| found[..length] == wanted[..length];
    match (operator, any) {
        (">=", false) => Some(found >= wanted),
        (">", false) => Some(found > wanted),
        ("<=", false) => Some(found <= wanted),
        ("<", false) => Some(found < wanted),
        ("==", false) => Some(found == wanted),
        ("!=", false) => Some(found != wanted),
        ("==", true) => Some(same_start(numbers.len())),
        ("!=", true) => Some(!same_start(numbers.len())),
        ("~=", false) if numbers.len() > 1 => {
            Some(found >= wanted && same_start(numbers.len() - 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::version;
    use super::*;

    #[test]
    fn ranges_mean_what_package_clients_say() {
        let check = |range: &str, text: &str, expect: Option<bool>| {
            let got = contains(range, version::parse(text).unwrap());
            assert_eq!(got, expect, "{text} in {range}");
        };
        check(">=3.10", "3.10.0", Some(true));
        check(">=3.10,<3.12", "3.12.0", Some(false));
        check(">=3.10, <3.12", "3.11.9", Some(true));
        check("==3.12.*", "3.12.4", Some(true));
        check("==3.12", "3.12.4", Some(false));
        check("~=3.11", "3.13.0", Some(true));
        check("~=3.11.2", "3.12.0", Some(false));
        check("!=3.11.*,>=3.10", "3.11.2", Some(false));
        check("", "3.11.2", Some(true));
        check("^3.11", "3.11.2", None);
        check("===3.11", "3.11.2", None);
        check(">=3.11", "3.11", None);
    }
}
