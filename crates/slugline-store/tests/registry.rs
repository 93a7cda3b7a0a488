//! Slugs to and from registries: a real one, one that breaks off, and ones that misbehave.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "scene/debian.rs"]
mod debian;
#[path = "registry/flaky.rs"]
mod flaky;
#[path = "registry/real.rs"]
mod real;
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use debian::program;
use flaky::{Flaky, Proxy};
use real::RealRegistry;
use scene::Scene;
use slugline_model::exchange::{ImportRequest, RegistryTarget, StackChoice};
use slugline_model::slug::SlugSummary;
use slugline_store::IngestRequest;
use slugline_store::oci::digest::Digest;
use slugline_store::registry::{Manners, RegistryError};

/// How large the packages of the slug are (bytes): several pieces.
const PACKAGES: usize = 700_000;

fn manners() -> Manners {
    Manners {
        patience: Duration::from_secs(20),
        attempts: 12,
        pause: Duration::from_millis(1),
        piece: 100_000,
        parallel: 2,
    }
}

/// A slug with a layer of packages that no packing makes smaller, and a small one of the app.
fn plant(scene: &Scene, version: &str) -> SlugSummary {
    let mut packages = vec![0; PACKAGES];
    let mut noise = blake3::Hasher::new().update(b"noise").finalize_xof();
    noise.fill(&mut packages);
    let package = scene.tree.join("node_modules/noise");
    std::fs::create_dir_all(package.parent().unwrap()).unwrap();
    std::fs::write(package, packages).unwrap();
    scene.write("app.js", version);
    let types = slugline_model::procfile::parse("web: node app.js\n").unwrap();
    let request = IngestRequest { process_types: types, ..IngestRequest::default() };
    scene.store.ingest(&scene.tree, &request, &mut |_| {}).unwrap()
}

fn target(reference: &str) -> RegistryTarget {
    RegistryTarget { reference: reference.to_owned(), credentials: None, plain_http: false }
}

fn push(scene: &Scene, slug: &SlugSummary, reference: &str) -> Result<Digest, RegistryError> {
    let stack = StackChoice::None;
    scene.store.push(&slug.id, &stack, &target(reference), &manners(), &mut |_| {})
}

fn pull(scene: &Scene, reference: &str) -> Result<SlugSummary, RegistryError> {
    let request = ImportRequest::default();
    let pulled = scene.store.pull(&target(reference), &request, &manners(), &mut |_| {});
    pulled.map(|imported| imported.slug)
}

/// The error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[test]
fn a_second_release_sends_its_app_layer_alone_and_another_repository_is_given_the_rest() {
    let registry = RealRegistry::start("");
    let proxy = Proxy::start(registry.port, &[]);
    let scene = Scene::new();
    let host = format!("localhost:{}", proxy.port);
    let first = plant(&scene, "v1");
    let digest = push(&scene, &first, &format!("{host}/team/library:v1")).unwrap();
    let sent = proxy.sent();
    assert!(sent > PACKAGES, "{sent}");
    push(&scene, &first, &format!("{host}/team/library:v1")).unwrap();
    let again = proxy.sent() - sent;
    assert!(again < 10_000, "the same once more sends {again} bytes");

    let second = plant(&scene, "v2");
    let before = proxy.sent();
    push(&scene, &second, &format!("{host}/team/library:v2")).unwrap();
    let sent = proxy.sent() - before;
    assert!(sent < 20_000, "a release of one changed file sends {sent} bytes");
    let before = proxy.sent();
    push(&scene, &second, &format!("{host}/other:v2")).unwrap();
    let sent = proxy.sent() - before;
    assert!(sent < 20_000, "another repository has the layers from the first: {sent} bytes");

    let mut skopeo = program("skopeo");
    skopeo.args(["inspect", "--tls-verify=false"]);
    let output = skopeo.arg(format!("docker://{host}/team/library:v1")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(&digest.to_string()), "{told} {output:?}");
    let other = Scene::new();
    let pulled = pull(&other, &format!("{host}/team/library:v1")).unwrap();
    assert_eq!((pulled.id, pulled.process_types), (first.id, first.process_types));
    let named = format!("{host}/other:v2@{digest}");
    assert!(pull(&other, &named).is_err(), "another image's digest");
}

#[test]
fn what_skopeo_pushes_is_pulled_as_the_same_slug() {
    let registry = RealRegistry::start("");
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let host = format!("localhost:{}", registry.port);
    push(&scene, &slug, &format!("{host}/library:v1")).unwrap();
    for format in ["oci", "v2s2"] {
        let mut skopeo = program("skopeo");
        skopeo.args(["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        skopeo.args(["--format", format]).arg(format!("docker://{host}/library:v1"));
        let copied = skopeo.arg(format!("docker://{host}/{format}:x")).output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let other = Scene::new();
        assert_eq!(pull(&other, &format!("{host}/{format}:x")).unwrap().id, slug.id);
    }
}

#[test]
fn a_login_is_asked_for_and_given() {
    let registry = RealRegistry::start("secret");
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let reference = format!("localhost:{}/library:v1", registry.port);
    let error = push(&scene, &slug, &reference).unwrap_err();
    assert!(told(&error).ends_with("it wants a login"), "{error}");
    let login = |password: &str| {
        let credentials = Some(("me".to_owned(), password.to_owned()));
        let target = RegistryTarget { credentials, ..target(&reference) };
        scene.store.push(&slug.id, &StackChoice::None, &target, &manners(), &mut |_| {})
    };
    let error = login("wrong").unwrap_err();
    assert!(told(&error).ends_with("it wants another login"), "{error}");
    login("secret").unwrap();
}

/// Docker's own registry forgets an upload whose piece broke off; what had arrived whole stays.
#[test]
fn a_push_to_a_real_registry_survives_connections_that_break() {
    let registry = RealRegistry::start("");
    let proxy = Proxy::start(registry.port, &[250_000, 380_000, 120_000]);
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    push(&scene, &slug, &format!("localhost:{}/library:v1", proxy.port)).unwrap();
    assert_eq!(proxy.cuts_left(), 0, "every connection broke that should");
    let other = Scene::new();
    assert_eq!(
        pull(&other, &format!("localhost:{}/library:v1", registry.port)).unwrap().id,
        slug.id
    );
}

#[test]
fn after_a_broken_connection_only_the_missing_bytes_are_sent_again() {
    let flaky = Flaky::start(&[150_000, 420_000]);
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let reference = format!("localhost:{}/library:v1", flaky.port);
    push(&scene, &slug, &reference).unwrap();
    let (taken, blobs) = flaky.taken();
    assert_eq!(flaky.cuts_left(), 0, "both connections broke");
    assert_eq!(taken, blobs, "each byte was taken once");
    // And back: downloads break off too, and go on.
    flaky.cut_downloads(&[200_000, 100_000]);
    let other = Scene::new();
    assert_eq!(pull(&other, &reference).unwrap().id, slug.id);
    assert_eq!(flaky.cuts_left(), 0);
    assert_eq!(flaky.given(), blobs, "each byte was given once");
}

#[test]
fn a_registry_that_gives_other_bytes_is_refused() {
    let flaky = Flaky::start(&[]);
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let reference = format!("localhost:{}/library:v1", flaky.port);
    push(&scene, &slug, &reference).unwrap();
    flaky.damage();
    let other = Scene::new();
    let error = pull(&other, &reference).unwrap_err();
    assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
    assert_eq!(other.store.slugs().unwrap(), []);
    let staging = other.root.join("staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
}

#[test]
fn a_registry_that_says_nothing_is_given_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let scene = Scene::new();
    let patience = Duration::from_millis(100);
    let silent = Manners { patience, attempts: 2, ..manners() };
    let target = target(&format!("localhost:{port}/library:v1"));
    let request = ImportRequest::default();
    let error = scene.store.pull(&target, &request, &silent, &mut |_| {}).unwrap_err();
    assert!(matches!(error, RegistryError::Silent { .. }), "{error}");
    drop(listener);
    let error = scene.store.pull(&target, &request, &silent, &mut |_| {}).unwrap_err();
    assert!(matches!(error, RegistryError::Connection { .. }), "{error}");
}

#[test]
fn hostile_answers_are_refused() {
    let huge = "x".repeat(5 << 20);
    for (body, why) in [
        ("junk", "cannot be understood"),
        (&huge, "larger than any honest one"),
        (r#"{"schemaVersion":2,"manifests":[]}"#, "find an image for linux"),
        (
            &format!(
                r#"{{"schemaVersion":2,"config":{{"digest":"sha256:{0}","size":99999999999999}},"layers":[]}}"#,
                "0".repeat(64)
            ),
            "the limit is",
        ),
        (
            r#"{"schemaVersion":2,"config":{"digest":"../../etc/passwd","size":1},"layers":[]}"#,
            "cannot be understood",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let serve = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        });
        let scene = Scene::new();
        let error = pull(&scene, &format!("localhost:{port}/library:v1")).unwrap_err();
        assert!(told(&error).contains(why), "{why}: {}", told(&error));
        serve.join().unwrap();
        assert_eq!(scene.store.slugs().unwrap(), []);
    }
}
