//! The care of the slug store: which slugs go, what goes with them, what takes the room.
//!
//! What a slug is kept for is known in one place, [`Platform::kept`]: a release that retention
//! keeps, a dyno that stands on it, a build that has not released it yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use slugline_model::care::Removed;
use slugline_model::parts::Growth;
use slugline_model::port::{ReadError, SweepError};
use slugline_model::retention::{Sharing, judge};
use slugline_model::size;
use slugline_model::slug::SlugId;
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use crate::clock;
use crate::db::app::App;
use crate::db::{self, DbError};
use crate::platform::{Inner, Platform};

/// How often a sweep is tried again while builds are just storing their slugs, and after how long.
const TRIES: usize = 100;
const AGAIN: Duration = Duration::from_millis(200);

/// How many parts that grew are named for an app.
const GROWN: usize = 3;

/// When the store is looked after.
#[derive(Debug, Default)]
pub(crate) struct Care {
    due: Notify,
    /// One at a time.
    turn: Mutex<()>,
}

impl Care {
    /// Something was released: slugs may have become too many.
    pub(crate) fn is_due(&self) {
        self.due.notify_one();
    }
}

/// Why the store could not be looked after.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CareError {
    /// The state.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store, while something was to be removed.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The store, while something was to be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Builds stored slugs all the while.
    #[error("builds are storing slugs: nothing was removed, try again")]
    Busy,
}

/// What a collection did, or would do.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Collected {
    /// Releases whose slugs were given up: `library v1`.
    pub(crate) expired: Vec<String>,
    pub(crate) removed: Removed,
    /// By how many bytes the store is still too large.
    pub(crate) over_quota: u64,
}

/// What takes the room. Sizes are bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Usage {
    pub(crate) apps: Vec<AppUsage>,
    /// Distinct trees.
    pub(crate) slugs: usize,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) quota: Option<u64>,
    pub(crate) over_quota: u64,
}

/// What one app takes. Sizes are bytes.
#[derive(Debug, Serialize)]
pub(crate) struct AppUsage {
    pub(crate) app: String,
    pub(crate) slugs: usize,
    /// In files that no other app has.
    pub(crate) unique: u64,
    /// In files that others have too.
    pub(crate) shared: u64,
    /// What grew most in its last build.
    pub(crate) grown: Vec<Growth>,
}

/// Slugs to give up, each with its app and its number there.
type Expiring = Vec<(App, Uuid)>;

impl Platform {
    /// Looks after the store at the start and after each release.
    pub(crate) async fn care_for_ever(self) {
        self.inner.care.is_due();
        loop {
            self.inner.care.due.notified().await;
            self.forget_old_changes();
            if let Err(error) = self.collect(false).await {
                tracing::error!(?error, "slugs that nobody needs could not be removed");
            }
        }
    }

    /// Gives up the slugs that retention does not keep, and removes what nobody needs; or says what
    /// it would do.
    pub(crate) async fn collect(&self, dry_run: bool) -> Result<Collected, CareError> {
        let _turn = self.inner.care.turn.lock().await;
        let platform = self.clone();
        let (expiring, over_quota) = self.blocking(move |_| platform.expiring()).await?;
        let mut collected = Collected { over_quota, ..Collected::default() };
        for (app, slug) in &expiring {
            let versions = self.inner.db.read(|db| db::retention::versions(db, *slug))?;
            collected
                .expired
                .extend(versions.iter().map(|version| format!("{} v{version}", app.name)));
        }
        if over_quota > 0 {
            self.say_over_quota(over_quota);
        }
        if dry_run {
            collected.removed = self.preview(&expiring).await?;
            return Ok(collected);
        }
        self.expire(&expiring)?;
        collected.removed = self.sweep().await?;
        Ok(collected)
    }

    fn expire(&self, expiring: &Expiring) -> Result<(), DbError> {
        let now = clock::now();
        self.inner.db.transaction(|db| {
            expiring.iter().try_for_each(|(_, slug)| db::retention::expire(db, *slug, now))
        })?;
        for (app, slug) in expiring {
            let versions = self.inner.db.read(|db| db::retention::versions(db, *slug))?;
            for version in versions {
                let text = format!("Release v{version} expired: its slug is no longer kept");
                self.say_api(&app.name, text);
            }
        }
        Ok(())
    }

    /// Which slugs go, and by how many bytes the store is too large even then.
    fn expiring(&self) -> Result<(Expiring, u64), CareError> {
        let policy = &self.inner.config.retention;
        let (mut expiring, mut spare): (Expiring, Vec<(i64, App, Uuid)>) = (vec![], vec![]);
        for app in self.inner.db.read(db::app::all)? {
            let running = self.running_versions(&app);
            let facts = self.inner.db.read(|db| db::retention::facts(db, app.id, &running))?;
            let verdict = judge(&facts, policy, clock::now());
            expiring.extend(verdict.expired.into_iter().map(|slug| (app.clone(), slug)));
            let aged =
                |slug: Uuid| (facts.slugs.get(&slug).copied().unwrap_or(0), app.clone(), slug);
            spare.extend(verdict.spare.into_iter().map(aged));
        }
        let Some(quota) = policy.quota else { return Ok((expiring, 0)) };
        spare.sort_by_key(|(made_at, _, slug)| (*made_at, *slug));
        let gone = expiring.iter().map(|(_, slug)| *slug).collect();
        let (more, over) = self.beyond_quota(quota, &gone, &spare)?;
        expiring.extend(more);
        Ok((expiring, over))
    }

    /// The oldest slugs that have to go for the rest to fit, of those that may.
    fn beyond_quota(
        &self,
        quota: u64,
        gone: &HashSet<Uuid>,
        spare: &[(i64, App, Uuid)],
    ) -> Result<(Expiring, u64), CareError> {
        let store = &self.inner.store;
        let mut kept: HashMap<Uuid, SlugId> = HashMap::new();
        for app in self.inner.db.read(db::app::all)? {
            kept.extend(self.inner.db.read(|db| db::retention::kept_of_app(db, app.id))?);
        }
        kept.retain(|slug, _| !gone.contains(slug));
        let mut holders: HashMap<&SlugId, usize> = HashMap::new();
        let mut sharing = Sharing::default();
        for tree in kept.values() {
            let count = holders.entry(tree).or_default();
            *count += 1;
            if *count == 1 {
                sharing.add(0, &store.objects(std::slice::from_ref(tree))?);
            }
        }
        let (_, mut bytes) = sharing.total();
        let mut more = vec![];
        for (_, app, slug) in spare {
            if bytes <= quota {
                break;
            }
            let Some(tree) = kept.get(slug) else { continue };
            more.push((app.clone(), *slug));
            let count = holders.entry(tree).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                bytes -= sharing.remove(&store.objects(std::slice::from_ref(tree))?);
            }
        }
        Ok((more, bytes.saturating_sub(quota)))
    }

    fn running_versions(&self, app: &App) -> HashSet<u64> {
        let dynos = self.dynos();
        let own = dynos.alive.values().filter(|dyno| dyno.app == app.name);
        own.map(|dyno| dyno.release).collect()
    }

    fn say_over_quota(&self, over: u64) {
        let quota = self.inner.config.retention.quota.unwrap_or(0);
        let (over, quota) = (size::human(over), size::human(quota));
        tracing::error!(
            "the slug store is {over} larger than its quota of {quota}, though only slugs are left \
             that run or can be rolled back to: raise [store] quota, or see slugline store:usage"
        );
    }

    /// Every slug that somebody needs; none while that is not known.
    fn kept(&self) -> Option<Vec<SlugId>> {
        let mut needed: HashSet<SlugId> = self.inner.pins.held()?.into_iter().collect();
        let released = self.inner.db.read(db::retention::kept_trees);
        let released = released.inspect_err(|error| tracing::error!(?error, "slugs to keep"));
        needed.extend(released.ok()?);
        needed.extend(self.dynos().trees());
        Some(needed.into_iter().collect())
    }

    async fn sweep(&self) -> Result<Removed, CareError> {
        for _ in 0..TRIES {
            let platform = self.clone();
            let keep = move || platform.kept();
            let swept = self.blocking(move |inner| inner.store.sweep(&mut { keep })).await?;
            if let Some(removed) = swept {
                return Ok(removed);
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(CareError::Busy)
    }

    async fn preview(&self, expiring: &Expiring) -> Result<Removed, CareError> {
        let gone: HashSet<Uuid> = expiring.iter().map(|(_, slug)| *slug).collect();
        let mut keep: HashSet<SlugId> = self.dynos().trees().into_iter().collect();
        keep.extend(self.inner.pins.held().ok_or(CareError::Busy)?);
        for app in self.inner.db.read(db::app::all)? {
            let kept = self.inner.db.read(|db| db::retention::kept_of_app(db, app.id))?;
            keep.extend(
                kept.into_iter().filter(|(id, _)| !gone.contains(id)).map(|(_, tree)| tree),
            );
        }
        let keep: Vec<SlugId> = keep.into_iter().collect();
        Ok(self.blocking(move |inner| inner.store.sweep_preview(&keep)).await?)
    }

    /// What takes the room.
    pub(crate) async fn usage(&self) -> Result<Usage, CareError> {
        let quota = self.inner.config.retention.quota;
        self.blocking(move |inner| inner.usage(quota)).await
    }
}

impl Inner {
    fn usage(&self, quota: Option<u64>) -> Result<Usage, CareError> {
        let apps = self.db.read(db::app::all)?;
        let (mut sharing, mut used) = (Sharing::default(), vec![]);
        let mut trees: HashSet<SlugId> = HashSet::new();
        for (number, app) in apps.iter().enumerate() {
            let kept = self.db.read(|db| db::retention::kept_of_app(db, app.id))?;
            let own: BTreeSet<SlugId> = kept.into_iter().map(|(_, tree)| tree).collect();
            let own: Vec<SlugId> = own.into_iter().collect();
            let objects = self.store.objects(&own)?;
            sharing.add(number, &objects);
            used.push((own.len(), objects.values().sum::<u64>()));
            trees.extend(own);
        }
        let (objects, bytes) = sharing.total();
        let rows = apps.iter().zip(sharing.unique(apps.len())).zip(used);
        let apps = rows
            .map(|((app, unique), (slugs, held))| {
                let last = self.db.read(|db| db::build::last_succeeded(db, app.id))?;
                let mut grown = last.map(|build| build.grown).unwrap_or_default();
                grown.truncate(GROWN);
                let (app, shared) = (app.name.to_string(), held.saturating_sub(unique));
                Ok(AppUsage { app, slugs, unique, shared, grown })
            })
            .collect::<Result<Vec<_>, DbError>>()?;
        let over_quota = quota.map_or(0, |quota| bytes.saturating_sub(quota));
        Ok(Usage { apps, slugs: trees.len(), objects, bytes, quota, over_quota })
    }
}
