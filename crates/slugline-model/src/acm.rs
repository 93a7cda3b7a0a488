//! Certificates that an authority issues for apps' domains by ACME (RFC 8555): when one is asked for,
//! and what is told of it. Heroku calls this Automated Certificate Management.

use std::time::Duration;

use crate::domain::HostName;

/// After the first failure. Each further one doubles it: authorities count failures.
const PATIENCE: Duration = Duration::from_mins(5);

/// The longest wait after failures.
const LONGEST: Duration = Duration::from_hours(24);

/// Where challenges are answered (RFC 8555, 8.3).
pub const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// What is known of a domain's certificate. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// From when until when the certificate that it has is good; none where it has none.
    pub good: Option<(i64, i64)>,
    /// When an authority was asked last.
    pub tried_at: Option<i64>,
    /// How often it has refused since it last issued one.
    pub failures: u32,
}

impl Known {
    /// When a certificate is to be asked for: at once where there is none, else when a third of its
    /// time is left, and some time after a failure.
    pub fn due_at(&self) -> i64 {
        let wanted = self.good.map_or(i64::MIN, |(from, until)| until - (until - from) / 3);
        match (self.failures, self.tried_at) {
            (1.., Some(tried_at)) => wanted.max(tried_at.saturating_add(self.rest())),
            _ => wanted,
        }
    }

    fn rest(&self) -> i64 {
        let doubled = PATIENCE.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        i64::try_from(doubled.min(LONGEST).as_micros()).unwrap_or(i64::MAX)
    }

    /// Heroku's word for where it stands.
    pub fn status(&self) -> &'static str {
        match (self.failures, self.good) {
            (1.., _) => "failing",
            (0, Some(_)) => "cert issued",
            (0, None) => "in-progress",
        }
    }
}

/// Why an authority cannot issue a certificate for a name by a file below it.
pub fn cannot_be_issued(host: &HostName) -> Option<&'static str> {
    host.as_str().starts_with("*.").then_some(
        "A wildcard cannot be proven by an answer at one address: upload its certificate with \
         `heroku certs:add`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600 * 1_000_000;

    #[test]
    fn a_certificate_is_asked_for_at_once_and_again_before_it_ends() {
        let mut known = Known::default();
        assert_eq!((known.due_at(), known.status()), (i64::MIN, "in-progress"));
        known.good = Some((0, 90 * DAY));
        known.tried_at = Some(0);
        assert_eq!((known.due_at(), known.status()), (60 * DAY, "cert issued"));
    }

    #[test]
    fn failures_are_tried_again_later_and_later() {
        let minutes = |failures| {
            let known = Known { tried_at: Some(0), failures, ..Known::default() };
            known.due_at() / 60 / 1_000_000
        };
        assert_eq!([1, 2, 3, 9, 40].map(minutes), [5, 10, 20, 1_280, 1_440]);
        let renewed = Known { good: Some((0, 90 * DAY)), tried_at: Some(61 * DAY), failures: 1 };
        assert!(renewed.due_at() > 61 * DAY);
        assert_eq!(renewed.status(), "failing");
    }

    #[test]
    fn wildcards_are_no_matter_of_one_address() {
        assert!(cannot_be_issued(&"*.example.com".parse().unwrap()).is_some());
        assert!(cannot_be_issued(&"www.example.com".parse().unwrap()).is_none());
    }
}
