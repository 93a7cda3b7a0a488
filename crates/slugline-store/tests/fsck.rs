//! What a check finds, whom it says that it hits, and how it is repaired.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use scene::{Scene, contents, set_mode};
use slugline_model::care::{Checked, Damage, Finding, PartKind};
use slugline_model::slug::SlugId;
use slugline_store::{Backup, Copies, FsckRequest, KeptTrees};

/// Checks only.
fn check(scene: &Scene) -> Checked {
    scene.store.fsck(&FsckRequest::default(), &mut |_| {}).unwrap()
}

fn repair(scene: &Scene, copies: Vec<&dyn Copies>) -> Checked {
    let request = FsckRequest { repair: true, copies, ..FsckRequest::default() };
    scene.store.fsck(&request, &mut |_| {}).unwrap()
}

fn only(checked: &Checked) -> &Finding {
    assert_eq!(checked.findings.len(), 1, "{:?}", checked.findings);
    &checked.findings[0]
}

fn object_of(scene: &Scene, content: &str, executable: bool) -> PathBuf {
    let hash = blake3::hash(content.as_bytes()).to_hex();
    let name = format!("{hash}{}", if executable { "x" } else { "" });
    scene.root.join("objects").join(&hash[..2]).join(name)
}

/// A bit flips under us; the file's times stay, as on a rotting disk.
fn flip(path: &std::path::Path) {
    let before = fs_err::metadata(path).unwrap().modified().unwrap();
    let mut content = fs_err::read(path).unwrap();
    content[0] ^= 1;
    fs_err::write(path, content).unwrap();
    fs_err::OpenOptions::new().write(true).open(path).unwrap().set_modified(before).unwrap();
}

/// The store as a backup has it.
fn backup(scene: &Scene) -> (tempfile::TempDir, Backup) {
    let directory = tempfile::tempdir().unwrap();
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a").arg(&scene.root).arg(directory.path().join("store"));
    assert!(copy.status().unwrap().success());
    let backup = Backup::at(directory.path()).unwrap();
    (directory, backup)
}

fn two_slugs() -> (Scene, SlugId, SlugId) {
    let scene = Scene::new();
    for name in ["static/app.js", "copy.js"] {
        scene.write(name, "let a = 1;");
    }
    scene.write("app.py", "print('hello')");
    let first = scene.ingest().id;
    scene.write("more.py", "pass");
    let second = scene.ingest().id;
    (scene, first, second)
}

#[test]
fn a_whole_store_is_whole() {
    let (scene, ..) = two_slugs();
    // What exports and a bucket keep in the store is not checked, and no stranger's either.
    for ours in ["layers", "bucket"] {
        fs_err::create_dir(scene.root.join(ours)).unwrap();
    }
    let mut steps = vec![];
    let request = FsckRequest::default();
    let checked = scene.store.fsck(&request, &mut |step| steps.push(step)).unwrap();
    assert_eq!((checked.slugs, checked.objects, checked.bytes), (2, 3, 28));
    assert!(!checked.is_damaged() && checked.findings.is_empty() && checked.stray_count == 0);
    assert_eq!(checked.unneeded.unwrap().objects, 0);
    assert_eq!((steps[0].objects, steps[0].of), (3, 3));
}

#[test]
fn each_kind_of_damage_is_found_with_every_slug_and_path_that_it_hits() {
    let (scene, first, second) = two_slugs();
    let object = object_of(&scene, "let a = 1;", false);
    let whole = fs_err::read(&object).unwrap();
    let damages: [(&dyn Fn(), Damage); 4] = [
        (&|| flip(&object), Damage::Damaged),
        (&|| fs_err::write(&object, "let").unwrap(), Damage::Damaged),
        (&|| set_mode(&object, 0o755), Damage::Mode),
        (&|| fs_err::remove_file(&object).unwrap(), Damage::Missing),
    ];
    for (damage, expected) in damages {
        damage();
        let checked = check(&scene);
        let finding = only(&checked);
        assert_eq!((finding.part, finding.damage), (PartKind::Object, expected));
        let mut ids = vec![&first, &second];
        ids.sort();
        assert_eq!(finding.slugs.iter().map(|hit| &hit.slug).collect::<Vec<_>>(), ids);
        assert!(finding.slugs.iter().all(|hit| hit.files == ["copy.js", "static/app.js"]));
        assert!(checked.is_damaged());
        fs_err::write(&object, &whole).unwrap();
        set_mode(&object, 0o644);
    }
    assert!(!check(&scene).is_damaged());
}

#[test]
fn a_damaged_file_is_repaired_from_a_backup_and_its_checkout_made_anew() {
    let (scene, first, _) = two_slugs();
    let (_directory, backup) = backup(&scene);
    let app = scene.store.checkout(&first).unwrap();
    let object = object_of(&scene, "print('hello')", false);
    flip(&object);
    let inode = |path: &std::path::Path| fs_err::metadata(path).unwrap().ino();
    let old = inode(&app.join("app.py"));
    let checked = repair(&scene, vec![&backup]);
    assert_eq!(only(&checked).repaired.as_deref(), Some(backup.name().as_str()));
    assert_eq!((checked.is_damaged(), checked.renewed_checkouts), (false, 1));
    assert_eq!(inode(&app.join("app.py")), old, "a dyno that runs keeps what it has");
    let app = scene.store.checkout(&first).unwrap();
    assert_eq!(fs_err::read(app.join("app.py")).unwrap(), b"print('hello')");
    assert_ne!(inode(&app.join("app.py")), old);
    assert!(contents(&scene.root.join("staging")).is_empty());
}

#[test]
fn a_copy_that_is_damaged_too_repairs_nothing_and_the_next_build_does() {
    let (scene, first, _) = two_slugs();
    let (directory, backup) = backup(&scene);
    let object = object_of(&scene, "print('hello')", false);
    flip(&object);
    let copy = directory.path().join(object.strip_prefix(scene.root.parent().unwrap()).unwrap());
    flip(&copy);
    let checked = repair(&scene, vec![&backup]);
    assert!(checked.is_damaged() && only(&checked).repaired.is_none());
    assert!(contents(&scene.root.join("staging")).is_empty());
    assert_eq!(scene.ingest_in_series().new_files, 1, "what is damaged is not taken for whole");
    assert!(!check(&scene).is_damaged());
    scene.store.checkout(&first).unwrap();
}

#[test]
fn the_same_content_under_the_other_mode_and_the_tree_of_a_build_repair_too() {
    let scene = Scene::new();
    scene.write("run", "#!/bin/sh\n");
    set_mode(&scene.tree.join("run"), 0o755);
    scene.write("plain", "#!/bin/sh\n");
    scene.write("app.py", "print('hello')");
    let id = scene.ingest().id;
    flip(&object_of(&scene, "#!/bin/sh\n", true));
    let checked = repair(&scene, vec![]);
    assert_eq!(only(&checked).repaired.as_deref(), Some("the same content in this store"));
    fs_err::remove_file(object_of(&scene, "print('hello')", false)).unwrap();
    let trees = KeptTrees::of(&[scene.root.join("nowhere"), scene.tree.clone()]);
    assert!(!repair(&scene, vec![&trees]).is_damaged());
    assert!(scene.store.verify(&id).is_ok());
    set_mode(&object_of(&scene, "#!/bin/sh\n", true), 0o644);
    assert!(!repair(&scene, vec![]).is_damaged());
    assert!(!check(&scene).is_damaged());
}

#[test]
fn a_tree_is_read_without_following_links_out_of_it() {
    let scene = Scene::new();
    scene.write("dir/app.py", "print('hello')");
    scene.ingest();
    let outside = scene.directory.path().join("outside");
    fs_err::rename(scene.tree.join("dir"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, scene.tree.join("dir")).unwrap();
    fs_err::remove_file(object_of(&scene, "print('hello')", false)).unwrap();
    let trees = KeptTrees::of(std::slice::from_ref(&scene.tree));
    assert!(repair(&scene, vec![&trees]).is_damaged());
}

#[test]
fn heads_and_pages_are_checked_and_come_back_from_a_backup() {
    let (scene, first, second) = two_slugs();
    let (_directory, backup) = backup(&scene);
    for page in contents(&scene.root.join("pages")) {
        flip(&page);
    }
    flip(&scene.root.join("slugs").join(first.as_str()));
    fs_err::remove_file(scene.root.join("slugs").join(second.as_str())).unwrap();
    let expected = vec![first.clone(), second.clone()];
    let request = FsckRequest { expected: expected.clone(), ..FsckRequest::default() };
    let found = scene.store.fsck(&request, &mut |_| {}).unwrap();
    let mut heads: Vec<(String, Damage)> = found
        .findings
        .iter()
        .filter(|finding| finding.part == PartKind::Head)
        .map(|finding| (finding.name.clone(), finding.damage))
        .collect();
    heads.sort();
    let mut wanted =
        vec![(first.to_string(), Damage::Damaged), (second.to_string(), Damage::Missing)];
    wanted.sort();
    assert_eq!(heads, wanted);
    assert!(found.findings.iter().any(|finding| finding.part == PartKind::Page));
    assert_eq!(found.unneeded, None, "who knows what the damaged slugs need");
    let request = FsckRequest { expected, repair: true, copies: vec![&backup] };
    let repaired = scene.store.fsck(&request, &mut |_| {}).unwrap();
    assert!(!repaired.is_damaged(), "{:?}", repaired.findings);
    assert!(!check(&scene).is_damaged());
    assert!(scene.store.verify(&first).is_ok() && scene.store.verify(&second).is_ok());
}

#[test]
fn what_nobody_needs_is_counted_and_if_damaged_removed() {
    let (scene, first, second) = two_slugs();
    flip(&object_of(&scene, "pass", false));
    scene.store.remove(&second).unwrap();
    let checked = check(&scene);
    assert_eq!(checked.unneeded.unwrap().objects, 1);
    assert_eq!(only(&checked).slug_count, 0);
    assert!(!repair(&scene, vec![]).is_damaged());
    assert!(!object_of(&scene, "pass", false).exists());
    assert!(scene.store.verify(&first).is_ok());
}

#[test]
fn files_that_are_none_of_the_stores_are_named() {
    let (scene, ..) = two_slugs();
    scene.store.checkout(&scene.ingest().id).unwrap();
    assert_eq!(check(&scene).stray_count, 0);
    let object = object_of(&scene, "pass", false);
    let wrong = if object.parent().unwrap().ends_with("00") { "01" } else { "00" };
    let misplaced = scene.root.join("objects").join(wrong).join(object.file_name().unwrap());
    for path in [
        scene.root.join("note"),
        scene.root.join("slugs/x"),
        scene.root.join("objects/00/x"),
        misplaced,
    ] {
        fs_err::write(path, "").unwrap();
    }
    let checked = check(&scene);
    assert_eq!(checked.stray_count, 4);
    assert!(checked.strays.contains(&"objects/00/x".to_owned()), "{:?}", checked.strays);
    assert!(!checked.is_damaged());
}
