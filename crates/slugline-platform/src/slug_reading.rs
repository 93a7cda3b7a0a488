//! What is known of a slug: what it holds, what packages are in it, how it came to be.

use std::io::Read as _;

use serde_json::Value;
use slugline_model::app_json::{self, Manifest};
use slugline_model::listing::{Item, Listing, shown};
use slugline_model::port::ReadError;
use slugline_model::provenance::{self, BuildFacts, Provenance};
use slugline_model::sbom::{self, Inventory, Subject};
use slugline_model::slug::SlugId;
use uuid::Uuid;

use crate::clock::api_time;
use crate::db::app::App;
use crate::db::build::Build;
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::platform::{Inner, Platform};

/// The most of an app.json that is read (bytes).
const APP_JSON: u64 = 1 << 20;

/// A slug as it was asked for, and the newest release that has it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) app: App,
    pub(crate) slug: Slug,
    pub(crate) release: Option<u64>,
}

impl Platform {
    /// The slug that a version (`v42`, `42`), a slug's id, or `current` names.
    pub(crate) fn slug_named(&self, app: &App, name: &str) -> Result<Option<Named>, DbError> {
        self.inner.db.read(|db| {
            let release = db::release::named(db, app.id, name)?;
            let by_id = || name.parse::<Uuid>().ok();
            let id = release.as_ref().and_then(|release| release.slug_id).or_else(by_id);
            let Some(slug) = id.map(|id| db::slug::find(db, id)).transpose()?.flatten() else {
                return Ok(None);
            };
            let version = match release {
                Some(release) => Some(release.version),
                None => db::retention::versions(db, slug.id)?.pop(),
            };
            Ok(Some(Named { app: app.clone(), slug, release: version }))
        })
    }
}

impl Platform {
    /// What the app.json of a slug says that came from elsewhere; nothing where it cannot be meant.
    pub(crate) fn manifest_of(&self, tree: &SlugId) -> Manifest {
        let store = &self.inner.store;
        let Ok(listing) = store.listing(tree) else { return Manifest::default() };
        let Some(Item::File { content, executable, .. }) = listing.items.get(&b"app.json"[..])
        else {
            return Manifest::default();
        };
        let mut text = String::new();
        let read = store.open((*content, *executable)).map(|file| file.take(APP_JSON));
        if read.is_ok_and(|mut file| file.read_to_string(&mut text).is_ok()) {
            app_json::parse(&text).unwrap_or_default()
        } else {
            Manifest::default()
        }
    }
}

impl Inner {
    /// What a slug holds.
    pub(crate) fn listing(&self, slug: &Slug) -> Result<Listing, ReadError> {
        let listing = self.store.listing(&slug.tree)?;
        Ok(Listing { process_types: slug.process_types.clone(), ..listing })
    }

    /// The slug's bill of materials, of what its files say.
    pub(crate) fn sbom(&self, named: &Named) -> Result<Value, ReadError> {
        let listing = self.listing(&named.slug)?;
        let mut inventory = Inventory::default();
        for (path, item) in &listing.items {
            let Item::File { content, executable, .. } = item else { continue };
            let path = shown(path);
            if let Some(evidence) = sbom::evidence(&path) {
                let mut text = Vec::new();
                let file = self.store.open((*content, *executable))?;
                let read = file.take(sbom::READ).read_to_end(&mut text);
                read.map_err(|error| ReadError(format!("read {path}: {error}")))?;
                inventory.take(&path, &evidence, &String::from_utf8_lossy(&text));
            }
        }
        let result = self.build_of(named).and_then(|build| build.result).unwrap_or_default();
        inventory.add_reported(&result.reports);
        let commit = named.slug.source_version.clone();
        let version = named.release.map(|version| format!("v{version}")).or(commit);
        Ok(inventory.cyclonedx(&Subject {
            app: named.app.name.to_string(),
            version: version.unwrap_or_default(),
            slug: Some(named.slug.tree.clone()),
            created: api_time(named.slug.created_at),
            slugline: env!("CARGO_PKG_VERSION").to_owned(),
            buildpacks: result.buildpacks,
            reports: result.reports,
        }))
    }

    /// How the slug came to be.
    pub(crate) fn provenance(&self, named: &Named) -> Value {
        let build = self.build_of(named).map(|build| {
            let noted = self.db.read(|db| db::retention::config_var_names(db, build.id));
            build_facts(&build, noted.ok().flatten())
        });
        provenance::statement(&Provenance {
            app: named.app.name.to_string(),
            release: named.release,
            slug: Some(named.slug.tree.clone()),
            slugline: env!("CARGO_PKG_VERSION").to_owned(),
            stack: self.config.announced_stack.clone(),
            build,
        })
    }

    fn build_of(&self, named: &Named) -> Option<Build> {
        let found = self.db.read(|db| {
            let Some(id) = db::retention::build_of(db, named.slug.id)? else { return Ok(None) };
            db::build::find(db, named.app.id, &id)
        });
        found.inspect_err(|error| tracing::error!(?error, "the build of a slug")).ok().flatten()
    }
}

fn build_facts(build: &Build, noted: Option<Vec<String>>) -> BuildFacts {
    let ran = build.result.as_ref().map(|result| result.buildpacks.clone());
    let seen = build.config_vars.as_ref().map(|vars| vars.keys().cloned().collect());
    BuildFacts {
        id: build.id.to_string(),
        started: api_time(build.created_at),
        finished: api_time(build.updated_at),
        source_version: build.source.version.clone(),
        source_url: build.source.url.clone(),
        source_checksum: build.source.checksum.clone(),
        root: build.source.root.clone(),
        buildpacks: ran.filter(|ran| !ran.is_empty()).unwrap_or_else(|| build.buildpacks.clone()),
        config_vars: noted.or(seen),
    }
}
