//! Whatever is sent, the server does not fail: answers are never 500.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Map, Value, json};

use crate::support::TestPlatform;
use crate::{Link, links};

/// How often each link is called.
const ROUNDS: usize = 6;

/// What is sent may depend on nothing but this.
const SEED: u64 = 20_261_129;

/// Names that lead somewhere, and others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            "library", "shelf", "web", "web.1", "1", "current", "preboot", "~", "host", "local",
            "postgres", "postgres:dev", "DATABASE", "books", "cedar", "www.example.test",
            "00000000-0000-4000-8000-000000000001",
        ])
        .prop_map(str::to_owned),
        1 => "[a-z0-9.-]{1,40}",
        1 => "\\PC{1,12}",
        1 => Just("x".repeat(300)),
    ]
}

fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        name().prop_map(Value::from),
        Just(json!("")),
        Just(json!("a\u{0}b\r\nc")),
        Just(json!("y".repeat(70_000))),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[{ "a": [null] }]])),
    ]
}

/// A value as a shape wants it, more or less.
fn value(shape: &Value, depth: u32) -> BoxedStrategy<Value> {
    if depth == 0 {
        return junk().boxed();
    }
    if let Some(choices) = shape["o"].as_array() {
        let choices: Vec<_> = choices.iter().map(|choice| value(choice, depth - 1)).collect();
        return proptest::strategy::Union::new(choices).boxed();
    }
    let types: Vec<&str> =
        shape["t"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fitting = if let Some(values) = shape["e"].as_array() {
        proptest::sample::select(values.clone()).boxed()
    } else if shape["p"].is_object() {
        object(shape, depth)
    } else if types.contains(&"array") {
        proptest::collection::vec(value(&shape["i"], depth - 1), 0..3).prop_map(Value::from).boxed()
    } else if types.contains(&"boolean") {
        any::<bool>().prop_map(Value::from).boxed()
    } else if types.contains(&"integer") {
        (-3_i64..1_000).prop_map(Value::from).boxed()
    } else if types.contains(&"object") {
        proptest::collection::btree_map("[A-Z]{1,8}", junk(), 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed()
    } else {
        name().prop_map(Value::from).boxed()
    };
    prop_oneof![4 => fitting, 1 => junk()].boxed()
}

fn object(shape: &Value, depth: u32) -> BoxedStrategy<Value> {
    let properties = shape["p"].as_object().into_iter().flatten();
    let parts: Vec<_> = properties
        .map(|(name, shape)| {
            let name = name.clone();
            proptest::option::weighted(0.7, value(shape, depth - 1))
                .prop_map(move |value| value.map(|value| (name.clone(), value)))
        })
        .collect();
    parts
        .prop_map(|parts| Value::Object(parts.into_iter().flatten().collect::<Map<_, _>>()))
        .boxed()
}

/// A path's segment, as clients write what is in it.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:".contains(&b);
    let escape = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(escape).collect()
}

fn path(link: &Link, runner: &mut TestRunner) -> String {
    let mut path = String::new();
    for part in link.path.split("{}") {
        if !path.is_empty() {
            path.push_str(&escaped(&name().new_tree(runner).unwrap().current()));
        }
        path.push_str(part);
    }
    path
}

#[tokio::test]
async fn whatever_is_sent_the_server_does_not_fail() {
    let config = Config { rng_seed: RngSeed::Fixed(SEED), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let mut failed = Vec::new();
    let test = scene().await;
    for link in links() {
        for _ in 0..ROUNDS {
            let path = path(&link, &mut runner);
            let body = value(link.input, 4).new_tree(&mut runner).unwrap().current();
            let (status, answer) = test.call(link.method, &path, body.clone()).await;
            if status.is_server_error() && status.as_u16() != 501 {
                let body = body.to_string();
                let body = &body[..body.floor_char_boundary(300)];
                failed.push(format!("{} {path} {body}: {status} {answer}", link.method));
            }
        }
        // What was destroyed meanwhile is made again.
        for name in ["library", "shelf"] {
            let _ = test.call("POST", "/apps", json!({ "name": name })).await;
        }
    }
    assert!(failed.is_empty(), "{} requests:\n{}", failed.len(), failed.join("\n"));
}

/// One of everything, as far as that is quickly made.
async fn scene() -> TestPlatform {
    let test = TestPlatform::with_app().await;
    test.ok("POST", "/apps", json!({ "name": "shelf" })).await;
    let pipeline = test.ok("POST", "/pipelines", json!({ "name": "books" })).await;
    for (app, stage) in [("library", "staging"), ("shelf", "production")] {
        let coupling = json!({ "app": app, "pipeline": pipeline["id"], "stage": stage });
        test.ok("POST", "/pipeline-couplings", coupling).await;
    }
    test.ok("POST", "/apps/library/addons", json!({ "plan": "postgres:dev" })).await;
    test.ok("POST", "/apps/library/domains", json!({ "hostname": "www.example.test" })).await;
    test
}
