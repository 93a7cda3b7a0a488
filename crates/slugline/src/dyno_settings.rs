//! Table `[dynos]` of the operator's configuration: when dynos are cycled.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use slugline_model::cycle::{Cycle, Window};
use toml::Spanned;

use crate::configuration::{ConfigurationError, line};

/// What may be said of dynos.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DynosTable {
    /// How old a dyno gets: `24h`; `off` for no limit.
    cycle: Option<Spanned<String>>,
    /// When of the day it may be cycled, in UTC: `02:00-05:00`; `off` for at any time.
    window: Option<Spanned<String>>,
}

/// What switches something off.
const OFF: &str = "off";

impl DynosTable {
    /// When dynos are cycled; none for never.
    pub(crate) fn cycle(
        &self,
        text: &str,
        path: &Path,
    ) -> Result<Option<Cycle>, ConfigurationError> {
        let wrong = |value: &Spanned<String>| ConfigurationError::Dynos {
            path: path.to_path_buf(),
            line: line(text, Some(value.span())),
            value: value.get_ref().clone(),
        };
        let on = |value: &&Spanned<String>| value.get_ref() != OFF;
        let window = self.window.as_ref().filter(on);
        let window = window.map(|value| window_of(value.get_ref()).ok_or_else(|| wrong(value)));
        let window = window.transpose()?;
        match &self.cycle {
            Some(value) if value.get_ref() == OFF => Ok(None),
            Some(value) => {
                let age = age(value.get_ref()).ok_or_else(|| wrong(value))?;
                Ok(Some(Cycle { age, window }))
            }
            None => Ok(Some(Cycle { window, ..Cycle::default() })),
        }
    }
}

/// `24h`, `90m`: an hour and more.
fn age(text: &str) -> Option<Duration> {
    let (number, minutes) = match text.trim().strip_suffix('h') {
        Some(hours) => (hours, 60),
        None => (text.trim().strip_suffix('m')?, 1),
    };
    let minutes = number.trim().parse::<u64>().ok()?.checked_mul(minutes)?;
    (60..=60 * 24 * 365).contains(&minutes).then(|| Duration::from_mins(minutes))
}

/// `02:00-05:00`
fn window_of(text: &str) -> Option<Window> {
    let minutes = |time: &str| {
        let (hour, minute) = time.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    Some(Window { from: minutes(from)?, to: minutes(to)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(text: &str) -> Result<Option<Cycle>, ConfigurationError> {
        let table: DynosTable = toml::from_str(text).unwrap();
        table.cycle(text, Path::new("slugline.toml"))
    }

    #[test]
    fn ages_and_windows_are_read_as_people_write_them() {
        let window = Some(Window { from: 120, to: 300 });
        assert_eq!(cycle("").unwrap(), Some(Cycle::default()));
        assert_eq!(cycle("cycle = \"off\"").unwrap(), None);
        let both = cycle("cycle = \"36h\"\nwindow = \"02:00-05:00\"").unwrap();
        assert_eq!(both, Some(Cycle { age: Duration::from_hours(36), window }));
        let day = cycle("window = \"off\"\ncycle = \"90m\"").unwrap();
        assert_eq!(day, Some(Cycle { age: Duration::from_mins(90), window: None }));
        for junk in
            ["cycle = \"1m\"", "cycle = \"24\"", "window = \"2-5\"", "window = \"24:00-01:00\""]
        {
            assert!(cycle(junk).is_err(), "{junk}");
        }
    }
}
