//! The API's own schema, where Heroku serves its: a JSON hyper-schema of what this server answers.
//! A test holds it to the routes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Router;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::{Answer, ok};
use crate::platform::Platform;

/// What Heroku's resources and links are made of; README.md says how it is written.
const SHAPES: &str = include_str!("shapes.json");

/// Every link that is answered, and what is sent by those that Heroku does not have.
const LINKS: &str = include_str!("links.json");

/// The resource that links of ours alone are listed under.
const OURS: &str = "slugline";

pub(super) fn routes() -> Router<Platform> {
    Router::new().route("/schema", get(info))
}

async fn info() -> Answer {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| document(&parsed(SHAPES), &parsed(LINKS)));
    Ok(ok(SCHEMA.clone()))
}

/// Both are part of this program, and a test reads them.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn document(shapes: &Value, links: &Value) -> Value {
    let known = shapes["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut resources: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut definitions: BTreeMap<&str, Value> = BTreeMap::new();
    for (link, input) in links.as_object().into_iter().flatten() {
        let Some((method, path)) = link.split_once(' ') else { continue };
        let plain = without_names(path);
        let known = known.iter().find(|known| known[0] == method && known[1] == plain.as_str());
        let resource = known.and_then(|known| known[2].as_str()).unwrap_or(OURS);
        let theirs = known.map_or(&Value::Null, |known| &known[4]);
        let input = if theirs.is_object() { theirs } else { input };
        let answer = known.map_or(&Value::Null, |known| &known[3]);
        resources.entry(resource).or_default().push(described(method, path, input, answer));
        let answered = answer.as_str().or_else(|| answer[0].as_str());
        for name in answered.into_iter().chain([resource]) {
            definitions.entry(name).or_insert_with(|| expanded(&shapes["shapes"][name]));
        }
    }
    for (name, links) in resources {
        definitions.entry(name).or_default()["links"] = Value::Array(links);
    }
    json!({
        "$schema": "http://interagent.github.io/interagent-hyper-schema",
        "title": "Platform API",
        "type": ["object"],
        "definitions": definitions,
    })
}

/// `/apps/{app}/builds` as `/apps/{}/builds`.
fn without_names(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn described(method: &str, path: &str, input: &Value, answer: &Value) -> Value {
    let rel = match method {
        "GET" if answer.is_array() => "instances",
        "GET" => "self",
        "POST" => "create",
        "DELETE" => "destroy",
        _ => "update",
    };
    let mut link = json!({ "href": path, "method": method, "rel": rel });
    if input.is_object() {
        link["schema"] = expanded(input);
    }
    let of = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        json!({ "$ref": format!("#/definitions/{name}") })
    };
    match answer {
        Value::String(_) => link["targetSchema"] = of(answer),
        Value::Array(items) => {
            link["targetSchema"] = json!({ "type": ["array"], "items": items.first().map(of) });
        }
        Value::Object(given) => link["targetSchema"] = expanded(&given["shape"]),
        _ => {}
    }
    link
}

/// A shape in the words of JSON Schema.
fn expanded(shape: &Value) -> Value {
    let mut schema = Map::new();
    for (key, value) in shape.as_object().into_iter().flatten() {
        let each = |map: &Map<String, Value>| {
            map.iter().map(|(name, shape)| (name.clone(), expanded(shape))).collect()
        };
        let (word, value) = match (key.as_str(), value) {
            ("t", _) => ("type", value.clone()),
            ("r", _) => ("required", value.clone()),
            ("e", _) => ("enum", value.clone()),
            ("f", _) => ("format", value.clone()),
            ("x", _) => ("pattern", value.clone()),
            ("a", _) => ("additionalProperties", value.clone()),
            ("m", _) => ("additionalProperties", expanded(value)),
            ("i", _) => ("items", expanded(value)),
            ("o", Value::Array(choices)) => ("anyOf", choices.iter().map(expanded).collect()),
            ("p", Value::Object(map)) => ("properties", Value::Object(each(map))),
            _ => continue,
        };
        schema.insert(word.to_owned(), value);
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_with_what_is_sent_and_what_is_answered() {
        let schema = document(&parsed(SHAPES), &parsed(LINKS));
        let links = schema["definitions"]["config-var"]["links"].as_array().unwrap();
        let change = links.iter().find(|link| link["method"] == "PATCH").unwrap();
        assert_eq!(change["href"], "/apps/{app}/config-vars");
        assert_eq!(change["rel"], "update");
        assert!(change["schema"]["additionalProperties"].is_object(), "{change}");
        let apps = schema["definitions"]["app"]["links"].as_array().unwrap();
        let list = apps.iter().find(|link| link["href"] == "/apps" && link["method"] == "GET");
        assert_eq!(list.unwrap()["targetSchema"]["items"]["$ref"], "#/definitions/app");
        assert_eq!(schema["definitions"]["app"]["properties"]["id"]["format"], "uuid");
        let ours = schema["definitions"]["slugline"]["links"].as_array().unwrap();
        assert!(ours.iter().any(|link| link["href"] == "/apps/{app}/prove"));
    }
}
