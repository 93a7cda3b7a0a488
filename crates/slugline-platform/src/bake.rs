//! A new release of the current slug and of files as they are in a dyno: for the day when they must
//! be saved now.

use std::io::{self, Read, Write};

use slugline_model::bake::{self, PathError, Properly};
use slugline_model::dyno::DynoId;
use slugline_model::exchange::{ExchangeError, Extended};
use slugline_model::name::DynoName;
use slugline_model::port::EngineError;
use slugline_model::slug::SlugId;
use uuid::Uuid;

use crate::clock;
use crate::db::app::App;
use crate::db::release::Release;
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::platform::{Inner, Platform};
use crate::releases::NewRelease;

/// What came of it.
pub(crate) struct Baked {
    pub(crate) release: Release,
    pub(crate) added: Vec<String>,
    /// Their size (bytes).
    pub(crate) bytes: u64,
    /// What does it properly.
    pub(crate) properly: Vec<Properly>,
}

/// Why nothing was released.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BakeError {
    #[error("no dyno {0} runs")]
    NoDyno(String),
    #[error(transparent)]
    Paths(#[from] PathError),
    #[error("the app has no release with a slug")]
    NoSlug,
    #[error("{dyno} runs v{runs}, whose slug is not that of v{current}, the current release")]
    Stale { dyno: DynoName, runs: u64, current: u64 },
    #[error("v{0} was released meanwhile")]
    Overtaken(u64),
    #[error("{dyno} has written nothing at {paths}")]
    Nothing { dyno: DynoName, paths: String },
    #[error("the files of the dyno could not be read")]
    Engine(#[from] EngineError),
    #[error("the files cannot be part of a slug")]
    Exchange(#[from] ExchangeError),
    #[error("the state could not be read or written")]
    Db(#[from] DbError),
}

/// Which files of which dyno, and which slug they are added to.
struct Wanted {
    id: DynoId,
    dyno: DynoName,
    slug: Slug,
    current: u64,
    paths: Vec<String>,
}

impl Platform {
    /// Makes the release; where anything fails there is none.
    pub(crate) async fn bake(
        &self,
        app: &App,
        dyno: &str,
        named: &[String],
    ) -> Result<Baked, BakeError> {
        let paths = bake::paths(named)?;
        let wanted = self.wanted(app, dyno, paths)?;
        // Nothing but this keeps the slug until the state knows it.
        let mut pin = self.inner.pins.open();
        let (id, tree, paths) = (wanted.id, wanted.slug.tree.clone(), wanted.paths.clone());
        let extended = self.blocking(move |inner| inner.extend(id, &tree, &paths)).await?;
        let nothing = |paths: &[&str]| BakeError::Nothing {
            dyno: wanted.dyno.clone(),
            paths: paths.join(", "),
        };
        let all: Vec<&str> = wanted.paths.iter().map(String::as_str).collect();
        let extended = extended.ok_or_else(|| nothing(&all))?;
        pin.hold(extended.slug.id.clone());
        let missing = bake::missing(&wanted.paths, &extended.added);
        if !missing.is_empty() {
            return Err(nothing(&missing));
        }
        let tree = extended.slug.id.clone();
        let framework = self.blocking(move |inner| inner.framework(&tree)).await;
        let properly = bake::properly(&extended.added, framework);
        let release = self.release_baked(app, &wanted, &extended)?;
        Ok(Baked { release, added: extended.added, bytes: extended.bytes, properly })
    }

    fn wanted(&self, app: &App, dyno: &str, paths: Vec<String>) -> Result<Wanted, BakeError> {
        let found = {
            let dynos = self.dynos();
            let mut alive = dynos.alive.values();
            let found = alive.find(|known| {
                known.app == app.name
                    && known.role != Role::Build
                    && known.state.is_alive()
                    && (known.name.to_string() == dyno || known.id.to_string() == dyno)
            });
            found.map(|known| (known.id, known.name.clone(), known.release))
        };
        let (id, dyno, runs) = found.ok_or_else(|| BakeError::NoDyno(dyno.to_owned()))?;
        let (current, slug) = self.current_slug(app)?.ok_or(BakeError::NoSlug)?;
        let of_dyno = self.slug_named(app, &format!("v{runs}"))?;
        if of_dyno.is_none_or(|named| named.slug.tree != slug.tree) {
            return Err(BakeError::Stale { dyno, runs, current });
        }
        Ok(Wanted { id, dyno, slug, current, paths })
    }

    fn current_slug(&self, app: &App) -> Result<Option<(u64, Slug)>, DbError> {
        let named = self.slug_named(app, "current")?;
        Ok(named.and_then(|named| Some((named.release?, named.slug))))
    }

    /// The ordinary way: with the release phase where there is one, and dyno by dyno.
    fn release_baked(
        &self,
        app: &App,
        wanted: &Wanted,
        extended: &Extended,
    ) -> Result<Release, BakeError> {
        let description = bake::description(extended.added.len(), &wanted.dyno);
        let slug = Slug {
            id: Uuid::new_v4(),
            tree: extended.slug.id.clone(),
            size: extended.slug.packed_bytes,
            manifest: self.manifest_of(&extended.slug.id),
            checksum: None,
            created_at: clock::now(),
            ..wanted.slug.clone()
        };
        // Another slug may have been released while this one was stored: it must not be taken back.
        let new = NewRelease { slug: Some(slug.clone()), description };
        let added = self.release_in_background_with(app, new, |db| {
            let current = db::release::current(db, app.id)?.map_or(0, |release| release.version);
            if current != wanted.current {
                return Ok(Err(current));
            }
            db::slug::insert(db, app.id, &slug)?;
            Ok(Ok(()))
        })?;
        added.map(|((), release)| release).map_err(BakeError::Overtaken)
    }
}

impl Inner {
    /// Passes what the dyno wrote there on to the store, which makes a slug of it; none where it wrote
    /// nothing.
    fn extend(
        &self,
        id: DynoId,
        slug: &SlugId,
        paths: &[String],
    ) -> Result<Option<Extended>, BakeError> {
        let (mut reader, mut writer) = io::pipe()
            .map_err(|error| ExchangeError::Store(format!("there is no pipe: {error}")))?;
        std::thread::scope(|scope| {
            let export = scope.spawn(move || {
                let exported = self.engine.export(id, paths, &mut writer);
                // A tar that is cut off is refused; a whole one has an end.
                let _ = writer.flush();
                exported
            });
            let limits = &self.config.limits;
            let extended = self.exchange.extend(slug, &mut Whole(&mut reader), limits);
            // Whoever still writes is not waited for.
            drop(reader);
            let exported = export.join().expect("an export does not panic");
            match (extended, exported) {
                (Err(_), Ok(tally)) if tally.files == 0 => Ok(None),
                (extended, Ok(_)) => Ok(Some(extended?)),
                (Err(refused), Err(error)) if had_no_reader(&error) => Err(refused.into()),
                (_, Err(error)) => Err(error.into()),
            }
        })
    }
}

/// Whether an export ended because the store read no further.
fn had_no_reader(error: &EngineError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.source.as_ref());
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::BrokenPipe) || error.to_string().contains("Broken pipe") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A reader that is passed on by reference, so that its owner can close it.
struct Whole<'a, R>(&'a mut R);

impl<R: Read> Read for Whole<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
