//! Sources that are made to leave their place, or to take all there is of something. Of each, what
//! the reader says, and that nothing outside was touched.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::Header;

use super::tests::Source;
use super::*;

/// One that tells of the next: a long name, or records.
fn telling(source: Source, kind: EntryType, body: &str) -> Source {
    source.add(kind, "././@LongLink", "", 0o644, body)
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}")
}

/// An archive of bytes that are no archive that anybody would make.
fn unpack_bytes(archive: &[u8]) -> (tempfile::TempDir, Result<(), UnpackError>) {
    let dir = tempfile::tempdir().unwrap();
    let tarball = dir.path().join("source.tgz");
    let mut gzip = GzEncoder::new(fs_err::File::create(&tarball).unwrap(), Compression::fast());
    gzip.write_all(archive).unwrap();
    gzip.finish().unwrap();
    let limits = Limits { source: 1 << 20, source_entries: 100, ..Limits::default() };
    let result = unpack(&tarball, &dir.path().join("app"), &limits);
    (dir, result)
}

fn header(kind: EntryType, name: &str, size: [u8; 12]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().size = size;
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn a_long_name_leads_nowhere_either() {
    for (kind, body) in [
        (EntryType::GNULongName, "/etc/x".to_owned()),
        (EntryType::XHeader, record("path", "/etc/x")),
    ] {
        let source = telling(Source::new(), kind, &body).file("harmless", "");
        assert_eq!(source.refusal(), "the source's entry /etc/x is absolute");
    }
    let upwards = telling(Source::new(), EntryType::XHeader, &record("path", "a/../../x"));
    assert_eq!(
        upwards.file("harmless", "").refusal(),
        "the source's entry a/../../x leads out of the app"
    );
    let link = telling(Source::new(), EntryType::XHeader, &record("linkpath", "/etc/passwd"));
    assert_eq!(
        link.add(EntryType::Link, "h", "harmless", 0o644, "").refusal(),
        "the source's entry h links to /etc/passwd"
    );
}

#[test]
fn links_that_lead_out_are_kept_and_never_followed() {
    let (dir, result) = Source::new()
        .link("absolute", "/etc/passwd")
        .link("upwards", "../../../etc")
        .link(".", "/tmp")
        .file("upwards", "a file in its place")
        .unpack();
    result.unwrap();
    let app = dir.path().join("app");
    assert!(app.symlink_metadata().unwrap().is_dir(), "the root is no link");
    assert_eq!(fs_err::read_link(app.join("absolute")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs_err::read_to_string(app.join("upwards")).unwrap(), "a file in its place");
    let through = Source::new().link("d", "..").add(EntryType::Directory, "d/e", "", 0o755, "");
    assert_eq!(through.refusal(), "the source's entry d/e lies below a link or a file");
    let nameless = Source::new().link("nameless", "");
    assert_eq!(nameless.refusal(), "the source's entry nameless links to nothing that has a name");
}

#[test]
fn a_directory_that_becomes_a_link_is_no_way_out() {
    let source = Source::new().file("d/kept", "1").link("d", "..").file("d/x", "2");
    let (dir, result) = source.unpack();
    assert_eq!(
        result.unwrap_err().to_string(),
        "the source's entry d/x lies below a link or a file"
    );
    assert!(!dir.path().join("x").exists());
}

#[test]
fn a_hard_link_costs_what_it_copies() {
    let body = "x".repeat(400);
    let mut source = Source::new().file("a", &body);
    for number in 0..10 {
        source = source.add(EntryType::Link, &format!("b{number}"), "a", 0o644, "");
    }
    let limits = Limits { source: 1_000, ..Limits::default() };
    assert!(matches!(source.unpack_within(&limits).1, Err(UnpackError::TooLarge { limit: 1_000 })));
    let of_itself = Source::new().file("a", "x").add(EntryType::Link, "a", "a", 0o644, "");
    assert_eq!(of_itself.refusal(), "the source's entry a links to a");
    let of_what_it_replaces =
        Source::new().file("d/f", "x").add(EntryType::Link, "d", "d/f", 0o644, "");
    assert_eq!(of_what_it_replaces.refusal(), "the source's entry d links to d/f");
}

#[test]
fn no_special_bit_survives() {
    let (dir, result) = Source::new()
        .add(EntryType::Regular, "set-uid", "", 0o6755, "")
        .add(EntryType::Regular, "open", "", 0o666, "")
        .add(EntryType::Directory, "sticky/", "", 0o7777, "")
        .unpack();
    result.unwrap();
    let mode = |name: &str| {
        dir.path().join("app").join(name).metadata().unwrap().permissions().mode() & 0o7777
    };
    assert_eq!((mode("set-uid") & 0o7022, mode("open") & 0o7133), (0, 0));
    assert_eq!(mode("sticky") & 0o7000, 0);
}

#[test]
fn every_special_file_is_refused_by_its_kind() {
    for (kind, name) in [
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::GNUSparse, "sparse file"),
        (EntryType::new(b'?'), "kind of file that no app consists of"),
    ] {
        let source = Source::new().add(kind, "x", "", 0o644, "");
        assert_eq!(source.refusal(), format!("the source's entry x is a {name}"));
    }
    let sparse = telling(Source::new(), EntryType::XHeader, &record("GNU.sparse.major", "1"));
    assert_eq!(sparse.file("x", "").refusal(), "the source's entry x is a sparse file");
}

#[test]
fn sizes_beyond_any_source_are_refused_however_they_are_written() {
    let octal = *b"77777777777\0";
    let mut binary = [0_u8; 12];
    binary[0] = 0x80;
    binary[6] = 1;
    for size in [octal, binary] {
        let (_dir, result) = unpack_bytes(&header(EntryType::Regular, "large", size));
        assert!(matches!(result, Err(UnpackError::TooLarge { .. })), "{result:?}");
    }
    let told = telling(Source::new(), EntryType::XHeader, &record("size", "4294967297"));
    assert!(matches!(told.file("x", "").unpack().1, Err(UnpackError::TooLarge { .. })));
    let twice = telling(Source::new(), EntryType::XHeader, &record("size", "2"));
    let (_dir, result) = twice.file("x", "longer").unpack();
    assert!(matches!(result, Err(UnpackError::Read { number: 2, .. })), "{result:?}");
}

#[test]
fn a_bomb_of_zeros_takes_neither_memory_nor_disk() {
    // It says that 2 GiB follow; the reader gives up after the first.
    let dir = tempfile::tempdir().unwrap();
    let tarball = dir.path().join("source.tgz");
    let mut gzip = GzEncoder::new(fs_err::File::create(&tarball).unwrap(), Compression::fast());
    gzip.write_all(&header(EntryType::GNULongName, "././@LongLink", *b"20000000000\0")).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..4 {
        gzip.write_all(&zeros).unwrap();
    }
    gzip.finish().unwrap();
    let result = unpack(&tarball, &dir.path().join("app"), &Limits::default());
    assert!(matches!(result, Err(UnpackError::Read { number: 1, .. })), "{result:?}");
    assert_eq!(fs_err::read_dir(dir.path().join("app")).unwrap().count(), 0);
}

#[test]
fn entries_that_only_tell_of_others_count_as_well() {
    let mut source = Source::new();
    for _ in 0..20 {
        source = telling(source, EntryType::XGlobalHeader, &record("comment", "x"));
    }
    let limits = Limits { source_entries: 10, ..Limits::default() };
    assert!(matches!(
        source.file("a", "").unpack_within(&limits).1,
        Err(UnpackError::TooManyEntries { limit: 10 })
    ));
}

#[test]
fn paths_have_an_end() {
    let deep = record("path", &"d/".repeat(place::DEEPEST + 1));
    let long = record("path", &"x".repeat(place::LONGEST_NAME + 1));
    let both = record("path", &format!("{}x", format!("{}/", "y".repeat(200)).repeat(30)));
    for told in [deep, long, both] {
        let source = telling(Source::new(), EntryType::XHeader, &told).file("x", "");
        let refusal = source.refusal();
        assert!(refusal.ends_with("lies too deep, or its name is too long"), "{refusal}");
        assert!(refusal.len() < 300, "{refusal}");
    }
    let as_deep_as_may_be = record("path", &format!("{}x", "d/".repeat(place::DEEPEST - 1)));
    telling(Source::new(), EntryType::XHeader, &as_deep_as_may_be)
        .file("x", "")
        .unpack()
        .1
        .unwrap();
}

#[test]
fn odd_names_are_kept_byte_by_byte() {
    let odd = ["two\nlines", "caf\u{e9}", " ", "-rf", "*", "\u{1b}[31m", "Readme", "README"];
    let mut source = Source::new();
    for name in odd {
        source = source.file(name, name);
    }
    let mut not_unicode = Header::new_gnu();
    not_unicode.set_mode(0o644);
    not_unicode.set_size(0);
    not_unicode.as_old_mut().name[..2].copy_from_slice(b"\xff\xfe");
    not_unicode.set_cksum();
    source.0.append(&not_unicode, &b""[..]).unwrap();
    let (dir, result) = source.unpack();
    result.unwrap();
    let app = dir.path().join("app");
    for name in odd {
        assert_eq!(fs_err::read_to_string(app.join(name)).unwrap(), name);
    }
    assert!(app.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")).is_file());
}

#[test]
fn a_source_that_is_cut_off_is_refused_wherever_it_is_cut() {
    let body: String = (0..2_000_u32).map(|n| char::from(b'a' + (n * n % 26) as u8)).collect();
    let archive = Source::new().file("a", &body).file("b", &body).0.into_inner().unwrap();
    for end in [100, 512, 600, 2_000, 3_100, 4_000] {
        let (_dir, result) = unpack_bytes(&archive[..end]);
        match result {
            Err(UnpackError::Read { .. } | UnpackError::Write { .. } | UnpackError::Empty) => {}
            other => panic!("cut at {end}: {other:?}"),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let tarball = dir.path().join("source.tgz");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&archive).unwrap();
    let packed = gzip.finish().unwrap();
    for end in [5, packed.len() / 2, packed.len() - 40] {
        fs_err::write(&tarball, &packed[..end]).unwrap();
        let result = unpack(&tarball, &dir.path().join("app"), &Limits::default());
        assert!(result.is_err(), "cut at {end}");
    }
}

#[test]
fn a_source_packed_in_two_parts_is_one() {
    let archive = Source::new().file("a", "1").file("b", "2").0.into_inner().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let tarball = dir.path().join("source.tgz");
    let mut packed = Vec::new();
    for part in archive.chunks(700) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(part).unwrap();
        packed.extend(gzip.finish().unwrap());
    }
    fs_err::write(&tarball, packed).unwrap();
    unpack(&tarball, &dir.path().join("app"), &Limits::default()).unwrap();
    assert_eq!(fs_err::read_to_string(dir.path().join("app/b")).unwrap(), "2");
}

/// Whether only what a source may consist of is in the app, and nothing else is there.
fn assert_contained(dir: &Path) {
    let names: Vec<_> =
        fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "app" || name == "source.tgz"), "{names:?}");
    let mut ahead = vec![dir.join("app")];
    while let Some(path) = ahead.pop() {
        let Ok(found) = path.symlink_metadata() else { continue };
        let kind = found.file_type();
        assert!(kind.is_dir() || kind.is_file() || kind.is_symlink(), "{}", path.display());
        assert!(kind.is_symlink() || found.permissions().mode() & 0o7000 == 0);
        if kind.is_dir() {
            ahead.extend(fs_err::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

fn any_entry() -> impl Strategy<Value = (u8, String, String, u32, String)> {
    let name = prop::collection::vec(
        prop::sample::select(vec!["a", "b", "c", "..", ".", "", "app", "\n"]),
        1..5,
    );
    let target = prop::sample::select(vec!["..", "../..", "/", "/tmp", "a", "b/c", "c", ""]);
    let kind = prop::sample::select(b"0000112255346gxLKS7".to_vec());
    (kind, name.prop_map(|names| names.join("/")), target, 0_u32..0o10000, "[a-z=/0-9 ]{0,20}")
        .prop_map(|(kind, name, target, mode, body)| (kind, name, target.to_owned(), mode, body))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_the_entries_nothing_leaves_the_app(
        entries in prop::collection::vec(any_entry(), 0..12),
    ) {
        let mut source = Source::new();
        for (kind, name, target, mode, body) in &entries {
            source = source.add(EntryType::new(*kind), name, target, *mode, body);
        }
        let (dir, _) = source.unpack();
        assert_contained(dir.path());
    }

    #[test]
    fn whatever_the_bytes_nothing_leaves_the_app(
        changes in prop::collection::vec((0_usize..4_000, any::<u8>()), 0..20),
        fix_sums in any::<bool>(),
    ) {
        let mut archive = Source::new()
            .file("a/b", "1")
            .link("c", "..")
            .add(EntryType::Link, "d", "a/b", 0o644, "")
            .add(EntryType::XHeader, "x", "", 0o644, &record("path", "a/e"))
            .file("e", "2")
            .0
            .into_inner()
            .unwrap();
        for (at, byte) in changes {
            if let Some(place) = archive.get_mut(at) {
                *place = byte;
            }
        }
        if fix_sums {
            for block in archive.chunks_exact_mut(512) {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let (dir, _) = unpack_bytes(&archive);
        assert_contained(dir.path());
    }
}
