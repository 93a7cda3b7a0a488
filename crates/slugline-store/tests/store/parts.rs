//! Slugs put together from streams, and taken over part by part.

use crate::scene::{Scene, contents};
use slugline_model::limits::Limits;
use slugline_model::slug::SlugId;
use slugline_store::manifest::Entry;
use slugline_store::{IngestRequest, Store, StoreError};

#[test]
fn what_is_put_together_is_the_slug_of_the_same_tree() {
    let scene = Scene::new();
    scene.write("app/settings.py", "DEBUG = False");
    scene.write("app/copy.py", "DEBUG = False");
    scene.write("large", &"0123456789".repeat(200_000));
    std::os::unix::fs::symlink("app/settings.py", scene.tree.join("link")).unwrap();
    let other = Store::open(scene.directory.path().join("other")).unwrap();
    let mut assembly = other.assemble(&IngestRequest::default()).unwrap();
    assembly.file(b"gone/below", false, &mut &b"gone"[..]).unwrap();
    assembly.file(b"app/settings.py", false, &mut &b"DEBUG = True"[..]).unwrap();
    assembly.file(b"app/settings.py", false, &mut &b"DEBUG = False"[..]).unwrap();
    assembly.hard_link(b"app/copy.py", b"app/settings.py").unwrap();
    assembly.file(b"large", false, &mut "0123456789".repeat(200_000).as_bytes()).unwrap();
    assembly.symlink(b"link", b"app/settings.py").unwrap();
    assembly.remove(b"gone");
    let (here, there) = (scene.ingest(), assembly.finish().unwrap());
    assert_eq!((&there.id, there.bytes, there.files), (&here.id, here.bytes, here.files));
    assert_eq!(there.packed_bytes, here.packed_bytes);
    assert_eq!(there.new_files, 2);
    other.verify(&there.id).unwrap();
    other.checkout(&there.id).unwrap();
}

#[test]
fn no_path_leads_out_of_what_is_put_together() {
    let scene = Scene::new();
    let mut assembly = scene.store.assemble(&IngestRequest::default()).unwrap();
    assembly.symlink(b"link", b"/etc").unwrap();
    for path in ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/.", "link/passwd", "a\0b"] {
        let error = assembly.file(path.as_bytes(), false, &mut &b"x"[..]).unwrap_err();
        assert!(matches!(error, StoreError::BadPath { .. }), "{path}: {error:?}");
    }
    for path in ["x".repeat(256), "x/".repeat(3_000) + "x"] {
        assert!(assembly.directory(path.as_bytes()).is_err());
    }
    assert!(assembly.hard_link(b"a", b"nothing").is_err());
}

#[test]
fn what_is_too_much_is_refused_and_leaves_nothing() {
    let scene = Scene::new();
    let limits = Limits { source_entries: 3, build_disk: 10, ..Limits::default() };
    let request = IngestRequest { limits, ..IngestRequest::default() };
    let mut assembly = scene.store.assemble(&request).unwrap();
    for name in ["a", "b", "c"] {
        assembly.file(name.as_bytes(), false, &mut &b"123"[..]).unwrap();
    }
    let error = assembly.file(b"d", false, &mut &b""[..]).unwrap_err();
    assert!(matches!(error, StoreError::TooMany { limit: 3 }));
    let error = assembly.file(b"c", false, &mut std::io::repeat(0)).unwrap_err();
    assert!(matches!(error, StoreError::TooMuch { limit: 10 }));
    drop(assembly);
    assert!(scene.store.slugs().unwrap().is_empty());
    assert!(scene.objects().is_empty());
    assert!(contents(&scene.root.join("staging")).is_empty());
}

#[test]
fn a_slug_goes_to_another_store_part_by_part_and_is_seen_when_it_is_whole() {
    let scene = Scene::new();
    for n in 0..2_000 {
        scene.write(&format!("d{}/f{n}", n % 7), &format!("content {n}"));
    }
    let id = scene.ingest().id;
    let other = Store::open(scene.directory.path().join("other")).unwrap();
    let head = scene.store.head(&id).unwrap();
    assert!(matches!(other.put_head(&id, &head), Err(StoreError::DamagedPage { .. })));
    for page in scene.store.pages_of(&id).unwrap() {
        other.put_page(page, &scene.store.page(page).unwrap()).unwrap();
        assert!(other.has_page(page));
    }
    assert!(matches!(other.put_head(&id, &head), Err(StoreError::MissingObject { .. })));
    let manifest = scene.store.manifest(&id).unwrap();
    let mut intake = other.intake().unwrap();
    for (_, object, _) in manifest.files().skip(1) {
        intake.object(object, &mut scene.store.open_object(object).unwrap()).unwrap();
    }
    intake.settle().unwrap();
    assert!(matches!(other.put_head(&id, &head), Err(StoreError::MissingObject { .. })));
    assert!(other.slugs().unwrap().is_empty());
    let (_, object, _) = manifest.files().next().unwrap();
    other.put_object(object, &mut scene.store.open_object(object).unwrap()).unwrap();
    assert_eq!(other.put_head(&id, &head).unwrap(), manifest);
    other.verify(&id).unwrap();
    assert!(contents(&scene.directory.path().join("other/staging")).is_empty());
}

#[test]
fn what_is_not_what_its_hash_says_is_not_taken_in() {
    let scene = Scene::new();
    scene.write("a", "content");
    let id = scene.ingest().id;
    let page = scene.store.pages_of(&id).unwrap()[0];
    let Entry::File { object, .. } = scene.store.manifest(&id).unwrap().entries[&b"a"[..]] else {
        panic!()
    };
    let other = Store::open(scene.directory.path().join("other")).unwrap();
    let wrong = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::WrongContent { .. })), "{result:?}");
    };
    wrong(other.put_object(object, &mut &b"contents"[..]));
    wrong(other.put_page(page, b"junk"));
    let other_id: SlugId = "ab".repeat(32).parse().unwrap();
    wrong(other.put_head(&other_id, &scene.store.head(&id).unwrap()).map(drop));
    assert!(!other.has_object(object) && !other.has_page(page));
}

#[test]
fn a_damaged_page_is_found_and_the_next_build_mends_it() {
    let scene = Scene::new();
    scene.write("a", "content");
    let id = scene.ingest().id;
    let page = scene.root.join("pages").join(scene.store.pages_of(&id).unwrap()[0].to_string());
    fs_err::write(&page, "junk").unwrap();
    assert!(matches!(scene.store.checkout(&id), Err(StoreError::DamagedPage { .. })));
    scene.ingest();
    scene.store.checkout(&id).unwrap();
}
