//! Sources: uploaded once, named by an unguessable id.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use crate::db;
use crate::platform::{Inner, Platform};

/// How long a source can be built from after it was uploaded. Heroku: an hour; here long enough for
/// a queue of builds.
const KEPT: Duration = Duration::from_hours(24);

impl Inner {
    /// Removes what was uploaded long ago, and uploads that were not finished since. Sources of
    /// builds stay for as long as these wait, run, or can be run again.
    pub(crate) fn remove_old_sources(&self) {
        let sources = match self.db.read(db::build::sources) {
            Ok(sources) => sources,
            Err(error) => {
                tracing::error!(?error, "sources that nobody needs could not be told");
                return;
            }
        };
        let names = |needed: bool| -> HashSet<OsString> {
            let urls = sources.iter().filter(|(_, kept)| *kept == needed);
            urls.filter_map(|(url, _)| Some(url.rsplit_once('/')?.1.into())).collect()
        };
        let directory = self.config.data_dir.join("sources");
        remove_old(&directory, KEPT, &names(true), &names(false));
    }
}

impl Platform {
    /// Where clients put and get a source. Whoever knows the URL may.
    pub(crate) fn source_url(&self, id: Uuid) -> String {
        self.url(&format!("/sources/{id}"))
    }

    /// Where a source lies.
    pub(crate) fn source_path(&self, id: Uuid) -> PathBuf {
        self.inner.config.data_dir.join("sources").join(id.to_string())
    }

    /// The source that a URL of ours names, if it was uploaded.
    pub(crate) fn source_of_url(&self, url: &str) -> Option<PathBuf> {
        let id = url.rsplit_once("/sources/")?.1.parse().ok()?;
        let path = self.source_path(id);
        path.is_file().then_some(path)
    }
}

/// Removes sources that builds have had and no longer need, and old ones that no build had.
fn remove_old(
    directory: &Path,
    age: Duration,
    needed: &HashSet<OsString>,
    had: &HashSet<OsString>,
) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = |time: std::time::SystemTime| time.elapsed().is_ok_and(|past| past > age);
        let name = entry.file_name();
        if !needed.contains(&name) && (had.contains(&name) || modified.is_ok_and(is_old)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_that_nobody_needs_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["new", "old", "old.part", "needed", "had"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        for name in ["old", "old.part", "needed"] {
            let long_ago = std::time::SystemTime::now() - KEPT - Duration::from_mins(1);
            let file = std::fs::File::options().write(true).open(directory.path().join(name));
            file.unwrap().set_modified(long_ago).unwrap();
        }
        let of = |name: &str| HashSet::from([OsString::from(name)]);
        remove_old(directory.path(), KEPT, &of("needed"), &of("had"));
        let left = std::fs::read_dir(directory.path()).unwrap().flatten();
        let mut left: Vec<OsString> = left.map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["needed", "new"]);
    }
}
