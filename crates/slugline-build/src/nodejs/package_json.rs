//! package.json, as far as a build reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::NodejsError;
use crate::difference::Packages;

/// The app's package.json.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PackageJson {
    engines: BTreeMap<String, String>,
    scripts: BTreeMap<String, String>,
    dependencies: BTreeMap<String, serde_json::Value>,
    dev_dependencies: BTreeMap<String, serde_json::Value>,
    optional_dependencies: BTreeMap<String, serde_json::Value>,
    package_manager: Option<String>,
    workspaces: Option<serde_json::Value>,
    cache_directories: Vec<String>,
    #[serde(rename = "cache_directories")]
    cache_directories_snake: Vec<String>,
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

    /// The version of `node`, `npm`, `yarn` or `pnpm` that the app asks for in `engines`, a range.
    pub(crate) fn engine(&self, name: &str) -> Option<&str> {
        self.engines.get(name).map(|range| range.trim()).filter(|range| !range.is_empty())
    }

    /// The name and version of `packageManager`, without its hash.
    pub(crate) fn package_manager(&self) -> Option<(&str, &str)> {
        let (name, version) = self.package_manager.as_deref()?.split_once('@')?;
        Some((name, version.split('+').next().unwrap_or(version)))
    }

    /// The version of a package client that the app asks for, and the field that says so.
    pub(crate) fn asked_version(&self, name: &str) -> Option<(String, String)> {
        match self.package_manager() {
            Some((own, version)) if own == name => {
                Some((version.to_owned(), "packageManager of package.json".to_owned()))
            }
            _ => {
                let range = self.engine(name)?.to_owned();
                Some((range, format!("engines.{name} of package.json")))
            }
        }
    }

    /// The package clients that fields name, each with its field.
    pub(crate) fn declared_clients(&self) -> Vec<(String, String)> {
        let engine = |name: &str| {
            let range = self.engine(name)?;
            Some((name.to_owned(), format!("engines.{name}: {range}")))
        };
        let mut declared: Vec<_> = ["npm", "yarn", "pnpm"].into_iter().filter_map(engine).collect();
        if let Some((name @ ("yarn" | "pnpm"), version)) = self.package_manager() {
            declared.push((name.to_owned(), format!("packageManager: {name}@{version}")));
        }
        declared
    }

    /// All that it depends on, with the ranges.
    pub(crate) fn packages(&self) -> Packages {
        let all = [&self.dependencies, &self.dev_dependencies, &self.optional_dependencies];
        let pairs = all.into_iter().flatten();
        pairs.map(|(name, range)| (name.clone(), range.as_str().unwrap_or("").to_owned())).collect()
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
        let first = &self.cache_directories;
        let named = if first.is_empty() { &self.cache_directories_snake } else { first };
        named.iter().filter(below).map(String::as_str)
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
        assert_eq!(json.engine("node"), Some("20.x"));
        assert_eq!(json.cache_directories().collect::<Vec<_>>(), ["a"]);
        assert_eq!(json.install_does_more().as_deref(), Some("it has a script postinstall"));
        assert!(!json.has_dev_dependencies());
    }
}
