use super::*;

fn inventory(files: &[(&str, &str)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (path, text) in files {
        let evidence = evidence(path).unwrap_or_else(|| panic!("{path} is evidence"));
        inventory.take(path, &evidence, text);
    }
    inventory
}

fn purls(files: &[(&str, &str)]) -> Vec<String> {
    let bill = inventory(files).cyclonedx(&Subject::default());
    let components = bill["components"].as_array().unwrap();
    components.iter().map(|component| component["purl"].as_str().unwrap().to_owned()).collect()
}

const SITE: &str = ".heroku/python/lib/python3.12/site-packages";

#[test]
fn packages_are_read_from_what_they_were_installed_with() {
    let django = "Metadata-Version: 2.1\nName: Django\nVersion: 5.1.2\nLicense: BSD-3-Clause\n\n\
                  Name: not-this\n";
    let found = purls(&[
        (&format!("{SITE}/django-5.1.2.dist-info/METADATA"), django),
        ("node_modules/react/package.json", r#"{"name":"react","version":"18.3.1"}"#),
        (
            "client/node_modules/a/node_modules/@babel/core/package.json",
            r#"{"name":"@babel/core","version":"7.25.0","license":"MIT"}"#,
        ),
        (
            "vendor/ruby/3.3.0/specifications/rack-3.1.7.gemspec",
            "  s.name = \"rack\".freeze\n  s.version = \"3.1.7\"\n  s.licenses = [\"MIT\".freeze]\n",
        ),
        (".heroku/python/include/python3.12/patchlevel.h", "#define PY_VERSION      \"3.12.7\"\n"),
        (
            ".heroku/node/include/node/node_version.h",
            "#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 1\n#define \
             NODE_PATCH_VERSION 2\n",
        ),
    ]);
    assert_eq!(
        found,
        [
            "pkg:gem/rack@3.1.7",
            "pkg:generic/node@20.1.2",
            "pkg:generic/python@3.12.7",
            "pkg:npm/%40babel/core@7.25.0",
            "pkg:npm/react@18.3.1",
            "pkg:pypi/django@5.1.2",
        ]
    );
}

#[test]
fn what_is_no_installed_package_is_no_evidence() {
    for path in [
        "node_modules/a/test/fixtures/package.json",
        "package.json",
        "node_modules/.bin/package.json",
        "docs/METADATA",
        "patchlevel.h",
    ] {
        assert_eq!(evidence(path), None, "{path}");
    }
}

#[test]
fn hostile_metadata_names_nothing() {
    let long = "x".repeat(5_000);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [
        r#"{"name":"../../etc","version":"1"}"#,
        r#"{"name":"a b","version":"1"}"#,
        r#"{"name":"a","version":"1\n2"}"#,
        r#"{"name":7,"version":"1"}"#,
        &format!(r#"{{"name":"{long}","version":"1"}}"#),
        "{",
        deep.as_str(),
        "",
    ] {
        assert!(inventory(&[("node_modules/a/package.json", text)]).is_empty());
    }
    let metadata = "Name: a\nVersion: 1\nLicense: a text\nof many lines\u{7}\n";
    let bill = inventory(&[("a.dist-info/METADATA", metadata)]).cyclonedx(&Subject::default());
    assert_eq!(bill["components"][0]["licenses"][0]["license"]["name"], "a text");
}

#[test]
fn copies_of_a_package_are_one_component_with_its_places() {
    let react = r#"{"name":"react","version":"18.3.1","license":"MIT"}"#;
    let bill = inventory(&[
        ("b/node_modules/react/package.json", react),
        ("a/node_modules/react/package.json", react),
        ("c/node_modules/react/package.json", r#"{"name":"react","version":"18.3.1"}"#),
    ])
    .cyclonedx(&Subject::default());
    let components = bill["components"].as_array().unwrap();
    assert_eq!(components.len(), 1);
    assert_eq!(components[0]["licenses"][0]["expression"], "MIT");
    let places = components[0]["evidence"]["occurrences"].as_array().unwrap();
    let places: Vec<&str> =
        places.iter().map(|place| place["location"].as_str().unwrap()).collect();
    assert_eq!(places, ["a", "b", "c"].map(|top| format!("{top}/node_modules/react/package.json")));
}

#[test]
fn licences_are_expressions_only_where_they_have_the_form() {
    for expression in ["MIT", "Apache-2.0 OR MIT", "(MIT AND CC0-1.0)", "GPL-2.0+ WITH x-exception"]
    {
        assert!(metadata::is_spdx_expression(expression), "{expression}");
    }
    for words in ["Apache 2.0", "BSD License", "MIT OR", "OR MIT", "(MIT", "MIT/X11", ""] {
        assert!(!metadata::is_spdx_expression(words), "{words}");
    }
}

/// What the schema of `CycloneDX` 1.6 demands of the parts that are used here.
#[test]
fn the_bill_has_the_structure_that_cyclonedx_demands() {
    let slug: SlugId = "0123456789abcdef".repeat(4).parse().unwrap();
    let subject = Subject {
        app: "library".into(),
        version: "v42".into(),
        slug: Some(slug),
        created: "2026-11-23T13:00:00Z".into(),
        slugline: "0.1.0".into(),
        buildpacks: vec!["heroku/python".into(), "https://example.org/bp.git#v7".into()],
        reports: vec![],
    };
    let mut inventory =
        inventory(&[("node_modules/react/package.json", r#"{"name":"react","version":"18.3.1"}"#)]);
    let report = serde_json::json!({ "python_version": "3.12.7" });
    inventory.add_reported(&[BuildpackReport { buildpack: "heroku/python".into(), report }]);
    let bill = inventory.cyclonedx(&subject);
    assert_eq!(bill, inventory.clone().cyclonedx(&subject), "the same each time");
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let serial = bill["serialNumber"].as_str().unwrap();
    assert_eq!(serial, "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
    let components = bill["components"].as_array().unwrap();
    assert_eq!(components.len(), 2);
    for component in components {
        assert!(["library", "platform"].contains(&component["type"].as_str().unwrap()));
        assert!(component["name"].as_str().is_some_and(|name| !name.is_empty()));
        assert_eq!(component["bom-ref"], component["purl"]);
    }
    let main = &bill["metadata"]["component"];
    assert_eq!((&main["name"], &main["version"]), (&"library".into(), &"v42".into()));
    let tools = bill["metadata"]["tools"]["components"].as_array().unwrap();
    let versions: Vec<&Value> = tools.iter().map(|tool| &tool["version"]).collect();
    assert_eq!(versions, ["0.1.0", "0.1.0", "v7"]);
    assert_eq!(bill["dependencies"][0]["dependsOn"].as_array().unwrap().len(), 2);
}
