//! The caches of builds, one an app: how large they may become, and how they are purged.

use std::path::{Path, PathBuf};

use slugline_model::name::AppName;
use slugline_model::size;
use uuid::Uuid;

use crate::db;
use crate::db::app::App;
use crate::outputs::Output;
use crate::platform::{Inner, Platform};
use crate::workspace::last_tree_home;

impl Inner {
    /// What lies there of an app between its builds: its cache, and the tree of its last build.
    pub(crate) fn cached_of(&self, app: &AppName) -> [PathBuf; 2] {
        let data_dir = &self.config.data_dir;
        [data_dir.join("cache").join(app.as_str()), last_tree_home(data_dir, app)]
    }

    fn remove_cache(&self, app: &AppName) {
        for tree in self.cached_of(app) {
            if let Err(error) = self.engine.remove_tree(&tree) {
                tracing::error!(?error, %app, "a cache could not be removed");
            }
        }
    }
}

impl Platform {
    /// Removes an app's cache once no build uses it, and before any later one begins. It goes on by
    /// itself; what it returns is over when the cache is gone.
    pub(crate) fn purge_cache(&self, app: &AppName) -> tokio::task::JoinHandle<()> {
        let (platform, app) = (self.clone(), app.clone());
        let place = self.inner.turns.enter(&app, None);
        tokio::spawn(async move {
            place.turn().await;
            platform.blocking(move |inner| inner.remove_cache(&app)).await;
        })
    }

    /// Purges a cache that has become too large, before a build begins. The build's output says so.
    pub(crate) async fn keep_to_cache_quota(&self, app: &App, output: &Output) {
        let quota = self.inner.config.limits.cache;
        let noted = self.inner.db.read(|db| db::build::last_cache_bytes(db, app.id));
        // What the last build noted spares a walk; only who is above it is weighed anew.
        if matches!(noted, Ok(Some(bytes)) if bytes <= quota) {
            return;
        }
        let app = &app.name;
        let found = self.cache_size(app).await;
        if found <= quota {
            return;
        }
        output.line("-----> Purging the build cache");
        output.line(&format!(
            "       It holds {}, and may hold {}: this build begins without it",
            size::human(found),
            size::human(quota)
        ));
        let name = app.clone();
        self.blocking(move |inner| inner.remove_cache(&name)).await;
    }

    /// How large an app's cache is (bytes). Nobody may build it meanwhile, else it is somewhere else.
    pub(crate) async fn cache_size(&self, app: &AppName) -> u64 {
        let app = app.clone();
        self.blocking(move |inner| inner.cached_of(&app).iter().map(|tree| size_of(tree)).sum())
            .await
    }

    /// Notes how large a build left the cache.
    pub(crate) async fn note_cache_size(&self, app: &AppName, build: Uuid) {
        let bytes = self.cache_size(app).await;
        let noted = self.inner.db.transaction(|db| db::build::set_cache_bytes(db, build, bytes));
        if let Err(error) = noted {
            tracing::error!(?error, "the size of a cache could not be written down");
        }
    }
}

/// The bytes of all files below a directory. Links are not followed; what cannot be read is nothing.
fn size_of(directory: &Path) -> u64 {
    let mut bytes = 0;
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                _ => bytes += entry.metadata().map_or(0, |metadata| metadata.len()),
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_weighed_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "12345").unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("a/link")).unwrap();
        assert_eq!(size_of(dir.path()), 5 + 4);
        assert_eq!(size_of(Path::new("/no/such/cache")), 0);
    }
}
