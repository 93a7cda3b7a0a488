//! What dynos use, as the API, Prometheus and the log tell it.

use serde_json::Value;

use super::stage::{Stage, as_everybody};
use super::support::wait_for;

/// Keeps a processor busy, some memory, some files, and a layer.
const BUSY: &str = "#!/usr/bin/env python3\nimport time\nkept = b'x' * (100 << 20)\n\
    files = [open('/dev/null') for _ in range(50)]\n\
    with open('layer', 'wb') as file:\n    file.write(b'x' * (30 << 20))\n\
    print('busy', flush=True)\nwhile True:\n    pass\n";

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number: {value}"))
}

/// The busy dyno, once it was measured twice.
fn measured(stage: &Stage<'_>) -> Value {
    wait_for("two looks at the dyno", super::stage::PATIENCE, || {
        let answer = stage.api.get("/dynos/usage");
        let dynos = answer["dynos"].as_array().expect("a list");
        let busy = dynos.iter().find(|dyno| dyno["dyno"] == "bomb.2")?.clone();
        (number(&busy["rates"]["cores"]) > 0.3).then_some(busy)
    })
}

#[test]
fn what_a_dyno_uses_is_told_in_numbers() {
    as_everybody(BUSY, &["--runtime-metrics"], |stage| {
        let lines = stage.light();
        stage.says(lines, "busy");
        let busy = measured(stage);
        println!("{busy:#}");
        let usage = &busy["usage"];
        let memory = number(&usage["memory"]["rss"]);
        assert!((100e6..200e6).contains(&memory), "{usage}");
        assert!(number(&usage["open_files"]) >= 53.0, "{usage}");
        assert!(number(&usage["processes"]) >= 2.0 && number(&usage["threads"]) >= 2.0, "{usage}");
        assert!((number(&usage["memory"]["quota"]) - f64::from(512 << 20)).abs() < 1.0, "{usage}");
        wait_for("the layer to be measured", super::stage::PATIENCE, || {
            let layer = number(&measured(stage)["usage"]["layer"]);
            (30e6..60e6).contains(&layer).then_some(())
        });
        assert!(usage["network"]["read"].is_number(), "it has a network of its own: {usage}");
        let labels = "{app=\"shelf\",dyno=\"bomb.2\",type=\"bomb\"}";
        let text = stage.api.send("GET", "/metrics", &Value::Null).text();
        assert!(text.contains(&format!("slugline_dyno_cpu_seconds_total{labels} ")), "{text}");
        assert!(text.contains("# TYPE slugline_dyno_cpu_seconds_total counter\n"), "{text}");
        stage.hears(lines, "source=bomb.2 dyno=heroku.");
        stage.hears(lines, "sample#load_avg_1m=");
        stage.hears(lines, "sample#memory_quota=512.00MB");
        stage.put_out();
        stage.is_gone();
    });
}
