//! Checks of the slug store: what must be there, where copies may be, and what people call it.
//!
//! Also for a store whose server does not run: the state is read where it lies.

use std::path::Path;

use slugline_model::care::Checked;
use slugline_model::port::CheckRequest;

use crate::db::{self, Db, DbError};
use crate::platform::{Inner, StartError};

/// The state of a server that does not run. Whoever opens it holds the data directory's lock.
#[derive(Debug)]
pub struct Offline(Db);

impl Offline {
    /// Opens the state in a data directory.
    pub fn open(data_dir: &Path) -> Result<Self, StartError> {
        Ok(Self(Db::open(&data_dir.join("state.sqlite3"))?))
    }

    /// What a check of the store is asked for: the slugs of releases must be there, and the trees
    /// of the last builds may have whole copies.
    pub fn check_request(&self, data_dir: &Path) -> Result<CheckRequest, StartError> {
        Ok(check_request(&self.0, data_dir)?)
    }

    /// Says what people call the slugs that a check names.
    pub fn name_slugs(&self, checked: &mut Checked) {
        name_slugs(&self.0, checked);
    }
}

impl Inner {
    /// As [`Offline::check_request`].
    pub(crate) fn check_request(&self) -> Result<CheckRequest, DbError> {
        check_request(&self.db, &self.config.data_dir)
    }

    /// As [`Offline::name_slugs`].
    pub(crate) fn name_slugs(&self, checked: &mut Checked) {
        name_slugs(&self.db, checked);
    }
}

fn check_request(db: &Db, data_dir: &Path) -> Result<CheckRequest, DbError> {
    let apps = db.read(db::app::all)?;
    let cache = data_dir.join("cache");
    let trees = apps.iter().map(|app| cache.join(format!("{}.last", app.name)));
    Ok(CheckRequest {
        expected: db.read(db::retention::kept_trees)?,
        trees: trees.filter(|tree| tree.is_dir()).collect(),
        ..CheckRequest::default()
    })
}

fn name_slugs(db: &Db, checked: &mut Checked) {
    let known = db.read(db::retention::known_as).unwrap_or_default();
    for finding in &mut checked.findings {
        for hit in &mut finding.slugs {
            hit.known_as = known.get(hit.slug.as_str()).cloned().unwrap_or_default();
        }
    }
}
