//! The server's schema as the fuzzer reads it: an `OpenAPI` document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// Links that need no token: whoever knows a name that nobody guesses, and what hides nothing.
const OPEN: [&str; 6] =
    ["/buildpacks", "/log-streams/", "/schema", "/slugs/", "/sources/", "/streams/"];

/// Where a fuzzed server may be led to: nowhere.
const NOWHERE: &str = r"^(https?|syslog)://[a-z]{1,9}\.invalid/[a-z]{0,9}$";

/// What stands for the variables of paths, by their names.
pub(crate) type Names = BTreeMap<&'static str, BTreeSet<String>>;

/// Of a hyper-schema.
pub(crate) fn of(schema: &Value, names: &Names) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut shapes = Map::new();
    for (resource, definition) in schema["definitions"].as_object().expect("resources") {
        for link in definition["links"].as_array().into_iter().flatten() {
            let (path, method) = (text(&link["href"]), text(&link["method"]).to_lowercase());
            paths.entry(path.to_owned()).or_default().insert(method, operation(link, names));
        }
        let mut shape = definition.clone();
        shape.as_object_mut().expect("a resource").remove("links");
        shapes.insert(resource.clone(), shape);
    }
    assert!(paths.len() > 100, "{paths:?}");
    let token = json!({ "type": "http", "scheme": "bearer" });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Platform API", "version": "3" },
        "paths": paths,
        "components": { "schemas": shapes, "securitySchemes": { "token": token } },
    })
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn operation(link: &Value, names: &Names) -> Value {
    let (path, method) = (text(&link["href"]), text(&link["method"]));
    let variables = path.split('{').skip(1).filter_map(|part| part.split('}').next());
    let mut parameters: Vec<Value> = variables.map(|name| variable(name, names)).collect();
    let mut operation = json!({ "operationId": format!("{method} {path}") });
    if !OPEN.iter().any(|open| path.starts_with(open)) {
        operation["security"] = json!([{ "token": [] }]);
    }
    let input = harmless(&link["schema"], names);
    match (method, input.as_object()) {
        ("GET", Some(_)) => parameters.extend(questions(&input)),
        ("POST" | "PUT" | "PATCH", Some(_)) => {
            let content = json!({ "application/json": { "schema": input } });
            operation["requestBody"] = json!({ "content": content, "required": true });
        }
        _ => {}
    }
    operation["parameters"] = Value::Array(parameters);
    operation["responses"] = json!({ "default": { "description": "whatever" } });
    if let Some(answer) = link.get("targetSchema") {
        let answer = answer.to_string().replace("#/definitions/", "#/components/schemas/");
        let answer: Value = serde_json::from_str(&answer).expect("it was JSON");
        operation["responses"]["2XX"] = json!({
            "description": "what it is asked for",
            "content": { "application/json": { "schema": answer } },
        });
    }
    operation
}

/// A part of a path: mostly the name of something that is there.
fn variable(name: &str, names: &Names) -> Value {
    let anything = json!({ "type": "string", "minLength": 1 });
    let schema = names.get(name).map_or(
        anything.clone(),
        |known| json!({ "anyOf": [{ "enum": known }, { "enum": known }, anything] }),
    );
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn questions(input: &Value) -> Vec<Value> {
    let properties = input["properties"].as_object().into_iter().flatten();
    let question = |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "schema": schema });
    properties.map(question).collect()
}

/// Without what would lead a server to others' machines, and mostly with names of what is there.
fn harmless(schema: &Value, names: &Names) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut map = map.clone();
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            *property = match (name.as_str(), names.get(name.as_str())) {
                _ if name == "url" || name.ends_with("_url") => nowhere(NOWHERE),
                // A registry that does not answer is asked again for a while.
                ("reference", _) => nowhere("^[a-z0-9@]{0,9}$"),
                (_, Some(known)) if is_text(property) => {
                    json!({ "anyOf": [{ "enum": known }, property] })
                }
                _ => harmless(property, names),
            };
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get(key).filter(|inner| inner.is_object()) {
            let inner = harmless(inner, names);
            map.insert(key.to_owned(), inner);
        }
    }
    Value::Object(map)
}

fn is_text(schema: &Value) -> bool {
    schema["type"].as_array().is_some_and(|types| types.contains(&json!("string")))
}

fn nowhere(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}
