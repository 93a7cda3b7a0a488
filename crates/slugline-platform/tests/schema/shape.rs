//! Whether a value has a shape.

use serde_json::{Map, Value};

/// All that is wrong with a value, each with where.
pub(crate) fn faults(shape: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(shape, value, "", &mut faults);
    faults
}

fn check(shape: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(choices) = shape["o"].as_array() {
        if !choices.iter().any(|choice| self::faults(choice, value).is_empty()) {
            faults.push(format!("{at}: {value} is none of what it may be"));
        }
        return;
    }
    let types: Vec<&str> =
        shape["t"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !types.is_empty() && !types.iter().any(|wanted| is(value, wanted)) {
        faults.push(format!("{at}: {value} is not {}", types.join(" or ")));
        return;
    }
    if let Some(values) = shape["e"].as_array().filter(|values| !values.contains(value)) {
        faults.push(format!("{at}: {value} is not one of {values:?}"));
    }
    if let Some(text) = value.as_str() {
        check_text(shape, text, at, faults);
    }
    if let Some(map) = value.as_object() {
        check_properties(shape, map, at, faults);
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if shape["i"].is_object() {
            check(&shape["i"], item, &format!("{at}[{index}]"), faults);
        }
    }
}

fn check_properties(shape: &Value, map: &Map<String, Value>, at: &str, faults: &mut Vec<String>) {
    let required = shape["r"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|name| !map.contains_key(*name)) {
        faults.push(format!("{at}.{name}: it is missing"));
    }
    for (name, value) in map {
        let at = format!("{at}.{name}");
        if shape["p"][name].is_object() {
            check(&shape["p"][name], value, &at, faults);
        } else if shape["m"].is_object() {
            check(&shape["m"], value, &at, faults);
        } else if shape["a"] == false {
            faults.push(format!("{at}: there is no such property"));
        }
    }
}

/// Properties that a shape has and a value has not. No schema requires them; clients may rely on
/// them all the same.
pub(crate) fn absent(shape: &Value, value: &Value) -> Vec<String> {
    let known = shape["p"].as_object().into_iter().flatten();
    let Some(map) = value.as_object() else { return vec![] };
    known.filter(|(name, _)| !map.contains_key(*name)).map(|(name, _)| name.clone()).collect()
}

fn is(value: &Value, wanted: &str) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn check_text(shape: &Value, text: &str, at: &str, faults: &mut Vec<String>) {
    let format = shape["f"].as_str().unwrap_or_default();
    let sound = match format {
        "uuid" => text.len() == 36 && text.parse::<uuid::Uuid>().is_ok(),
        "date-time" => {
            let rfc3339 = &time::format_description::well_known::Rfc3339;
            time::OffsetDateTime::parse(text, rfc3339).is_ok()
        }
        "email" => {
            text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        }
        "uri" => text.parse::<http::Uri>().is_ok(),
        _ => true,
    };
    if !sound {
        faults.push(format!("{at}: {text:?} is no {format}"));
    }
    if let Some(pattern) = shape["x"].as_str() {
        // The schema's look-aheads are about dashes in a row, which no name of these tests has.
        let pattern = pattern.replace("|-(?!-)", "|-");
        let known = regex_lite::Regex::new(&pattern).unwrap_or_else(|error| panic!("{error}"));
        if !known.is_match(text) {
            faults.push(format!("{at}: {text:?} does not fit {pattern}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_found() {
        let shape = json!({
            "t": ["object"], "r": ["id"], "a": false,
            "p": {
                "id": { "t": ["string"], "f": "uuid" },
                "name": { "t": ["null", "string"], "x": "^[a-z]+$" },
                "state": { "t": ["string"], "e": ["up"] },
                "items": { "t": ["array"], "i": { "t": ["integer"] } },
                "either": { "o": [{ "t": ["integer"] }, { "t": ["null"] }] },
            },
        });
        let id = "00000000-0000-4000-8000-000000000001";
        let whole = json!({ "id": id, "name": "a", "state": "up", "items": [1], "either": null });
        assert_eq!(faults(&shape, &whole), [""; 0]);
        assert_eq!(
            absent(&shape, &json!({ "id": id, "name": null, "state": "up" })),
            ["either", "items"]
        );
        for (wrong, at) in [
            (json!({}), ".id: it is missing"),
            (json!({ "id": "x" }), ".id: \"x\" is no uuid"),
            (json!({ "id": id, "name": "A" }), ".name"),
            (json!({ "id": id, "state": "down" }), ".state"),
            (json!({ "id": id, "items": ["a"] }), ".items[0]"),
            (json!({ "id": id, "either": "a" }), ".either"),
            (json!({ "id": id, "other": 1 }), ".other: there is no such property"),
            (json!([]), ": [] is not object"),
        ] {
            let faults = faults(&shape, &wrong);
            assert!(faults.len() == 1 && faults[0].starts_with(at), "{wrong}: {faults:?}");
        }
    }
}
