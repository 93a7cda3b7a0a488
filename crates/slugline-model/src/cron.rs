//! When a cron entry runs: its schedule, and what is due at a given time. All times are UTC.
//!
//! The rules are those of cron(8): five fields, lists, ranges and steps, names of months and days;
//! where both the day of the month and that of the week are restricted, either is enough. A crate
//! for it brings a second library of dates, for what is a page here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime, UtcDateTime};

/// When something runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the day of the month, or that of the week, is any.
    any_day: bool,
    any_weekday: bool,
}

/// What is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not five fields, and no known word.
    #[error(
        "it must be five fields (minute, hour, day, month, weekday), or one of @hourly, @daily, @weekly, @monthly, @yearly"
    )]
    Shape,
    /// A field that holds something else.
    #[error("`{0}` is no {1}: {2} to {3}, with `,` `-` `/` and `*`")]
    Field(String, &'static str, u32, u32),
    /// Such as the 31st of February.
    #[error("there is no such day")]
    Never,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// How many days are looked at for the next run: 29 February on a given weekday comes again within
/// 40 years (days).
const FAR: i64 = 41 * 366;

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(ScheduleError::Shape);
        };
        let weekdays = field(weekday, "weekday", (0, 7), &WEEKDAYS)?;
        let schedule = Self {
            text: fields.join(" "),
            minutes: field(minute, "minute", (0, 59), &[])?,
            hours: field(hour, "hour", (0, 23), &[])?,
            days: field(day, "day of the month", (1, 31), &[])?,
            months: field(month, "month", (1, 12), &MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | u64::from(weekdays & 1 << 7 != 0),
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        };
        schedule.next(0).map(|_| schedule).ok_or(ScheduleError::Never)
    }
}

/// One field as a set of bits.
fn field(
    text: &str,
    what: &'static str,
    (low, high): (u32, u32),
    names: &[&str],
) -> Result<u64, ScheduleError> {
    let wrong = || ScheduleError::Field(text.to_owned(), what, low, high);
    let number = |word: &str| {
        let place = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        // Months count from one, weekdays from zero, as their lowest numbers do.
        let by_name = place.and_then(|place| u32::try_from(place).ok()).map(|place| place + low);
        by_name.or_else(|| word.parse().ok()).filter(|n| (low..=high).contains(n)).ok_or_else(wrong)
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().map_err(|_| wrong())?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if step == 0 || from > to {
            return Err(wrong());
        }
        let step = usize::try_from(step).map_err(|_| wrong())?;
        set |= (from..=to).step_by(step).fold(0, |bits, n| bits | 1 << n);
    }
    Ok(set)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;
    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> String {
        schedule.text
    }
}

/// A minute (microseconds).
const MINUTE: i64 = 60_000_000;

impl Schedule {
    /// The first run after a time (both microseconds since 1970); none in a lifetime for a day that
    /// does not exist.
    pub fn next(&self, after: i64) -> Option<i64> {
        let nanos = i128::from(after.div_euclid(MINUTE) + 1) * i128::from(MINUTE) * 1_000;
        let from = UtcDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        let mut date = from.date();
        let mut minute_of_day = u32::from(from.hour()) * 60 + u32::from(from.minute());
        for _ in 0..FAR {
            if self.has_day(date)
                && let Some(minute) = (minute_of_day..24 * 60).find(|m| self.has_minute(*m))
            {
                let start = OffsetDateTime::new_utc(date, time::Time::MIDNIGHT);
                let at = start + Duration::minutes(i64::from(minute));
                return i64::try_from(at.unix_timestamp_nanos() / 1_000).ok();
            }
            date = date.next_day()?;
            minute_of_day = 0;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let has = |set: u64, n: u8| set & 1 << n != 0;
        if !has(self.months, u8::from(date.month())) {
            return false;
        }
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().number_days_from_sunday());
        if self.any_day || self.any_weekday { day && weekday } else { day || weekday }
    }

    fn has_minute(&self, minute_of_day: u32) -> bool {
        let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
        self.hours & 1 << hour != 0 && self.minutes & 1 << minute != 0
    }
}

/// What is to be done for a cron entry now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this time (microseconds since 1970).
    Nothing {
        /// The next run.
        until: i64,
    },
    /// It runs now, for the time that it was due at.
    Run {
        /// When it was due (microseconds since 1970).
        at: i64,
        /// How many runs before were missed, and are not made up.
        missed: u64,
    },
}

/// How late a run may be and still be that run, not one that is made up (microseconds).
pub const ON_TIME: i64 = 2 * MINUTE;

/// Decides for one entry. Runs due until `done_to` were taken care of; all times are microseconds
/// since 1970. Of the runs that were missed meanwhile, while the server was down, the last one is
/// made up. A clock that is put back brings no run again: `done_to` stands.
pub fn due(schedule: &Schedule, done_to: i64, now: i64) -> Option<Due> {
    let first = schedule.next(done_to)?;
    if first > now {
        return Some(Due::Nothing { until: first });
    }
    let (mut at, mut missed) = (first, 0);
    while let Some(next) = schedule.next(at).filter(|next| *next <= now) {
        at = next;
        missed += 1;
        // Years of downtime are not counted minute by minute.
        if missed > 10_000 {
            at = now - now.rem_euclid(MINUTE);
            break;
        }
    }
    Some(Due::Run { at, missed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]");
        let time = time::PrimitiveDateTime::parse(text, format).unwrap().assume_utc();
        i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap()
    }

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_run_is_the_one_that_cron_makes() {
        // 2026-11-23 is a Monday.
        for (text, next) in [
            ("* * * * *", "2026-11-23 12:01"),
            ("@hourly", "2026-11-23 13:00"),
            ("@daily", "2026-11-24 00:00"),
            ("*/15 9-17 * * mon-fri", "2026-11-23 12:15"),
            ("30 4 * * 7", "2026-11-29 04:30"),
            ("0 0 13 * fri", "2026-11-27 00:00"),
            ("0 0 31 * *", "2026-12-31 00:00"),
            ("5/20 12 * * *", "2026-11-23 12:05"),
            ("0 0 29 feb *", "2028-02-29 00:00"),
            ("0 12 23 11 *", "2027-11-23 12:00"),
        ] {
            assert_eq!(schedule(text).next(at("2026-11-23 12:00")), Some(at(next)), "{text}");
        }
    }

    #[test]
    fn what_names_no_time_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "a * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "@never",
            "* * * * * *",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
        assert_eq!("0 0 31 2 *".parse::<Schedule>(), Err(ScheduleError::Never));
    }

    #[test]
    fn of_missed_runs_the_last_one_is_made_up() {
        let hourly = schedule("@hourly");
        let done = at("2026-11-23 10:00");
        let due = |now: &str| due(&hourly, done, at(now)).unwrap();
        assert_eq!(due("2026-11-23 10:59"), Due::Nothing { until: at("2026-11-23 11:00") });
        let on_time = Due::Run { at: at("2026-11-23 11:00"), missed: 0 };
        assert_eq!(due("2026-11-23 11:00"), on_time);
        assert_eq!(due("2026-11-23 13:30"), Due::Run { at: at("2026-11-23 13:00"), missed: 2 });
        let before = due("2026-11-22 00:00");
        assert_eq!(
            before,
            Due::Nothing { until: at("2026-11-23 11:00") },
            "the clock was put back"
        );
    }

    proptest! {
        #[test]
        fn no_minute_that_matches_is_jumped_over(
            minute in 0_u32..60, hour in 0_u32..24, step in 1_u32..30, start in 0_i64..2_000_000,
        ) {
            let text = format!("{minute}-59/{step} {hour},{} * * *", (hour + 7) % 24);
            let schedule: Schedule = text.parse().unwrap();
            let after = start * MINUTE;
            let next = schedule.next(after).unwrap();
            let matches = |t: i64| {
                let of_day = u32::try_from((t / MINUTE).rem_euclid(1_440)).unwrap();
                schedule.has_minute(of_day)
            };
            prop_assert!(matches(next) && next > after);
            let mut between = after + MINUTE;
            while between < next {
                prop_assert!(!matches(between));
                between += MINUTE;
            }
        }

        #[test]
        fn texts_of_any_kind_are_refused_or_have_a_next_run(text in "[*0-9,/a-z@ -]{0,24}") {
            if let Ok(schedule) = text.parse::<Schedule>() {
                prop_assert!(schedule.next(0).is_some());
            }
        }
    }
}
