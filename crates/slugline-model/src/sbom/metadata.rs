//! What packages say of themselves in the files that they are installed with.
//!
//! The text is the app's, and may say anything: only its beginning is read, fields are bounded, and
//! what is not a name or a version is not taken for one.

use serde_json::Value;

use super::Package;

/// How much of a file is read (bytes). Descriptions follow the fields that matter.
pub const READ: u64 = 256 << 10;

/// The longest name, version or licence (characters).
const FIELD: usize = 200;

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Python's packages.
    Python,
    /// Node's.
    Npm,
    /// Ruby's.
    Ruby,
    /// Python, Node or another runtime itself.
    Runtime,
}

/// How a file names a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`.
    PythonMetadata,
    /// `node_modules/NAME/package.json`.
    PackageJson,
    /// `specifications/NAME-VERSION.gemspec`.
    Gemspec,
    /// `.heroku/python/…/patchlevel.h`.
    PythonHeader,
    /// `.heroku/python/pyvenv.cfg`.
    PythonEnvironment,
    /// `.heroku/node/include/node/node_version.h`.
    NodeHeader,
}

/// What a file of a slug is evidence of, by its path.
pub fn evidence(path: &str) -> Option<Evidence> {
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [.., folder, "METADATA"] if folder.ends_with(".dist-info") => {
            Some(Evidence::PythonMetadata)
        }
        [.., folder, "PKG-INFO"] if folder.ends_with(".egg-info") => Some(Evidence::PythonMetadata),
        [.., "node_modules", scope, _, "package.json"] if scope.starts_with('@') => {
            Some(Evidence::PackageJson)
        }
        [.., "node_modules", name, "package.json"] if !name.starts_with('.') => {
            Some(Evidence::PackageJson)
        }
        [.., "specifications", name] if name.ends_with(".gemspec") => Some(Evidence::Gemspec),
        [".heroku", "python", .., "patchlevel.h"] => Some(Evidence::PythonHeader),
        [".heroku", "python", "pyvenv.cfg"] => Some(Evidence::PythonEnvironment),
        [".heroku", .., "node", "node_version.h"] => Some(Evidence::NodeHeader),
        _ => None,
    }
}

impl Evidence {
    /// The package that a file with this text is evidence of.
    pub(super) fn read(self, path: &str, text: &str) -> Option<Package> {
        match self {
            Self::PythonMetadata => python(text),
            Self::PackageJson => npm(text),
            Self::Gemspec => gem(path, text),
            Self::PythonHeader => {
                let line = text.lines().find_map(|line| line.strip_prefix("#define PY_VERSION "));
                runtime("python", line?.trim().trim_matches('"'))
            }
            Self::PythonEnvironment => {
                let setting = |line: &'_ str| {
                    let (name, value) = line.split_once('=')?;
                    matches!(name.trim(), "version" | "version_info")
                        .then(|| value.trim().to_owned())
                };
                runtime("python", &text.lines().find_map(setting)?)
            }
            Self::NodeHeader => {
                let number = |name: &str| {
                    let line = text.lines().find_map(|line| {
                        line.trim().strip_prefix("#define ")?.trim().strip_prefix(name)
                    })?;
                    line.trim().parse::<u32>().ok()
                };
                let [major, minor, fix] =
                    ["NODE_MAJOR_VERSION", "NODE_MINOR_VERSION", "NODE_PATCH_VERSION"].map(number);
                runtime("node", &format!("{}.{}.{}", major?, minor?, fix?))
            }
        }
    }
}

fn runtime(name: &str, version_text: &str) -> Option<Package> {
    // `3.12.3.final.0`, as version_info has it.
    let version_text = version_text.split(".final").next().unwrap_or_default();
    let (ecosystem, name) = (Ecosystem::Runtime, name.to_owned());
    Some(Package { ecosystem, name, version: version(version_text)?, licence: None })
}

/// Core metadata, whose fields look like those of a mail, up to the first empty line.
fn python(text: &str) -> Option<Package> {
    let fields = || text.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| {
        let named = |line: &&str| {
            line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        Some(fields().find(named)?.split_once(':')?.1.trim().to_owned())
    };
    let classifier = || {
        let classifiers = fields().filter_map(|line| line.strip_prefix("Classifier: License :: "));
        classifiers.map(|text| text.rsplit(" :: ").next().unwrap_or(text).to_owned()).next()
    };
    let written = field("License-Expression").or_else(|| field("License"));
    let licence = written.as_deref().and_then(phrase).or_else(|| phrase(&classifier()?));
    Some(Package {
        ecosystem: Ecosystem::Python,
        name: name(&field("Name")?, false)?,
        version: version(&field("Version")?)?,
        licence,
    })
}

fn npm(text: &str) -> Option<Package> {
    let value: Value = serde_json::from_str(text).ok()?;
    let licence = value["license"]
        .as_str()
        .or_else(|| value["license"]["type"].as_str())
        .or_else(|| value["licenses"][0]["type"].as_str());
    Some(Package {
        ecosystem: Ecosystem::Npm,
        name: name(value["name"].as_str()?, true)?,
        version: version(value["version"].as_str()?)?,
        licence: licence.and_then(phrase),
    })
}

/// A specification is a program; the lines that its client writes are read, and nothing is run.
fn gem(path: &str, text: &str) -> Option<Package> {
    let file = path.rsplit('/').next()?.strip_suffix(".gemspec")?;
    let quoted = |line: &str| Some(line.split_once('"')?.1.split_once('"')?.0.to_owned());
    let line_with = |field: &str| {
        let named = |line: &&str| {
            line.trim_start().strip_prefix("s.").is_some_and(|rest| {
                rest.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='))
            })
        };
        text.lines().find(named).and_then(quoted)
    };
    let (by_name, by_version) = file.rsplit_once('-').unwrap_or((file, ""));
    Some(Package {
        ecosystem: Ecosystem::Ruby,
        name: name(&line_with("name").unwrap_or_else(|| by_name.to_owned()), false)?,
        version: version(&line_with("version").unwrap_or_else(|| by_version.to_owned()))?,
        licence: line_with("licenses").as_deref().and_then(phrase),
    })
}

fn name(text: &str, scoped: bool) -> Option<String> {
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c))
            && part != "."
            && part != ".."
    };
    let fits = match text.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((scope, package)) if scoped => plain(scope) && plain(package),
        _ => plain(text),
    };
    (fits && text.len() <= FIELD).then(|| text.to_owned())
}

/// A version, if the text looks like one: no spaces, and not much of it.
pub(super) fn version(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= FIELD
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+!~:".contains(c));
    fits.then(|| text.to_owned())
}

/// A licence in one line. The whole text of one is none.
fn phrase(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty()
        && text.chars().count() <= FIELD
        && !text.chars().any(char::is_control)
        && !text.eq_ignore_ascii_case("unknown");
    fits.then(|| text.to_owned())
}

/// Whether a text has the form of an SPDX expression: ids with `AND`, `OR` or `WITH` between them.
pub(super) fn is_spdx_expression(text: &str) -> bool {
    let bare = text.replace(['(', ')'], " ");
    let mut words = bare.split_whitespace().peekable();
    let mut id_is_next = true;
    let mut any = false;
    for word in &mut words {
        let operator = matches!(word, "AND" | "OR" | "WITH");
        let id = word.chars().all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c));
        if operator == id_is_next || !id {
            return false;
        }
        id_is_next = !id_is_next;
        any = true;
    }
    let opened = text.matches('(').count() == text.matches(')').count();
    any && !id_is_next && opened
}
