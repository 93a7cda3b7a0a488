//! Cycling: each dyno is replaced once a day, so that what leaks does not pile up.

use std::time::Duration;

use crate::dyno::DynoId;

/// When dynos are cycled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// How old a dyno may get. Heroku: 24 hours.
    pub age: Duration,
    /// When of the day it may happen; at any time where there is none.
    pub window: Option<Window>,
}

/// A part of each day, in UTC; one that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Minutes after midnight.
    pub from: u32,
    /// Minutes after midnight.
    pub to: u32,
}

/// Heroku's random minutes, at most.
pub const MOST_RANDOM_MINUTES: u64 = 216;

const DAY: u32 = 24 * 60;

impl Default for Cycle {
    fn default() -> Self {
        Self { age: Duration::from_hours(24), window: None }
    }
}

impl Window {
    /// How long it is (minutes).
    pub fn minutes(self) -> u32 {
        match (self.to + DAY - self.from) % DAY {
            0 => DAY,
            minutes => minutes,
        }
    }

    /// How many minutes of it are over; none outside of it.
    fn passed(self, minute_of_day: u32) -> Option<u32> {
        let passed = (minute_of_day % DAY + DAY - self.from) % DAY;
        (passed < self.minutes()).then_some(passed)
    }
}

/// Whether a dyno's time is up. Its `age` is one that no clock change touches; `now` (microseconds
/// since 1970) matters for a window alone.
///
/// Without a window each dyno gets 0 to 216 minutes more, by its id, so that an app's dynos do not
/// all go at once. With one each has its own minute of the window, once it is almost old enough.
pub fn is_due(cycle: &Cycle, id: DynoId, age: Duration, now: i64) -> bool {
    let Some(window) = cycle.window else {
        let more = id.as_u128() % u128::from(MOST_RANDOM_MINUTES + 1);
        return age >= cycle.age + Duration::from_mins(u64::try_from(more).unwrap_or(0));
    };
    let minute = u32::try_from(now.div_euclid(60_000_000).rem_euclid(i64::from(DAY))).unwrap_or(0);
    let own = u32::try_from(id.as_u128() % u128::from(window.minutes())).unwrap_or(0);
    let length = Duration::from_mins(u64::from(window.minutes()));
    // A day after it went at the end of the window, it may go at its beginning.
    let old = age >= cycle.age.saturating_sub(length).max(cycle.age / 2);
    old && window.passed(minute).is_some_and(|passed| passed >= own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn minutes(n: u64) -> Duration {
        Duration::from_mins(n)
    }

    #[test]
    fn without_a_window_dynos_go_after_a_day_and_up_to_216_minutes() {
        let due = |id, age| is_due(&Cycle::default(), Uuid::from_u128(id), minutes(age), 0);
        assert!(!due(0, 1_439) && due(0, 1_440));
        assert!(!due(216, 1_440 + 215) && due(216, 1_440 + 216));
        assert!(due(217, 1_440), "it begins anew");
    }

    #[test]
    fn a_window_holds_over_midnight() {
        let window = Some(Window { from: 23 * 60, to: 60 });
        let cycle = Cycle { window, ..Cycle::default() };
        let at = |hour: i64| hour * 3_600 * 1_000_000;
        let due = |age, hour| is_due(&cycle, Uuid::nil(), minutes(age), at(hour));
        assert!(due(2_000, 23) && due(2_000, 24));
        assert!(!due(2_000, 12) && !due(2_000, 1) && !due(100, 23));
    }

    proptest! {
        /// With a virtual clock of minutes: whatever the clock of the day does, a dyno goes once a
        /// day or so, and never twice within half a day.
        #[test]
        fn clock_jumps_neither_cycle_all_at_once_nor_never(
            ids in prop::collection::vec(any::<u128>(), 1..6),
            jump_at in 0_u64..6_000,
            jump in -3_000_i64..3_000,
            window in prop::option::of((0_u32..1_440, 30_u32..300)),
        ) {
            let window = window.map(|(from, long)| Window { from, to: (from + long) % DAY });
            let cycle = Cycle { window, ..Cycle::default() };
            for id in ids {
                let (mut id, mut born, mut gone) = (Uuid::from_u128(id), 0, vec![]);
                for minute in 0..10_000_u64 {
                    let shift = if minute >= jump_at { jump } else { 0 };
                    let now = (i64::try_from(minute).unwrap() + shift) * 60_000_000;
                    if is_due(&cycle, id, minutes(minute - born), now) {
                        prop_assert!(minute - born >= 720, "too early");
                        gone.push(minute);
                        born = minute;
                        id = Uuid::from_u128(id.as_u128().wrapping_mul(31).wrapping_add(7));
                    }
                }
                // Seven days, of which a jump can cost one or two.
                prop_assert!((3..=13).contains(&gone.len()), "{gone:?}");
            }
        }
    }
}
