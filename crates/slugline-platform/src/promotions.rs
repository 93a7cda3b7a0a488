//! Promotions: other apps of a pipeline release the slug that one of them runs, with config vars of
//! their own.

use std::convert::Infallible;

use uuid::Uuid;

use crate::clock;
use crate::db::app::App;
use crate::db::pipeline_promotion::{Promotion, Target};
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::platform::Platform;
use crate::reconcile::Running;
use crate::releases::NewRelease;

impl Platform {
    /// Promotes what an app runs to others. Each of them gets a release, which may have a release
    /// phase, or a word why it has none.
    pub(crate) fn promote(
        &self,
        pipeline: Uuid,
        source: (&App, &Running),
        targets: &[App],
    ) -> Result<Promotion, DbError> {
        let (app, running) = source;
        let now = clock::now();
        let promotion = Promotion {
            id: Uuid::new_v4(),
            pipeline_id: pipeline,
            source_app_id: app.id,
            source_release_id: running.release.id,
            created_at: now,
            updated_at: now,
        };
        let promoted: Vec<Target> = targets
            .iter()
            .map(|target| {
                let released = self.release_promoted(source, target);
                let (release_id, error) = match released {
                    Ok(release) => (Some(release), None),
                    Err(error) => {
                        tracing::error!(?error, app = %target.name, "a promotion failed");
                        (None, Some("The release could not be written.".to_owned()))
                    }
                };
                let id = Uuid::new_v4();
                Target { id, promotion_id: promotion.id, app_id: target.id, release_id, error }
            })
            .collect();
        self.inner
            .db
            .transaction(|db| db::pipeline_promotion::insert(db, &promotion, &promoted))?;
        Ok(promotion)
    }

    fn release_promoted(
        &self,
        (app, running): (&App, &Running),
        target: &App,
    ) -> Result<Uuid, DbError> {
        // The tree is the same. The row is the target's own, so that neither app's end or retention
        // takes it from the other.
        let slug = Slug { id: Uuid::new_v4(), created_at: clock::now(), ..running.slug.clone() };
        let description = match &slug.source_version {
            Some(version) => {
                let short: String = version.chars().take(8).collect();
                format!("Promote {} v{} {short}", app.name, running.release.version)
            }
            None => format!("Promote {} v{}", app.name, running.release.version),
        };
        let new = NewRelease { slug: Some(slug.clone()), description };
        let written = self.release_in_background_with(target, new, |db| {
            Ok(Ok::<_, Infallible>(db::slug::insert(db, target.id, &slug)?))
        })?;
        let Ok(((), release)) = written;
        Ok(release.id)
    }
}
