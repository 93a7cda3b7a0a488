//! Slugs as images: what skopeo and podman say of them, and back.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "scene/debian.rs"]
mod debian;
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use debian::program;
use scene::Scene;
use serde_json::Value;
use slugline_model::exchange::{ImportRequest, Imported, StackChoice};
use slugline_model::slug::SlugSummary;
use slugline_store::oci::ImageRequest;
use slugline_store::oci::digest::Digest;
use slugline_store::{ImportError, IngestRequest};

fn run(command: &mut Command) -> Output {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}: install it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A slug with something in each layer, and a second release that changes one file of the app.
fn plant(scene: &Scene, version: &str) -> SlugSummary {
    scene.write(".heroku/python/bin/python3", "a runtime");
    scene.write(".heroku/python/lib/python3.12/site-packages/django/urls.py", "a package");
    scene.write("client/node_modules/react/index.js", "another package");
    scene.write("manage.py", version);
    scene.write(".profile.d/10-greeting.sh", "export GREETING=\"hello from $DYNO\"\n");
    scene.write(".profile", "export GREETING=\"$GREETING and .profile\"\n");
    scene.write("serve", "#!/bin/bash\necho \"$GREETING, $PWD, $PORT, $(< manage.py)\"\n");
    let serve = scene.tree.join("serve");
    std::fs::set_permissions(serve, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _ = symlink("manage.py", scene.tree.join("link"));
    let types = slugline_model::procfile::parse("web: ./serve\nworker: echo 'it works'\n").unwrap();
    let request = IngestRequest { process_types: types, ..IngestRequest::default() };
    scene.store.ingest(&scene.tree, &request, &mut |_| {}).unwrap()
}

/// Bash and `id`, with the libraries that they need: a stack of a few megabytes.
fn small_stack(root: &Path) {
    for program in ["/bin/bash", "/usr/bin/id"] {
        let real = std::fs::canonicalize(program).unwrap();
        place(root, &real);
        let libraries = text(&run(Command::new("ldd").arg(&real)));
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            let real = std::fs::canonicalize(library).unwrap();
            place(root, Path::new(library));
            assert!(real.is_file());
        }
    }
    for name in ["bin", "lib", "lib64"] {
        let Ok(target) = std::fs::read_link(Path::new("/").join(name)) else { continue };
        let place = root.join(name);
        if place.is_dir() {
            run(Command::new("cp").args(["-a", "-T"]).arg(&place).arg(root.join(&target)));
            std::fs::remove_dir_all(&place).unwrap();
        }
        symlink(target, place).unwrap();
    }
}

fn place(root: &Path, file: &Path) {
    let to = root.join(file.strip_prefix("/").unwrap());
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(file, to).unwrap();
}

fn export(scene: &Scene, slug: &SlugSummary, stack: &StackChoice, to: &str) -> PathBuf {
    let path = scene.directory.path().join(to);
    let request = ImageRequest { slug: &slug.id, stack };
    let image = scene.store.oci_image(&request, &mut |_| {}).unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    scene.store.write_image(&image, Some("library:v1"), &mut file).unwrap();
    path
}

fn import(scene: &Scene, archive: &Path) -> Result<Imported, ImportError> {
    let mut file = std::fs::File::open(archive).unwrap();
    scene.store.import(&mut file, &ImportRequest::default())
}

fn inspect(reference: &str) -> Value {
    let output = run(program("skopeo").args(["inspect", reference]));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn layers(image: &Value) -> Vec<String> {
    let layers = image["Layers"].as_array().unwrap();
    layers.iter().map(|layer| layer.as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_image_is_the_same_each_time_and_a_release_changes_its_own_layer_only() {
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let first = export(&scene, &slug, &StackChoice::None, "first.tar");
    let fresh = Scene::new();
    plant(&fresh, "v1");
    let second = export(&fresh, &slug, &StackChoice::None, "second.tar");
    let (first, second) = (std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
    assert!(first == second, "one slug, one image");

    let changed = plant(&scene, "v2");
    let changed = export(&scene, &changed, &StackChoice::None, "changed.tar");
    let reference = |path: &Path| format!("oci-archive:{}", path.display());
    let before = layers(&inspect(&reference(&scene.directory.path().join("first.tar"))));
    let after = layers(&inspect(&reference(&changed)));
    assert_eq!(before.len(), 4, "start, runtime, dependencies, app");
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3]);
}

#[test]
fn skopeo_copies_an_image_and_it_comes_back_as_the_same_slug() {
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let archive = export(&scene, &slug, &StackChoice::None, "image.tar");
    let image = inspect(&format!("oci-archive:{}", archive.display()));
    assert_eq!(image["Os"], "linux");
    let env = image["Env"].as_array().unwrap();
    assert!(env.contains(&"PORT=5000".into()) && env.contains(&"HOME=/app".into()), "{env:?}");
    let other = Scene::new();
    assert_eq!(import(&other, &archive).unwrap().slug.id, slug.id);
    for (kind, name) in [("oci-archive", "again.tar"), ("docker-archive", "docker.tar")] {
        let copy = scene.directory.path().join(name);
        let (from, to) = (archive.display(), copy.display());
        run(program("skopeo").args([
            "copy",
            "--quiet",
            &format!("oci-archive:{from}"),
            &format!("{kind}:{to}:library:v1"),
        ]));
        let other = Scene::new();
        let imported = import(&other, &copy).unwrap();
        assert_eq!(imported.slug.id, slug.id, "{kind}");
        assert_eq!(imported.slug.process_types, slug.process_types);
    }
    // Docker's own list in our archive, as `docker load` reads it.
    let loaded = inspect(&format!("docker-archive:{}", archive.display()));
    assert_eq!(loaded["Layers"].as_array().unwrap().len(), 4);
}

/// The image has a user of its own, whom podman gives an ordinary user only a uid of a range for.
fn need_uids() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let name = text(&run(Command::new("id").arg("-un")));
    let ranges = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let has_range = ranges.lines().any(|line| line.split(':').next() == Some(name.trim()));
    assert!(
        has_range,
        "podman needs uids for this user: `sudo apt-get install uidmap; sudo usermod \
         --add-subuids 100000-165535 --add-subgids 100000-165535 {}`, or run the test as root",
        name.trim()
    );
}

/// podman with nothing but what is in this directory.
fn podman(root: &Path) -> Command {
    need_uids();
    program("runc");
    let mut podman = program("podman");
    for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
        podman.arg(option).arg(root.join(name));
    }
    podman.args(["--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs"]);
    podman.args(["--events-backend=none", "--log-level=error"]);
    podman
}

#[test]
fn podman_starts_the_process_types_as_a_dyno_would() {
    let scene = Scene::new();
    let slug = plant(&scene, "v1");
    let stack = scene.directory.path().join("stack");
    small_stack(&stack);
    let archive = export(&scene, &slug, &StackChoice::Path(stack), "image.tar");
    let root = tempfile::tempdir().unwrap();
    run(podman(root.path()).args(["load", "--quiet", "--input"]).arg(&archive));
    let start = |arguments: &[&str]| {
        let mut podman = podman(root.path());
        podman.args([
            "run",
            "--rm",
            "--network=none",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1024:1024",
        ]);
        text(&run(podman.args(["library:v1"]).args(arguments)))
    };
    let web = "hello from web.1 and .profile, /app, 5000, v1\n";
    assert_eq!(start(&[]), web);
    assert_eq!(start(&["web"]), web);
    assert_eq!(start(&["worker"]), "it works\n");
    assert_eq!(start(&["echo \"$DYNO\"; id -un"]), "run.1\ndyno\n");
    assert_eq!(start(&["bash", "-c", "echo \"two  words\" $HOME"]), "two  words /app\n");
}

/// A layer's tar, from names, what they are, and their content or target.
fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        let is_file = *kind == tar::EntryType::Regular;
        if !is_file {
            gnu.linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(if is_file { content.len() as u64 } else { 0 });
        header.set_cksum();
        bytes.extend(header.as_bytes());
        if is_file {
            bytes.extend(content.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.extend([0; 1024]);
    bytes
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const DIRECTORY: tar::EntryType = tar::EntryType::Directory;
const SYMLINK: tar::EntryType = tar::EntryType::Symlink;
const LINK: tar::EntryType = tar::EntryType::Link;

/// An OCI archive of layers, whose documents a test may spoil: `spoil` is given each one's name
/// and its text.
fn archive_of(layers: &[Vec<u8>], spoil: &dyn Fn(&str, String) -> String) -> Vec<u8> {
    let digest = |bytes: &[u8]| Digest::of(bytes).to_string();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut blob = |bytes: &[u8]| {
        let name = format!("blobs/sha256/{}", Digest::of(bytes).hex());
        files.push((name, bytes.to_vec()));
        format!(r#"{{"digest":"{}","size":{}}}"#, digest(bytes), bytes.len())
    };
    let described: Vec<String> = layers.iter().map(|layer| blob(layer)).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("{:?}", digest(layer))).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["./run","a b"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let config = blob(spoil("config", config).as_bytes());
    let layers = described.join(",");
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#);
    let manifest = blob(spoil("manifest", manifest).as_bytes());
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#);
    files.insert(0, ("index.json".to_owned(), spoil("index", index).into_bytes()));
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn import_bytes(scene: &Scene, mut archive: &[u8]) -> Result<Imported, ImportError> {
    scene.store.import(&mut archive, &ImportRequest::default())
}

#[test]
fn layers_hide_and_replace_what_lies_beneath_them() {
    let lower = tar_of(&[
        ("etc/passwd", FILE, "not ours"),
        ("app/gone", FILE, "x"),
        ("app/kept", FILE, "kept"),
        ("app/cleared/old", FILE, "x"),
        ("app/was-file", FILE, "x"),
        ("app/was-directory/below", FILE, "x"),
        ("app/link", SYMLINK, "kept"),
    ]);
    let upper = tar_of(&[
        // Beside its own whiteout, which is for what lies beneath.
        ("app/cleared/new", FILE, "new"),
        ("app/cleared/.wh..wh..opq", FILE, ""),
        ("app/.wh.gone", FILE, ""),
        ("app/was-file/", DIRECTORY, ""),
        ("app/was-file/now", FILE, "now"),
        ("app/was-directory", FILE, "a file now"),
        ("app/same", LINK, "app/kept"),
        ("app/device", tar::EntryType::Char, ""),
    ]);
    let scene = Scene::new();
    let archive = archive_of(&[lower, upper], &|_, text| text);
    let slug = import_bytes(&scene, &archive).unwrap().slug;
    assert_eq!(slug.process_types.values().collect::<Vec<_>>(), ["./run 'a b'"]);
    let manifest = scene.store.manifest(&slug.id).unwrap();
    let paths: Vec<_> = manifest.entries.keys().map(|path| String::from_utf8_lossy(path)).collect();
    assert_eq!(
        paths,
        [
            "cleared",
            "cleared/new",
            "kept",
            "link",
            "same",
            "was-directory",
            "was-file",
            "was-file/now"
        ]
    );
}

#[test]
fn hostile_images_are_refused_and_leave_nothing() {
    let scene = Scene::new();
    let refused = |archive: &[u8]| {
        let error = import_bytes(&scene, archive).expect_err("no honest image");
        assert_eq!(scene.store.slugs().unwrap(), []);
        assert_eq!(std::fs::read_dir(scene.root.join("staging")).unwrap().count(), 0);
        let causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    };
    let plain =
        |entries: &[(&str, tar::EntryType, &str)]| archive_of(&[tar_of(entries)], &|_, text| text);
    for (archive, why) in [
        (plain(&[("app/../../etc/x", FILE, "x")]), "it leads upwards"),
        (plain(&[("app/link", SYMLINK, "/etc"), ("app/link/x", FILE, "x")]), "into a slug"),
        (plain(&[("app", SYMLINK, "/etc"), ("app/x", FILE, "x")]), "/app must be a directory"),
        (plain(&[("app/x", LINK, "etc/passwd")]), "outside of /app"),
        (plain(&[("app/x", LINK, "app/../../etc/passwd")]), "outside of /app"),
        (plain(&[("etc/passwd", FILE, "x")]), "nothing in its /app"),
    ] {
        let refusal = refused(&archive);
        assert!(refusal.contains(why), "{why}: {refusal}");
    }
    let layers = [tar_of(&[("app/x", FILE, "x")])];
    let spoilt = |document: &'static str, from: &'static str, to: &'static str| {
        archive_of(&layers, &move |name, text| {
            if name == document { text.replacen(from, to, 1) } else { text }
        })
    };
    for (archive, why) in [
        (spoilt("config", "\"diff_ids\":[\"sha256:", "\"diff_ids\":[\"sha256:0"), "understood"),
        (spoilt("config", "\"diff_ids\":[", "\"diff_ids\":[],\"x\":["), "speaks of 0 layers"),
        (spoilt("manifest", "\"size\":", "\"size\":1"), "has "),
        (spoilt("index", "\"digest\":\"sha256:", "\"digest\":\"../../x"), "understood"),
        (spoilt("index", "\"manifests\":[", "\"manifests\":[],\"x\":["), "find an image"),
        (spoilt("index", "{", "{{"), "understood"),
    ] {
        let refusal = refused(&archive);
        assert!(refusal.contains(why), "{why}: {refusal}");
    }
    // A blob that is not what it is called.
    let mut damaged = archive_of(&layers, &|_, text| text);
    let at = damaged.windows(5).rposition(|window| window == b"app/x").unwrap();
    damaged[at + 4] = b'y';
    assert!(
        refused(&damaged).contains("check the image's sha256:")
            || refused(&damaged).contains("checksum")
    );
    let whole = archive_of(&layers, &|_, text| text);
    for end in (513..whole.len() - 1024).step_by(700) {
        refused(&whole[..end]);
    }
}
