//! The life of builds: their queue, their end, their inputs, their outputs, their caches.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use http::StatusCode;
use serde_json::{Value, json};
use slugline_model::limits::Limits;
use support::{OUT_OF_TIME, Script, TestPlatform};

impl TestPlatform {
    fn builds_hang(&self, hang: bool) {
        *self.engine.builds_hang.lock().unwrap() = hang;
    }

    async fn cancel(&self, build: &Value) -> (StatusCode, Value) {
        let path = format!("/apps/library/builds/{}", build["id"].as_str().unwrap());
        self.call("DELETE", &path, json!({})).await
    }

    async fn set_parts(&self, parts: &[(&str, u64)]) -> Value {
        *self.engine.parts.lock().unwrap() =
            parts.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect();
        self.build().await
    }
}

#[tokio::test]
async fn a_build_that_runs_is_canceled_and_releases_nothing() {
    let test = TestPlatform::with_app().await;
    test.builds_hang(true);
    let build = test.begin_build(json!({})).await;
    test.is_compiling().await;
    let (status, answer) = test.cancel(&build).await;
    assert_eq!((status, &answer["id"]), (StatusCode::ACCEPTED, &build["id"]));
    let build = test.ended(&build).await;
    assert_eq!(
        [&build["status"], &build["exit_code"], &build["failure"], &build["release"]],
        [&json!("failed"), &json!(91), &json!("canceled"), &json!(null)]
    );
    assert_eq!(
        test.output(&build).await,
        "-----> Compiling\n !     Build canceled\n !\n !     Nothing was released. library still runs \
         v1.\n"
    );
    assert_eq!(test.get("/apps/library/releases").await.as_array().unwrap().len(), 1);
    let (status, body) = test.cancel(&build).await;
    assert_eq!((status.as_u16(), &body["id"]), (422, &json!("invalid_params")));
    test.builds_hang(false);
    assert_eq!(test.build().await["status"], "succeeded", "the next one has its turn");
}

#[tokio::test]
async fn builds_wait_in_order_say_for_whom_and_can_be_canceled_while_they_wait() {
    let test = TestPlatform::with_app().await;
    test.builds_hang(true);
    let first = test.begin_build(json!({})).await;
    test.is_compiling().await;
    let second = test.begin_build(json!({})).await;
    let third = test.begin_build(json!({})).await;
    assert_eq!(test.cancel(&second).await.0, StatusCode::ACCEPTED);
    let second = test.ended(&second).await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(
        test.output(&second).await,
        format!(
            "-----> Waiting for the app's other build to finish: {id}\n       To cancel that one: \
             slugline builds:cancel {id} -a library\n !     Build canceled\n !\n !     Nothing was \
             released. library still runs v1.\n"
        )
    );
    let path = format!("/apps/library/builds/{}", third["id"].as_str().unwrap());
    assert_eq!(test.get(&path).await["status"], "pending");
    test.builds_hang(false);
    test.cancel(&first).await;
    assert_eq!(test.ended(&third).await["status"], "succeeded");
    assert_eq!(test.get(&path).await["release"]["id"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn an_app_is_built_with_its_buildpacks_unless_the_build_asks_for_others() {
    let test = TestPlatform::with_app().await;
    let path = "/apps/library/buildpack-installations";
    assert_eq!(test.get(path).await, json!([]));
    let updates = json!({ "updates": [
        { "buildpack": "urn:buildpack:heroku/nodejs" },
        { "buildpack": "https://example.com/it's.git#v1" },
    ]});
    let set = test.ok("PUT", path, updates).await;
    assert_eq!(
        set[0],
        json!({ "ordinal": 0, "buildpack": { "url": "urn:buildpack:heroku/nodejs", "name": "heroku/nodejs" } })
    );
    assert_eq!(test.get(path).await, set);
    // The stock client looks names up, and sets what it is told.
    let told = test.get("/buildpacks/heroku%2Fpython").await;
    assert_eq!(told["blob_url"], "urn:buildpack:heroku/python");
    assert_eq!(test.call("GET", "/buildpacks/python", json!({})).await.0.as_u16(), 404);
    test.builds_hang(true);
    for (body, expected) in [
        (
            json!({}),
            r" --buildpack 'heroku/nodejs' --buildpack 'https://example.com/it'\''s.git#v1'",
        ),
        (json!({ "buildpacks": [{ "url": "heroku/python" }] }), " --buildpack 'heroku/python'"),
        (json!({ "buildpacks": [{ "name": "heroku/static" }] }), " --buildpack 'heroku/static'"),
    ] {
        let build = test.begin_build(body).await;
        test.is_compiling().await;
        let command = test.compile_command().unwrap();
        assert!(
            command.ends_with(&format!(" --announced-stack 'heroku-24'{expected} 2>&1")),
            "{command}"
        );
        test.cancel(&build).await;
        test.ended(&build).await;
    }
    let bad = json!({ "updates": [{ "buildpack": "heroku/python --evil" }] });
    assert_eq!(test.call("PUT", path, bad).await.0.as_u16(), 422);
    assert_eq!(test.ok("PUT", path, json!({ "updates": [] })).await, json!([]));
}

#[tokio::test]
async fn a_replay_has_the_inputs_of_its_build_and_expires() {
    let limits = Limits { replayable_builds: 2, ..Limits::default() };
    let test = TestPlatform::with_limits(limits).await;
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "old", "B": "same" })).await;
    let original = test.build().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "new" })).await;
    let path = format!("/apps/library/builds/{}/actions/replay", original["id"].as_str().unwrap());
    test.builds_hang(true);
    let replay = test.ok("POST", &path, json!({})).await;
    assert_eq!(replay["replay_of"]["id"], original["id"]);
    assert_eq!(replay["source_blob"], original["source_blob"]);
    test.is_compiling().await;
    let tmp = {
        let running = test.engine.running.lock().unwrap();
        let spec = running.values().find(|spec| spec.release == 0).unwrap().clone();
        spec.binds[0].from.clone()
    };
    let env = std::fs::read_dir(tmp).unwrap().flatten().map(|e| e.path().join("A"));
    let values: Vec<String> = env.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    assert_eq!(values, ["old"]);
    test.builds_hang(false);
    test.cancel(&replay).await;
    let replay = test.ended(&replay).await;
    let id = original["id"].as_str().unwrap();
    let output = test.output(&replay).await;
    let expected = format!(
        "-----> Replaying build {id}\n       Built with the config vars of that build; other now: A\n"
    );
    assert!(output.starts_with(&expected), "{output}");

    test.build().await;
    test.build().await;
    test.until(async || test.call("POST", &path, json!({})).await.0 == StatusCode::GONE).await;
    let (_, body) = test.call("POST", &path, json!({})).await;
    let message = body["message"].as_str().unwrap();
    assert!(message.ends_with("The sources of an app's last 2 builds are kept"), "{message}");
    let sources = || std::fs::read_dir(test.data.path().join("sources")).unwrap().count();
    test.until(async || sources() == 2).await;
}

#[tokio::test]
async fn an_output_is_read_on_from_where_a_reader_stopped() {
    let test = TestPlatform::with_app().await;
    let build = test.build().await;
    let url = &build["output_stream_url"];
    let whole = test.output(&build).await;
    let (status, headers, rest) = test.stream(url, &[("Range", "bytes=10-")]).await;
    assert_eq!((status, rest.as_str()), (206, &whole[10..]));
    let length = whole.len();
    assert_eq!(headers["content-range"], format!("bytes 10-{}/{length}", length - 1));
    let past = format!("bytes={length}-");
    assert_eq!(test.stream(url, &[("Range", past.as_str())]).await.0, 416);
    let events = [("Accept", "text/event-stream"), ("Last-Event-Id", "17")];
    let (status, _, rest) = test.stream(url, &events).await;
    let second = whole.lines().nth(1).unwrap();
    let expected = format!("id: {}\ndata: {second}\n\n", 17 + second.len() + 1);
    assert!(status == 200 && rest.starts_with(&expected), "{rest}");
}

#[tokio::test]
async fn what_grew_since_the_last_build_is_told() {
    let test = TestPlatform::new().await;
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    let first = test.set_parts(&[("client/build", 1_000_000), ("small", 10)]).await;
    assert_eq!(first["grown"], json!([]), "there is nothing to compare the first one with");
    let second =
        test.set_parts(&[("client/build", 3_000_000), ("small", 20), ("pandas", 40_000_000)]).await;
    let output = test.output(&second).await;
    let expected = "-----> Grew since the last build\n        +40.0MB  pandas (new)\n         \
                    +2.0MB  client/build (1.0MB before, 3.0MB now)\n-----> Launching...\n";
    assert!(output.contains(expected), "{output}");
    assert_eq!(second["grown"][2], json!({ "name": "small", "before": 10, "after": 20 }));
    assert_eq!(second["biggest"][0]["name"], "client/build");
    let path = format!("/apps/library/builds/{}/result", second["id"].as_str().unwrap());
    let result = test.get(&path).await;
    assert_eq!(result["lines"][0], json!({ "stream": "STDOUT", "line": "-----> Compiling\n" }));
    assert_eq!(
        (&result["exit_code"], &result["parts"][2]["bytes"]),
        (&json!(0), &json!(40_000_000))
    );
}

#[tokio::test]
async fn a_cache_is_weighed_purged_and_kept_below_its_quota() {
    let test = TestPlatform::with_limits(Limits { cache: 1_000, ..Limits::default() }).await;
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    let path = "/apps/library/build-cache";
    *test.engine.cached.lock().unwrap() = 900;
    let build = test.build().await;
    test.until(async || test.ended(&build).await["cache_size"] == 900).await;
    assert_eq!(test.get(path).await, json!({ "size": 900, "quota": 1_000 }));
    assert_eq!(test.ok("DELETE", path, json!({})).await, json!({}));
    test.until(async || test.get(path).await["size"] == 0).await;

    *test.engine.cached.lock().unwrap() = 5_000;
    let build = test.build().await;
    test.until(async || test.ended(&build).await["cache_size"] == 5_000).await;
    let build = test.build().await;
    let output = test.output(&build).await;
    let expected = "-----> Purging the build cache\n       It holds 5kB, and may hold 1kB: this build \
                    begins without it\n";
    assert!(output.starts_with(expected), "{output}");
}

#[tokio::test]
async fn a_purge_waits_for_the_build_that_uses_the_cache() {
    let test = TestPlatform::with_app().await;
    test.builds_hang(true);
    let build = test.begin_build(json!({})).await;
    test.is_compiling().await;
    let (status, _) = test.call("DELETE", "/apps/library/build-cache", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    test.cancel(&build).await;
    test.ended(&build).await;
    let cache = test.data.path().join("cache/library");
    test.until(async || !cache.exists()).await;
}

#[tokio::test]
async fn a_release_phase_has_an_output_of_its_own() {
    let test = TestPlatform::with_app().await;
    let releases = "/apps/library/releases";
    assert_eq!(test.get(&format!("{releases}/1")).await["output_stream_url"], json!(null));
    *test.engine.procfile.lock().unwrap() = "web: serve\nrelease: migrate".into();
    let build = test.build().await;
    assert!(
        test.output(&build)
            .await
            .contains("-----> Running release command: migrate\n       Migrating\n")
    );
    let release = test.get(&format!("{releases}/2")).await;
    assert_eq!(test.stream(&release["output_stream_url"], &[]).await.2, "Migrating\n");
    *test.engine.script.lock().unwrap() =
        Script { build_status: 0, release_phase_status: OUT_OF_TIME };
    let body = json!({ "release": "2" });
    let release = test.ok("POST", releases, body).await;
    let output = test.stream(&release["output_stream_url"], &[]).await.2;
    assert!(
        output.starts_with(
            "Migrating\n !     The release command failed\n !\n !     `migrate` ran longer than 60 \
             minutes, which is the limit, and was stopped.\n"
        ),
        "{output}"
    );
    assert_eq!(test.get(&format!("{releases}/3")).await["status"], "failed");
}
