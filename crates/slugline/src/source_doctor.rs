//! `slugline doctor DIR`: what in a source is known to lose files, before any release.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use slugline_model::build::exit_code;
use slugline_model::slugignore::Slugignore;
use slugline_model::source_check::{self, Finding, LARGEST, SourceFile};

use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::source;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// An app's source; this machine where it is not given
    directory: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Exit with 1 where something is found
    #[arg(long, requires = "directory")]
    strict: bool,
}

/// The exit code of `--strict` where something is found.
const FOUND: i32 = 1;

/// Looks at a source, or at this machine; gives the exit code.
pub(crate) fn doctor(args: &DoctorArgs) -> i32 {
    let Some(directory) = &args.directory else { return crate::doctor::doctor(args.json) };
    match evidence(directory) {
        Ok(files) => {
            let findings = source_check::check(&files);
            show(&findings, files.len(), args.json);
            if args.strict && !findings.is_empty() { FOUND } else { exit_code::OK }
        }
        Err(error) => {
            complain(&error.explain().plain());
            error.exit_code()
        }
    }
}

/// The files of a source that say something: those that a release would be made of, and of them
/// text of some size. No link is followed.
fn evidence(directory: &Path) -> Result<Vec<SourceFile>, CommandError> {
    let ignored = fs_err::read_to_string(directory.join(".slugignore")).unwrap_or_default();
    let ignored = Slugignore::parse(&ignored);
    let mut files = Vec::new();
    for path in source::paths(directory)? {
        let Some(name) = path.to_str() else { continue };
        let full = directory.join(&path);
        let metadata = full.symlink_metadata();
        let is_text = metadata.is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
        if is_text && source_check::is_evidence(name) && !is_left_out(&ignored, name) {
            let failed = |source| CommandError::Source { path: full.clone(), source };
            let content = fs_err::read(&full).map_err(failed)?;
            let text = String::from_utf8_lossy(&content).into_owned();
            files.push(SourceFile { path: name.to_owned(), text });
        }
    }
    Ok(files)
}

/// Whether `.slugignore` leaves a file out, by itself or with a directory that it lies in.
fn is_left_out(ignored: &Slugignore, path: &str) -> bool {
    let directories = path.match_indices('/').map(|(end, _)| &path[..end]);
    directories.into_iter().any(|directory| ignored.ignores(directory, true))
        || ignored.ignores(path, false)
}

fn show(findings: &[Finding], files: usize, as_json: bool) {
    if as_json {
        return say(&format!("{:#}", json!({ "files": files, "findings": findings })));
    }
    for finding in findings {
        say(&lines(finding).join("\n"));
        say("");
    }
    let read = format!("{files} {}", if files == 1 { "file" } else { "files" });
    say(&match findings.len() {
        0 => format!("ok    no known cause of lost files in {read}"),
        1 => format!("warn  1 known cause of lost files in {read}"),
        many => format!("warn  {many} known causes of lost files in {read}"),
    });
}

fn lines(finding: &Finding) -> Vec<String> {
    let Finding { path, line, found, why, advice, .. } = finding;
    let mut lines = vec![
        format!("{}:{line}: {}", plain(path), plain(found)),
        format!("  {why}"),
        format!("  {}:", advice.say),
        format!("    {}", advice.paste),
    ];
    if !advice.then.is_empty() {
        lines.push("  and in the app:".to_owned());
        lines.push(format!("    {}", advice.then));
    }
    lines
}

/// A source may hold what a terminal would obey.
fn plain(text: &str) -> String {
    const LONGEST: usize = 160;
    let mut plain: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_slug_is_no_evidence() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (".slugignore", "tools\nold.py\n"),
            ("tools/a.py", "MEDIA_ROOT = 'm'"),
            ("old.py", "MEDIA_ROOT = 'm'"),
            ("node_modules/a/a.js", "multer({ dest: 'x' })"),
            ("app/a.py", "x = 1"),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("b.py")).unwrap();
        let found = evidence(dir.path()).unwrap();
        assert_eq!(found.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["app/a.py"]);
        assert!(matches!(evidence(&dir.path().join("none")), Err(CommandError::Source { .. })));
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a[2Jb");
        assert_eq!(plain(&"é".repeat(200)).chars().count(), 161);
    }
}
