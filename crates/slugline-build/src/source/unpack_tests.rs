//! Sources as they come, and sources as an attacker makes them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;

/// An archive under construction, with the names as given: also those that `tar` would refuse.
pub(super) struct Source(pub(super) Builder<Vec<u8>>);

impl Source {
    pub(super) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(super) fn add(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        mode: u32,
        body: &str,
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(body.len() as u64);
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, body.as_bytes()).unwrap();
        self
    }

    pub(super) fn file(self, name: &str, body: &str) -> Self {
        self.add(EntryType::Regular, name, "", 0o644, body)
    }

    pub(super) fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, 0o777, "")
    }

    fn long_name(mut self, name: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        self.0.append_data(&mut header, name, &b"x"[..]).unwrap();
        self
    }

    pub(super) fn unpack_within(
        self,
        limits: &Limits,
    ) -> (tempfile::TempDir, Result<(), UnpackError>) {
        let dir = tempfile::tempdir().unwrap();
        let tarball = dir.path().join("source.tgz");
        let mut gzip = GzEncoder::new(fs_err::File::create(&tarball).unwrap(), Compression::fast());
        gzip.write_all(&self.0.into_inner().unwrap()).unwrap();
        gzip.finish().unwrap();
        let result = unpack(&tarball, &dir.path().join("app"), limits);
        (dir, result)
    }

    pub(super) fn unpack(self) -> (tempfile::TempDir, Result<(), UnpackError>) {
        self.unpack_within(&Limits::default())
    }

    pub(super) fn refusal(self) -> String {
        self.unpack().1.unwrap_err().to_string()
    }
}

#[test]
fn an_ordinary_source_keeps_names_run_bits_and_links() {
    let long = format!("{}/été 2026 #1.txt", "d".repeat(120));
    let (dir, result) = Source::new()
        .add(EntryType::Directory, "./", "", 0o755, "")
        .add(EntryType::Regular, "./bin/run", "", 0o700, "#!/bin/sh")
        .link("./bin/dangling", "../../nowhere/at all")
        .add(EntryType::Link, "./same", "./bin/run", 0o644, "")
        .long_name(&long)
        .unpack();
    result.unwrap();
    let app = dir.path().join("app");
    assert!(crate::program::is_executable(&app.join("bin/run")));
    assert_eq!(
        fs_err::read_link(app.join("bin/dangling")).unwrap(),
        Path::new("../../nowhere/at all")
    );
    assert_eq!(fs_err::read_to_string(app.join("same")).unwrap(), "#!/bin/sh");
    assert!(app.join(long).is_file());
}

#[test]
fn the_only_directory_is_left_out_even_if_a_child_has_its_name() {
    let (dir, result) = Source::new().file("app/app/x", "").file("app/Procfile", "").unpack();
    result.unwrap();
    assert!(dir.path().join("app/app/x").is_file());
    assert!(dir.path().join("app/Procfile").is_file());
}

#[test]
fn the_only_directory_stays_where_entries_are_named_from_here_on() {
    let (dir, result) = Source::new().file("./src/x", "").unpack();
    result.unwrap();
    assert!(dir.path().join("app/src/x").is_file());
}

#[test]
fn a_directory_beside_a_file_stays() {
    let (dir, result) = Source::new().file("./src/x", "").file("./Procfile", "").unpack();
    result.unwrap();
    assert!(dir.path().join("app/src/x").is_file());
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let (dir, result) = Source::new().link("a", "b").file("a", "new").file("b", "kept").unpack();
    result.unwrap();
    assert_eq!(fs_err::read_to_string(dir.path().join("app/a")).unwrap(), "new");
    assert_eq!(fs_err::read_to_string(dir.path().join("app/b")).unwrap(), "kept");
}

#[test]
fn nothing_is_written_outside_the_app() {
    let refused = [
        (Source::new().file("/etc/x", ""), "the source's entry /etc/x is absolute"),
        (Source::new().file("a/../../x", ""), "the source's entry a/../../x leads out of the app"),
        (
            Source::new().link("l", "/tmp").file("l/x", ""),
            "the source's entry l/x lies below a link or a file",
        ),
        (
            Source::new().add(EntryType::Link, "h", "/etc/passwd", 0o644, ""),
            "the source's entry h links to /etc/passwd",
        ),
        (
            Source::new().link("l", "/etc/passwd").add(EntryType::Link, "h", "l", 0o644, ""),
            "the source's entry h links to l",
        ),
    ];
    for (source, expect) in refused {
        assert_eq!(source.refusal(), expect);
    }
}

#[test]
fn devices_and_pipes_are_refused() {
    let device = Source::new().add(EntryType::Block, "d", "", 0o644, "");
    assert_eq!(device.refusal(), "the source's entry d is a block device");
    let pipe = Source::new().add(EntryType::Fifo, "p", "", 0o644, "");
    assert_eq!(pipe.refusal(), "the source's entry p is a named pipe");
}

#[test]
fn a_source_has_bounds() {
    let limits = Limits { source: 10, source_entries: 2, ..Limits::default() };
    let (_dir, large) = Source::new().file("a", "12345678901").unpack_within(&limits);
    assert!(matches!(large, Err(UnpackError::TooLarge { limit: 10 })));
    let many = Source::new().file("a", "").file("b", "").file("c", "");
    assert!(matches!(many.unpack_within(&limits).1, Err(UnpackError::TooManyEntries { limit: 2 })));
}

#[test]
fn what_is_no_source_is_named() {
    assert!(matches!(Source::new().unpack().1, Err(UnpackError::Empty)));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source.tgz");
    fs_err::write(&path, "not gzip").unwrap();
    let result = unpack(&path, &dir.path().join("app"), &Limits::default());
    assert!(matches!(result, Err(UnpackError::Read { number: 1, .. })));
    let result = unpack(&dir.path().join("none"), &dir.path().join("app"), &Limits::default());
    assert!(matches!(result, Err(UnpackError::Open { .. })));
}
