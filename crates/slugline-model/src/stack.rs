//! Which of Heroku's stacks the host passes for.
//!
//! Buildpacks choose what they download by `STACK`, and refuse names that they do not know. A
//! program made for one of Heroku's stacks runs where the C library is not older than that stack's.

/// Heroku's stacks and the version of the C library (glibc) of the Ubuntu release that each one is:
/// 22.04, 24.04 and 26.04. The oldest comes first.
pub const HEROKU_STACKS: [(&str, (u32, u32)); 3] =
    [("heroku-22", (2, 35)), ("heroku-24", (2, 39)), ("heroku-26", (2, 43))];

/// Stacks that Heroku gave up, and old buildpacks still ask for. Never announced unasked.
pub const PAST_STACKS: [&str; 2] = ["heroku-18", "heroku-20"];

/// The newest of Heroku's stacks whose programs run with this C library, `2.36`. On a host with an
/// older one, or another C library altogether, the oldest stack is the nearest.
pub fn announced(glibc: Option<&str>) -> &'static str {
    let host = glibc.and_then(version);
    let runs = |(_, needed): &&(&str, (u32, u32))| host.is_some_and(|host| *needed <= host);
    HEROKU_STACKS.iter().rev().find(runs).unwrap_or(&HEROKU_STACKS[0]).0
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stack_newer_than_the_host_is_announced() {
        for (glibc, stack) in [
            ("2.31", "heroku-22"),
            ("2.36", "heroku-22"),
            ("2.39", "heroku-24"),
            ("2.41", "heroku-24"),
            ("2.43", "heroku-26"),
            ("3.0", "heroku-26"),
            ("musl", "heroku-22"),
        ] {
            assert_eq!(announced(Some(glibc)), stack, "{glibc}");
        }
        assert_eq!(announced(None), "heroku-22");
    }
}
