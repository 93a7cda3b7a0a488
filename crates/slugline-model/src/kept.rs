//! Kept layers: for how long what a dyno wrote can be had back, and how a run of a dyno is named.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::DynoName;
use crate::size;

/// How long layers are kept, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// How long each is kept after its dyno's stop; zero for not at all.
    pub grace: Duration,
    /// How large all of them may be together (bytes).
    pub quota: u64,
}

impl Default for Keeping {
    /// What a small server can afford, and long enough for the next day.
    fn default() -> Self {
        Self { grace: Duration::from_hours(24), quota: 2_000_000_000 }
    }
}

impl Keeping {
    /// Whether anything is kept at all.
    pub fn keeps(&self) -> bool {
        self.grace > Duration::ZERO && self.quota > 0
    }
}

/// Kept layers take at most one part in so many of the room that would be free without them: a
/// disk that runs full ends dynos, which no layer is worth.
const PART_OF_DISK: u64 = 4;

/// A layer that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLayer {
    /// The run that wrote it.
    pub id: Uuid,
    /// What it holds (bytes).
    pub bytes: u64,
    /// When its dyno stopped (microseconds since 1970).
    pub since: i64,
}

/// Why a layer is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Its time was over.
    Grace,
    /// Kept layers together were larger than they may be.
    Quota,
    /// The disk had too little room left.
    Disk,
    /// It was not there any more when the server looked for it.
    Missing,
}

impl Why {
    /// As the state and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Grace => "grace",
            Why::Quota => "quota",
            Why::Disk => "disk",
            Why::Missing => "missing",
        }
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Why::Grace, Why::Quota, Why::Disk, Why::Missing].into_iter().find(|w| w.as_str() == name)
    }

    /// As people read it, after "because".
    pub fn reason(self, keeping: &Keeping) -> String {
        match self {
            Why::Grace => format!("its {} were over", hours(keeping.grace)),
            Why::Quota => format!("[layers] quota is {}", size::human(keeping.quota)),
            Why::Disk => "the disk had too little room left".to_owned(),
            Why::Missing => "its files were not there any more".to_owned(),
        }
    }
}

/// `24h`, or `90m` where it is no whole number of hours.
pub fn hours(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (duration.as_secs() % 60, minutes % 60) {
        (0, 0) => format!("{}h", minutes / 60),
        (0, _) => format!("{minutes}m"),
        _ => format!("{}s", duration.as_secs()),
    }
}

/// Which layers go now, and why each does: those past the grace, those that no quota has room for
/// alone, and then the oldest until the rest fits. `free` is what the disk has left beside them
/// (bytes).
pub fn due(layers: &[KeptLayer], keeping: &Keeping, free: u64, now: i64) -> Vec<(Uuid, Why)> {
    let (over, mut kept): (Vec<KeptLayer>, Vec<KeptLayer>) =
        layers.iter().partition(|layer| until(layer.since, keeping) <= now);
    let mut due: Vec<(Uuid, Why)> = over.iter().map(|layer| (layer.id, Why::Grace)).collect();
    let (room, why) = room(&kept, keeping, free);
    due.extend(kept.extract_if(.., |layer| layer.bytes > room).map(|layer| (layer.id, why)));
    kept.sort_by_key(|layer| (layer.since, layer.id));
    let mut total = sum(&kept);
    for layer in kept {
        if total <= room {
            break;
        }
        total -= layer.bytes;
        due.push((layer.id, why));
    }
    due
}

/// How much may be kept, and what bounds it.
fn room(kept: &[KeptLayer], keeping: &Keeping, free: u64) -> (u64, Why) {
    let of_disk = free.saturating_add(sum(kept)) / PART_OF_DISK;
    if of_disk < keeping.quota { (of_disk, Why::Disk) } else { (keeping.quota, Why::Quota) }
}

fn sum(layers: &[KeptLayer]) -> u64 {
    layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.bytes))
}

/// Until when a layer is kept, if nothing comes between (microseconds since 1970).
pub fn until(since: i64, keeping: &Keeping) -> i64 {
    since.saturating_add(i64::try_from(keeping.grace.as_micros()).unwrap_or(i64::MAX))
}

/// What an app wants to hear and to allow of files that its dynos lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ephemeral {
    /// Each receipt has a line in the log.
    #[default]
    Warn,
    /// Writing anywhere but in declared directories fails at once.
    Strict,
    /// Receipts are kept, and the log has no line of them.
    Quiet,
}

impl Ephemeral {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Warn, Self::Strict, Self::Quiet];

    /// As the state and the API spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Strict => "strict",
            Self::Quiet => "quiet",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// A run of a dyno, as people name it: `web.1@3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunName {
    /// Whose.
    pub dyno: DynoName,
    /// Which, counted from 1 by the receipts of an app's dyno of this name.
    pub run: u64,
}

/// A text that names no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no run of a dyno: it must look like web.1@3")]
pub struct RunNameError(String);

impl FromStr for RunName {
    type Err = RunNameError;
    fn from_str(text: &str) -> Result<Self, RunNameError> {
        let wrong = || RunNameError(text.to_owned());
        let (dyno, run) = text.split_once('@').ok_or_else(wrong)?;
        let digits = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit());
        let run = run.parse().ok().filter(|run| *run > 0 && digits).ok_or_else(wrong)?;
        Ok(Self { dyno: dyno.parse().map_err(|_| wrong())?, run })
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.dyno, self.run)
    }
}

/// A path that names nothing that a dyno could have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path of a dyno: it may not go up by `..`, and has no byte 0")]
pub struct PathError(String);

/// A path of a dyno as it is asked for, absolute: `media/` and `./media` lie in `/app`.
pub fn absolute(asked: &str) -> Result<String, PathError> {
    let mut parts = if asked.starts_with('/') { vec![] } else { vec!["app"] };
    for part in asked.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(PathError(asked.to_owned())),
            part if part.contains('\0') => return Err(PathError(asked.to_owned())),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600 * 1_000_000;

    fn layer(number: u128, bytes: u64, since: i64) -> KeptLayer {
        KeptLayer { id: Uuid::from_u128(number), bytes, since }
    }

    fn gone(due: &[(Uuid, Why)]) -> Vec<(u128, Why)> {
        due.iter().map(|(id, why)| (id.as_u128(), *why)).collect()
    }

    #[test]
    fn the_oldest_go_above_the_quota_and_each_goes_after_its_grace() {
        let keeping = Keeping { grace: Duration::from_hours(2), quota: 100 };
        let layers =
            [layer(1, 1, 0), layer(2, 60, HOUR + 1), layer(3, 60, HOUR), layer(4, 30, HOUR)];
        let now = 2 * HOUR;
        assert_eq!(gone(&due(&layers, &keeping, 1_000, now)), [(1, Why::Grace), (3, Why::Quota)]);
        let huge = [layer(1, 50, now), layer(2, 101, now)];
        assert_eq!(gone(&due(&huge, &keeping, 1_000, now)), [(2, Why::Quota)]);
        let full = [layer(1, 50, now), layer(2, 40, now + 1)];
        assert_eq!(gone(&due(&full, &keeping, 90, now)), [(1, Why::Disk)]);
        assert_eq!(due(&full, &keeping, 1_000, now), []);
        let none = Keeping { grace: Duration::ZERO, quota: 100 };
        assert_eq!(gone(&due(&[layer(1, 0, now)], &none, 1_000, now)), [(1, Why::Grace)]);
    }

    #[test]
    fn runs_and_paths_are_read_as_people_write_them() {
        let run: RunName = "web.1@3".parse().unwrap();
        assert_eq!((run.dyno.to_string().as_str(), run.run), ("web.1", 3));
        assert_eq!(run.to_string(), "web.1@3");
        for wrong in ["web.1", "web.1@", "web.1@0", "web.1@+3", "web@3", "@3", "web.1@3@4"] {
            assert!(wrong.parse::<RunName>().is_err(), "{wrong}");
        }
        for (asked, path) in [
            ("media/", "/app/media"),
            ("./media//a b.png", "/app/media/a b.png"),
            ("/app/media", "/app/media"),
            ("/srv/x/", "/srv/x"),
            (".", "/app"),
            ("/", "/"),
        ] {
            assert_eq!(absolute(asked).unwrap(), path, "{asked}");
        }
        assert!(absolute("../etc").is_err() && absolute("/app/../etc").is_err());
        assert_eq!(hours(Duration::from_mins(90)), "90m");
    }

    fn any_layers() -> impl Strategy<Value = Vec<KeptLayer>> {
        vec((0..1_000_u64, 0..10 * HOUR), 0..20).prop_map(|layers| {
            let numbered = layers.into_iter().zip(1..);
            numbered.map(|((bytes, since), number)| layer(number, bytes, since)).collect()
        })
    }

    proptest! {
        #[test]
        fn what_stays_fits_and_is_young_and_nothing_goes_in_vain(
            layers in any_layers(),
            quota in 0..3_000_u64,
            free in 0..20_000_u64,
            grace in 0..12_u64,
        ) {
            let keeping = Keeping { grace: Duration::from_hours(grace), quota };
            let now = 10 * HOUR;
            let due = due(&layers, &keeping, free, now);
            let why = |layer: &KeptLayer| due.iter().find(|(id, _)| *id == layer.id).map(|d| d.1);
            let stays: Vec<KeptLayer> =
                layers.iter().copied().filter(|layer| why(layer).is_none()).collect();
            let young: Vec<KeptLayer> =
                layers.iter().copied().filter(|layer| until(layer.since, &keeping) > now).collect();
            let (room, _) = super::room(&young, &keeping, free);
            prop_assert!(super::sum(&stays) <= room);
            prop_assert!(stays.iter().all(|layer| young.contains(layer)));
            for layer in &layers {
                match why(layer) {
                    Some(Why::Grace) => prop_assert!(!young.contains(layer)),
                    // It alone is too large, or everything newer and it are.
                    Some(_) => {
                        let newer = young.iter().filter(|other| {
                            other.bytes <= room
                                && (other.since, other.id) >= (layer.since, layer.id)
                        });
                        let newer: u64 = newer.map(|other| other.bytes).sum();
                        prop_assert!(layer.bytes > room || newer > room);
                    }
                    None => {}
                }
            }
            // What has gone gives its room back, and then there is nothing left to do.
            let gone = super::sum(&layers) - super::sum(&stays);
            prop_assert_eq!(super::due(&stays, &keeping, free + gone, now), vec![]);
        }
    }
}
