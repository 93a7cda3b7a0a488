//! Builds and release phases that a server left behind when it was killed.

use slugline_model::build::{BuildStatus, exit_code};
use slugline_model::message::gutter_line;

use crate::build_failure;
use crate::db::{self, DbError};
use crate::platform::Platform;

impl Platform {
    /// Fails them, and says why at the end of each one's output.
    pub(crate) fn fail_what_was_left(&self, now: i64) -> Result<(), DbError> {
        let builds = self.inner.db.read(db::build::pending)?;
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
}
