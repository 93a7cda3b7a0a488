//! The search itself: every file once, all texts at a time.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use aho_corasick::{AhoCorasick, MatchKind};
use slugline_model::build::Leak;

use super::secret::Secret;
use crate::files;
use crate::snapshot::Found;

/// How many files are read at a time.
const READERS: usize = 2;

/// How much of a file is in memory at a time (bytes).
const PIECE: usize = 256 * 1024;

/// More places than this help nobody.
const MOST: usize = 1_000;

/// How much of a file's start tells whether it is text (bytes), as git looks.
const LOOKED_AT: usize = 8_000;

/// Looks for secrets in files below a root. Each secret is told once a file.
pub(crate) fn scan(root: &Path, files: &[Found], secrets: &[Secret]) -> Vec<Leak> {
    let texts = secrets.iter().map(|secret| &secret.text);
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
    let Ok(search) = search else { return Vec::new() };
    let next = AtomicUsize::new(0);
    let mut leaks: Vec<Leak> = thread::scope(|scope| {
        let reader = || read_files(root, files, &next, &search, secrets);
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reader)).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    });
    leaks.sort_by(|a, b| {
        (&a.path, a.offset, &a.config_var).cmp(&(&b.path, b.offset, &b.config_var))
    });
    leaks.truncate(MOST);
    leaks
}

fn read_files(
    root: &Path,
    files: &[Found],
    next: &AtomicUsize,
    search: &AhoCorasick,
    secrets: &[Secret],
) -> Vec<Leak> {
    let mut leaks = Vec::new();
    let mut piece = vec![0; PIECE];
    while let Some(found) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        // What vanished, or cannot be read, is in no slug.
        let Ok(file) = files::open_strange(&root.join(&found.path)) else { continue };
        let Ok(hits) = hits((&file, found.size), search, secrets, &mut piece) else { continue };
        if !hits.is_empty() {
            leaks.extend(told(&file, found, &hits, secrets));
        }
    }
    leaks
}

/// The first place of each secret in a file: its number and its offset.
fn hits(
    (mut file, size): (&File, u64),
    search: &AhoCorasick,
    secrets: &[Secret],
    piece: &mut [u8],
) -> io::Result<Vec<(usize, u64)>> {
    let overlap = secrets.iter().map(|secret| secret.text.len()).max().unwrap_or(1) - 1;
    let mut hits: Vec<(usize, u64)> = Vec::new();
    let (mut kept, mut start) = (0, 0);
    loop {
        let read = match file.read(&mut piece[kept..]) {
            Ok(0) => return Ok(hits),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + read;
        for hit in search.find_iter(&piece[..filled]) {
            let secret = hit.pattern().as_usize();
            let names = &secrets[secret].config_vars;
            if !hits.iter().any(|(other, _)| secrets[*other].config_vars == *names) {
                hits.push((secret, start + hit.start() as u64));
            }
        }
        // Spares small files a second question.
        if start + filled as u64 >= size {
            return Ok(hits);
        }
        kept = overlap.min(filled);
        piece.copy_within(filled - kept..filled, 0);
        start += (filled - kept) as u64;
    }
}

fn told(file: &File, found: &Found, hits: &[(usize, u64)], secrets: &[Secret]) -> Vec<Leak> {
    let mut leaks = Vec::new();
    for &(secret, offset) in hits {
        let line = line_of(file, offset).unwrap_or_default();
        for config_var in &secrets[secret].config_vars {
            leaks.push(Leak {
                config_var: config_var.clone(),
                path: found.path.to_string_lossy().into_owned(),
                line,
                offset,
                base64: secrets[secret].base64,
                in_source: found.unchanged,
            });
        }
    }
    leaks
}

/// The line of an offset; none in a file that is not text.
fn line_of(file: &File, offset: u64) -> io::Result<Option<u64>> {
    use std::os::unix::fs::FileExt as _;
    let (mut at, mut lines) = (0, 1);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read_at(&mut piece, at)?;
        if at == 0 && piece[..read.min(LOOKED_AT)].contains(&0) {
            return Ok(None);
        }
        let wanted = usize::try_from(offset - at).unwrap_or(usize::MAX).min(read);
        lines += piece[..wanted].split(|byte| *byte == b'\n').skip(1).count() as u64;
        at += wanted as u64;
        if read == 0 || at >= offset {
            return Ok(Some(lines));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret { config_vars: vec!["SECRET_KEY".into()], text: text.into(), base64: false }
    }

    fn scanned(name: &str, contents: &[u8], unchanged: bool) -> Vec<Leak> {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join(name), contents).unwrap();
        let size = contents.len() as u64;
        let found = Found { path: name.into(), size, unchanged };
        scan(root.path(), &[found], &[secret("dj4ngo-s3cret")])
    }

    fn leak(path: &str, line: Option<u64>, offset: u64, in_source: bool) -> Leak {
        let (config_var, path) = ("SECRET_KEY".into(), path.into());
        Leak { config_var, path, line, offset, base64: false, in_source }
    }

    #[test]
    fn a_text_names_its_line_and_a_binary_file_its_byte() {
        let text = b"a\nb\nkey = 'dj4ngo-s3cret', again 'dj4ngo-s3cret'\n";
        assert_eq!(scanned("main.js", text, false), [leak("main.js", Some(3), 11, false)]);
        assert_eq!(scanned("a.pyc", b"\0\0dj4ngo-s3cret", true), [leak("a.pyc", None, 2, true)]);
        assert_eq!(scanned("clean", b"nothing", false), []);
    }

    #[test]
    fn a_secret_on_the_edge_of_two_pieces_is_found() {
        for before in [PIECE - 5, PIECE * 2 - 20, PIECE * 3] {
            let contents = [vec![b'\n'; before], b"dj4ngo-s3cret".to_vec()].concat();
            let (line, offset) = (before as u64 + 1, before as u64);
            assert_eq!(scanned("f", &contents, false), [leak("f", Some(line), offset, false)]);
        }
    }

    #[test]
    fn links_and_what_vanished_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs_err::write(&outside, "dj4ngo-s3cret").unwrap();
        fs_err::os::unix::fs::symlink(&outside, root.path().join("link")).unwrap();
        let found = |path: &str| Found { path: path.into(), size: 13, unchanged: false };
        let secrets = [secret("dj4ngo-s3cret")];
        assert_eq!(scan(root.path(), &[found("link"), found("gone")], &secrets), []);
    }
}
