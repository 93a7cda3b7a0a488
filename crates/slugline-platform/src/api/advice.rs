//! Ours: what to do about the files that a live dyno has written.

use axum::extract::{Path, State};
use serde_json::json;
use slugline_model::advice::{self, Framework};

use super::dyno::no_such_dyno;
use super::{Answer, ok};
use crate::platform::Platform;

/// Group by group, the largest first, and what the app is written with.
pub(crate) async fn of_dyno(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let found = {
        let dynos = platform.dynos();
        let mut alive = dynos.alive.values();
        let found = alive.find(|known| {
            known.app == app.name
                && (known.name.to_string() == dyno || known.id.to_string() == dyno)
        });
        found.map(|known| (known.id, known.release))
    };
    let (id, release) = found.ok_or_else(no_such_dyno)?;
    let tree = platform.slug_named(&app, &format!("v{release}"))?.map(|named| named.slug.tree);
    let read = platform.blocking(move |inner| {
        let framework = tree.map_or(Framework::Unknown, |tree| inner.framework(&tree));
        inner.engine.ledger(id).map(|ledger| (ledger, framework))
    });
    // It may have ended this moment.
    let (ledger, framework) = read.await.map_err(|_| no_such_dyno())?;
    let groups = advice::of_groups(&ledger, framework);
    Ok(ok(json!({ "dyno": { "id": id, "name": dyno }, "framework": framework, "groups": groups })))
}
