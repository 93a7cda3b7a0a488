//! Which slugs are kept: by the number and the age of releases, and by a quota for the store.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

/// How long the slug of no release is kept (microseconds): one that was made or taken in and is
/// about to be released.
const UNRELEASED: i64 = 24 * 3_600 * 1_000_000;

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// How many releases keep their slugs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// So many of an app's newest releases.
    pub releases: usize,
    /// Of those only what is younger than so many days; none for any age.
    pub days: Option<u32>,
    /// How large the store may become before older slugs than need be go (bytes); none for any
    /// size.
    pub quota: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { releases: 50, days: None, quota: None }
    }
}

/// What is known of a release. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Its version.
    pub version: u64,
    /// Its slug, if that was not given up before.
    pub slug: Option<Uuid>,
    /// Whether it may run.
    pub succeeded: bool,
    /// Whether its release phase still runs.
    pub pending: bool,
    /// Whether a dyno of it is alive.
    pub running: bool,
    /// When it was made.
    pub created_at: i64,
}

/// What is known of an app's slugs.
#[derive(Debug, Clone, Default)]
pub struct AppFacts {
    /// Its releases, in any order.
    pub releases: Vec<ReleaseFacts>,
    /// Its slugs, and when each was made (microseconds since 1970).
    pub slugs: BTreeMap<Uuid, i64>,
}

/// What becomes of an app's slugs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// They go now.
    pub expired: BTreeSet<Uuid>,
    /// They may go where the store is larger than its quota, the oldest first.
    pub spare: Vec<Uuid>,
}

/// What becomes of an app's slugs. Never given up, whatever the policy: the slug of the current
/// release, of the one before it, of the last one before those with another slug (a change of
/// config vars is a release too), of one whose release phase runs, and of one that a dyno runs.
pub fn judge(app: &AppFacts, policy: &Policy, now: i64) -> Verdict {
    let mut releases: Vec<&ReleaseFacts> = app.releases.iter().collect();
    releases.sort_by_key(|release| std::cmp::Reverse(release.version));
    let needed = needed(&releases);
    let within = within(&releases, policy, now);
    let ever: BTreeSet<Uuid> = releases.iter().filter_map(|release| release.slug).collect();
    let mut verdict = Verdict::default();
    let mut by_age: Vec<(i64, Uuid)> = Vec::new();
    for (slug, made_at) in &app.slugs {
        let fresh = now - made_at <= UNRELEASED;
        let kept = if ever.contains(slug) { within.contains(slug) } else { fresh };
        match (needed.contains(slug), kept) {
            (false, false) => {
                verdict.expired.insert(*slug);
            }
            (false, true) if ever.contains(slug) => by_age.push((*made_at, *slug)),
            (true, _) | (false, true) => {}
        }
    }
    by_age.sort_unstable();
    verdict.spare = by_age.into_iter().map(|(_, slug)| slug).collect();
    verdict
}

/// The slugs without which something stops, or could not be brought back. Releases come newest
/// first.
fn needed(releases: &[&ReleaseFacts]) -> BTreeSet<Uuid> {
    let busy = releases.iter().filter(|release| release.running || release.pending);
    let mut needed: BTreeSet<Uuid> = busy.filter_map(|release| release.slug).collect();
    let good: Vec<Uuid> = releases
        .iter()
        .filter(|release| release.succeeded)
        .filter_map(|release| release.slug)
        .collect();
    needed.extend(good.iter().take(2));
    let current = good.first();
    needed.extend(good.iter().find(|slug| Some(*slug) != current));
    needed
}

/// The slugs that the policy keeps. Failed releases do not count; their slugs last as long as those
/// of their neighbours.
fn within(releases: &[&ReleaseFacts], policy: &Policy, now: i64) -> BTreeSet<Uuid> {
    let mut counted = 0;
    let mut within = BTreeSet::new();
    for release in releases.iter().filter(|release| release.slug.is_some()) {
        counted += usize::from(release.succeeded);
        let age = now - release.created_at;
        let young = policy.days.is_none_or(|days| age <= i64::from(days) * DAY);
        if counted <= policy.releases && young {
            within.extend(release.slug);
        }
    }
    within
}

/// Who holds which object: what each app's slugs take alone, and what apps share. Sizes are bytes.
#[derive(Debug, Default)]
pub struct Sharing {
    objects: HashMap<Object, Held>,
}

/// A file's content: its hash, and its executable bit.
pub type Object = ([u8; 32], bool);

#[derive(Debug, Clone, Copy)]
struct Held {
    size: u64,
    /// How many slugs hold it.
    slugs: u32,
    /// The one app whose slugs do, unless there are several.
    app: Option<usize>,
}

impl Sharing {
    /// Counts a slug of an app, which is a small number, with each of its objects once.
    pub fn add(&mut self, app: usize, objects: &HashMap<Object, u64>) {
        for (object, size) in objects {
            let new = Held { size: *size, slugs: 0, app: Some(app) };
            let held = self.objects.entry(*object).or_insert(new);
            held.slugs += 1;
            held.app = held.app.filter(|only| *only == app);
        }
    }

    /// Counts a slug no more; gives the bytes that nobody holds now.
    pub fn remove(&mut self, objects: &HashMap<Object, u64>) -> u64 {
        let mut freed = 0;
        for (object, size) in objects {
            let Some(held) = self.objects.get_mut(object) else { continue };
            held.slugs -= 1;
            if held.slugs == 0 {
                self.objects.remove(object);
                freed += size;
            }
        }
        freed
    }

    /// How many objects there are, and their bytes.
    pub fn total(&self) -> (u64, u64) {
        (self.objects.len() as u64, self.objects.values().map(|held| held.size).sum())
    }

    /// The bytes that each of so many apps holds alone.
    pub fn unique(&self, apps: usize) -> Vec<u64> {
        let mut unique = vec![0; apps];
        for held in self.objects.values() {
            if let Some(place) = held.app.and_then(|app| unique.get_mut(app)) {
                *place += held.size;
            }
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 100 * DAY;

    fn slug(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// Releases with a slug each, oldest first, one a day.
    fn app(count: u64) -> AppFacts {
        let made = |version: u64| NOW - i64::try_from(count - version).unwrap() * DAY;
        let release = |version: u64| ReleaseFacts {
            version,
            slug: Some(slug(version.into())),
            succeeded: true,
            pending: false,
            running: version == count,
            created_at: made(version),
        };
        AppFacts {
            releases: (1..=count).map(release).collect(),
            slugs: (1..=count).map(|version| (slug(version.into()), made(version))).collect(),
        }
    }

    fn expired(app: &AppFacts, policy: &Policy) -> Vec<u128> {
        judge(app, policy, NOW).expired.into_iter().map(|slug| slug.as_u128()).collect()
    }

    fn policy(releases: usize, days: Option<u32>) -> Policy {
        Policy { releases, days, quota: None }
    }

    #[test]
    fn the_newest_releases_keep_their_slugs() {
        assert_eq!(expired(&app(5), &policy(3, None)), [1, 2]);
        assert_eq!(expired(&app(5), &policy(50, Some(2))), [1, 2]);
        assert!(expired(&app(5), &Policy::default()).is_empty());
        let spare = judge(&app(5), &policy(4, None), NOW).spare;
        assert_eq!(spare, [slug(2), slug(3)], "the oldest first, and not the last two");
    }

    #[test]
    fn what_runs_and_what_it_can_be_rolled_back_to_is_never_given_up() {
        let strict = policy(0, Some(0));
        assert_eq!(expired(&app(5), &strict), [1, 2, 3]);
        let mut running = app(5);
        running.releases[1].running = true;
        running.releases[2].pending = true;
        assert_eq!(expired(&running, &strict), [1]);
        // v4 and v5 changed config vars only.
        let mut vars = app(5);
        for index in [3, 4] {
            vars.releases[index].slug = Some(slug(3));
        }
        vars.slugs.retain(|known, _| known.as_u128() <= 3);
        assert_eq!(expired(&vars, &strict), [1], "v2 is the last one with other code");
    }

    #[test]
    fn failed_releases_do_not_use_up_the_count() {
        let mut app = app(6);
        for index in [3, 4] {
            app.releases[index].succeeded = false;
        }
        assert_eq!(expired(&app, &policy(2, None)), [1, 2]);
    }

    #[test]
    fn a_slug_of_no_release_is_kept_for_a_day() {
        let mut app = app(1);
        app.slugs.insert(slug(8), NOW - UNRELEASED);
        app.slugs.insert(slug(9), NOW - UNRELEASED - 1);
        assert_eq!(expired(&app, &Policy::default()), [9]);
        assert!(judge(&app, &Policy::default(), NOW).spare.is_empty());
    }

    #[test]
    fn what_apps_share_is_nobodys_own() {
        let objects = |names: &[u8]| -> HashMap<Object, u64> {
            names.iter().map(|name| (([*name; 32], false), u64::from(*name))).collect()
        };
        let mut sharing = Sharing::default();
        sharing.add(0, &objects(&[1, 2]));
        sharing.add(0, &objects(&[2, 4]));
        sharing.add(1, &objects(&[4, 8]));
        assert_eq!(sharing.total(), (4, 15));
        assert_eq!(sharing.unique(2), [3, 8]);
        assert_eq!(sharing.remove(&objects(&[1, 2])), 1, "the other slug still holds 2");
        assert_eq!(sharing.remove(&objects(&[2, 4])), 2);
        assert_eq!(sharing.total(), (2, 12));
    }
}
