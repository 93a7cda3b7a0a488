//! Sources: uploaded once, named by an unguessable id.

use std::path::PathBuf;

use uuid::Uuid;

use crate::platform::Platform;

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
