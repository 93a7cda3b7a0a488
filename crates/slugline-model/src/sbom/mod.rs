//! A slug's bill of materials, as `CycloneDX` 1.6 writes one: what is in it, not what was
//! asked for.
//!
//! The same slug has the same text: nothing in it depends on when or where it is made.

mod metadata;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::build::BuildpackReport;
use crate::slug::SlugId;

pub use metadata::{Ecosystem, Evidence, READ, evidence};

/// The most components that are listed. A slug with more says so.
const MOST: usize = 50_000;

/// The most places that one component is said to be at.
const PLACES: usize = 50;

/// A package or runtime that lies in a slug.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name there: `Django`, `@babel/core`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// As it states its licence: an SPDX expression, or a few words.
    pub licence: Option<String>,
}

/// The app whose slug it is, and what built it.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The app's name.
    pub app: String,
    /// `v42`, or the commit.
    pub version: String,
    /// The slug's identity.
    pub slug: Option<SlugId>,
    /// When the slug was made: `2026-11-23T13:00:00Z`.
    pub created: String,
    /// Slugline's version.
    pub slugline: String,
    /// The buildpacks that ran, in order.
    pub buildpacks: Vec<String>,
    /// What they reported.
    pub reports: Vec<BuildpackReport>,
}

/// Reads the evidence that lies in a slug: each file's path and the beginning of its text.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    found: BTreeMap<Package, Vec<String>>,
    left_out: u64,
}

impl Inventory {
    /// Takes a file that [`evidence`] wanted. What cannot be read as such is passed over.
    pub fn take(&mut self, path: &str, evidence: &Evidence, text: &str) {
        let Some(package) = evidence.read(path, text) else { return };
        self.add(package, path);
    }

    /// Adds a package that was found at a path.
    pub fn add(&mut self, package: Package, path: &str) {
        if self.found.len() >= MOST && !self.found.contains_key(&package) {
            self.left_out += 1;
            return;
        }
        let places = self.found.entry(package).or_default();
        if places.len() < PLACES && places.last().is_none_or(|last| last != path) {
            places.push(path.to_owned());
        }
    }

    /// Adds the runtimes that reports name and no file of the slug did.
    pub fn add_reported(&mut self, reports: &[BuildpackReport]) {
        let known = [("python_version", "python"), ("node", "node"), ("node_version", "node")];
        for report in reports {
            for (field, name) in known {
                let version = report.report[field].as_str().and_then(metadata::version);
                let there = self
                    .found
                    .keys()
                    .any(|package| package.ecosystem == Ecosystem::Runtime && package.name == name);
                if let (Some(version), false) = (version, there) {
                    let name = name.to_owned();
                    let ecosystem = Ecosystem::Runtime;
                    self.add(Package { ecosystem, name, version, licence: None }, "");
                }
            }
        }
    }

    /// How many packages and runtimes were found.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The bill of materials.
    pub fn cyclonedx(&self, subject: &Subject) -> Value {
        let components: Vec<Value> = merged(&self.found)
            .into_iter()
            .map(|(reference, (package, places))| component(&reference, package, &places))
            .collect();
        let references: Vec<&str> =
            components.iter().filter_map(|component| component["bom-ref"].as_str()).collect();
        let app = format!("slugline:{}", subject.app);
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": serial(subject.slug.as_ref()),
            "version": 1,
            "metadata": {
                "timestamp": subject.created,
                "tools": { "components": tools(subject) },
                "component": {
                    "type": "application",
                    "bom-ref": app,
                    "name": subject.app,
                    "version": subject.version,
                },
                "properties": properties(subject, self.left_out),
            },
            "dependencies": [{ "ref": app, "dependsOn": references }],
            "components": components,
        })
    }
}

/// Packages by their reference: the same package with the same version is one component, whatever
/// its copies say of their licence.
fn merged(found: &BTreeMap<Package, Vec<String>>) -> BTreeMap<String, (&Package, Vec<&str>)> {
    let mut merged: BTreeMap<String, (&Package, Vec<&str>)> = BTreeMap::new();
    for (package, places) in found {
        let entry = merged.entry(package.purl()).or_insert((package, vec![]));
        if entry.0.licence.is_none() {
            entry.0 = package;
        }
        entry.1.extend(places.iter().map(String::as_str).filter(|place| !place.is_empty()));
    }
    for (_, places) in merged.values_mut() {
        places.sort_unstable();
        places.truncate(PLACES);
    }
    merged
}

fn component(reference: &str, package: &Package, places: &[&str]) -> Value {
    let (group, name) = match package.name.split_once('/') {
        Some((scope, name)) if package.ecosystem == Ecosystem::Npm => (Some(scope), name),
        _ => (None, package.name.as_str()),
    };
    let kind = if package.ecosystem == Ecosystem::Runtime { "platform" } else { "library" };
    let mut component = json!({
        "type": kind,
        "bom-ref": reference,
        "name": name,
        "version": package.version,
        "purl": reference,
    });
    if let Some(group) = group {
        component["group"] = group.into();
    }
    if let Some(licence) = &package.licence {
        component["licenses"] = json!([licence_choice(licence)]);
    }
    if !places.is_empty() {
        let occurrences: Vec<Value> =
            places.iter().map(|place| json!({ "location": place })).collect();
        component["evidence"] = json!({ "occurrences": occurrences });
    }
    component
}

fn licence_choice(licence: &str) -> Value {
    if metadata::is_spdx_expression(licence) {
        json!({ "expression": licence })
    } else {
        json!({ "license": { "name": licence } })
    }
}

fn tools(subject: &Subject) -> Vec<Value> {
    let slugline =
        json!({ "type": "application", "name": "slugline", "version": subject.slugline });
    let buildpack = |name: &String| {
        let mut tool = json!({ "type": "application", "name": name });
        // Those that come with Slugline have its version.
        if let Some(version) = buildpack_version(name, &subject.slugline) {
            tool["version"] = version.into();
        }
        tool
    };
    std::iter::once(slugline).chain(subject.buildpacks.iter().map(buildpack)).collect()
}

/// The version of a buildpack: Slugline's for those that come with it, else the commit, branch or
/// tag that its URL names.
pub fn buildpack_version<'a>(name: &'a str, slugline: &'a str) -> Option<&'a str> {
    match name.split_once('#') {
        Some((_, version)) if !version.is_empty() => Some(version),
        None if !name.contains("://") && name.starts_with("heroku/") => Some(slugline),
        _ => None,
    }
}

fn properties(subject: &Subject, left_out: u64) -> Vec<Value> {
    let mut properties = Vec::new();
    if let Some(slug) = &subject.slug {
        properties.push(json!({ "name": "slugline:slug", "value": slug.as_str() }));
    }
    if left_out > 0 {
        let value = left_out.to_string();
        properties.push(json!({ "name": "slugline:components-left-out", "value": value }));
    }
    properties
}

/// A serial number that only depends on the slug: a UUID of version 8, made of its identity.
fn serial(slug: Option<&SlugId>) -> String {
    let digits = slug.map_or("0", |slug| slug.as_str());
    let number = u128::from_str_radix(digits.get(..32).unwrap_or("0"), 16).unwrap_or(0);
    let marked = number & !(0xf << 76) & !(0b11 << 62) | (8 << 76) | (0b10 << 62);
    format!("urn:uuid:{}", uuid::Uuid::from_u128(marked))
}

impl Package {
    /// The package's URL, as purl-spec writes it: `pkg:pypi/django@5.1`, `pkg:npm/%40babel/core@7`.
    pub fn purl(&self) -> String {
        let (kind, name) = match self.ecosystem {
            Ecosystem::Python => ("pypi", self.name.to_lowercase().replace('_', "-")),
            Ecosystem::Npm => ("npm", self.name.clone()),
            Ecosystem::Ruby => ("gem", self.name.clone()),
            Ecosystem::Runtime => ("generic", self.name.clone()),
        };
        let name: Vec<String> = name.split('/').map(percent).collect();
        format!("pkg:{kind}/{}@{}", name.join("/"), percent(&self.version))
    }
}

/// As purl-spec encodes a part: letters, digits, `.`, `-`, `_` and `~` stay.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
