//! What was measured last, of every dyno: two looks make a rate.

use std::collections::HashMap;

use serde::Serialize;
use slugline_model::dyno::{DynoId, DynoState};
use slugline_model::name::AppName;
use slugline_model::usage::{Load, Rates, Usage, rates};

use crate::dynos::{Dyno, Role};

/// Looks that are nearer than this (microseconds) tell little: who asks more often gets the rates
/// since the look before.
const NEAR: i64 = 500_000;

/// One dyno, as it was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) id: DynoId,
    pub(crate) app: AppName,
    /// Its name within the app.
    pub(crate) dyno: String,
    #[serde(rename = "type")]
    pub(crate) process_type: String,
    /// As people tell it from others of this machine.
    pub(crate) title: String,
    #[serde(skip)]
    pub(crate) role: Role,
    /// `build` or `dyno`.
    pub(crate) kind: &'static str,
    pub(crate) state: DynoState,
    pub(crate) usage: Usage,
    pub(crate) rates: Rates,
    pub(crate) load: Load,
}

/// The looks at one dyno.
#[derive(Debug, Default)]
struct Looks {
    /// Of the last beat.
    beat: Option<Usage>,
    /// The last two times that somebody asked.
    asked: [Option<Usage>; 2],
    load: Load,
    /// When it was said that it is slow (microseconds since 1970).
    told: Option<i64>,
}

/// The looks at every dyno that lives.
#[derive(Debug, Default)]
pub(crate) struct Samples(HashMap<DynoId, Looks>);

impl Samples {
    /// Takes the looks of a beat, and forgets dynos that are gone. Rates are since the last beat.
    pub(crate) fn beat(&mut self, found: Vec<(Dyno, Usage)>) -> Vec<Measured> {
        self.0.retain(|id, _| found.iter().any(|(dyno, _)| dyno.id == *id));
        let beat = |(dyno, usage): (Dyno, Usage)| {
            let looks = self.0.entry(dyno.id).or_default();
            let rates = looks.beat.and_then(|before| rates(&before, &usage)).unwrap_or_default();
            if rates.seconds > 0.0 {
                looks.load = looks.load.after(usage.runnable, rates.seconds);
            }
            looks.beat = Some(usage);
            measured(dyno, usage, rates, looks.load)
        };
        found.into_iter().map(beat).collect()
    }

    /// Takes the looks for somebody who asks. Rates are since the latest look that is not too near.
    pub(crate) fn ask(&mut self, found: Vec<(Dyno, Usage)>) -> Vec<Measured> {
        let ask = |(dyno, usage): (Dyno, Usage)| {
            let looks = self.0.entry(dyno.id).or_default();
            let rates = looks.latest_before(&usage).and_then(|before| rates(&before, &usage));
            looks.note(usage);
            measured(dyno, usage, rates.unwrap_or_default(), looks.load)
        };
        found.into_iter().map(ask).collect()
    }

    /// Whether it may be told again that a dyno is slow, which counts as told then.
    pub(crate) fn may_tell(&mut self, id: DynoId, now: i64, pause: i64) -> bool {
        let Some(looks) = self.0.get_mut(&id) else { return false };
        let may = looks.told.is_none_or(|told| now - told >= pause);
        if may {
            looks.told = Some(now);
        }
        may
    }
}

impl Looks {
    fn latest_before(&self, usage: &Usage) -> Option<Usage> {
        let looks = [self.beat, self.asked[0], self.asked[1]];
        let far = looks.into_iter().flatten().filter(|look| usage.at - look.at >= NEAR);
        far.max_by_key(|look| look.at)
    }

    fn note(&mut self, usage: Usage) {
        if self.asked[0].is_none_or(|last| usage.at - last.at >= NEAR) {
            self.asked = [Some(usage), self.asked[0]];
        }
    }
}

fn measured(dyno: Dyno, usage: Usage, rates: Rates, load: Load) -> Measured {
    Measured {
        id: dyno.id,
        title: title(&dyno),
        dyno: dyno.name.to_string(),
        process_type: dyno.name.process_type.to_string(),
        app: dyno.app,
        role: dyno.role,
        kind: if dyno.role == Role::Build { "build" } else { "dyno" },
        state: dyno.state,
        usage,
        rates,
        load,
    }
}

fn title(dyno: &Dyno) -> String {
    if dyno.role == Role::Build {
        format!("a build of {}", dyno.app)
    } else {
        format!("{}/{}", dyno.app, dyno.name)
    }
}

#[cfg(test)]
mod tests {
    use slugline_model::usage::CpuTime;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn look(id: u128, at: i64, used: u64) -> (Dyno, Usage) {
        let dyno = Dyno {
            id: DynoId::from_u128(id),
            app: "owl".parse().unwrap(),
            name: "web.1".parse().unwrap(),
            release: 1,
            command: String::new(),
            port: None,
            size: slugline_model::resources::DynoSize::BASIC,
            state: DynoState::Up,
            since: 0,
            started_at: 0,
            booted: std::time::Duration::ZERO,
            role: Role::Formation,
            worn: false,
            code: None,
            failed: false,
            lines: crate::dynos::LastLines::default(),
            attach_url: None,
            telling: std::sync::Arc::default(),
        };
        let cpu = CpuTime { used, ..CpuTime::default() };
        (dyno, Usage { at, cpu, runnable: 1, ..Usage::default() })
    }

    #[test]
    fn who_asks_twice_in_a_row_gets_the_rates_since_the_look_before() {
        let mut samples = Samples::default();
        assert!(samples.ask(vec![look(1, 0, 0)])[0].rates.seconds < 0.1);
        let later = samples.ask(vec![look(1, 2 * SECOND, 1_000_000)]);
        assert!((later[0].rates.cores - 0.5).abs() < 1e-9);
        let at_once = samples.ask(vec![look(1, 2 * SECOND + 1_000, 1_000_500)]);
        assert!((at_once[0].rates.cores - 0.5).abs() < 1e-3, "{at_once:?}");
    }

    #[test]
    fn a_beat_has_its_own_rates_and_makes_the_load() {
        let mut samples = Samples::default();
        samples.beat(vec![look(1, 0, 0), look(2, 0, 0)]);
        samples.ask(vec![look(1, 19 * SECOND, 0)]);
        let beat = samples.beat(vec![look(1, 20 * SECOND, 20_000_000)]);
        assert!((beat[0].rates.cores - 1.0).abs() < 1e-9, "{beat:?}");
        assert!(beat[0].load.one > 0.2 && samples.0.len() == 1, "the other is gone: {samples:?}");
    }

    #[test]
    fn slowness_is_told_now_and_then() {
        let mut samples = Samples::default();
        samples.beat(vec![look(1, 0, 0)]);
        let id = DynoId::from_u128(1);
        assert!(samples.may_tell(id, 0, 100) && !samples.may_tell(id, 99, 100));
        assert!(samples.may_tell(id, 100, 100));
        assert!(!samples.may_tell(DynoId::from_u128(9), 0, 100), "nobody knows it");
    }
}
