//! The known causes of lost files, found in an app's source before any release.
//!
//! One file a cause. A rule speaks only of what stands in the source, with file and line: comments,
//! tests, what others wrote (`node_modules`, a virtual environment) and what is only for development
//! are no evidence, and neither is a line that another one takes back.

mod code;
mod collectstatic_off;
mod commands;
mod compressor;
mod database;
mod log_files;
mod places;
mod sessions;
mod start_assets;
mod uploads;
mod whitenoise;

use serde::Serialize;

use crate::advice::Advice;
use code::{Code, Line};

pub use places::{LARGEST, is_evidence};

/// A way in which files get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// What users send is written to the dyno's disk.
    Uploads,
    /// A database in a file.
    Database,
    /// Assets are made when a dyno starts.
    AssetsAtStart,
    /// Assets are made in the release phase, whose dyno goes with them.
    AssetsInRelease,
    /// Stylesheets and scripts are compressed when a page is first asked for.
    Compressor,
    /// Sessions in files.
    Sessions,
    /// Nothing collects the static files.
    CollectstaticOff,
    /// Nothing serves the static files.
    StaticNotServed,
    /// The log is written to a file.
    LogFiles,
}

/// A cause, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which one.
    pub cause: Cause,
    /// The file, from the source's top.
    pub path: String,
    /// Its line, from 1.
    pub line: usize,
    /// That line, without the white space around it.
    pub found: String,
    /// What gets lost, and when.
    pub why: String,
    /// The way out.
    pub advice: Advice,
}

/// A file of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// From the source's top, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What is known of a source: the code of its files.
#[derive(Debug)]
pub(crate) struct Source {
    files: Vec<Code>,
}

/// Finds what is known to lose files, in the order of files and lines. Files that are no evidence are
/// passed over.
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let files = files.iter().filter(|file| is_evidence(&file.path));
    let source = Source { files: files.map(|file| Code::of(&file.path, &file.text)).collect() };
    let rules: [fn(&Source) -> Vec<Finding>; 8] = [
        uploads::find,
        database::find,
        start_assets::find,
        compressor::find,
        sessions::find,
        collectstatic_off::find,
        whitenoise::find,
        log_files::find,
    ];
    let mut findings: Vec<Finding> = rules.iter().flat_map(|rule| rule(&source)).collect();
    findings.sort_by(|a, b| (&a.path, a.line, a.cause).cmp(&(&b.path, b.line, b.cause)));
    findings.dedup_by(|a, b| (&a.path, a.line, a.cause) == (&b.path, b.line, b.cause));
    findings
}

impl Source {
    /// The files whose names end so.
    fn ending(&self, endings: &[&str]) -> impl Iterator<Item = &Code> {
        self.files.iter().filter(|file| endings.iter().any(|end| file.path.ends_with(end)))
    }

    fn file(&self, path: &str) -> Option<&Code> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether any code has one of these in it, lists of dependencies among it.
    fn mentions(&self, words: &[&str]) -> bool {
        let lines = self.files.iter().flat_map(|file| &file.lines);
        lines.map(|line| &line.text).any(|text| words.iter().any(|word| text.contains(word)))
    }

    /// The same, whatever the case.
    fn mentions_any_case(&self, words: &[&str]) -> bool {
        let mut lines = self.files.iter().flat_map(|file| &file.lines);
        lines.any(|line| {
            let text = line.text.to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        })
    }
}

/// What a rule says of a line.
struct Said {
    cause: Cause,
    why: String,
    advice: Advice,
}

impl Said {
    fn at(self, file: &Code, line: &Line) -> Finding {
        let Self { cause, why, advice } = self;
        let found = line.text.trim().to_owned();
        Finding { cause, path: file.path.clone(), line: line.number, found, why, advice }
    }
}

#[cfg(test)]
mod tests;
