//! How a slug came to be, as an in-toto statement with SLSA's provenance.
//!
//! <https://slsa.dev/provenance/v1>, <https://in-toto.io/Statement/v1>. Of config vars it has names
//! only.

use serde_json::{Value, json};

use crate::sbom::buildpack_version;
use crate::slug::SlugId;

/// What kind of build it was: the meaning of the parameters below.
const BUILD_TYPE: &str = "urn:slugline:build:1";

/// What is known of a build.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The app's name.
    pub app: String,
    /// The release's version.
    pub release: Option<u64>,
    /// The slug.
    pub slug: Option<SlugId>,
    /// Slugline's version.
    pub slugline: String,
    /// The stack's name.
    pub stack: String,
    /// The build; none for a slug that came from elsewhere.
    pub build: Option<BuildFacts>,
}

/// What is known of the build itself.
#[derive(Debug, Clone, Default)]
pub struct BuildFacts {
    /// Its id.
    pub id: String,
    /// When it began: `2026-11-23T13:00:00Z`.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// The source as its uploader named it: usually a commit.
    pub source_version: Option<String>,
    /// Where the source was.
    pub source_url: String,
    /// The source's checksum: `SHA256:…`.
    pub source_checksum: Option<String>,
    /// The directory of the source that the app is in.
    pub root: String,
    /// The buildpacks, in order.
    pub buildpacks: Vec<String>,
    /// Names of the config vars that the build saw; none where they are no longer known.
    pub config_vars: Option<Vec<String>>,
}

/// The statement.
pub fn statement(provenance: &Provenance) -> Value {
    let Provenance { app, release, slug, .. } = provenance;
    let name = release.map_or_else(|| app.clone(), |version| format!("{app}@v{version}"));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": name,
            "digest": { "blake3": slug.as_ref().map_or("", |slug| slug.as_str()) },
        }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": definition(provenance),
            "runDetails": details(provenance),
        },
    })
}

fn definition(provenance: &Provenance) -> Value {
    let build = provenance.build.clone().unwrap_or_default();
    let buildpacks: Vec<Value> = build
        .buildpacks
        .iter()
        .map(|name| {
            let version = buildpack_version(name, &provenance.slugline);
            json!({ "name": name, "version": version })
        })
        .collect();
    json!({
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "source": {
                "version": build.source_version,
                "checksum": build.source_checksum,
                "root": build.root,
            },
            "buildpacks": buildpacks,
            "configVars": build.config_vars,
            "stack": provenance.stack,
        },
        "internalParameters": {},
        "resolvedDependencies": dependencies(&build),
    })
}

/// What went into the build, as far as it has an address.
fn dependencies(build: &BuildFacts) -> Vec<Value> {
    let mut dependencies = Vec::new();
    if !build.source_url.is_empty() {
        let mut source = json!({ "name": "source", "uri": build.source_url });
        if let Some((algorithm, digest)) =
            build.source_checksum.as_deref().and_then(|checksum| checksum.split_once(':'))
        {
            source["digest"] = json!({ algorithm.to_lowercase(): digest });
        }
        dependencies.push(source);
    }
    let addressed = build.buildpacks.iter().filter(|name| name.contains("://"));
    dependencies.extend(addressed.map(|url| json!({ "name": "buildpack", "uri": url })));
    dependencies
}

fn details(provenance: &Provenance) -> Value {
    let version = &provenance.slugline;
    let mut details = json!({
        "builder": {
            "id": format!("urn:slugline:builder:{version}"),
            "version": { "slugline": version },
        },
    });
    if let Some(build) = &provenance.build {
        details["metadata"] = json!({
            "invocationId": build.id,
            "startedOn": build.started,
            "finishedOn": build.finished,
        });
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        let build = BuildFacts {
            id: "b".into(),
            started: "2026-11-23T13:00:00Z".into(),
            finished: "2026-11-23T13:01:00Z".into(),
            source_version: Some("0123abc".into()),
            source_url: "http://localhost:5055/sources/1".into(),
            source_checksum: Some("SHA256:ab".into()),
            root: String::new(),
            buildpacks: vec!["heroku/python".into(), "https://example.org/b.git#v1".into()],
            config_vars: Some(vec!["SECRET_KEY".into()]),
        };
        Provenance {
            app: "library".into(),
            release: Some(42),
            slug: Some("ab".repeat(32).parse().unwrap()),
            slugline: "0.1.0".into(),
            stack: "heroku-24".into(),
            build: Some(build),
        }
    }

    #[test]
    fn the_statement_names_the_slug_and_what_went_into_it() {
        let statement = statement(&provenance());
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["subject"][0]["name"], "library@v42");
        assert_eq!(statement["subject"][0]["digest"]["blake3"], "ab".repeat(32));
        let definition = &statement["predicate"]["buildDefinition"];
        assert_eq!(definition["resolvedDependencies"][0]["digest"]["sha256"], "ab");
        assert_eq!(definition["resolvedDependencies"].as_array().unwrap().len(), 2);
        assert_eq!(definition["externalParameters"]["configVars"][0], "SECRET_KEY");
        assert_eq!(definition["externalParameters"]["buildpacks"][1]["version"], "v1");
        let run = &statement["predicate"]["runDetails"];
        assert_eq!(run["builder"]["id"], "urn:slugline:builder:0.1.0");
        assert_eq!(run["metadata"]["startedOn"], "2026-11-23T13:00:00Z");
    }

    #[test]
    fn a_slug_from_elsewhere_says_nothing_of_a_build() {
        let statement = statement(&Provenance { build: None, ..provenance() });
        assert!(statement["predicate"]["runDetails"]["metadata"].is_null());
        let definition = &statement["predicate"]["buildDefinition"];
        assert_eq!(definition["resolvedDependencies"], json!([]));
        assert!(definition["externalParameters"]["configVars"].is_null());
    }
}
