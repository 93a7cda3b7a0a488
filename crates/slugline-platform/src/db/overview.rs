//! What all apps run, read in a few statements however many apps there are: the reconcile loop and
//! the router's table look at it at every change.

use std::collections::HashMap;

use rusqlite::Connection;
use slugline_model::name::AppName;
use slugline_model::procfile::ProcessTypes;
use uuid::Uuid;

use super::app::{self, App};
use super::formation::{self, Formation};
use super::{from_json, parsed};

/// An app, and what it should run.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) app: App,
    /// None for an app that was never released.
    pub(crate) current: Option<Current>,
    /// By process type.
    pub(crate) formation: Vec<Formation>,
}

/// What is needed of a current release to know what should run.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) version: u64,
    pub(crate) process_types: ProcessTypes,
}

impl Overview {
    /// How many web dynos the app should have; none for one that was never released.
    pub(crate) fn web_quantity(&self) -> Option<u32> {
        let current = self.current.as_ref()?;
        let has_web = current.process_types.keys().any(slugline_model::name::ProcessType::is_web);
        let web = self.formation.iter().find(|row| row.process_type.is_web());
        Some(web.filter(|_| has_web).map_or(0, |row| row.quantity))
    }
}

/// All apps, by name.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Overview>> {
    let mut current = current(db)?;
    let mut formations: HashMap<Uuid, Vec<Formation>> = HashMap::new();
    for (app, row) in formation::all(db)? {
        formations.entry(app).or_default().push(row);
    }
    let overview = |app: App| Overview {
        current: current.remove(&app.id),
        formation: formations.remove(&app.id).unwrap_or_default(),
        app,
    };
    Ok(app::all(db)?.into_iter().map(overview).collect())
}

/// The names of all apps.
pub(crate) fn names(overviews: &[Overview]) -> std::collections::HashSet<&AppName> {
    overviews.iter().map(|overview| &overview.app.name).collect()
}

/// The newest release that succeeded, of each app that has one with a slug.
fn current(db: &Connection) -> rusqlite::Result<HashMap<Uuid, Current>> {
    // SQLite takes the other columns from the row of the maximum.
    let sql = "SELECT release.app_id, max(release.version), slug.process_types
               FROM release LEFT JOIN slug ON slug.id = release.slug_id
               WHERE release.status = 'succeeded' GROUP BY release.app_id";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let app: Uuid = parsed(&row.get::<_, String>(0)?)?;
        let Some(process_types) = row.get::<_, Option<String>>(2)? else { return Ok(None) };
        let version = row.get::<_, i64>(1)?.unsigned_abs();
        Ok(Some((app, Current { version, process_types: from_json(&process_types)? })))
    })?;
    rows.filter_map(Result::transpose).collect()
}
