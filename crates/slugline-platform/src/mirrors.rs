//! What a build sees of the operator's mirrors: our binary in the place of `curl`, `wget` and
//! `git`, the real ones elsewhere, the directories, and what is configured.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use slugline_model::dyno::Bind;
use slugline_model::mirror::{CONFIGURED, Mirror, MirrorTarget, REAL_PROGRAMS};

use crate::reconcile::STACK_PATH;

/// What buildpacks fetch with.
const CLIENTS: [&str; 3] = ["curl", "wget", "git"];

/// What git keeps for every user of a machine. A build's git reads ours instead, and so these by
/// way of ours.
const GIT_SYSTEM_FILES: [&str; 2] = ["/etc/gitconfig", "/usr/local/etc/gitconfig"];

/// Writes down what is configured, below a directory of the build's own.
pub(crate) fn write(mirrors: &[Mirror], root: &Path) -> io::Result<()> {
    if mirrors.is_empty() {
        return Ok(());
    }
    let inside = as_seen_inside(mirrors);
    fs_err::create_dir_all(root)?;
    fs_err::write(root.join("mirrors.json"), serde_json::to_vec(&inside)?)?;
    fs_err::write(root.join("gitconfig"), git_config(&inside))
}

/// The binds that a build needs for its mirrors, none without mirrors.
pub(crate) fn binds(mirrors: &[Mirror], root: &Path, program: &Path) -> Vec<Bind> {
    if mirrors.is_empty() {
        return vec![];
    }
    let bind = |from: PathBuf, to: PathBuf| Bind { from, to, writable: false };
    let configured = ["mirrors.json", "gitconfig"]
        .map(|name| bind(root.join(name), Path::new(CONFIGURED).join(name)));
    let directories = mirrors.iter().enumerate().filter_map(|(index, mirror)| match &mirror.to {
        MirrorTarget::Directory(from) => Some(bind(from.clone(), directory(index))),
        MirrorTarget::Url(_) => None,
    });
    let clients = clients().into_iter().flat_map(|path| {
        let real = Path::new(REAL_PROGRAMS).join(path.strip_prefix("/").unwrap_or(&path));
        [bind(path.clone(), real), bind(program.to_path_buf(), path)]
    });
    configured.into_iter().chain(directories).chain(clients).collect()
}

/// The programs themselves, behind links of the stack, which cannot be bound over.
fn clients() -> BTreeSet<PathBuf> {
    let places =
        STACK_PATH.split(':').flat_map(|dir| CLIENTS.map(|name| Path::new(dir).join(name)));
    places
        .filter_map(|path| path.canonicalize().ok())
        .filter(|path| path.starts_with("/usr"))
        .collect()
}

fn directory(index: usize) -> PathBuf {
    Path::new(CONFIGURED).join(index.to_string())
}

fn as_seen_inside(mirrors: &[Mirror]) -> Vec<Mirror> {
    let inside = |(index, mirror): (usize, &Mirror)| Mirror {
        from: mirror.from.clone(),
        to: match &mirror.to {
            MirrorTarget::Directory(_) => MirrorTarget::Directory(directory(index)),
            url @ MirrorTarget::Url(_) => url.clone(),
        },
    };
    mirrors.iter().enumerate().map(inside).collect()
}

/// git knows mirrors by itself: `url.<base>.insteadOf`.
fn git_config(mirrors: &[Mirror]) -> String {
    let mut text = String::from("[include]\n");
    for file in GIT_SYSTEM_FILES {
        let _ = writeln!(text, "\tpath = {file}");
    }
    if mirrors.iter().any(|mirror| matches!(mirror.to, MirrorTarget::Directory(_))) {
        // Repositories there belong to the operator, and submodules may lie there too.
        text += "[safe]\n\tdirectory = *\n[protocol \"file\"]\n\tallow = always\n";
    }
    for Mirror { from, to } in mirrors {
        let base = match to {
            MirrorTarget::Url(url) => url.clone(),
            // As from afar: else git says that it ignores how much of it was asked for.
            MirrorTarget::Directory(path) => format!("file://{}/", path.display()),
        };
        let _ = writeln!(text, "[url {}]\n\tinsteadOf = {}", quoted(&base), quoted(from));
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors() -> Vec<Mirror> {
        let mirror = |from: &str, to| Mirror { from: from.to_owned(), to };
        vec![
            mirror("https://a.example/", MirrorTarget::Url("https://m.example/a/".to_owned())),
            mirror("https://b.example/", MirrorTarget::Directory("/srv/\"b\"".into())),
        ]
    }

    #[test]
    fn without_mirrors_nothing_stands_in_a_programs_place() {
        assert_eq!(binds(&[], Path::new("/x"), Path::new("/slugline")), []);
    }

    #[test]
    fn directories_are_seen_read_only_and_by_number() {
        let binds = binds(&mirrors(), Path::new("/x"), Path::new("/slugline"));
        assert!(binds.iter().all(|bind| !bind.writable));
        let place = |from: &str| {
            binds.iter().find(|bind| bind.from == Path::new(from)).map(|bind| bind.to.clone())
        };
        assert_eq!(place("/srv/\"b\""), Some(PathBuf::from("/.slugline/mirrors/1")));
        assert_eq!(place("/x/gitconfig"), Some(PathBuf::from("/.slugline/mirrors/gitconfig")));
    }

    #[test]
    fn git_reads_the_machines_file_and_the_mirrors() {
        assert_eq!(
            git_config(&as_seen_inside(&mirrors())),
            "[include]\n\tpath = /etc/gitconfig\n\tpath = /usr/local/etc/gitconfig\n\
             [safe]\n\tdirectory = *\n[protocol \"file\"]\n\tallow = always\n\
             [url \"https://m.example/a/\"]\n\tinsteadOf = \"https://a.example/\"\n\
             [url \"file:///.slugline/mirrors/1/\"]\n\tinsteadOf = \"https://b.example/\"\n"
        );
    }
}
