//! Builds and release phases that a server left behind when it was killed.

use rusqlite::Connection;
use slugline_model::build::{BuildStatus, exit_code};
use slugline_model::message::gutter_line;
use uuid::Uuid;

use crate::build_failure;
use crate::db::build::Build;
use crate::db::release::{Release, Status};
use crate::db::{self, DbError};
use crate::platform::Platform;

impl Platform {
    /// Fails them, and says why at the end of each one's output. A build whose release has taken
    /// effect has only not been written down as one that succeeded.
    pub(crate) fn fail_what_was_left(&self, now: i64) -> Result<(), DbError> {
        let builds = self.end_what_is_released(now)?;
        let releases = self.inner.db.read(db::release::pending)?;
        self.inner.db.transaction(|db| {
            for (app, build) in &builds {
                let mut build = build.clone();
                build.status = BuildStatus::Failed;
                build.exit_code = Some(exit_code::INTERNAL);
                build.failure = Some("the server was killed".to_owned());
                build.updated_at = now;
                db::build::put(db, *app, &build)?;
            }
            db::release::fail_pending(db, now)
        })?;
        for (app, build) in &builds {
            let Some(app) = self.inner.db.read(|db| db::app::find(db, &app.to_string()))? else {
                continue;
            };
            let mut text = build_failure::server_killed(&app.name).gutter();
            for line in ["", &self.state_of_the_world(&app)] {
                text.push_str(&gutter_line(line));
                text.push('\n');
            }
            self.inner.outputs.append(build.id, &text);
        }
        for release in releases {
            let text = gutter_line("The server was killed while the release command ran.");
            self.inner.outputs.append(release, &format!("{text}\n"));
        }
        Ok(())
    }

    /// Ends builds that have their release; gives the others.
    fn end_what_is_released(&self, now: i64) -> Result<Vec<(Uuid, Build)>, DbError> {
        self.inner.db.transaction(|db| {
            let mut left = Vec::new();
            for (app, mut build) in db::build::pending(db)? {
                match build.slug_id.map(|slug| made_from(db, app, slug)).transpose()?.flatten() {
                    Some(release) => {
                        build.status = BuildStatus::Succeeded;
                        build.exit_code = Some(exit_code::OK);
                        build.release_id = Some(release.id);
                        build.updated_at = now;
                        db::build::put(db, app, &build)?;
                    }
                    None => left.push((app, build)),
                }
            }
            Ok(left)
        })
    }
}

/// The release that has taken effect with a slug, if one has.
fn made_from(db: &Connection, app: Uuid, slug: Uuid) -> rusqlite::Result<Option<Release>> {
    let releases = db::release::of_app(db, app)?;
    let is_it = |release: &Release| {
        release.slug_id == Some(slug) && matches!(release.status, Status::Succeeded)
    };
    Ok(releases.into_iter().find(is_it))
}
