//! Split brain: one dyno wrote a file, and another one is asked for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use slugline_model::bridge::written_elsewhere;
use slugline_model::dyno::{DynoId, DynoState};
use slugline_model::name::{AppName, DynoName};
use slugline_model::route::Backend;

use crate::dynos::Dyno;
use crate::platform::Platform;

/// How often the ledgers of an app's dynos are looked at for this at most.
const REST: Duration = Duration::from_secs(10);

/// Directories of an app that are remembered as told; then it is told again.
const TOLD: usize = 100;

/// What was looked at and told, by app.
#[derive(Debug, Default)]
pub(crate) struct Splits(Mutex<HashMap<AppName, Looked>>);

#[derive(Debug)]
struct Looked {
    at: Instant,
    /// Directories of URLs.
    told: HashSet<String>,
}

impl Splits {
    /// Whether a missing path is worth a look at other dynos now.
    fn may_look(&self, app: &AppName, path: &str) -> bool {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match apps.get_mut(app) {
            Some(looked) if looked.at.elapsed() < REST => false,
            Some(looked) if looked.told.contains(directory(path)) => false,
            Some(looked) => {
                looked.at = Instant::now();
                true
            }
            None => {
                let looked = Looked { at: Instant::now(), told: HashSet::new() };
                apps.insert(app.clone(), looked);
                true
            }
        }
    }

    fn is_told(&self, app: &AppName, path: &str) {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looked) = apps.get_mut(app) {
            if looked.told.len() >= TOLD {
                looked.told.clear();
            }
            looked.told.insert(directory(path).to_owned());
        }
    }
}

fn directory(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    path.rfind('/').map_or("", |slash| &path[..slash])
}

/// Whether a path names a file, not a page.
fn names_file(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

impl Platform {
    /// Looks, beside the request, whether another web dyno of the app wrote what one has not.
    pub(crate) fn look_on_other_dynos(&self, app: &AppName, dyno: &Backend, path: &str) {
        if !names_file(path) {
            return;
        }
        let others = self.other_web_dynos(app, dyno.id);
        if others.is_empty() || !self.inner.splits.may_look(app, path) {
            return;
        }
        let (platform, app, asked) = (self.clone(), app.clone(), dyno.dyno.to_string());
        let path = path.to_owned();
        tokio::spawn(async move { platform.look(&app, &asked, &path, others).await });
    }

    fn other_web_dynos(&self, app: &AppName, asked: DynoId) -> Vec<(DynoId, DynoName)> {
        let dynos = self.dynos();
        let serves = |dyno: &&Dyno| {
            dyno.app == *app && dyno.is_web() && dyno.state == DynoState::Up && dyno.id != asked
        };
        dynos.alive.values().filter(serves).map(|dyno| (dyno.id, dyno.name.clone())).collect()
    }

    async fn look(&self, app: &AppName, asked: &str, path: &str, others: Vec<(DynoId, DynoName)>) {
        for (id, name) in others {
            let ledger = self.blocking(move |inner| inner.engine.ledger(id)).await;
            let Ok(ledger) = ledger else { continue };
            if let Some(change) = written_elsewhere(path, &ledger.largest) {
                let shown = path.split('?').next().unwrap_or_default();
                let text = format!(
                    "{shown} is not here: {name} wrote {}. A dyno's disk is its own; what all \
                     dynos need belongs into a bucket (S3) or a database",
                    change.path
                );
                self.say(app, asked, text);
                self.inner.splits.is_told(app, path);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_looked_at_seldom_and_told_once_a_directory() {
        let (splits, app) = (Splits::default(), "owl".parse::<AppName>().unwrap());
        assert!(splits.may_look(&app, "/media/a.png"));
        assert!(!splits.may_look(&app, "/media/b.png"), "it rests");
        let age = |splits: &Splits| {
            let mut apps = splits.0.lock().unwrap();
            apps.get_mut(&app).unwrap().at = Instant::now().checked_sub(2 * REST).unwrap();
        };
        age(&splits);
        assert!(splits.may_look(&app, "/media/a.png"));
        splits.is_told(&app, "/media/a.png?x=/y");
        age(&splits);
        assert!(!splits.may_look(&app, "/media/b.png"), "it was told");
        assert!(splits.may_look(&app, "/other/b.png"));
    }

    #[test]
    fn pages_are_no_files() {
        assert!(names_file("/a/b.png?x") && !names_file("/a.b/c") && !names_file("/?a.b"));
    }
}
