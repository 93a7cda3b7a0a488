//! Who slows whom: decided from what all dynos of a machine used in the same time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::size::human;
use crate::usage::Rates;

/// One dyno among the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// As people know it: `owl/web.1`, `a build of owl`.
    pub name: String,
    /// What it did in the time that is looked at.
    pub rates: Rates,
    /// Memory that it has (bytes).
    pub memory: u64,
    /// Memory that it may have (bytes).
    pub quota: u64,
}

/// What there was not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Processors.
    Processor,
    /// Memory of the machine, not of the dyno.
    Memory,
    /// Disks.
    Disk,
}

/// A dyno that waited, and those that had meanwhile what it waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slowed {
    /// Which waited, as [`Neighbour::name`].
    pub dyno: String,
    /// For what.
    pub lack: Lack,
    /// The part of the time in which it did: 0 to 1.
    pub waited: f64,
    /// The time that was looked at (seconds).
    pub seconds: f64,
    /// The others, the greediest first.
    pub users: Vec<User>,
}

/// One that had what another waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// As [`Neighbour::name`].
    pub name: String,
    /// Of processors: how many; of memory: bytes; of disks: bytes a second.
    pub amount: f64,
}

/// A dyno that waits this part of the time is slowed so much that its users notice.
const NOTICEABLE: f64 = 0.2;

/// How many are named.
const NAMED: usize = 3;

/// What one must use to be named: of processors, of memory (bytes), of disks (bytes a second).
const CORES: f64 = 0.1;
const MEMORY: f64 = 64e6;
const DISK: f64 = 1e6;

/// A dyno that used so many times what the greediest of the others did is slowed by itself. Not
/// once: of two that share a processor fairly, each uses as much as the other.
const GREEDIER: f64 = 2.0;

/// Who was slowed, and by whom. A dyno that used far more than any other is slowed by itself, and
/// one without a neighbour who used anything has nobody to name: neither is told.
pub fn slowed(all: &[Neighbour]) -> Vec<Slowed> {
    (0..all.len())
        .flat_map(|place| {
            [Lack::Processor, Lack::Memory, Lack::Disk]
                .into_iter()
                .filter_map(move |lack| slowed_for(all, place, lack))
        })
        .collect()
}

fn slowed_for(all: &[Neighbour], place: usize, lack: Lack) -> Option<Slowed> {
    let dyno = &all[place];
    let waited = lack.waited(dyno);
    if waited < NOTICEABLE || lack == Lack::Memory && dyno.memory > dyno.quota {
        return None;
    }
    let own = lack.amount(dyno);
    let others = all.iter().enumerate().filter(|(other, _)| *other != place);
    let mut users: Vec<User> = others
        .map(|(_, other)| User { name: other.name.clone(), amount: lack.amount(other) })
        .filter(|user| user.amount >= lack.worth_naming())
        .collect();
    users.sort_by(|a, b| b.amount.total_cmp(&a.amount).then_with(|| a.name.cmp(&b.name)));
    users.first().filter(|first| first.amount * GREEDIER > own)?;
    users.truncate(NAMED);
    let seconds = dyno.rates.seconds;
    Some(Slowed { dyno: dyno.name.clone(), lack, waited, seconds, users })
}

impl Lack {
    fn waited(self, of: &Neighbour) -> f64 {
        match self {
            Lack::Processor => of.rates.cpu_wait,
            Lack::Memory => of.rates.memory_wait,
            Lack::Disk => of.rates.disk_wait,
        }
    }

    fn amount(self, of: &Neighbour) -> f64 {
        match self {
            Lack::Processor => of.rates.cores,
            Lack::Memory => crate::usage::real(of.memory),
            Lack::Disk => of.rates.disk.sum(),
        }
    }

    fn worth_naming(self) -> f64 {
        match self {
            Lack::Processor => CORES,
            Lack::Memory => MEMORY,
            Lack::Disk => DISK,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Lack::Processor => "the processor",
            Lack::Memory => "memory",
            Lack::Disk => "the disk",
        }
    }

    fn amount_text(self, amount: f64, first: bool) -> String {
        match self {
            Lack::Processor if first => format!("{amount:.1} cores"),
            Lack::Processor => format!("{amount:.1}"),
            Lack::Memory => human(whole(amount)),
            Lack::Disk => format!("{}/s", human(whole(amount))),
        }
    }
}

impl fmt::Display for Slowed {
    /// `Slow: waited 41% of the last 20 s for the processor; meanwhile used by owl/worker.1 (1.6
    /// cores), a build of owl (0.3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lack, waited, seconds, users, .. } = self;
        let (percent, what) = (waited * 100.0, lack.text());
        write!(f, "Slow: waited {percent:.0}% of the last {seconds:.0} s for {what}; ")?;
        f.write_str("meanwhile used by ")?;
        for (place, user) in users.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({})", user.name, lack.amount_text(user.amount, place == 0))?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no amount is less")]
fn whole(amount: f64) -> u64 {
    amount as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Flow;

    fn dyno(name: &str, cores: f64, cpu_wait: f64) -> Neighbour {
        let rates = Rates { seconds: 20.0, cores, cpu_wait, ..Rates::default() };
        Neighbour { name: name.to_owned(), rates, memory: 100 << 20, quota: 512 << 20 }
    }

    #[test]
    fn whoever_waits_is_told_who_ran() {
        let all = [
            dyno("owl/web.1", 0.2, 0.41),
            dyno("a build of owl", 0.3, 0.0),
            dyno("owl/worker.1", 1.6, 0.5),
            dyno("owl/idle.1", 0.01, 0.0),
        ];
        let found = slowed(&all);
        assert_eq!(found.len(), 1, "the greediest is slowed by itself: {found:?}");
        assert_eq!(
            found[0].to_string(),
            "Slow: waited 41% of the last 20 s for the processor; meanwhile used by owl/worker.1 \
             (1.6 cores), a build of owl (0.3)"
        );
    }

    #[test]
    fn a_wait_that_nobody_notices_or_nobody_caused_is_not_told() {
        assert_eq!(slowed(&[dyno("owl/web.1", 0.1, 0.1), dyno("owl/worker.1", 1.9, 0.0)]), []);
        assert_eq!(slowed(&[dyno("owl/web.1", 0.0, 0.9)]), []);
        assert_eq!(slowed(&[dyno("owl/web.1", 0.0, 0.9), dyno("owl/worker.1", 0.01, 0.0)]), []);
    }

    #[test]
    fn those_who_thrash_the_disk_or_take_the_memory_are_named() {
        let mut all = [dyno("owl/web.1", 0.0, 0.0), dyno("owl/worker.1", 0.0, 0.0)];
        all[0].rates.disk_wait = 0.5;
        all[1].rates.disk = Flow { read: 2e6, written: 80e6 };
        assert!(slowed(&all)[0].to_string().ends_with("used by owl/worker.1 (82.0MB/s)"));
        all[0].rates = Rates { memory_wait: 0.5, ..Rates::default() };
        all[1].memory = 900 << 20;
        assert_eq!(slowed(&all)[0].lack, Lack::Memory);
        all[0].memory = 600 << 20;
        assert_eq!(slowed(&all), [], "above its own quota it waits for itself");
    }

    #[test]
    fn no_more_are_named_than_anybody_reads() {
        let mut all: Vec<Neighbour> =
            (0..9).map(|n| dyno(&format!("owl/worker.{n}"), 0.5, 0.0)).collect();
        all.push(dyno("owl/web.1", 0.1, 0.9));
        assert_eq!(slowed(&all)[0].users.len(), NAMED);
    }
}
