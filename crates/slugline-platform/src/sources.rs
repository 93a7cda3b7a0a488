//! Sources: uploaded once, named by an unguessable id.

use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use crate::platform::{Inner, Platform};

/// How long a source can be built from after it was uploaded. Heroku: an hour; here long enough for
/// a queue of builds.
const KEPT: Duration = Duration::from_hours(24);

impl Inner {
    /// Removes what was uploaded long ago, and uploads that were not finished since.
    pub(crate) fn remove_old_sources(&self) {
        remove_older(&self.config.data_dir.join("sources"), KEPT);
    }
}

impl Platform {
    /// Where clients put and get a source. Whoever knows the URL may.
    pub(crate) fn source_url(&self, id: Uuid) -> String {
        format!("http://localhost:{}/sources/{id}", self.inner.config.api_port)
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

fn remove_older(directory: &Path, age: Duration) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = |time: std::time::SystemTime| time.elapsed().is_ok_and(|past| past > age);
        if modified.is_ok_and(is_old) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_sources_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["new", "old", "old.part"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        for name in ["old", "old.part"] {
            let long_ago = std::time::SystemTime::now() - KEPT - Duration::from_mins(1);
            let file = std::fs::File::options().write(true).open(directory.path().join(name));
            file.unwrap().set_modified(long_ago).unwrap();
        }
        remove_older(directory.path(), KEPT);
        let left = std::fs::read_dir(directory.path()).unwrap().flatten();
        assert_eq!(left.map(|entry| entry.file_name()).collect::<Vec<_>>(), ["new"]);
    }
}
