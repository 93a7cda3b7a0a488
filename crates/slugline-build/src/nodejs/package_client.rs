//! Which of npm, Yarn and pnpm an app uses, in which version, and how each is spoken to.

use std::path::Path;

use super::error::NodejsError;
use super::package_json::PackageJson;

/// A package client, by its lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageClient {
    /// package-lock.json, npm-shrinkwrap.json, or none.
    Npm,
    /// yarn.lock of Yarn 1.
    YarnClassic,
    /// yarn.lock of Yarn 2 and later.
    YarnBerry {
        /// No `node_modules`: the packages stay in `.yarn/cache`, where the running app finds them.
        plug_and_play: bool,
    },
    /// pnpm-lock.yaml
    Pnpm,
}

/// A package client that has to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedTool {
    /// Its program: `yarn`.
    pub(crate) program: &'static str,
    /// The package that it is in: `@yarnpkg/cli-dist`.
    pub(crate) package: &'static str,
    /// A version or a range.
    pub(crate) version: String,
    /// Who says so, for the log.
    pub(crate) why: String,
}

const LOCK_FILES: [&str; 5] =
    ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"];

impl PackageClient {
    /// The app's one client. Of several lock files it is a guess which one is kept up to date.
    pub(crate) fn of(root: &Path, package_json: &PackageJson) -> Result<Self, NodejsError> {
        let found: Vec<&'static str> =
            LOCK_FILES.into_iter().filter(|name| root.join(name).is_file()).collect();
        let client = match found.as_slice() {
            [] | ["package-lock.json" | "npm-shrinkwrap.json"] => Self::Npm,
            ["yarn.lock"] => yarn(root),
            ["pnpm-lock.yaml"] => Self::Pnpm,
            [only] => return Err(NodejsError::UnsupportedLockFile { file: only }),
            several => return Err(NodejsError::SeveralLockFiles { files: several.to_vec() }),
        };
        let declared = package_json.declared_clients();
        if declared.iter().any(|(name, _)| name != &declared[0].0) {
            let fields = declared.into_iter().map(|(_, field)| field).collect();
            return Err(NodejsError::SeveralPackageClients { fields });
        }
        Ok(client)
    }

    /// `yarn`
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::YarnClassic | Self::YarnBerry { .. } => "yarn",
            Self::Pnpm => "pnpm",
        }
    }

    /// What decides which packages are installed, the lock file first.
    pub(crate) fn files(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["package-lock.json", "npm-shrinkwrap.json", "package.json", ".npmrc"],
            Self::YarnClassic => &["yarn.lock", "package.json", ".yarnrc", ".npmrc"],
            Self::YarnBerry { .. } => &["yarn.lock", "package.json", ".yarnrc.yml"],
            Self::Pnpm => &["pnpm-lock.yaml", "package.json", "pnpm-workspace.yaml", ".npmrc"],
        }
    }

    /// Whether an unchanged lock file means that there is nothing to install. Yarn 2 and pnpm keep
    /// the project's path with what they installed, and have to see it themselves.
    pub(crate) fn may_be_skipped(self) -> bool {
        matches!(self, Self::Npm | Self::YarnClassic)
    }

    /// Whether what is there is brought into step: `npm ci` begins by removing it.
    pub(crate) fn updates(self) -> bool {
        self != Self::Npm
    }

    /// What has to be installed first; `None` for npm, which comes with Node.js.
    pub(crate) fn tool(
        self,
        root: &Path,
        package_json: &PackageJson,
    ) -> Result<Option<WantedTool>, NodejsError> {
        Ok(match self {
            Self::Npm => None,
            Self::YarnClassic => Some(yarn_tool(package_json, root)),
            Self::YarnBerry { .. } => Some(berry_tool(root, package_json)?),
            Self::Pnpm => Some(pnpm_tool(root, package_json)),
        })
    }
}

fn yarn(root: &Path) -> PackageClient {
    let lock = fs_err::read_to_string(root.join("yarn.lock")).unwrap_or_default();
    if !lock.lines().any(|line| line.starts_with("__metadata:")) {
        return PackageClient::YarnClassic;
    }
    let linker = yarnrc(root, "nodeLinker");
    PackageClient::YarnBerry { plug_and_play: linker.is_none_or(|linker| linker == "pnp") }
}

/// A setting of `.yarnrc.yml`: the few that matter are plain `key: value` lines.
pub(crate) fn yarnrc(root: &Path, key: &str) -> Option<String> {
    let text = fs_err::read_to_string(root.join(".yarnrc.yml")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let value = value.split(" #").next().unwrap_or_default().trim();
    Some(value.trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

/// Yarn 1 is a package of its own; every later one is `@yarnpkg/cli-dist`.
fn yarn_package(version: &str) -> &'static str {
    let first = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major: String = first.chars().take_while(char::is_ascii_digit).collect();
    match major.parse::<u32>() {
        Ok(major) if major > 1 => "@yarnpkg/cli-dist",
        _ => "yarn",
    }
}

fn yarn_tool(package_json: &PackageJson, root: &Path) -> WantedTool {
    let asked = package_json.asked_version("yarn");
    // Yarn 1 hands over to the release that the app brings along.
    let release = yarnrc(root, "yarnPath").filter(|path| root.join(path).is_file());
    let (version, why) = match (release, asked) {
        (Some(path), _) => ("1.22.x".to_owned(), format!("it starts {path}")),
        (None, Some((version, field))) => (version, field),
        (None, None) => ("1.22.x".to_owned(), "package.json names no version".to_owned()),
    };
    WantedTool { program: "yarn", package: yarn_package(&version), version, why }
}

fn berry_tool(root: &Path, package_json: &PackageJson) -> Result<WantedTool, NodejsError> {
    let tool = yarn_tool(package_json, root);
    let path = yarnrc(root, "yarnPath");
    match path {
        Some(path) if !root.join(&path).is_file() => Err(NodejsError::YarnRelease { path }),
        None if tool.package == "yarn" => Err(NodejsError::NoYarnVersion),
        _ => Ok(tool),
    }
}

fn pnpm_tool(root: &Path, package_json: &PackageJson) -> WantedTool {
    let (version, why) = package_json.asked_version("pnpm").unwrap_or_else(|| {
        let lock = fs_err::read_to_string(root.join("pnpm-lock.yaml")).unwrap_or_default();
        let format = lock.lines().find_map(|line| line.strip_prefix("lockfileVersion:"));
        let format = format.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned();
        // The last series that writes this format.
        let version = match format.split('.').next() {
            Some("5") => "7",
            Some("6") => "8",
            _ => "10",
        };
        let why = format!("package.json names no version; the lock file's format is {format}");
        (version.to_owned(), why)
    });
    WantedTool { program: "pnpm", package: "pnpm", version, why }
}

#[cfg(test)]
#[path = "package_client_tests.rs"]
mod tests;
