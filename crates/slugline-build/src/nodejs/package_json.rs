//! package.json, as far as a build reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::NodejsError;

/// The app's package.json.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PackageJson {
    engines: BTreeMap<String, String>,
    scripts: BTreeMap<String, String>,
    dev_dependencies: BTreeMap<String, serde_json::Value>,
    workspaces: Option<serde_json::Value>,
    cache_directories: Vec<String>,
}

/// npm runs these of the app itself when it installs.
const INSTALL_SCRIPTS: [&str; 6] =
    ["preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare"];

impl PackageJson {
    /// Reads it.
    pub(crate) fn read(root: &Path) -> Result<Self, NodejsError> {
        let bytes = fs_err::read(root.join("package.json"))
            .map_err(NodejsError::io("read package.json"))?;
        serde_json::from_slice(&bytes).map_err(NodejsError::PackageJson)
    }

    /// The Node.js that the app asks for, as a range.
    pub(crate) fn node_range(&self) -> Option<&str> {
        self.engines.get("node").map(|range| range.trim()).filter(|range| !range.is_empty())
    }

    /// Whether there is such a script.
    pub(crate) fn has_script(&self, name: &str) -> bool {
        self.scripts.contains_key(name)
    }

    /// Whether there is anything to prune.
    pub(crate) fn has_dev_dependencies(&self) -> bool {
        !self.dev_dependencies.is_empty()
    }

    /// Why an install cannot be replaced by a copy of what it left the last time.
    pub(crate) fn install_does_more(&self) -> Option<String> {
        let script = INSTALL_SCRIPTS.iter().find(|name| self.has_script(name));
        let workspaces = || self.workspaces.as_ref().map(|_| "it has workspaces".to_owned());
        script.map(|name| format!("it has a script {name}")).or_else(workspaces)
    }

    /// Directories that the app wants kept from build to build, below its root.
    pub(crate) fn cache_directories(&self) -> impl Iterator<Item = &str> {
        let below = |name: &&String| {
            !name.is_empty() && !name.starts_with('/') && !name.split('/').any(|part| part == "..")
        };
        self.cache_directories.iter().filter(below).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_needs_is_read_and_the_rest_passed_over() {
        let json = r#"{"name": "x", "engines": {"node": " 20.x "}, "private": true,
            "scripts": {"postinstall": "x"}, "cacheDirectories": ["a", "../b", "/c"]}"#;
        let json: PackageJson = serde_json::from_str(json).unwrap();
        assert_eq!(json.node_range(), Some("20.x"));
        assert_eq!(json.cache_directories().collect::<Vec<_>>(), ["a"]);
        assert_eq!(json.install_does_more().as_deref(), Some("it has a script postinstall"));
        assert!(!json.has_dev_dependencies());
    }
}
