//! Slugs as Heroku packs them: out, in, and hostile ones.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::io::{Read, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use scene::{Scene, contents, set_mode};
use sha2::{Digest as _, Sha256};
use slugline_model::exchange::{Checksum, Exported, ImportRequest, Imported};
use slugline_model::limits::Limits;
use slugline_model::slug::SlugSummary;
use slugline_store::tgz::{TgzError, procfile};
use tar::{EntryType, Header};

/// An archive in the making, entry by entry, as no honest program would write it.
#[derive(Default)]
struct Forged(Vec<u8>);

impl Forged {
    fn entry(mut self, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name);
        gnu.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", content)
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    fn ended(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn import(scene: &Scene, bytes: &[u8]) -> Result<Imported, TgzError> {
    import_within(scene, bytes, Limits::default())
}

fn import_within(scene: &Scene, mut bytes: &[u8], limits: Limits) -> Result<Imported, TgzError> {
    scene.store.import_tgz(&mut bytes, &ImportRequest { limits, ..ImportRequest::default() })
}

/// Why an archive is refused, its causes included; nothing of it may be left.
fn refusal(scene: &Scene, bytes: &[u8]) -> String {
    let error = import(scene, bytes).expect_err("no honest archive");
    assert_eq!(scene.store.slugs().unwrap(), []);
    assert_eq!(contents(&scene.root.join("staging")).len(), 0);
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A tree with all that a slug can hold.
fn plant(tree: &Path) {
    std::fs::create_dir_all(tree.join("deep/er")).unwrap();
    let long = tree.join("deep").join("n".repeat(120));
    std::fs::write(&long, "long").unwrap();
    std::fs::write(tree.join("deep/er/#odd name\n\u{fc}"), "odd").unwrap();
    std::fs::write(tree.join("run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(tree.join("run"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    std::fs::write(tree.join("empty"), "").unwrap();
    std::fs::write(tree.join("Procfile"), "web: ./run\n").unwrap();
    symlink("../nowhere", tree.join("dangling")).unwrap();
    symlink("x".repeat(150), tree.join("far")).unwrap();
    std::fs::hard_link(tree.join("run"), tree.join("run-too")).unwrap();
}

fn exported(scene: &Scene) -> (SlugSummary, Vec<u8>, Exported) {
    plant(&scene.tree);
    let slug = scene.ingest();
    let mut bytes = Vec::new();
    let told = scene.store.export_tgz(&slug.id, &mut bytes).unwrap();
    (slug, bytes, told)
}

#[test]
fn an_export_is_what_gnu_tar_reads_and_the_same_each_time() {
    let scene = Scene::new();
    let (slug, bytes, told) = exported(&scene);
    let mut again = Vec::new();
    assert_eq!(scene.store.export_tgz(&slug.id, &mut again).unwrap(), told);
    assert!(bytes == again, "one slug, one archive");
    assert_eq!(told.bytes, bytes.len() as u64);
    assert_eq!(told.checksum, Checksum::Sha256(Sha256::digest(&bytes).into()));

    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("slug.tgz");
    std::fs::write(&archive, &bytes).unwrap();
    let tar = |arguments: &[&str]| {
        let mut tar = Command::new("tar");
        let tar = tar.env("TZ", "UTC").arg("-f").arg(&archive).args(arguments);
        let output = tar.arg("-C").arg(directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let list = tar(&["-tvz", "--numeric-owner"]);
    assert!(list.lines().all(|line| line.contains(" 0/0 ")), "{list}");
    assert!(list.lines().all(|line| line.contains(" 2010-01-01 00:00 ./app/")), "{list}");
    assert!(list.lines().all(|line| line.starts_with(['d', 'l', '-'])), "no hard links: {list}");
    tar(&["-xz", "--no-same-owner"]);
    let mut diff = Command::new("diff");
    let diff = diff.args(["-r", "--no-dereference"]).arg(&scene.tree);
    let diff = diff.arg(directory.path().join("app")).output().unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    let mode = directory.path().join("app/run-too").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn what_was_exported_comes_back_as_the_same_slug() {
    let scene = Scene::new();
    let (slug, bytes, told) = exported(&scene);
    let other = Scene::new();
    assert_eq!(import(&other, &bytes).unwrap().slug.id, slug.id);
    assert_eq!(import(&other, &bytes).unwrap().checksum, Some(told.checksum));
    let mut plain = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(import(&other, &plain).unwrap().slug.id, slug.id);
    assert_eq!(procfile(&bytes[..], &Limits::default()).unwrap().unwrap(), "web: ./run\n");
}

/// As slug-compiler did it, and in the newer format too, which has its own way with long names.
#[test]
fn archives_of_gnu_tar_are_taken_with_their_hard_links() {
    let scene = Scene::new();
    let (slug, _, _) = exported(&scene);
    for format in ["gnu", "pax"] {
        let mut tar = Command::new("tar");
        tar.arg(format!("--format={format}")).args(["-cz", "--transform=s,^\\./,./app/,S"]);
        let output = tar.args(["--exclude=./tmp", "-C"]).arg(&scene.tree).arg(".").output();
        let bytes = output.unwrap().stdout;
        let other = Scene::new();
        // Hard links and symbolic links are renamed by other rules than files.
        let id = import(&other, &bytes).map(|imported| imported.slug.id);
        assert!(matches!(&id, Ok(id) if *id == slug.id), "{format}: {id:?}");
    }
}

#[test]
fn another_checksum_than_the_promised_one_is_refused() {
    let scene = Scene::new();
    let bytes = gzip(&Forged::default().file("./app/a", b"a").ended());
    let expected = Checksum::Sha256([7; 32]);
    let request = ImportRequest { checksum: Some(expected), ..ImportRequest::default() };
    let error = scene.store.import_tgz(&mut &bytes[..], &request).unwrap_err();
    assert!(matches!(error, TgzError::Checksum { found, .. } if found != expected), "{error}");
    assert_eq!(scene.store.slugs().unwrap(), []);
    let found = Checksum::Sha256(Sha256::digest(&bytes).into());
    let request = ImportRequest { checksum: Some(found), ..ImportRequest::default() };
    scene.store.import_tgz(&mut &bytes[..], &request).unwrap();
}

#[test]
fn no_entry_leaves_the_app() {
    let scene = Scene::new();
    let forged = Forged::default;
    for (archive, why) in [
        (forged().file("./app/../../etc/x", b"x"), "it leads upwards"),
        (forged().file("/app/x", b"x"), "it is absolute"),
        (forged().file("./etc/passwd", b"x"), "everything below ./app/"),
        (forged().file("apple/x", b"x"), "everything below ./app/"),
        (forged().symlink("./app", "/etc"), "everything below ./app/"),
        (forged().file("./app/a", b"a").symlink("./app/b", ""), "it links to"),
        (forged().entry(EntryType::Link, b"./app/a", b"/etc/passwd", b""), "it links to"),
        (forged().entry(EntryType::Link, b"./app/a", b"app/../../x", b""), "it links to"),
        (forged().entry(EntryType::Char, b"./app/tty", b"", b""), "a device, a pipe or a socket"),
        (forged().entry(EntryType::Fifo, b"./app/pipe", b"", b""), "a device, a pipe or a socket"),
        (forged().entry(EntryType::GNUSparse, b"./app/holes", b"", b""), "a sparse file"),
        (forged(), "it holds no app"),
    ] {
        let archive = archive.ended();
        for archive in [gzip(&archive), archive] {
            let refusal = refusal(&scene, &archive);
            assert!(refusal.contains(why), "{refusal}");
        }
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let scene = Scene::new();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let through = Forged::default().symlink("./app/link", target).file("./app/link/evil", b"x");
    refusal(&scene, &through.ended());
    let linked = Forged::default().symlink("./app/link", "/etc/passwd");
    let hard = linked.entry(EntryType::Link, b"./app/stolen", b"./app/link", b"").ended();
    if let Ok(Imported { slug, .. }) = import(&scene, &hard) {
        // Another name of the link is the link, and never what it points to.
        let manifest = scene.store.manifest(&slug.id).unwrap();
        assert_eq!(manifest.files().count(), 0);
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn what_is_cut_off_or_damaged_is_refused_wherever() {
    let scene = Scene::new();
    let plain = Forged::default().file("./app/a", &[b'a'; 700]).file("./app/b", b"b").ended();
    for end in (0..plain.len() - 1024).step_by(100) {
        refusal(&scene, &plain[..end]);
    }
    let whole = gzip(&plain);
    for end in 0..whole.len() {
        refusal(&scene, &whole[..end]);
    }
    let mut damaged = whole.clone();
    let end = damaged.len() - 6;
    damaged[end] ^= 1;
    refusal(&scene, &damaged);
    let mut damaged = plain;
    damaged[5] ^= 1;
    assert!(refusal(&scene, &damaged).contains("checksum"), "of the header");
}

#[test]
fn bombs_and_crowds_are_stopped_early() {
    let scene = Scene::new();
    let limits = Limits { slug_hard: 1 << 20, source_entries: 100, ..Limits::default() };
    let bomb = gzip(&Forged::default().file("./app/bomb", &vec![0; 20 << 20]).ended());
    assert!(bomb.len() < 1 << 20);
    let error = import_within(&scene, &bomb, limits.clone()).unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
    let crowd = (0..101)
        .fold(Forged::default(), |archive, number| archive.file(&format!("./app/{number}"), b""));
    let error = import_within(&scene, &crowd.ended(), limits.clone()).unwrap_err();
    assert!(error.to_string().contains("more than 100 entries"), "{error}");
    // A name without end, told before its entry.
    let name = vec![b'n'; 3 << 20];
    let long = Forged::default().entry(EntryType::GNULongName, b"././@LongLink", b"", &name);
    let refusal = refusal(&scene, &gzip(&long.ended()));
    assert!(refusal.contains("longer than any name"), "{refusal}");
    // A file that says it is larger than the world.
    let mut absurd = Forged::default().file("./app/a", b"a").ended();
    let mut header = Header::from_byte_slice(&absurd[..512]).clone();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    absurd[..512].copy_from_slice(header.as_bytes());
    import_within(&scene, &absurd, limits).unwrap_err();
    assert_eq!(scene.store.slugs().unwrap(), []);
}

#[test]
fn a_damaged_object_is_not_passed_on() {
    let scene = Scene::new();
    std::fs::write(scene.tree.join("file"), "content").unwrap();
    let slug = scene.ingest();
    let manifest = scene.store.manifest(&slug.id).unwrap();
    let (_, object, _) = manifest.files().next().unwrap();
    let damaged = scene.objects().remove(0);
    assert!(damaged.ends_with(object.to_string()));
    set_mode(&damaged, 0o644);
    std::fs::write(&damaged, "c0ntent").unwrap();
    let error = scene.store.export_tgz(&slug.id, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("file of slug"), "{error}");
}
