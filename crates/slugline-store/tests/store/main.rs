//! The store as its callers see it: trees in, slugs and checkouts out.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod parts;
#[path = "../scene/mod.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use scene::{Scene, contents, set_mode};
use slugline_model::limits::Limits;
use slugline_store::manifest::Entry;
use slugline_store::{FIXED_TIME, IngestRequest, Progress, Store, StoreError};

#[test]
fn the_same_tree_is_the_same_slug_whatever_its_order_and_times() {
    let (one, two) = (Scene::new(), Scene::new());
    for name in ["a", "b/c", "b/d", "e e/ö"] {
        one.write(name, name);
    }
    for name in ["e e/ö", "b/d", "a", "b/c"] {
        two.write(name, name);
    }
    let old = std::time::SystemTime::UNIX_EPOCH;
    fs_err::File::open(two.tree.join("a")).unwrap().set_modified(old).unwrap();
    assert_eq!(one.ingest().id, two.ingest().id);
    two.write("a", "another");
    assert_ne!(one.ingest().id, two.ingest().id);
}

#[test]
fn five_changed_files_store_five_objects() {
    let scene = Scene::new();
    for number in 0..200 {
        scene.write(&format!("dir{}/file{number}", number % 7), &format!("content {number}"));
    }
    let first = scene.ingest();
    assert_eq!((first.files, first.new_files), (200, 200));
    for number in 0..5 {
        scene.write(&format!("dir{}/file{number}", number % 7), &format!("changed {number}"));
    }
    let second = scene.ingest();
    assert_eq!((second.files, second.new_files), (200, 5));
    assert_eq!(scene.store.slugs().unwrap().len(), 2);
    assert_eq!(scene.store.summary(&first.id).unwrap().packed_bytes, first.packed_bytes);
}

#[test]
fn a_checkout_is_the_tree_with_settled_modes_and_times() {
    let scene = Scene::new();
    scene.write("bin/run", "#!/bin/sh\n");
    scene.write("data", "#!/bin/sh\n");
    set_mode(&scene.tree.join("bin/run"), 0o4711);
    set_mode(&scene.tree.join("data"), 0o600);
    fs_err::create_dir(scene.tree.join("empty")).unwrap();
    symlink("../data", scene.tree.join("bin/link")).unwrap();
    let app = scene.store.checkout(&scene.ingest().id).unwrap();
    let stat = |path: &str| {
        let metadata = fs_err::symlink_metadata(app.join(path)).unwrap();
        (metadata.mode() & 0o7777, metadata.mtime())
    };
    let time = i64::from(FIXED_TIME);
    assert_eq!(stat("bin/run"), (0o755, time));
    assert_eq!(stat("data"), (0o644, time));
    assert_eq!([stat("bin"), stat("empty"), stat("")], [(0o755, time); 3]);
    assert_eq!(stat("bin/link").1, time);
    assert_eq!(fs_err::read_link(app.join("bin/link")).unwrap(), std::path::Path::new("../data"));
    assert_eq!(scene.store.checkout(&scene.ingest().id).unwrap(), app);
}

#[test]
fn nothing_outside_the_tree_is_read_and_links_are_kept_as_they_are() {
    let scene = Scene::new();
    let outside = scene.directory.path().join("outside");
    fs_err::create_dir(&outside).unwrap();
    fs_err::write(outside.join("secret"), "secret").unwrap();
    for (name, target) in [("up", "../outside"), ("etc", "/etc/passwd"), ("gone", "nowhere")] {
        symlink(target, scene.tree.join(name)).unwrap();
    }
    let summary = scene.ingest();
    assert_eq!(summary.files, 0);
    let manifest = scene.store.manifest(&summary.id).unwrap();
    assert_eq!(manifest.entries[&b"up"[..]], Entry::Symlink { target: b"../outside".to_vec() });
    let app = scene.store.checkout(&summary.id).unwrap();
    assert_eq!(fs_err::read_link(app.join("gone")).unwrap(), std::path::Path::new("nowhere"));
}

#[test]
fn what_no_slug_holds_is_left_out() {
    let scene = Scene::new();
    for name in [".git/HEAD", "tmp/cache", "sub/.git/HEAD", "sub/tmp/x"] {
        scene.write(name, "x");
    }
    let _socket = std::os::unix::net::UnixListener::bind(scene.tree.join("socket")).unwrap();
    let mut skipped = Vec::new();
    let summary = scene.store.ingest(&scene.tree, &IngestRequest::default(), &mut |progress| {
        if let Progress::Skipped { path } = progress {
            skipped.push(path);
        }
    });
    let manifest = scene.store.manifest(&summary.unwrap().id).unwrap();
    let paths: Vec<_> =
        manifest.entries.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(paths, ["sub", "sub/.git", "sub/.git/HEAD", "sub/tmp", "sub/tmp/x", "tmp"]);
    assert_eq!(skipped, [std::path::PathBuf::from("socket")]);
}

#[test]
fn names_are_bytes_and_unreadable_files_are_read() {
    use std::os::unix::ffi::OsStrExt as _;
    let scene = Scene::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9 #1\n");
    fs_err::write(scene.tree.join(name), "x").unwrap();
    scene.write("closed/file", "y");
    set_mode(&scene.tree.join("closed/file"), 0);
    set_mode(&scene.tree.join("closed"), 0);
    let app = scene.store.checkout(&scene.ingest().id).unwrap();
    assert_eq!(fs_err::read(app.join(name)).unwrap(), b"x");
    assert_eq!(fs_err::read(app.join("closed/file")).unwrap(), b"y");
    let mode = fs_err::metadata(app.join("closed/file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn in_a_series_what_changed_is_found_whatever_its_times_say() {
    let scene = Scene::new();
    for name in ["same", "rewritten", "chmod", "gone", "dir/moved"] {
        scene.write(name, name);
    }
    scene.ingest_in_series();
    let path = scene.tree.join("rewritten");
    let before = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::write(&path, "reWritten").unwrap();
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_modified(before).unwrap();
    set_mode(&scene.tree.join("chmod"), 0o755);
    fs_err::remove_file(scene.tree.join("gone")).unwrap();
    fs_err::rename(scene.tree.join("dir/moved"), scene.tree.join("same")).unwrap();
    let second = scene.ingest_in_series();
    assert_eq!((second.files, second.new_files), (3, 2));
    assert_eq!(second.id, scene.ingest().id);
    let app = scene.store.checkout(&second.id).unwrap();
    assert_eq!(fs_err::read(app.join("same")).unwrap(), b"dir/moved");
    assert_eq!(fs_err::read(app.join("rewritten")).unwrap(), b"reWritten");
}

#[test]
fn an_object_that_goes_after_it_was_checked_is_stored_by_the_next_build() {
    let scene = Scene::new();
    scene.write("a", "content");
    scene.store.checkout(&scene.ingest_in_series().id).unwrap();
    for object in scene.objects() {
        fs_err::remove_file(object).unwrap();
    }
    scene.write("b", "more");
    let second = scene.ingest_in_series();
    assert!(scene.store.checkout(&second.id).is_err());
    assert_eq!(scene.ingest_in_series().new_files, 1);
    scene.store.checkout(&second.id).unwrap();
}

#[test]
fn a_series_whose_objects_were_damaged_or_swept_stores_them_anew() {
    let scene = Scene::new();
    scene.write("a", "content");
    let first = scene.ingest_in_series();
    for object in scene.objects() {
        fs_err::write(object, "damaged").unwrap();
    }
    assert!(matches!(scene.store.checkout(&first.id), Err(StoreError::DamagedObject { .. })));
    assert_eq!(scene.ingest_in_series().new_files, 1);
    scene.store.checkout(&first.id).unwrap();
    scene.store.sweep(&[]).unwrap();
    assert_eq!(scene.ingest_in_series().new_files, 1);
    scene.store.checkout(&first.id).unwrap();
}

#[test]
fn a_slug_too_large_leaves_nothing() {
    let scene = Scene::new();
    scene.write("file", "x");
    let limits = Limits { slug_hard: 3, ..Limits::default() };
    let request = IngestRequest { limits, ..IngestRequest::default() };
    let error = scene.store.ingest(&scene.tree, &request, &mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { packed_bytes: 4.., limit: 3 }), "{error:?}");
    assert!(scene.store.slugs().unwrap().is_empty());
    assert!(scene.objects().is_empty());
    assert!(contents(&scene.root.join("staging")).is_empty());
}

#[test]
fn a_flipped_bit_is_found_and_the_next_build_mends_it() {
    let scene = Scene::new();
    scene.write("app.py", "print('hello')");
    let id = scene.ingest().id;
    let object = scene.objects().pop().unwrap();
    let mut content = fs_err::read(&object).unwrap();
    content[3] ^= 1;
    fs_err::write(&object, content).unwrap();
    for error in [scene.store.verify(&id), scene.store.checkout(&id).map(drop)] {
        let error = error.unwrap_err();
        let StoreError::DamagedObject { path, id: of, .. } = &error else { panic!("{error:?}") };
        assert_eq!((path.to_str(), of), (Some("app.py"), &id));
    }
    assert!(matches!(scene.store.checkout(&id), Err(StoreError::MissingObject { .. })));
    assert_eq!(scene.ingest().new_files, 1);
    assert!(scene.store.checkout(&id).is_ok());
}

#[test]
fn a_changed_manifest_is_found_at_every_start() {
    let scene = Scene::new();
    scene.write("app.py", "x");
    let id = scene.ingest().id;
    scene.store.checkout(&id).unwrap();
    fs_err::write(scene.root.join("slugs").join(id.as_str()), "slugline-slug 1\n").unwrap();
    assert!(matches!(scene.store.checkout(&id), Err(StoreError::DamagedManifest { .. })));
    scene.store.remove(&id).unwrap();
    assert!(matches!(scene.store.checkout(&id), Err(StoreError::UnknownSlug { .. })));
}

#[test]
fn a_killed_ingest_and_a_half_made_checkout_are_swept() {
    let scene = Scene::new();
    scene.write("app.py", "x");
    let id = scene.ingest().id;
    let staging = scene.root.join("staging");
    fs_err::create_dir_all(staging.join("1-0/half")).unwrap();
    fs_err::create_dir_all(scene.root.join("checkouts").join(id.as_str()).join("tree/app"))
        .unwrap();
    let reopened = Store::open(&scene.root).unwrap();
    let app = reopened.checkout(&id).unwrap();
    assert_eq!(fs_err::read(app.join("app.py")).unwrap(), b"x");
    reopened.sweep(std::slice::from_ref(&id)).unwrap();
    assert!(contents(&staging).is_empty());
    assert!(reopened.verify(&id).is_ok());
}

#[test]
fn a_sweep_keeps_what_is_asked_for_and_nothing_else() {
    let scene = Scene::new();
    scene.write("both", "both");
    scene.write("old", "old");
    let old = scene.ingest().id;
    fs_err::remove_file(scene.tree.join("old")).unwrap();
    scene.write("new", "new");
    let new = scene.ingest().id;
    scene.store.checkout(&old).unwrap();
    let swept = scene.store.sweep(std::slice::from_ref(&new)).unwrap();
    assert_eq!((swept.slugs, swept.checkouts, swept.objects, swept.bytes), (1, 1, 1, 3));
    assert_eq!(scene.store.slugs().unwrap(), std::slice::from_ref(&new));
    assert!(scene.store.checkout(&new).is_ok());
    let unknown = "0".repeat(64).parse().unwrap();
    assert!(matches!(scene.store.sweep(&[unknown]), Err(StoreError::UnknownSlug { .. })));
    assert!(scene.store.verify(&new).is_ok());
}

#[test]
fn many_may_ask_for_the_same_checkout_at_once() {
    let scene = Scene::new();
    for number in 0..300 {
        scene.write(&format!("file{number}"), &number.to_string());
    }
    let id = scene.ingest().id;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let app = scene.store.checkout(&id).unwrap();
                assert_eq!(contents(&app).len(), 300);
            });
        }
    });
    assert!(contents(&scene.root.join("staging")).is_empty());
}
