//! A slug and files of a tar, which may come from anyone: another slug.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use scene::{Scene, contents};
use slugline_model::exchange::Extended;
use slugline_model::limits::Limits;
use slugline_model::slug::{SlugId, SlugSummary};
use slugline_store::manifest::Entry;
use slugline_store::tgz::TgzError;
use tar::{EntryType, Header};

/// A tar in the making, entry by entry, as no honest program would write it.
#[derive(Default)]
struct Forged(Vec<u8>);

impl Forged {
    fn entry(mut self, kind: EntryType, name: &str, link: &str, content: &[u8], mode: u32) -> Self {
        let mut header = Header::new_gnu();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", content.as_bytes(), 0o644)
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"", 0o777)
    }

    fn ended(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn base(scene: &Scene) -> SlugSummary {
    scene.write("manage.py", "print(1)");
    scene.write("static/site.css", "body {}");
    scene.write("page/old.html", "old");
    std::os::unix::fs::symlink("/etc", scene.tree.join("media")).unwrap();
    scene.ingest()
}

fn extend(scene: &Scene, slug: &SlugId, tar: &[u8]) -> Result<Extended, TgzError> {
    scene.store.extend(slug, &mut &tar[..], &Limits::default())
}

fn paths(scene: &Scene, slug: &SlugId) -> Vec<String> {
    let manifest = scene.store.manifest(slug).unwrap();
    manifest.entries.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

#[test]
fn a_slug_takes_files_in_and_stays_what_it_was_elsewhere() {
    let scene = Scene::new();
    let slug = base(&scene);
    let before = scene.objects().len();
    let tar = Forged::default()
        .entry(EntryType::Directory, "app/static/CACHE", "", b"", 0o755)
        .file("app/static/CACHE/out.css", "a{}")
        .file("app/static/site.css", "changed")
        .entry(EntryType::Regular, "app/bin/run", "", b"#!/bin/sh", 0o6755)
        .file("app/tmp/x", "no slug holds it")
        .symlink("app/latest", "static/site.css")
        .ended();
    let extended = extend(&scene, &slug.id, &tar).unwrap();
    assert_eq!(extended.added, ["static/CACHE/out.css", "static/site.css", "bin/run", "latest"],);
    assert_eq!(extended.bytes, 3 + 7 + 9);
    assert_eq!(extended.slug.process_types, slug.process_types);
    assert_eq!((extended.slug.files, extended.slug.new_files), (5, 3));
    assert_eq!(scene.objects().len(), before + 3, "it costs what is added");
    let listed = paths(&scene, &extended.slug.id);
    for path in ["manage.py", "page/old.html", "media", "static/CACHE/out.css", "latest"] {
        assert!(listed.iter().any(|listed| listed == path), "{path}: {listed:?}");
    }
    assert!(!listed.iter().any(|path| path.starts_with("tmp/")), "{listed:?}");
    // Of a file's mode one bit is kept: nothing is set-uid.
    let manifest = scene.store.manifest(&extended.slug.id).unwrap();
    let run = &manifest.entries[&b"bin/run"[..]];
    assert!(matches!(run, Entry::File { object, .. } if object.executable), "{run:?}");
    scene.store.verify(&extended.slug.id).unwrap();
    scene.store.verify(&slug.id).unwrap();
    let tree = scene.store.checkout(&extended.slug.id).unwrap();
    assert_eq!(fs_err::read_to_string(tree.join("static/site.css")).unwrap(), "changed");
    assert_eq!(fs_err::read_to_string(tree.join("manage.py")).unwrap(), "print(1)");
}

#[test]
fn the_same_files_give_the_same_slug_as_a_build_that_makes_them() {
    let scene = Scene::new();
    let slug = base(&scene);
    let tar = Forged::default().file("app/static/out.css", "a{}").ended();
    let extended = extend(&scene, &slug.id, &tar).unwrap();
    scene.write("static/out.css", "a{}");
    assert_eq!(scene.ingest().id, extended.slug.id);
}

#[test]
fn a_directory_takes_a_files_place_and_a_file_a_directorys() {
    let scene = Scene::new();
    let slug = base(&scene);
    let tar = Forged::default()
        .entry(EntryType::Directory, "app/media", "", b"", 0o755)
        .file("app/media/a.png", "A")
        .file("app/page", "one file")
        .ended();
    let extended = extend(&scene, &slug.id, &tar).unwrap();
    let listed = paths(&scene, &extended.slug.id);
    assert!(listed.contains(&"media/a.png".to_owned()), "{listed:?}");
    assert!(!listed.contains(&"page/old.html".to_owned()), "{listed:?}");
}

#[test]
fn what_is_hostile_or_empty_is_refused_and_leaves_nothing() {
    let scene = Scene::new();
    let slug = base(&scene);
    let objects = scene.objects().len();
    let forged = Forged::default;
    let cut = forged().file("app/a", &"x".repeat(2_000)).ended();
    let cases: [(Vec<u8>, &str); 10] = [
        (forged().file("../etc/passwd", "x").ended(), "upwards"),
        (forged().file("/etc/passwd", "x").ended(), "absolute"),
        (forged().file("app/../../x", "x").ended(), "upwards"),
        (forged().file("etc/passwd", "x").ended(), "below ./app/"),
        (forged().file("app/media/passwd", "x").ended(), "needs a directory"),
        (forged().symlink("app/out", "/etc").file("app/out/a", "x").ended(), "needs a directory"),
        (forged().entry(EntryType::Char, "app/null", "", b"", 0o666).ended(), "a device"),
        (forged().entry(EntryType::Directory, "app/empty", "", b"", 0o755).ended(), "no app"),
        (cut[..1_024].to_vec(), "cut off"),
        (b"no tar".repeat(200), ""),
    ];
    for (tar, why) in cases {
        let error = extend(&scene, &slug.id, &tar).expect_err(why).to_string();
        assert!(error.contains(why), "{error}, not {why}");
        assert_eq!(scene.store.slugs().unwrap(), std::slice::from_ref(&slug.id), "{why}");
        assert_eq!(contents(&scene.root.join("staging")).len(), 0, "{why}");
    }
    assert_eq!(scene.objects().len(), objects);
    let limits = Limits { slug_hard: 10, ..Limits::default() };
    let tar = forged().file("app/a", &"incompressible".repeat(10)).ended();
    let error = scene.store.extend(&slug.id, &mut &tar[..], &limits).unwrap_err();
    assert!(!error.to_string().is_empty());
    assert_eq!(scene.store.slugs().unwrap(), [slug.id]);
}
